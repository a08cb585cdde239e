"""Which box this is, and the event for the city when it is another one than before.

The outbox keeps the board's serial number with its records, so it moves with them. Another serial
number at a start is another box: a backup was restored here, or the card was put into it. A note of
a restore is told once, in the commit that also keeps that it was told.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from msgspec import UNSET

from edge.core import Draft, StoredState, Stream
from edge.durable.folders import remove_file
from edge.gateway.boxswap import SwapNote, read_swap_note
from edge.gateway.statefiles import COPIED, SWAP_NOTE
from edge.outbox import Epoch
from edge.wire.contract.boxevent import BoxSwap, SwapWay
from edge.wire.keptstate import unpack_state

LOG = logging.getLogger("kerbstone")
BOX_OWNER: Final = "box"
STATE_VERSION: Final = 1
SERIAL_LIMIT: Final = 128  # characters


class KeepingOutbox(Protocol):
    """What has kept a state, as `AsyncOutbox` does."""

    @property
    def epoch(self) -> Epoch: ...
    async def state(self, owner: str) -> StoredState | None: ...


class BoxChange:
    """Of one start. `serial` is that of this board; None: it has none, and only a restore is told.

    `begin`, then what `to_keep` gives is committed with its events.
    """

    def __init__(self, folder: Path, serial: str | None) -> None:
        self._folder, self._serial = folder, serial
        self.note: SwapNote | None = read_swap_note(folder)
        # the rows that lie here lie in a backup, too, and may be sent from there
        self.copied = self.note is not None or os.path.lexists(folder / COPIED)
        self._before: str | None = None
        self._told: str | None = None  # the backup of which the last event was
        self._kept: dict[str, Any] | None = None  # as it lies in the outbox

    async def look(self, outbox: KeepingOutbox) -> bool:
        """Whether it is another box, of which nothing was told yet."""
        self.restore(unpack_state(await outbox.state(BOX_OWNER), STATE_VERSION))
        return self.how is not None

    async def begin(self, outbox: KeepingOutbox, now_ns: int) -> list[Draft]:
        """What is to be told at this start; it rides in its first commit."""
        await self.look(outbox)
        return self.events(now_ns, outbox.epoch)

    def restore(self, state: object) -> None:
        """What a former start has kept; anything else is as nothing."""
        if isinstance(state, Mapping):
            serial, told = state.get("serial"), state.get("backup")
            self._before = serial[:SERIAL_LIMIT] if isinstance(serial, str) else None
            self._told = told if isinstance(told, str) else None
            self._kept = dict(state)

    def events(self, now_ns: int, epoch: Epoch) -> list[Draft]:
        """That of another box, if it is one."""
        if self.how is None:
            return []
        note = self._untold
        body = _restored(note, self._before, self._serial) if note else self._card_moved()
        if epoch.succeeds is not None:
            body.epoch_before = epoch.succeeds.epoch
        if epoch.past == "older":
            body.counting = "anew"
        LOG.warning("%s", body.text)
        return [Draft(Stream.EVENT, "gateway", now_ns, now_ns, body)]

    @property
    def how(self) -> SwapWay | None:
        """In which way this is another box; None: it is none, or that was told."""
        return "restored" if self._untold is not None else "card" if self._moved else None

    @property
    def counts_anew(self) -> bool:
        """This box has counted by itself between the backup and this start: what registers have
        grown since the backup is, in part, in those records."""
        return self._untold is not None and self._untold.set_aside is not None

    def to_keep(self) -> dict[str, object]:
        """For the outbox, with the event; nothing where nothing is new."""
        state = {
            "serial": self._serial or self._before,
            "backup": self.note.backup if self.note is not None else self._told,
        }
        if state == self._kept or not any(state.values()):
            return {}
        return {BOX_OWNER: state}

    def committed(self, *, on_disk: bool) -> None:
        """The event is in the outbox, and which rows merge no more: nobody needs note and mark."""
        if not self.copied or not on_disk:
            return
        for name in (SWAP_NOTE, COPIED):
            try:
                remove_file(self._folder / name)
            except OSError as error:  # then the next start finds that it was told
                LOG.warning("%s cannot be removed: %s", self._folder / name, error.strerror)

    @property
    def _untold(self) -> SwapNote | None:
        return self.note if self.note is not None and self.note.backup != self._told else None

    @property
    def _moved(self) -> bool:
        return None not in (self._before, self._serial) and self._before != self._serial

    def _card_moved(self) -> BoxSwap:
        text = (
            f"Another box: the card of the box with serial number {self._before} is now in the one "
            f"with serial number {self._serial}."
        )
        return BoxSwap(
            how="card", counting="continues", serial_before=self._before or UNSET,
            serial=self._serial or UNSET, text=text,
        )  # fmt: skip


def _restored(note: SwapNote, before: str | None, serial: str | None) -> BoxSwap:
    before = before or note.serial_before
    continues = note.last and note.set_aside is None
    counts = (
        "Registers count on from there."
        if continues
        else "Another box may have counted since: growth of registers up to this start is in no "
        "record of this one."
    )
    text = (
        f"Another box: backup {note.backup} of {note.backup_at} was restored by {note.by} at "
        f"{note.restored_at}. Serial number {serial or 'unknown'}, before it {before or 'unknown'}."
        f" {counts}"
    )
    if note.set_aside is not None:
        text += (
            f" Epoch {note.set_aside.epoch} of this box before the restore is kept beside the "
            "outbox: `kerbstone outbox rescue` sends what it holds."
        )
    return BoxSwap(
        how="restored",
        counting="continues" if continues else "anew",
        serial_before=before or UNSET,
        serial=serial or UNSET,
        backup=note.backup,
        backup_at=note.backup_at,
        restored_at=note.restored_at,
        by=note.by or UNSET,
        set_aside=UNSET if note.set_aside is None else note.set_aside.told(),
        text=text,
    )
