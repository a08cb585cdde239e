"""A declaration that is lost itself is made again; what cannot be known is not made up."""

from operator import add
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.core import Draft, RecordKey, Stamp, Stream
from edge.outbox import Outbox, StoredRecord
from edge.outbox import drops as drops_module
from edge.outbox.drops import DropRange, PendingDrops
from edge.outbox.losses import Losses
from edge.outbox.outboxstats import OutboxStats
from edge.outbox.rowformat import MAX_BODY, OutboxRow, make_row, pack_body
from tests.kit.asread import as_read
from tests.kit.clock import NONE
from tests.kit.outbox import S, drafts, everything, opened


def declared(rows: list[StoredRecord]) -> list[tuple[str, str, int]]:
    """Stream, reason and count of each event among them."""
    bodies = [s.record.body for s in rows if s.record.body.get("event") == "drop"]
    return [(b["stream_of"], b["reason"], b["count"]) for b in bodies]


def lost_five(tmp_path: Path) -> tuple[Outbox, StoredRecord]:
    """An outbox, and the event that says that five numbers are lost."""
    outbox = opened(tmp_path)
    outbox.begin()
    rows = outbox.commit(drafts(9), clock=Stamp(1 * S, 0, NONE))
    for stored in rows[:5]:
        outbox.dead_letter(stored.row, "no")
    made = outbox.commit([], confirmed=[rows[5].row], clock=Stamp(2 * S, 0, NONE))
    assert declared(made) == [("air", "refused", 5)]
    return outbox, made[-1]


def again(outbox: Outbox, at: int) -> list[tuple[str, str, int]]:
    row = everything(outbox)[0].row
    return declared(outbox.commit([], confirmed=[row], clock=Stamp(at * S, 0, NONE)))


def test_one_that_is_refused_is_made_again_with_what_was_lost_since(tmp_path: Path) -> None:
    outbox, event = lost_five(tmp_path)
    outbox.dead_letter(event.row, "135")
    outbox.dead_letter(everything(outbox)[0].row, "no")
    assert again(outbox, 3) == [("air", "refused", 6), ("event", "refused", 1)]
    assert again(outbox, 4) == [], "once"
    outbox.close()


@pytest.mark.parametrize("unread", [True, False])
def test_what_the_process_before_had_to_declare_is_merged_unless_it_had_read_the_disk(
    unread: bool,
) -> None:
    """A disk that cannot be read now: when it works again, nothing is declared a second time."""
    storage: Any = SimpleNamespace(ask=lambda question, otherwise: otherwise)
    losses = Losses(storage, OutboxStats())
    assert storage.drops_unread
    losses.pending.add(7, "air", 1, "full")
    drops = PendingDrops({(7, "air", "full"): DropRange(5, 6, 2)})
    left: Any = SimpleNamespace(drops=drops, drops_unread=unread)
    losses.adopt(left)
    found = DropRange(1, 6, 2) if unread else DropRange(5, 6, 2)
    assert (losses.pending, storage.drops_unread) == ({(7, "air", "full"): found}, unread)


def test_a_body_of_the_largest_size_is_kept_and_none_that_is_a_byte_larger(tmp_path: Path) -> None:
    outbox, _ = lost_five(tmp_path)

    def raw(size: int) -> Draft:
        made = Draft(Stream.RAW, "hut", 1, 2, {"n": b"x" * (size - 8)})
        assert len(pack_body(made)) == size
        return made

    before = len(everything(outbox))
    outbox.commit([raw(MAX_BODY), raw(MAX_BODY + 1)], clock=Stamp(3 * S, 0, NONE))
    kept = everything(outbox)[before:]
    assert [len(stored.record.body["n"]) for stored in kept] == [MAX_BODY - 8]
    pending = outbox._losses.pending
    assert [(key[1:], drop.count) for key, drop in pending.items()] == [(("raw", "size"), 1)]
    outbox.close()


