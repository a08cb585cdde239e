"""What may have been handed to the sender never changes: links, kills, and rows still held live."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Stamp
from edge.outbox import AsyncOutbox, Outbox
from edge.outbox.handover import META_KEY
from edge.outbox.mergeable import (
    COMMITS,
    LIVE_NS,
    RANGES_LIMIT,
    STRIDE,
    MergeableRanges,
    RowRanges,
    format_ranges,
    parse_row_ranges,
    ranges_after,
    ranges_before,
    union_ranges,
)
from edge.outbox.rowformat import INFINITE
from tests.kit.clock import NTP
from tests.kit.outbox import everything, kill
from tests.outbox.test_downsample import (
    SOURCES,
    S,
    air,
    covered,
    live,
    mark,
    minute,
    opened,
    summed,
)

START = 1 << 32  # no row of the first start has a lower id


def test_rows_settle_when_nobody_holds_them_as_live_any_more() -> None:
    """Each commit by itself; of more than are remembered the last ones together, later."""
    ranges = MergeableRanges()
    ranges.begin("", 0, 0)
    for n in range(COMMITS + 50):
        ranges.committed(n, n + 1)
        assert ranges.settled == 0
    assert len(ranges._commits) == COMMITS
    last = COMMITS + 49
    settled = []
    for mono_ns in (LIVE_NS - 1, LIVE_NS, LIVE_NS + 7, LIVE_NS + last - 1, LIVE_NS + last):
        ranges.tick(mono_ns)
        settled.append(ranges.settled)
    assert settled == [0, 1, 8, COMMITS - 1, last + 1]
    assert not ranges._commits


def downsample(outbox: Outbox) -> None:
    assert outbox._storage.disk is not None
    while outbox._handover.make_room(outbox._storage.disk):
        pass


def word(folder: Path) -> str:
    outbox = opened(folder)
    assert outbox._storage.disk is not None
    found = outbox._storage.disk.meta("unsent", "none")
    kill(outbox)
    return str(found)


def test_without_saying_what_is_live_everything_counts_as_handed_over(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(100))
    outbox.linked()
    live(outbox, range(100, 700))
    assert (outbox.counts().downsampled, outbox.counts().dropped > 0) == (0, True), "a link is up"
    top = everything(outbox)[-1].row
    outbox.unlinked(top)
    before_ = {s.row: s.record for s in everything(outbox)}
    live(outbox, range(700, 1500))
    assert outbox.counts().downsampled > 0
    for stored in everything(outbox):
        if stored.row <= top:
            assert stored.record == before_[stored.row]
            assert "covers" not in stored.record.body
    outbox.close()


def test_on_a_link_that_is_too_slow_the_oldest_minutes_merge_before_any_is_lost(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path, 3 << 20)
    live(outbox, range(1500))
    (held,) = outbox.commit([minute(1500, "hut")], clock=mark(1500))
    outbox.linked(held.row)
    handed = {s.row: s.record for s in outbox.take(0, 60)}
    for number in range(1501, 2100):
        for stored in outbox.commit([minute(number, s) for s in SOURCES], clock=mark(number)):
            handed[stored.row] = stored.record
    counts = outbox.counts()
    assert (counts.dropped, counts.downsampled > 900) == (0, True)
    rows = everything(outbox)
    assert {s.row: s.record for s in rows if s.row in handed} == handed, "it is as it has gone"
    numbers = [n for s in air(rows) for n in covered(s)]
    assert sorted(numbers) == list(range(1, 2 * 2099 + 2))
    assert max(len(covered(s)) for s in rows) == 15
    outbox.close()


def test_the_word_on_disk_is_never_behind_what_was_handed_over(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(3))
    kill(outbox)
    first = word(tmp_path)
    assert first == f"{START + 1}-{INFINITE}", "nothing of this start was handed over"

    outbox = opened(tmp_path)
    assert outbox._handover.ranges.text == first, "nor of the former one"
    outbox.linked()
    kill(outbox)
    assert word(tmp_path) == ""
    outbox = opened(tmp_path)
    assert outbox._handover.ranges.text == f"{5 * START + 1}-{INFINITE}", (
        "nobody knows what it took"
    )

    outbox.linked()
    stored = outbox.commit([minute(9, "hut")], clock=mark(9))
    outbox.unlinked(stored[0].row)
    kill(outbox)
    assert word(tmp_path) == "", "said with the next commit, not by itself"
    outbox = opened(tmp_path)
    outbox.linked()
    row = outbox.commit([minute(9, "hut")], clock=mark(9))[0].row
    outbox.unlinked(row)
    outbox.linked()
    outbox.unlinked(row - 1)
    outbox.commit([], {"x": (1, b"")}, clock=mark(10))
    kill(outbox)
    assert word(tmp_path) == f"{row + 1}-{INFINITE}", "what an earlier link took counts too"


def test_a_link_costs_one_write_and_only_when_it_is_new(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(2))
    assert outbox._storage.disk is not None
    changes = outbox._storage.disk._db.total_changes
    outbox.linked()
    assert outbox._storage.disk._db.total_changes == changes + 1
    outbox.unlinked(5)
    outbox.linked()
    assert outbox._storage.disk._db.total_changes == changes + 1, (
        "the word has not moved in between"
    )
    outbox.close()


def test_the_backlog_costs_a_write_for_a_thousand_rows(tmp_path: Path) -> None:
    outbox = opened(tmp_path, 64 << 20)
    for number in range(30):
        outbox.commit([minute(number, f"s{n}", 9) for n in range(100)], clock=mark(number))
    assert outbox._storage.disk is not None
    outbox.linked(INFINITE)
    changes, after, taken = outbox._storage.disk._db.total_changes, 0, 0
    while rows := outbox.take(after, 200):
        after = rows[-1].row
        taken += len(rows)
        assert all(first > after for first, _ in outbox._handover.ranges.spans)
        assert outbox._handover._on_disk == {META_KEY: outbox._handover.ranges.text}
    assert taken == 3000
    assert outbox._storage.disk._db.total_changes == changes + 3
    outbox.close()


def test_a_page_that_cannot_be_said_to_go_does_not_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(30))
    outbox.linked(INFINITE)
    assert outbox._storage.disk is not None

    def broken(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(outbox._storage.disk, "set_meta", broken)
    assert outbox.take(0, 50) == []
    assert outbox.counts().in_memory is not None
    outbox.close()


def test_a_row_that_the_sender_may_hold_as_live_does_not_merge(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    live(outbox, range(30))
    newest = [s.row for s in outbox.commit([minute(30, s) for s in SOURCES], clock=mark(30))]
    downsample(outbox)
    rows = everything(outbox)
    assert [s.row for s in rows[-3:]] == newest
    assert [len(covered(s)) for s in rows] == [15] * 6 + [1] * 3
    outbox.linked(INFINITE)  # whoever links says that he holds nothing: such a row counts as live
    live(outbox, range(31, 46))
    downsample(outbox)
    assert [len(covered(s)) for s in everything(outbox)] == [15] * 6 + [1] * 48
    outbox.close()


def test_nor_does_one_of_the_first_minute_of_a_start(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    made = [s for n in range(3) for s in outbox.commit([minute(n, "hut")], clock=Stamp(S, S, NTP))]
    downsample(outbox)
    assert everything(outbox) == made
    outbox.close()


def test_what_waited_before_a_link_and_what_comes_behind_it_both_merge_when_it_is_down(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path, 64 << 20)
    live(outbox, range(600))
    (held,) = outbox.commit([minute(600, "hut")], clock=mark(600))
    outbox.linked(held.row)
    taken = outbox.take(0, 100)
    live(outbox, range(601, 660))
    highest = everything(outbox)[-1].row
    outbox.unlinked(highest)
    live(outbox, range(660, 700))
    downsample(outbox)
    lengths = {s.row: len(covered(s)) for s in everything(outbox)}
    assert {lengths[s.row] for s in taken} == {1}
    assert {n for row, n in lengths.items() if held.row <= row <= highest} == {1}
    assert max(n for row, n in lengths.items() if row < held.row) == 15
    assert max(n for row, n in lengths.items() if row > highest) == 15
    kill(outbox)
    assert len(parse_row_ranges(word(tmp_path))) == 2
    outbox.close()


async def test_the_writer_hands_over_what_was_said_and_in_order(tmp_path: Path) -> None:
    writer = await AsyncOutbox.start(
        tmp_path / "outbox", limit_bytes=64 << 20, boot_id="b", merge=summed, ballast_bytes=0
    )
    for number in range(4):
        await writer.commit([minute(number, s) for s in SOURCES], clock=mark(number))
    ranges = writer._outbox._handover.ranges
    assert [s.row for s in await writer.pending(0, 5)] == [START + n for n in range(1, 6)]
    assert ranges.spans == ((START + 1, INFINITE),), "without a link nobody hands over"
    await writer.link_up(INFINITE)
    assert ranges.spans == ((START + 1, START + 9),), "the last three may be held as live"
    await writer.urgent()
    assert ranges.spans, "alarms go before their turn; they never merge"
    await writer.pending(0, 2)
    assert ranges.text == ""
    writer.link_lost(START + 12)
    await writer.counts()
    assert ranges.spans == ((START + 13, INFINITE),)
    await writer.close()


# -- spans as such --------------------------------------------------------------------------------

cuts = st.lists(st.integers(1, 60), max_size=2 * RANGES_LIMIT, unique=True).map(sorted)
some = cuts.map(lambda ends: tuple(zip(ends[::2], ends[1::2], strict=False)))


def rows_of(spans: RowRanges) -> set[int]:
    return {row for first, last in spans for row in range(first, last + 1)}


@given(some, some, st.integers(0, 70))
def test_spans_are_sets_of_rows(one: RowRanges, two: RowRanges, row: int) -> None:
    assert parse_row_ranges(format_ranges(one)) == one
    assert rows_of(ranges_after(one, row)) == {each for each in rows_of(one) if each > row}
    assert rows_of(ranges_before(one, row)) == {each for each in rows_of(one) if each < row}
    both = union_ranges(one, two)
    assert len(both) <= RANGES_LIMIT
    assert rows_of(both) <= rows_of(one) | rows_of(two)
    if len(both) < RANGES_LIMIT:
        assert rows_of(both) == rows_of(one) | rows_of(two)


@pytest.mark.parametrize(
    "text", ["", "x", "5", "5-", "7-5", "1-5,5-9", "1-9,3-4", 5, None, "1-99999999999999999999",
             "1-9999999999999999999", "1-2,4-5,7-8,10-11,13-14", "1-2,", "+1-2", "1-2\n"],
)  # fmt: skip
def test_a_word_that_nobody_wrote_says_that_everything_may_have_gone(text: object) -> None:
    assert parse_row_ranges(text) == ()


def test_a_link_that_is_only_told_to_be_down_changes_nothing() -> None:
    ranges = MergeableRanges()
    ranges.begin("10-20,30-9223372036854775807", 40, 0)
    ranges.unlinked(99)
    assert ranges.text == "10-20,30-9223372036854775807"
    assert not ranges.note_handed_over(15), "nor does the backlog without a link"
    ranges.linked(35)
    ranges.linked(50)
    assert ranges.text == "10-20,30-34"
    assert ranges.note_handed_over(9) is False
    assert ranges.note_handed_over(12) is True
    assert ranges.text == ""
    assert STRIDE > 100
    ranges.unlinked(33)
    assert ranges.text == f"34-{INFINITE}"


def test_a_kill_leaves_what_the_journal_knows_alone() -> None:
    ranges = MergeableRanges()
    ranges.begin(f"10-20,30-{INFINITE}", 40, 35)
    assert ranges.text == f"10-20,36-{INFINITE}"


def links(ranges: MergeableRanges, ends: Iterable[int]) -> None:
    for end in ends:
        ranges.linked(end)
        ranges.unlinked(end + 3)


def test_many_short_links_keep_the_word_short_and_the_longest_spans() -> None:
    ranges = MergeableRanges()
    ranges.begin(f"10-5000,6000-{INFINITE}", 7000, 0)
    ranges.settled = INFINITE
    links(ranges, range(8000, 9000, 7))
    spans = parse_row_ranges(ranges.text)
    assert (len(spans), spans[0], spans[-1][1]) == (RANGES_LIMIT, (10, 5000), INFINITE)
