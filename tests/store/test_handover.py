"""What may have been handed to the sender never changes: links, kills, and rows still held live."""

from pathlib import Path
from typing import Any

from edge.store import Mark
from tests.store.test_outbox import everything, kill
from tests.store.test_thin import SOURCES, S, covered, live, mark, minute, opened


def test_what_may_have_been_handed_over_never_merges(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(100))
    outbox.linked()
    handed = [s.row for s in everything(outbox)]
    live(outbox, range(100, 700))
    assert (outbox.counts().thinned, outbox.counts().dropped > 0) == (0, True), "a link is up"
    top = everything(outbox)[-1].row
    outbox.unlinked(top)
    before = {s.row: s.record for s in everything(outbox)}
    live(outbox, range(700, 1500))
    assert outbox.counts().thinned > 0
    for stored in everything(outbox):
        if stored.row <= top:
            assert stored.record == before[stored.row]
            assert "covers" not in stored.record.body
    assert handed[-1] < top
    outbox.close()


def word(folder: Path) -> Any:
    outbox = opened(folder)
    assert outbox._disk is not None
    found = outbox._disk.meta("unsent_after", "none")
    kill(outbox)
    return found


def test_the_word_on_disk_is_never_behind_what_was_handed_over(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(3))
    kill(outbox)
    first = word(tmp_path)
    assert first == 1 << 32, "nothing of this start was handed over"

    outbox = opened(tmp_path)
    assert outbox._handover.unsent_after == first, "nor of the former one"
    outbox.linked()
    kill(outbox)
    assert word(tmp_path) == (1 << 63) - 1
    outbox = opened(tmp_path)
    assert outbox._handover.unsent_after == 5 << 32, "a link was up: nobody knows what it took"

    outbox.linked()
    stored = outbox.commit([minute(9, "hut")], clock=mark(9))
    outbox.unlinked(stored[0].row)
    kill(outbox)
    assert word(tmp_path) == (1 << 63) - 1, "said with the next commit, not by itself"
    outbox = opened(tmp_path)
    outbox.linked()
    row = outbox.commit([minute(9, "hut")], clock=mark(9))[0].row
    outbox.unlinked(row)
    outbox.linked()
    outbox.unlinked(row - 1)
    outbox.commit([], {"x": (1, b"")}, clock=mark(10))
    kill(outbox)
    assert word(tmp_path) == row, "what an earlier link took counts too"


def test_a_link_costs_one_write_and_only_when_it_is_new(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(2))
    assert outbox._disk is not None
    changes = outbox._disk._db.total_changes
    outbox.linked()
    assert outbox._disk._db.total_changes == changes + 1
    outbox.unlinked(5)
    outbox.linked()
    assert outbox._disk._db.total_changes == changes + 1, "the word has not moved in between"
    outbox.close()


def test_a_row_that_the_sender_may_hold_as_live_does_not_merge(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(30))
    disk, thinner = outbox._disk, outbox._thinner
    assert disk is not None
    assert thinner is not None
    newest = [s.row for s in outbox.commit([minute(30, s) for s in SOURCES], clock=mark(30))]
    while outbox._thin(disk):
        pass
    rows = everything(outbox)
    assert [s.row for s in rows[-3:]] == newest
    assert [len(covered(s)) for s in rows] == [15] * 6 + [1] * 3
    outbox.close()


def test_nor_does_one_of_the_first_minute_of_a_start(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    made = [s for n in range(3) for s in outbox.commit([minute(n, "hut")], clock=Mark(S, S, "ntp"))]
    disk = outbox._disk
    assert disk is not None
    assert not outbox._thin(disk)
    assert everything(outbox) == made
    outbox.close()
