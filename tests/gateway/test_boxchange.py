"""Another box is told once, whatever becomes of the process meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.core import Draft, StoredState
from edge.gateway.boxchange import BOX_OWNER, BoxChange
from edge.gateway.boxswap import AsideEpoch, SwapNote, read_swap_note
from edge.gateway.statefiles import SWAP_NOTE
from edge.health.reboot import Cause, Reset, reboot_cause
from edge.outbox import Epoch, PreviousStart
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import BoxSwap
from edge.wire.keptstate import pack_state

FORMER = Epoch(8 << 32, 2, False, PreviousStart(7 << 32, 1, {"air": 4}), True)
NOTE = SwapNote(
    backup="0123456789abcdef", backup_at="2026-12-01T08:00:00.000Z", last=True,
    serial_before="1000aaaa", restored_at="2026-12-01T09:00:00.000Z", by="ben",
)  # fmt: skip


def noted(folder: Path, note: SwapNote = NOTE) -> None:
    (folder / SWAP_NOTE).write_bytes(msgspec.json.encode(note))


def started(
    folder: Path, serial: str | None, state: object, epoch: Epoch = FORMER
) -> tuple[BoxChange, list[Draft]]:
    change = BoxChange(folder, serial)
    change.restore(state)
    return change, change.events(5, epoch)


def body(drafts: list[Draft]) -> BoxSwap:
    (draft,) = drafts
    assert isinstance(draft.body, BoxSwap)
    return draft.body


def test_a_first_start_tells_nothing_and_keeps_which_board_it_is(tmp_path: Path) -> None:
    change, drafts = started(tmp_path, "1000aaaa", None)
    assert drafts == []
    assert change.to_keep() == {BOX_OWNER: {"serial": "1000aaaa", "backup": None}}
    again, drafts = started(tmp_path, "1000aaaa", {"serial": "1000aaaa", "backup": None})
    assert drafts == []
    assert again.to_keep() == {}


def test_a_restore_is_told_once_although_the_process_dies_before_its_note_is_gone(
    tmp_path: Path,
) -> None:
    noted(tmp_path)
    change, drafts = started(tmp_path, "1000bbbb", {"serial": "1000aaaa", "backup": None})
    told = body(drafts)
    assert (told.how, told.counting) == ("restored", "continues")
    assert (told.serial_before, told.serial) == ("1000aaaa", "1000bbbb")
    assert told.epoch_before == 7 << 32
    assert (told.by, told.backup) == ("ben", NOTE.backup)
    # committed, and killed before the note went
    again, drafts = started(tmp_path, "1000bbbb", change.to_keep()[BOX_OWNER])
    assert drafts == []
    again.committed(on_disk=True)
    assert read_swap_note(tmp_path) is None
    _, drafts = started(tmp_path, "1000bbbb", change.to_keep()[BOX_OWNER])
    assert drafts == []


def test_the_note_stays_as_long_as_the_event_is_only_in_memory(tmp_path: Path) -> None:
    noted(tmp_path)
    change, drafts = started(tmp_path, None, None)
    assert body(drafts).serial_before == "1000aaaa", "as the backup knew it"
    change.committed(on_disk=False)
    assert read_swap_note(tmp_path) == NOTE


def test_a_card_in_another_box_is_told_without_anybodys_help(tmp_path: Path) -> None:
    change, drafts = started(tmp_path, "2", {"serial": "1", "backup": None})
    told = body(drafts)
    assert (told.how, told.counting, told.serial_before, told.serial) == (
        "card", "continues", "1", "2",
    )  # fmt: skip
    assert change.to_keep() == {BOX_OWNER: {"serial": "2", "backup": None}}


@pytest.mark.parametrize(("before", "now"), [(None, "2"), ("1", None), ("1", "1")])
def test_what_nobody_knows_is_no_change(tmp_path: Path, before: Any, now: Any) -> None:
    _, drafts = started(tmp_path, now, {"serial": before, "backup": None})
    assert drafts == []


def test_a_copy_or_a_store_that_is_too_old_counts_anew(tmp_path: Path) -> None:
    noted(tmp_path, msgspec.structs.replace(NOTE, last=False))
    assert body(started(tmp_path, "2", None)[1]).counting == "anew"
    noted(tmp_path)
    older = Epoch(8 << 32, 2, False, FORMER.former, True, past="older")
    assert body(started(tmp_path, "2", None, older)[1]).counting == "anew"


def test_what_this_box_had_recorded_itself_is_named_with_its_numbers(tmp_path: Path) -> None:
    noted(tmp_path, msgspec.structs.replace(NOTE, set_aside=AsideEpoch(epoch=3, last={"air": 9})))
    change, drafts = started(tmp_path, "2", None)
    assert change.counts_anew
    sent = body_map(body(drafts))
    assert sent["counting"] == "anew"
    assert msgspec.to_builtins(sent["set_aside"]) == {"epoch": 3, "last": {"air": 9}}
    assert "outbox rescue" in sent["text"]


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b'{"v": 2}', b"[" * 70000])
def test_a_note_that_is_damaged_does_not_keep_a_start_from_happening(
    tmp_path: Path, data: bytes
) -> None:
    (tmp_path / SWAP_NOTE).write_bytes(data)
    assert started(tmp_path, "1", {"serial": "1", "backup": None})[1] == []


class Kept:
    """An outbox that has kept which box it was."""

    epoch = FORMER

    def __init__(self, state: object) -> None:
        self._state = None if state is None else pack_state(1, state)

    async def state(self, owner: str) -> StoredState | None:
        return self._state


@pytest.mark.parametrize(
    ("serial", "state", "note", "other"),
    [
        ("1000aaaa", None, None, False),
        ("1000aaaa", {"serial": "1000aaaa", "backup": None}, None, False),
        ("1000bbbb", {"serial": "1000aaaa", "backup": None}, None, True),
        ("1000bbbb", {"serial": "1000aaaa", "backup": None}, NOTE, True),
        ("1000bbbb", {"serial": "1000bbbb", "backup": NOTE.backup}, NOTE, False),
    ],
)
def test_the_first_start_on_another_box_is_no_power_cut(
    tmp_path: Path, serial: str, state: object, note: SwapNote | None, other: bool
) -> None:
    if note is not None:
        noted(tmp_path, note)
    assert asyncio.run(BoxChange(tmp_path, serial).look(Kept(state))) is other
    cause = reboot_cause(
        Reset(rsts=0x1000), first=False, same_boot=False, unclean=True, other_box=other
    )
    assert (cause.cause is Cause.FIRST) is other
