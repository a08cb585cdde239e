"""The proposals of boxes: one file for each gateway, `proposals/ID.json`, the newest only.

Beside it lies its text, `proposals/ID.toml`, for an operator who takes it to where his key is.
The server writes what a box has sent, an operator's command writes that it is refused. Whether it
was answered with a signed configuration is not written: the number of that configuration says so.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge.core import ConfigError
from edge.durable.filelock import FolderLock
from edge.identity import siteconfig
from edge.identity.names import is_gateway
from edge.identity.proposal import Proposal, ProposalId, ProposalStanding
from edge.provision import operatorfiles
from edge.provision.registry import time_from_text, time_to_text

PROPOSALS_AN_HOUR: Final = 12  # of one box: a person mends and sends again
REASON_LIMIT: Final = 300  # characters


class TooManyError(Exception):
    """This box sends proposals in a loop."""


class KeptProposal(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal as the server keeps it. `after`: the number of the configuration that the box
    had here when it came, 0 for none; `recent`: when the ones of the last hour came.
    """

    v: int = 1
    gateway: str
    site: str
    id: ProposalId
    text: str
    version: str
    received: str
    address: str
    after: Annotated[int, Meta(ge=0)]
    refused: str = ""
    recent: tuple[str, ...] = ()

    def standing(self, serial: int) -> ProposalStanding:
        """What became of it, where `serial` is the number of the present configuration."""
        if serial > self.after:
            return ProposalStanding(id=self.id, state="signed", serial=serial)
        if self.refused:
            return ProposalStanding(id=self.id, state="refused", reason=self.refused, serial=serial)
        return ProposalStanding(id=self.id, state="waiting", serial=serial)


class ProposalFolder:
    """Used by the server's threads and by an operator's commands side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, gateway: str) -> KeptProposal | None:
        """The newest of this gateway. Raises ConfigError when its file is damaged."""
        path = self._path(gateway)
        if not path.exists():
            return None
        try:
            data = operatorfiles.read_file(path, "proposal")
            return msgspec.json.decode(data, type=KeptProposal)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ConfigError(f"{path}: no proposal: {error}; remove this file") from None

    def all(self) -> list[KeptProposal]:
        """The newest of each gateway, the oldest first. Raises ConfigError."""
        names = [path.stem for path in self.folder.glob("*.json") if is_gateway(path.stem)]
        found = [each for name in sorted(names) if (each := self.find(name)) is not None]
        return sorted(found, key=lambda each: each.received)

    def keep(
        self, gateway: str, site: str, new: Proposal, now: datetime, address: str, serial: int
    ) -> KeptProposal:
        """Replace what this gateway has sent before; one that is here already stays as it is.

        Raises TooManyError, ConfigError, OSError.
        """
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        with _Held(self.folder):
            held = self.find(gateway)
            if held is not None and (held.id, held.site) == (new.id, site):
                return held
            hour = now - timedelta(hours=1)
            recent = [] if held is None else [w for w in held.recent if time_from_text(w) > hour]
            if len(recent) >= PROPOSALS_AN_HOUR:
                raise TooManyError(f"more than {PROPOSALS_AN_HOUR} proposals in an hour")
            received = time_to_text(now)
            kept = KeptProposal(
                gateway=gateway, site=site, id=new.id, text=new.text, version=new.version,
                received=received, address=address, after=serial, recent=(*recent, received),
            )  # fmt: skip
            self._write(kept)
            return kept

    def refuse(self, gateway: str, reason: str) -> KeptProposal:
        """Raises ConfigError when there is none, OSError."""
        if not reason.strip() or len(reason) > REASON_LIMIT:
            raise ConfigError(f"say why, in at most {REASON_LIMIT} characters")
        if self.find(gateway) is None:
            raise ConfigError(f"{gateway!r:.80}: no proposal is here; see `provision proposals`")
        with _Held(self.folder):
            held = self.find(gateway)
            assert held is not None
            kept = msgspec.structs.replace(held, refused=reason)
            self._write(kept)
            return kept

    def _path(self, gateway: str) -> Path:
        if not is_gateway(gateway):
            raise ConfigError(f"{gateway!r:.80} is not a gateway name")
        return self.folder / f"{gateway}.json"

    def _write(self, kept: KeptProposal) -> None:
        text = self._path(kept.gateway).with_suffix(".toml")
        operatorfiles.replace_file(text, kept.text.encode())
        data = msgspec.json.encode(kept)
        operatorfiles.replace_file(self._path(kept.gateway), data)


class _Held:
    """One writer at a time: a refusal must not land on a newer proposal's file."""

    def __init__(self, folder: Path) -> None:
        self._lock = FolderLock(folder)

    def __enter__(self) -> None:
        self._lock.take(wait=True)

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def serial_of(config: bytes | None) -> int:
    """The number of a signed configuration; 0 for none, or for what is none."""
    if config is None:
        return 0
    try:
        return siteconfig.parse_signed_config(config).serial
    except siteconfig.SignedConfigError:
        return 0
