"""Apply a site file as a transaction: check, compare, announce, replace; then the daemon takes it.

| killed | then |
|---|---|
| before it is replaced | the old file lies there; an announcement of another file means nothing |
| when it is replaced | the new file lies there and is announced: its next start is its trial |
| when it is replaced, and no daemon runs | the same: a mark beside it announces it |
| when it is taken | the daemon's own steps: `edge.gateway.trialstate` |

Whoever has changed the file meanwhile is not overwritten: a change is made of a file with a known
digest, and refused on any other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import drivers
from edge.config import Problem, Site, Store, load_site
from edge.config.maskedtext import unmask_secrets
from edge.control.handover import why_stopped
from edge.control.protocol import OLDER_TEXT, UnknownVerbError, VerbError, ask_daemon
from edge.core import ConfigError, Stamp
from edge.gateway.configdiff import ConfigDiff, compare_site_text
from edge.gateway.lastgood import file_digest
from edge.gateway.sitefile import SiteFile

ANSWER_S: Final = 60.0  # of the daemon, which builds the new site first
NO_DAEMON_TEXT: Final = (
    "no daemon runs that could watch it: apply it without a time to confirm, or start the daemon "
    "first (`sudo systemctl start kerbstone`)"
)
NO_TRIAL: Final = {  # by the word `trial` of the daemon's answer (`edge.gateway.configverb`)
    "good": "it is the last good configuration, so it has no trial: nothing has to be confirmed",
    "nothing": "no configuration has run well here yet, so it has no trial: none could come back",
}

Ask = Callable[..., dict[str, Any] | None]
"""The verbs of the daemon: None when none runs. Raises VerbError."""


class ApplyRefusedError(ConfigError):
    """It cannot be applied; the text says why, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class AppliedConfig:
    """The file is in place. `digest`: of it."""

    digest: str
    daemon: bool  # one runs, and waits for `take`


class ConfigApplier:
    """One site file and the daemon that runs with it."""

    def __init__(self, file: Path, now: Stamp, ask: Ask | None = None) -> None:
        self.file, self._now = SiteFile(file), now
        self._ask = ask or daemon_of(file)

    def status(self) -> dict[str, Any] | None:
        """What the daemon says; None when none runs. Raises ApplyRefusedError for an older one,
        and for one that does not answer."""
        try:
            return self._ask("config")
        except UnknownVerbError as error:
            raise ApplyRefusedError(OLDER_TEXT) from error
        except (VerbError, OSError) as error:
            raise ApplyRefusedError(str(error)) from error

    def compare(self, text: str, name: str) -> ConfigDiff:
        """What it would do to what lies there. Raises ConfigError for a mark without a secret."""
        whole = unmask_secrets(text, self.file.read().decode("utf-8-sig", "replace"))
        return compare_site_text(self._present(), whole, name, self._now)

    def replace(self, text: str, name: str, base: str, confirm_s: int = 0) -> AppliedConfig:
        """All but the taking. Raises ApplyRefusedError, SiteFileChangedError, Problems-like
        ConfigError for a text that cannot be used, OSError."""
        whole = unmask_secrets(text, self.file.read().decode("utf-8-sig", "replace"))
        found = compare_site_text(None, whole, name, self._now)
        if found.site is None:
            raise UnusableTextError(found.errors)
        known = self.status()
        if known is None and confirm_s:
            raise ApplyRefusedError(why_none_runs(self.file.path, NO_DAEMON_TEXT))
        data = whole.encode()
        digest = file_digest(data)

        def announce() -> None:  # of two people only the one who is let in may be heard
            if known is not None:
                self._tell(op="announce", digest=digest, confirm_s=confirm_s)

        keep = known is None or known.get("state") not in ("trial", "rolled_back")
        self.file.replace(data, base, keep=keep, told=known is not None, ready=announce)
        return AppliedConfig(digest, known is not None)

    def take(self, digest: str) -> dict[str, Any] | None:
        """The daemon uses the file. None: none runs, and its start will. Raises
        ApplyRefusedError."""
        return self._tell(op="take", digest=digest)

    def _tell(self, **words: Any) -> dict[str, Any] | None:
        try:
            return self._ask("config_step", **words)
        except (VerbError, OSError) as error:
            raise ApplyRefusedError(str(error)) from error

    def _present(self) -> Site | None:
        return _site(self.file.path)


class UnusableTextError(ApplyRefusedError):
    """The text has errors, as `kerbstone check` finds them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(each) for each in problems[:100]))


def no_trial_text(taken: Mapping[str, Any]) -> str:
    """Why the file that the daemon has taken is not on trial; "": it is."""
    return NO_TRIAL.get(str(taken.get("trial")), "")


def daemon_of(file: Path) -> Ask:
    """The daemon that runs with this site file: where the file says, or where boxes have it."""
    folder = run_dir_of(file)

    def ask(verb: str, **words: Any) -> dict[str, Any] | None:
        return ask_daemon(folder, verb, ANSWER_S, **words)

    return ask


def run_dir_of(file: Path) -> Path:
    """Where the daemon of this site file is; of one that cannot be read, where boxes have it."""
    return Path(_store(file).run_dir)


def why_none_runs(file: Path, stopped: str) -> str:
    """What to say where no daemon of this site file answers: `stopped`, or that the box has handed
    over."""
    return why_stopped(Path(_store(file).dir), stopped)


def _store(file: Path) -> Store:
    site = _site(file)
    return Store() if site is None else site.store


def _site(file: Path) -> Site | None:
    try:
        return load_site(file, drivers.catalogue())
    except ConfigError:
        return None
