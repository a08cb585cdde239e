"""Which wall time a record gets, how sure it is, and between which bounds when it is not."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Envelope, Record, RecordKey, Stamp, Stream, TimeQuality
from edge.core.walltime import (
    MARKS_LIMIT,
    ClockMap,
    best_mark,
    make_envelope,
)
from edge.wire import Topics, WireError, decode, encode, iso_time
from tests.kit.clock import FLOOR, NONE, NTP, NTS, RTC

S = 1_000_000_000
YEAR = 365 * 86_400 * S
T0 = 1_790_000_000 * S  # the wall when this boot began
GW, TOPICS = "gw-1", Topics("kerbstone/v1", "stadt", "gw-1")


def mark(mono_s: float, tq: TimeQuality, began_ns: int = T0) -> Stamp:
    """A look at the clocks of a boot that began at this wall time, as its wall says."""
    return Stamp(int(mono_s * S), began_ns + int(mono_s * S), tq)


def start(marks: Sequence[Stamp], mono_s: int) -> tuple[int, str]:
    """When the wall says that this boot began, for a record that ended then; how sure it is."""
    sealed = make_envelope(marks, (mono_s - 1) * S, mono_s * S)
    return sealed.to_wall_ns - mono_s * S, sealed.tq


def test_a_step_dates_what_is_before_it_as_it_was_known_then() -> None:
    marks = [mark(10, NTP), mark(100, NTP, T0 + 3600 * S), mark(200, NTP, T0 - 5 * S)]
    assert start(marks, 5) == (T0, "ntp")
    assert start(marks, 99) == (T0, "ntp")
    assert start(marks, 100) == (T0, "ntp"), "it was cut there, and speaks of what was before"
    assert start(marks, 101) == (T0 + 3600 * S, "ntp")
    assert start(marks, 999) == (T0 - 5 * S, "ntp")


@pytest.mark.parametrize("unsure", [NONE, FLOOR, RTC])
def test_what_was_not_sure_gets_the_first_time_that_is(unsure: TimeQuality) -> None:
    marks = [
        mark(1, unsure, 7), mark(50, unsure, -YEAR), mark(100, NTP), mark(300, NTS, T0 + S),
    ]  # fmt: skip
    assert start(marks, 3) == (T0, "ntp")
    assert start(marks, 60) == (T0, "ntp")
    assert start(marks, 100) == (T0, "ntp")
    assert start(marks, 300) == (T0, "ntp")
    assert start(marks, 301) == (T0 + S, "nts")


def test_what_came_after_trust_was_lost_is_dated_when_it_is_back() -> None:
    lost = [mark(10, NTP), mark(500, FLOOR, T0 + 2 * S)]
    assert start(lost, 400) == (T0, "ntp")
    assert start(lost, 600) == (T0 + 2 * S, "floor")
    assert start([*lost, mark(900, NTP, T0 + 3 * S)], 600) == (T0 + 3 * S, NTP)


def test_of_times_that_are_not_sure_the_better_counts() -> None:
    marks = [mark(1, NONE, 0), mark(20, FLOOR, T0 - S), mark(30, RTC), mark(40, RTC, T0)]
    assert start(marks, 10) == (T0, "rtc")
    assert start([mark(1, RTC), mark(50, FLOOR, 0)], 10) == (T0, RTC)


DAY = 86_400 * S


@pytest.mark.parametrize("beside_ns", [14 * YEAR, -14 * YEAR, DAY + 1])
def test_a_certainty_that_was_wrong_dates_nothing_once_a_later_one_says_so(beside_ns: int) -> None:
    wrong = [mark(1, NONE, 0), mark(10, NTP, T0 + beside_ns)]
    assert start(wrong, 50) == (T0 + beside_ns, "ntp"), "nobody knows better"
    marks = [*wrong, mark(100, NTP)]
    for second in (5, 50, 100, 999):
        assert start(marks, second) == (T0, "ntp")


def test_what_was_right_before_and_after_a_wrong_answer_stays_as_it_is() -> None:
    marks = [mark(10, NTP), mark(100, NTP, T0 + 14 * YEAR), mark(200, NTS, T0 + S)]
    assert start(marks, 50) == (T0, "ntp")
    assert start(marks, 150) == (T0, "ntp"), "as if nothing had been said in between"
    assert start(marks, 300) == (T0 + S, "nts")


def test_a_correction_by_a_day_leaves_each_side_its_date() -> None:
    marks = [mark(10, NTP), mark(100, NTP, T0 + DAY)]
    assert start(marks, 50) == (T0, "ntp")


@given(
    right=st.lists(st.integers(0, 10**6), min_size=1, max_size=6, unique=True),
    wrong=st.lists(st.integers(0, 10**6), max_size=6, unique=True),
    second=st.integers(1, 10**6),
)
def test_nothing_is_dated_by_a_wrong_answer_when_the_last_one_was_right(
    right: list[int], wrong: list[int], second: int
) -> None:
    """Years beside the truth, however often and whenever."""
    marks = [mark(at, NTP, T0 + YEAR * (at + 1)) for at in wrong]
    marks += [mark(at, NTP) for at in (*right, 2 * 10**6)]
    assert start(marks, second) == (T0, "ntp")


MARK_LISTS = st.lists(
    st.builds(
        Stamp, st.integers(0, 10**6), st.integers(-(10**6), 10**6), st.sampled_from(TimeQuality)
    ),
    max_size=MARKS_LIMIT,
)


@given(marks=MARK_LISTS, to_ns=st.integers(0, 10**6), data=st.data())
def test_the_choice_does_not_depend_on_the_order_and_is_certain_if_it_can_be(
    marks: list[Stamp], to_ns: int, data: st.DataObject
) -> None:
    found = best_mark(marks, to_ns)
    assert (found is None) == (not marks)
    moments = {one.mono_ns for one in marks}
    if len(moments) == len(marks):
        assert best_mark(data.draw(st.permutations(marks)), to_ns) == found
    if found is None:
        return
    after = [one for one in marks if one.mono_ns >= to_ns]
    if any(one.tq.is_synchronised for one in after):
        assert found.tq.is_synchronised
    assert all(found.tq.rank >= min(one.tq.rank, NTP.rank) for one in after)


# -- the map of the boot that runs -----------------------------------------------------------------


def test_a_clock_that_goes_on_needs_one_mark() -> None:
    clock = ClockMap()
    assert clock.see(mark(1, NTP))
    assert not any(clock.see(mark(second, NTP)) for second in range(2, 3600))
    assert clock.marks == [mark(1, NTP)]


def test_each_step_and_each_quality_is_a_mark() -> None:
    clock = ClockMap()
    seen = [
        mark(1, FLOOR), mark(2, FLOOR, T0 + S), mark(3, NTP, T0 + S), mark(4, NTP, T0),
        mark(5, RTC, T0),
    ]  # fmt: skip
    assert [clock.see(one) for one in seen] == [False, False, True, True, False]
    assert clock.marks == seen


def test_a_clock_that_flaps_keeps_what_is_certain() -> None:
    clock = ClockMap([mark(1, NTP)])
    for second in range(2, 1000):
        clock.see(mark(second, FLOOR, T0 + second * YEAR))
        assert len(clock.marks) <= MARKS_LIMIT
    assert clock.marks[0] == mark(1, NTP)
    for second in range(1000, 2000):
        clock.see(mark(second, NTP, T0 + second * S))
    assert len(clock.marks) == MARKS_LIMIT
    assert clock.marks[-1] == mark(1999, NTP, T0 + 1999 * S)
    assert start(clock.marks, 2000) == (T0 + 1999 * S, "ntp")


def test_a_map_from_the_outbox_is_put_in_order() -> None:
    clock = ClockMap([mark(50, NTP), mark(10, FLOOR, 0), mark(70, RTC)])
    assert [one.mono_ns // S for one in clock.marks] == [10, 50, 70]


# -- bounds ----------------------------------------------------------------------------------------


def sealed(tq: TimeQuality | None, known: Any, wall_ns: int = T0) -> Envelope:
    """A record from 100 s to 160 s of its boot."""
    marks = [] if tq is None else [mark(10, tq, wall_ns)]
    return make_envelope(marks, 100 * S, 160 * S, known=known)


@pytest.mark.parametrize("tq", [None, NONE])
def test_a_boot_that_never_knew_the_time_lies_between_its_neighbours(
    tq: TimeQuality | None,
) -> None:
    found = sealed(tq, (T0 - YEAR, T0 + YEAR), wall_ns=77)
    assert found.tq == "none"
    assert found.bounds_ns == (T0 - YEAR + 100 * S, T0 + YEAR)
    assert found.from_wall_ns == T0 - YEAR + 100 * S
    assert found.to_wall_ns - found.from_wall_ns == 60 * S


def test_what_nobody_knows_is_1970_and_has_no_bounds() -> None:
    found = sealed(NONE, (None, None), wall_ns=77)
    assert found == Envelope(0, 60 * S, NONE)
    found = sealed(None, (None, T0))
    assert (found.from_wall_ns, found.bounds_ns) == (0, (None, T0))
    assert sealed(None, None) == Envelope(0, 60 * S, NONE)


def test_a_clock_that_may_be_slow_keeps_between_the_bounds() -> None:
    assert sealed(FLOOR, (T0 - S, None)).from_wall_ns == T0 + 100 * S
    assert sealed(FLOOR, (T0 - S, None)).bounds_ns == (T0 + 99 * S, None)
    assert sealed(FLOOR, (T0 + YEAR, None)).from_wall_ns == T0 + YEAR + 100 * S
    assert sealed(FLOOR, (T0 - YEAR, T0 - S)).to_wall_ns == T0 - S


@pytest.mark.parametrize("tq", [RTC, NTP, NTS])
def test_a_time_that_is_known_has_no_bounds(tq: TimeQuality) -> None:
    assert sealed(tq, (T0 + YEAR, T0 + 2 * YEAR)) == Envelope(T0 + 100 * S, T0 + 160 * S, tq)


def test_bounds_that_contradict_each_other_are_not_told() -> None:
    found = sealed(FLOOR, (T0, T0 + 159 * S))
    assert (found.from_wall_ns, found.bounds_ns) == (T0 + 100 * S, None)
    assert sealed(FLOOR, (T0, T0 + 160 * S)).bounds_ns == (T0 + 100 * S, T0 + 160 * S)


@given(
    began_ns=st.integers(T0, T0 + 10 * YEAR),
    before=st.none() | st.integers(0, YEAR),
    after=st.none() | st.integers(0, YEAR),
    from_ns=st.integers(0, YEAR),
    length_ns=st.integers(0, 900 * S),
    wall_ns=st.integers(0, T0 + 90 * YEAR),
    tq=st.sampled_from([NONE, FLOOR]),
)
def test_the_truth_and_what_is_told_lie_within_the_bounds(
    began_ns: int, before: int | None, after: int | None, from_ns: int, length_ns: int,
    wall_ns: int, tq: TimeQuality,
) -> None:  # fmt: skip
    """Whenever the boot really began, and whatever its wall said."""
    to_ns = from_ns + length_ns
    known = (
        None if before is None else began_ns - before,
        None if after is None else began_ns + to_ns + after,
    )
    found = make_envelope([Stamp(0, wall_ns, tq)], from_ns, to_ns, known=known)
    if known == (None, None):
        assert found.bounds_ns is None
        return
    assert found.bounds_ns is not None
    low, high = found.bounds_ns
    assert (low is None) == (before is None)
    assert (high is None) == (after is None)
    for start_ns in (began_ns + from_ns, found.from_wall_ns):
        assert low is None or low <= start_ns
        assert high is None or start_ns + length_ns <= high
    assert found.to_wall_ns - found.from_wall_ns == length_ns


# -- on the wire -----------------------------------------------------------------------------------


def sent(bounds: Any, encoding: Any = "json") -> Any:
    record = Record(RecordKey(1 << 32, Stream.AIR, 1), "hut", 1, S, 2 * S, {"covered_s": 1.0})
    return encode(record, Envelope(T0, T0 + S, NONE, bounds_ns=bounds), GW, encoding)


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
@pytest.mark.parametrize(
    ("bounds", "reported"),
    [
        ((T0, T0 + S), [iso_time(T0), iso_time(T0 + S)]),
        ((T0, None), [iso_time(T0), None]),
        ((None, T0 + 1), [None, iso_time(T0 + S // 1000)]),  # a bound is not cut below the truth
        ((T0, T0), [iso_time(T0), iso_time(T0)]),
    ],
)
def test_bounds_come_back_as_they_were_sent(bounds: Any, reported: Any, encoding: str) -> None:
    payload = sent(bounds, encoding)
    (message,) = decode(TOPICS.record(Stream.AIR, "hut"), payload.data, payload.content_type)
    assert message.data["bounds"] == reported
    assert list(message.data)[:11] == [
        "v", "gw", "epoch", "stream", "seq", "source", "boot", "from", "to", "tq", "bounds",
    ]  # fmt: skip


def test_without_bounds_nothing_is_said_of_them() -> None:
    assert "bounds" not in json.loads(sent(None).data)


LOW, HIGH = iso_time(T0), iso_time(T0 + S)


@pytest.mark.parametrize(
    "bounds",
    [
        None, LOW, [], [LOW], [LOW, HIGH, None], [None, None], [HIGH, LOW], [LOW, 5], {"0": LOW},
        [LOW[:-1], HIGH], [LOW + "\n", HIGH], ["2026-13-45", None], [LOW, HIGH.replace("-", "٣")],
        [True, None], [LOW[:-5] + "Z", None],
    ],
)  # fmt: skip
def test_bounds_that_are_none_are_refused(bounds: Any) -> None:
    data = json.loads(sent(None).data) | {"bounds": bounds}
    with pytest.raises(WireError, match="bounds"):
        decode(TOPICS.record(Stream.AIR, "hut"), json.dumps(data).encode())


@pytest.mark.parametrize("tq", [RTC, NTP, NTS])
def test_bounds_of_a_time_that_is_known_are_refused(tq: TimeQuality) -> None:
    data = json.loads(sent((T0, None)).data) | {"tq": tq}
    with pytest.raises(WireError, match="bounds"):
        decode(TOPICS.record(Stream.AIR, "hut"), json.dumps(data).encode())