def test_one_that_makes_room_is_made_again(tmp_path: Path) -> None:
    outbox, event = lost_five(tmp_path)
    disk = outbox._storage.disk
    assert disk is not None
    row = disk.row(event.row)
    assert row is not None
    outbox._losses.take_out(disk, [row], arrived=frozenset({row.id}))
    assert not outbox._losses.pending, "it has arrived"
    outbox._losses.take_out(disk, [row])
    assert again(outbox, 3) == [("air", "refused", 5), ("event", "full", 1)]
    outbox.close()


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ("crc = 0", [("air", "refused", 5)]),
        ("body = replace(body, '5 air', '6 air')", []),  # one of two that say it
        ("body = substr(body, 1, 40)", []),
        ("body = x'80'", []),
        ("body = 7", []),
        ("source = 'x'", []),
    ],
)
def test_one_that_is_damaged_is_made_again_if_it_can_be_believed(
    tmp_path: Path, change: str, reported: list[tuple[str, str, int]]
) -> None:
    outbox, event = lost_five(tmp_path)
    assert outbox._storage.disk is not None
    outbox._storage.disk._db.execute(f"UPDATE record SET {change} WHERE id = ?", (event.row,))
    assert event.row not in [s.row for s in everything(outbox)]
    assert again(outbox, 3) == [*reported, ("event", "damage", 1)]
    outbox.close()


def row(body: dict[str, object], source: str = "outbox", epoch: int = 9) -> OutboxRow:
    draft = Draft(Stream.EVENT, source, 0, 0, body)
    return make_row(1, RecordKey(epoch, Stream.EVENT, 4), draft, 1, pack_body(draft))


def event(drops: PendingDrops) -> dict[str, object]:
    (draft,) = drops.event_drafts(1)
    return as_read(draft)


def test_a_lost_database_stays_without_a_number() -> None:
    drops = PendingDrops({(7, "*", "damage"): DropRange(1, None, None)})
    lost = row(event(drops))
    found = PendingDrops()
    assert found.lose(lost, "full") == 1
    assert found == {**drops, (9, "event", "full"): DropRange(4, 4, 1)}
    found.lose(lost, "full")
    assert found[7, "*", "damage"] == DropRange(1, None, None)
    found[7, "air", "full"] = DropRange(5, 9, 3)
    found.lose(row(event(PendingDrops({(7, "air", "full"): DropRange(2, None, None)}))), "full")
    assert found[7, "air", "full"] == DropRange(2, None, None)


@pytest.mark.parametrize(
    "unknown", [DropRange(2, None, None), DropRange(2, 8, None), DropRange(2, None, 3)]
)
def test_of_what_nobody_knows_of_either_nobody_knows_of_both(unknown: DropRange) -> None:
    known = DropRange(5, 9, 3)
    assert known.joined(unknown, add) == unknown.joined(known, add) == DropRange(2, None, None)


def test_what_is_lost_adds_up_and_what_may_be_known_already_does_not() -> None:
    one, two = DropRange(5, 9, 3), DropRange(2, 6, 4)
    assert one.joined(two, add) == two.joined(one, add) == DropRange(2, 9, 7)
    key, other, new = (7, "air", "full"), (7, "air", "size"), (8, "air", "full")
    drops = PendingDrops({key: one, other: two})
    drops.merge(PendingDrops({key: two, new: two}))
    assert drops == {key: DropRange(2, 9, 4), other: two, new: two}


def test_a_damaged_one_of_an_epoch_that_it_says_only_once_is_not_believed() -> None:
    body = event(PendingDrops({(7, "air", "full"): DropRange(1, 3, 2)}))
    whole = PendingDrops()
    whole.lose(row(body), "full")
    assert (7, "air", "full") in whole
    for epoch, known in ((7, True), (8, False)):
        damaged = row(body, epoch=epoch)._replace(crc=0)
        found = PendingDrops()
        found.lose(damaged, "damage")
        assert ((7, "air", "full") in found) == known


