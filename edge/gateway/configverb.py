"""The control verbs `config` and `config_step`: the configuration of a running daemon, asked and
changed.

`config` takes nothing, and says how it stands: `file`; `signed` (only the operator can change it);
`digest` of the file as it lies there, `running` of what runs, `changed` when they are not the same
file; `state` (`none`: never on trial, `trial`, `confirmed`, `rolled_back`, or `unwatched`: the
daemon was started by hand, and keeps no last good one); `reason` and `text` of `rolled_back`, and
`text` where this file has ended the trial of another one; `waiting`, a change that is under way;
`trial`: null, or `digest`, `vouched`, `confirm_s`, `confirm_left_s` (null: no need),
`health_left_s` (of good health that are still to come; null: not known yet) and `held` (why it
stays open, or "").

`config_step` has an `op`:

| op | takes | gives |
|---|---|---|
| `text` | | `text`: the site file, secrets masked (`edge.config.maskedtext`), `digest` |
| `diff` | `text` | `edge.gateway.configdiff.ConfigDiff.to_map`: the text against what runs |
| `announce` | `digest`, `confirm_s` | a file with this SHA-256 is about to be put in place |
| `take` | `digest` | the file is in place: use it; `restarts`, `restarts_text`, `trial` |
| `confirm` | `digest` | a person vouches for the configuration that is on trial |
| `rollback` | `digest` | the last good one again; `restarts`, `restarts_text` |

`trial` of `take` is `open`, or why there is none: `good`, it is the last good configuration;
`nothing`, none has run well on this box yet, so nothing could come back.

Nobody can give the daemon a file by it: the file is what root has put there.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from edge.config import Site
from edge.config.maskedtext import mask_secrets
from edge.control.protocol import VerbError
from edge.core import ConfigError, Stamp
from edge.gateway.changescope import ChangeScope
from edge.gateway.configdiff import compare_site_text
from edge.gateway.lastgood import file_digest
from edge.gateway.trialwatch import ConfigControl
from edge.gateway.trieddaemon import ConfigChangeError, TriedDaemon
from edge.identity.configspool import CONFIRM_LIMIT_S
from edge.identity.proposal import PROPOSAL_LIMIT
from edge.kernelclock import KernelClock

DIGEST: Final = re.compile(r"[0-9a-f]{64}")
UNWATCHED_TEXT: Final = (
    "this daemon was started by hand, so it keeps no last good configuration, and cannot watch "
    "another one: replace the file, and start it again"
)
UNWATCHED: Final[Mapping[str, Any]] = {
    "signed": False, "digest": "", "running": "", "changed": False, "state": "unwatched",
    "reason": "", "text": "", "waiting": "", "trial": None,
}  # fmt: skip
BUSY_TEXT: Final = "another file is being compared: try again"
LONG_TEXT: Final = "a site file that is sent has at most {} bytes; this one has {}"


class ConfigVerb:
    """Belongs to the main loop. Texts are compared in a thread, one at a time: a hostile one costs
    a second of the processor, and no edge."""

    def __init__(self, control: ConfigControl | None, daemon: TriedDaemon) -> None:
        """`control` None: a person has started the daemon by hand, and nobody supervises it."""
        self._control, self._daemon = control, daemon
        self._comparing = asyncio.Lock()

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """How it stands."""
        if self._control is None:
            return {**UNWATCHED, "file": self._daemon.site.file}
        return self._control.status()

    async def step(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """See above. Raises VerbError."""
        if (control := self._control) is None:
            raise VerbError(UNWATCHED_TEXT)
        try:
            match request.get("op"):
                case "text":
                    return _text(control)
                case "diff":
                    return await self._diff(request.get("text"))
                case "announce":
                    control.announce(_digest(request), _seconds(request))
                    return {}
                case "take":
                    digest = _digest(request)
                    scope = await control.take(digest)
                    return {**_restarts(scope), "trial": control.trial_word(digest)}
                case "confirm":
                    control.confirm(_digest(request))
                    return control.status()
                case "rollback":
                    return _restarts(await control.roll_back(_digest(request)))
        except (ConfigChangeError, ConfigError) as error:
            raise VerbError(str(error)) from error
        raise VerbError("op is one of text, diff, announce, take, confirm, rollback")

    async def _diff(self, text: object) -> dict[str, Any]:
        if not isinstance(text, str):
            raise VerbError("text is a site file")
        if len(data := text.encode(errors="replace")) > PROPOSAL_LIMIT:
            raise VerbError(LONG_TEXT.format(PROPOSAL_LIMIT, len(data)))
        if self._comparing.locked():
            raise VerbError(BUSY_TEXT)
        async with self._comparing:
            site, now = self._daemon.site, KernelClock().now()
            return await asyncio.to_thread(_compared, site, text, now)


def _text(control: ConfigControl) -> dict[str, Any]:
    data = control.last_good.present()
    try:
        text = mask_secrets(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise VerbError("the site file is not UTF-8 text") from error
    return {"text": text, "digest": file_digest(data)}


def _compared(site: Site, text: str, now: Stamp) -> dict[str, Any]:
    return compare_site_text(site, text, "site.toml", now).to_map()


def _restarts(scope: ChangeScope) -> dict[str, Any]:
    return {"restarts": scope.restarts, "restarts_text": scope.text}


def _digest(request: Mapping[str, Any]) -> str:
    found = request.get("digest")
    if not isinstance(found, str) or DIGEST.fullmatch(found) is None:
        raise VerbError("digest is the SHA-256 of a site file, in hex")
    return found


def _seconds(request: Mapping[str, Any]) -> int:
    found = request.get("confirm_s", 0)
    if type(found) is not int or not 0 <= found <= CONFIRM_LIMIT_S:
        raise VerbError(f"confirm_s is a whole number from 0 to {CONFIRM_LIMIT_S}")
    return found
