"""Merging rows: bit for bit the same in any order, and only what belongs together."""

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core import Draft, Record, RecordKey, Stamp, Stream
from edge.core.numbers import decode_steps
from edge.outbox.downsample import QuarterHours, fold_rows, merge_records
from edge.outbox.rowformat import OutboxRow, make_row, pack_body, row_to_record
from edge.process.merge import merge_bodies
from tests.kit.clock import FLOOR, NONE, NTP, RTC
from tests.kit.outbox import text
from tests.kit.randomsite import SiteInput, worlds
from tests.long import examples
from tests.outbox.test_downsample import MINUTE, WALL, S, summed
from tests.process.test_merge import bodies


def record(number: int, body: Mapping[str, Any], source: str = "x") -> Record:
    key = RecordKey(7, Stream.AIR, number)
    return Record(key, source, 1, number * MINUTE, (number + 1) * MINUTE, body)


def as_bytes(reported: Record) -> bytes:
    packed = pack_body(
        Draft(reported.key.stream, reported.source, reported.from_ns, reported.to_ns, reported.body)
    )
    return repr((reported.key, reported.from_ns, reported.to_ns)).encode() + packed


@settings(deadline=None, max_examples=examples(60), suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.integers(1, 9), st.integers(1, 5))
def test_merging_is_associative_to_the_bit_with_what_it_covers(
    world: SiteInput, first: int, step: int
) -> None:
    for reported in bodies(world).values():
        records = [record(first + step * n, msgpack.unpackb(msgpack.packb(b)))
                   for n, b in enumerate(reported)]  # fmt: skip
        both = functools.partial(merge_records, merge=merge_bodies)
        left = functools.reduce(both, records)
        right = functools.reduce(lambda b, a: both(a, b), reversed(records))
        middle = len(records) // 2
        halves = both(
            functools.reduce(both, records[:middle]), functools.reduce(both, records[middle:])
        )
        assert as_bytes(left) == as_bytes(right) == as_bytes(halves)
        assert decode_steps(left.body["covers"]) == [r.key.seq for r in records]
        assert left.key == records[-1].key


def row(number: int, body: Mapping[str, Any]) -> OutboxRow:
    reported = record(number, body)
    draft = Draft(
        reported.key.stream, reported.source, reported.from_ns, reported.to_ns, reported.body
    )
    return make_row(number, reported.key, draft, reported.boot, pack_body(draft))


@given(st.lists(st.sampled_from("....od"), min_size=1, max_size=12))
def test_what_cannot_merge_or_be_read_stays_as_it_is(kinds: list[str]) -> None:
    rows = []
    for n, kind in enumerate(kinds, 1):
        made = row(
            n, {"from": n, "to": n + 1, "n": 1, "text": ""} | ({"odd": True} if kind == "o" else {})
        )
        rows.append(made._replace(crc=made.crc ^ (kind == "d")))
    folded = fold_rows(rows, summed)
    expected = [
        [n for n, _ in run]
        for kind, run in itertools.groupby(enumerate(kinds, 1), key=lambda pair: pair[1])
        if kind == "."
    ]
    assert [[part.id for part in parts] for parts, _ in folded] == [
        run for run in expected if len(run) > 1
    ]
    for parts, made in folded:
        reported = row_to_record(made)
        assert made.id == parts[-1].id == reported.key.seq
        assert (reported.from_ns, reported.to_ns) == (parts[0].from_ns, parts[-1].to_ns)
        assert decode_steps(reported.body["covers"]) == [part.seq for part in parts]


def test_what_would_be_too_large_to_be_sent_is_not_merged() -> None:
    rows = [row(n, {"n": n, "text": text(n, 500_000)}) for n in (1, 2)]
    joined = fold_rows(rows, lambda a, b: {"n": 0, "text": a["text"] + b["text"]})
    assert joined == []
    assert len(fold_rows(rows, lambda a, b: {"n": 0, "text": a["text"]})) == 1


@pytest.mark.parametrize(
    ("marks", "first"),
    [
        ([], 0),
        (
            [Stamp(5 * S, 7 * S, NONE), Stamp(6 * S, 99 * S, FLOOR)],
            0,
        ),  # not to be trusted
        ([Stamp(0, WALL + 300 * S, RTC)], -300),
        ([Stamp(0, WALL + 300 * S, RTC), Stamp(200 * S, WALL + 501 * S, NTP)], -300),
    ],
)
def test_a_row_belongs_to_the_quarter_in_which_it_ends(marks: list[Stamp], first: int) -> None:
    """`first`: where a quarter begins in seconds of the boot. Its end belongs to it."""
    quarters = QuarterHours(lambda boot: marks)
    ends = [quarters.of(1, (first + each) * S) for each in (60, 840, 900, 960, 1800, 1860)]
    assert [each - ends[0] for each in ends] == [0, 0, 0, 1, 1, 2]


def test_before_and_after_a_step_each_row_has_the_wall_of_its_side() -> None:
    marks = [Stamp(0, WALL, RTC), Stamp(1000 * S, WALL + 1000 * S + 600 * S, NTP)]
    quarters = QuarterHours(lambda boot: marks)
    assert quarters.of(1, 900 * S) == quarters.of(1, 60 * S)
    assert quarters.of(1, 1200 * S) == quarters.of(1, 60 * S) + 1
    assert quarters.of(1, 1260 * S) == quarters.of(1, 60 * S) + 2
