"""Windows end on the boot's boundaries, and on the wall's as soon as the wall is known."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Stamp, TimeQuality
from edge.gateway.windowschedule import CUTS_PER_HOUR, GRACE_NS, HOUR_NS, WindowSchedule
from tests.kit.clock import FLOOR, NONE, NTP, RTC

S = 1_000_000_000
MS = 1_000_000
MINUTE = 60 * S
YEAR = 365 * 86_400 * S


def stamp(mono_s: float, wall_s: float, tq: TimeQuality) -> Stamp:
    return Stamp(int(mono_s * S), int(wall_s * S), tq)


def test_without_time_windows_follow_the_boot() -> None:
    windows = WindowSchedule(MINUTE, stamp(130, 7, NONE))
    assert windows.end_ns == 180 * S
    windows.opened(stamp(180, 57, NONE))
    assert windows.end_ns == 240 * S


def test_with_time_windows_follow_the_wall() -> None:
    windows = WindowSchedule(MINUTE, stamp(130, 1000, NTP))
    assert windows.end_ns == 150 * S  # wall 1020


def test_the_first_synchronisation_cuts_the_window() -> None:
    windows = WindowSchedule(MINUTE, stamp(130, 7, RTC))
    assert windows.cut(stamp(131, 8, RTC)) is None
    assert windows.cut(stamp(132, 1_790_000_000, NTP)) == "synchronised"
    assert not windows.stepped
    windows.opened(stamp(132, 1_790_000_000, NTP))
    assert windows.end_ns == (132 + 40) * S  # 1_790_000_000 is 20 s past a minute
    assert windows.cut(stamp(133, 1_790_000_001, NTP)) is None


def test_a_step_of_a_known_wall_cuts_the_window_and_slewing_does_not() -> None:
    windows = WindowSchedule(MINUTE, stamp(100, 6000, NTP))
    assert windows.cut(stamp(101, 6001.0005, NTP)) is None
    assert windows.cut(stamp(102, 5000, NTP)) == "step"
    assert windows.stepped
    windows.opened(stamp(102, 5000, NTP))
    assert not windows.stepped
    assert windows.cut(stamp(103, 5001, NTP)) is None


@pytest.mark.parametrize("jump_ns", [-10 * YEAR, 20 * YEAR, -3600 * S, 2 * S, -2 * S])
def test_a_clock_that_was_set_while_it_was_trusted_cuts_once(jump_ns: int) -> None:
    run = WindowRun(MINUTE, trusted(1800 * S))
    run.go(90 * S)
    run.offset_ns += jump_ns
    run.go(600 * S)
    assert run.cuts == ["step"]
    assert run.marked == 1


def test_a_clock_is_set_by_unsynchronising_it_first_and_is_cut_all_the_same() -> None:
    """The kernel says `not synchronised` from the step on, until the time service speaks again."""
    run = WindowRun(MINUTE, trusted(1800 * S))
    run.go(90 * S)
    run.offset_ns, run.tq = run.offset_ns + 3600 * S, FLOOR
    run.go(70 * S)
    assert run.cuts == []
    run.tq = NTP
    run.go(600 * S)
    assert run.cuts == ["step"]


@pytest.mark.parametrize("jump_ns", [-10 * YEAR, 20 * YEAR, -3600 * S, S])
def test_a_clock_that_nobody_trusts_may_jump_as_it_likes(jump_ns: int) -> None:
    run = WindowRun(MINUTE, Stamp(100 * S, 1800 * S, FLOOR))
    run.go(90 * S)
    run.offset_ns += jump_ns
    run.go(600 * S)
    assert (run.cuts, run.marked) == ([], 0)
    assert run.borders == [100 * S, *range(120 * S, 781 * S, MINUTE)]


def test_a_lost_time_service_moves_no_boundary() -> None:
    run = WindowRun(MINUTE, trusted(1810 * S))
    run.go(90 * S)
    run.tq = FLOOR
    run.go(300 * S)
    run.tq = NTP
    run.go(300 * S)
    assert (run.cuts, run.marked) == ([], 0)
    assert run.lengths()[1:] == [MINUTE] * 10


@pytest.mark.parametrize("period_ns", [S, 5 * S, MINUTE, 15 * MINUTE])
@pytest.mark.parametrize("second", [-1, 1])
def test_a_leap_second_does_no_harm(period_ns: int, second: int) -> None:
    run = WindowRun(period_ns, trusted(86_400 * S - 3 * period_ns))
    run.go(3 * period_ns)
    run.offset_ns += second * S + second * MS  # and a little that was slewed meanwhile
    run.go(3 * period_ns)
    assert (run.cuts, run.marked) == ([], 0)
    assert all(abs(length - period_ns) <= 2 * S for length in run.lengths())


def test_hours_of_slewing_are_no_step() -> None:
    run = WindowRun(MINUTE, trusted(1800 * S))
    for _ in range(3 * 3600):
        run.offset_ns += 500_000
        run.go(S)
    assert (run.cuts, run.marked) == ([], 0)
    assert all(abs(length - MINUTE) <= 31 * MS for length in run.lengths()[1:])


def test_an_hour_of_standing_still_while_it_is_slewed_is_no_step() -> None:
    windows = WindowSchedule(MINUTE, stamp(100, 6000, NTP))
    windows.cut(stamp(101, 6001, NTP))
    assert windows.cut(stamp(3701, 9602.8, NTP)) is None
    assert not windows.stepped


def test_a_slewed_boundary_makes_no_tiny_window() -> None:
    windows = WindowSchedule(MINUTE, stamp(100, 6010, NTP))
    assert windows.end_ns == 150 * S
    windows.opened(stamp(150, 6059.997, NTP))  # the wall fell back by 3 ms
    assert windows.end_ns == 210 * S + 3_000_000


def test_a_window_that_is_over_ends_there_and_the_next_one_is_cut() -> None:
    windows = WindowSchedule(MINUTE, stamp(100, 6000, NTP))
    late = stamp(160.1, 5000, NTP)
    assert windows.cut(late) is None
    assert windows.stepped
    windows.opened(stamp(160, 4999.9, NTP))
    assert windows.stepped, "nobody knows on which side of the border the clock was set"
    assert windows.cut(stamp(160.2, 5000.1, NTP)) == "step"
    windows.opened(stamp(160.2, 5000.1, NTP))
    assert not windows.stepped


def test_a_daemon_that_lags_marks_no_window_that_had_ended_before() -> None:
    windows = WindowSchedule(S, stamp(100, 6000, NTP))
    windows.cut(stamp(104, 6004, NTP))  # four windows are behind, and are closed one by one
    assert windows.cut(stamp(104.5, 5000, NTP)) is None
    marked = []
    for end_s in range(101, 107):
        marked.append(windows.stepped)
        windows.opened(stamp(end_s, end_s + 4895.5, NTP))
    # the fifth holds the step; the boundaries that follow are the new wall's
    assert marked == [False, False, False, False, True, False]


def test_a_clock_that_flaps_cuts_at_most_once_a_second_and_some_times_an_hour() -> None:
    run = WindowRun(5 * S, trusted(1800 * S))
    for _ in range(4 * 3600):
        run.offset_ns += (-1) ** _ * 5 * S
        run.go(S)
    assert len(run.cuts) <= 4 * CUTS_PER_HOUR
    times = run.cut_ns
    assert all(b - a >= S for a, b in pairwise(times))
    assert all(b - a >= HOUR_NS for a, b in zip(times, times[CUTS_PER_HOUR:], strict=False))
    assert run.marked >= len(run.lengths()) - 2, "each window straddles a step, and says so"


JUMPS = st.sampled_from([0, 0, MS, S, -S, 2 * S, -3600 * S, -10 * YEAR, 20 * YEAR, 777 * MS])
WORDS = st.sampled_from(TimeQuality)
MOMENTS = st.lists(
    st.tuples(st.integers(1, 40 * S), JUMPS | st.integers(-90 * S, 90 * S), WORDS), max_size=40
)


@given(
    period_ns=st.sampled_from([S, 2 * S, 5 * S, 60 * S, 900 * S]),
    first=st.tuples(st.integers(0, 10**15), st.integers(0, 2**61), WORDS),
    moments=MOMENTS,
)
def test_whatever_the_wall_does_windows_tile_monotonic_time(
    period_ns: int, first: tuple[int, int, TimeQuality], moments: list[tuple[int, int, TimeQuality]]
) -> None:
    """No hole, no overlap; none is short but what was cut (and the first), and none is long."""
    run = WindowRun(period_ns, Stamp(*first))
    for passes_ns, jump_ns, run.tq in moments:
        run.go(passes_ns)
        run.offset_ns += jump_ns
    run.go(3 * period_ns)
    whole = zip(run.borders, run.borders[1:], run.why[1:], strict=False)
    for number, (start_ns, end_ns, why) in enumerate(whole):
        assert end_ns > start_ns
        assert end_ns - start_ns <= 1.5 * period_ns
        assert number == 0 or why is not None or end_ns - start_ns >= period_ns // 4
    assert run.mono_ns - run.borders[-1] <= 1.5 * period_ns + GRACE_NS
    assert run.why.count("synchronised") <= 1


class WindowRun:
    """The daemon's loop, as far as windows are concerned: a look each half second."""

    def __init__(self, period_ns: int, now: Stamp) -> None:
        self.mono_ns, self.offset_ns, self.tq = now.mono_ns, now.wall_ns - now.mono_ns, now.tq
        self.windows = WindowSchedule(period_ns, now)
        self.borders = [now.mono_ns]
        self.why: list[str | None] = [None]  # for each border, why the window before was cut
        self.marked = 0
        self.cut_ns: list[int] = []

    @property
    def cuts(self) -> list[str]:
        return [why for why in self.why if why is not None]

    def lengths(self) -> list[int]:
        return [b - a for a, b in pairwise(self.borders)]

    def go(self, ns: int) -> None:
        end_ns = self.mono_ns + ns
        for at_ns in self._looks(end_ns):
            self.mono_ns, now = at_ns, self._stamp(at_ns)
            why = self.windows.cut(now)
            if why is not None:
                self.cut_ns.append(self.mono_ns)
                self._close(self.mono_ns, why)
            elif self.mono_ns >= self.windows.end_ns + GRACE_NS:
                self._close(self.windows.end_ns, None)

    def _looks(self, end_ns: int) -> Iterable[int]:
        at_ns = self.mono_ns
        while at_ns < end_ns:
            due_ns = max(at_ns + 1, self.windows.end_ns + GRACE_NS)
            at_ns = min(at_ns + 500 * MS, due_ns, end_ns)
            yield at_ns

    def _close(self, at_ns: int, why: str | None) -> None:
        self.marked += self.windows.stepped
        self.windows.opened(self._stamp(at_ns))
        self.borders.append(at_ns)
        self.why.append(why)

    def _stamp(self, mono_ns: int) -> Stamp:
        return Stamp(mono_ns, mono_ns + self.offset_ns, self.tq)


def trusted(wall_ns: int) -> Stamp:
    return Stamp(100 * S, wall_ns, NTP)