def test_other_events_and_odd_bodies_declare_nothing() -> None:
    body = event(PendingDrops({(9, "air", "full"): DropRange(1, 3, 2)}))
    odd = [
        row(body, source="gate"),
        row({**body, "text": "x"}),
        row({**body, "range": [1]}),
        row({**body, "range": 5}),
        row({**body, "count": [2]}),
        row({**body, "epoch_of": [9]}),
        row({**body, "reason": {}}),
        row({k: v for k, v in body.items() if k != "count"}),
        row({"event": "storage"}),
        row(body)._replace(stream="air"),
    ]
    for each in odd:
        found = PendingDrops()
        found.lose(each, "full")
        assert len(found) == 1, each
    assert PendingDrops().lose(row(body)._replace(stream="?"), "full") == 0
    assert PendingDrops().lose(row(body)._replace(seq="x"), "full") == 0  # type: ignore[arg-type]


AIR = (1, "air", "full")


@pytest.mark.parametrize(
    ("one", "two", "both", "allowed"),
    [
        (DropRange(5, 9, 3), DropRange(2, 7, 4), DropRange(2, 9, 7), DropRange(2, 9, 4)),
        (DropRange(2, 7, 4), DropRange(5, 9, 3), DropRange(2, 9, 7), DropRange(2, 9, 4)),
        (
            DropRange(5, None, None),
            DropRange(2, 7, 4),
            DropRange(2, None, None),
            DropRange(2, None, None),
        ),
        (
            DropRange(2, 7, 4),
            DropRange(5, None, None),
            DropRange(2, None, None),
            DropRange(2, None, None),
        ),
    ],
)
def test_what_nobody_knows_stays_unknown_when_more_is_declared(
    one: DropRange, two: DropRange, both: DropRange, allowed: DropRange
) -> None:
    """Made again both count; what two places tell of the same loss counts once."""
    again, combined = PendingDrops({AIR: one}), PendingDrops({AIR: one})
    again._more(AIR, two)
    combined.merge(PendingDrops({AIR: two, (2, "air", "full"): one}))
    assert again == {AIR: both}
    assert combined == {AIR: allowed, (2, "air", "full"): one}
    more = PendingDrops({AIR: one})
    more.add(*AIR[:2], 8, "full")
    known = one.last is not None and one.count is not None
    assert more[AIR] == (DropRange(one.first, max(one.last or 0, 8), (one.count or 0) + 1) if known
                         else one)  # fmt: skip


def test_what_is_lost_after_a_declaration_waits_until_somebody_confirms_again(
    tmp_path: Path,
) -> None:
    """A box that drops with each commit and reaches nobody would fill its room with events."""
    outbox, _ = lost_five(tmp_path)
    for at in range(3, 6):
        outbox.dead_letter(everything(outbox)[0].row, "no")
        assert declared(outbox.commit([], clock=Stamp(at * S, 0, NONE))) == []
    row = everything(outbox)[0].row
    rows = outbox.commit([], confirmed=[row], clock=Stamp(6 * S, 0, NONE))
    assert [(stream, count) for stream, _, count in declared(rows)] == [("air", 3)]
    outbox.close()


@pytest.mark.parametrize("stream", [7, None, ["air"]])
def test_a_declaration_of_what_is_no_stream_is_none(tmp_path: Path, stream: object) -> None:
    """It says everything twice, so its checksum alone would not keep it out."""
    outbox, event = lost_five(tmp_path)
    disk = outbox._storage.disk
    assert disk is not None
    row = disk.row(event.row)
    assert row is not None
    assert drops_module._declared(row) is not None
    body = {**event.record.body, "stream_of": stream}
    body["text"] = str(body["text"]).replace("5 air records", f"5 {stream} records")
    draft = Draft(Stream.EVENT, row.source, 0, 0, body)
    assert drops_module._declared(row._replace(body=pack_body(draft))) is None
    outbox.close()
