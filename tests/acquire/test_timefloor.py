"""A time service that was wrong: what is believed of it, for how long, and how it heals."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.acquire.clock import HORIZON_NS
from edge.acquire.timefloor import (
    CEILING_NS,
    DAY_NS,
    FAR_NS,
    MINUTE_NS,
    OVERRULE_NS,
    SETTLE_NS,
    STEADY_NS,
    YEAR_NS,
)
from edge.core.release import RELEASED_NS
from edge.core.walltime import CORRECTION_NS
from tests.acquire.test_clock import SYNCED, TODAY_NS, UNSYNCED, ClockMachine
from tests.kit.clock import NTS, RTC

S = 1_000_000_000
WRONG_NS = 14 * YEAR_NS


@pytest.fixture
def machine(tmp_path: Path) -> ClockMachine:
    """It is synchronised, and its wall is right."""
    made = ClockMachine(tmp_path)
    made.state = SYNCED
    return made


def held_ns(machine: ClockMachine, clock: object, most_ns: int = 3 * 60 * MINUTE_NS) -> int | None:
    """After which time the clock is certain; None when that takes too long."""
    began_ns = machine.mono_ns
    while machine.mono_ns - began_ns <= most_ns:
        if clock.now().tq in ("ntp", "nts"):  # type: ignore[attr-defined]
            return machine.mono_ns - began_ns
        machine.passes(S)
    return None


# -- beyond what is known ------------------------------------------------------------------------


def test_what_is_near_the_floor_is_believed_at_once(machine: ClockMachine) -> None:
    machine.wall_ns = RELEASED_NS + FAR_NS
    clock = machine.clock()
    assert clock.now().tq == "ntp"
    assert clock.floor.doubt is None


@pytest.mark.parametrize(("ahead_ns", "word"), [(YEAR_NS, "floor"), (WRONG_NS, "none")])
def test_a_far_time_is_watched_first(machine: ClockMachine, ahead_ns: int, word: str) -> None:
    """A box that lay in a drawer, or a time service that is wrong: nobody can tell at first."""
    machine.wall_ns += ahead_ns
    clock = machine.clock()
    assert clock.now().tq == word
    assert clock.wrong() == RELEASED_NS, "certificates are not dated by it"
    assert "believed when it has held for 10 minutes" in str(clock.floor.doubt)
    assert held_ns(machine, clock) == SETTLE_NS
    assert (clock.wrong(), clock.floor.doubt, clock.floor.overruled) == (None, None, None)


def test_a_far_time_of_an_rtc_is_the_rtc_s_until_it_is_believed(machine: ClockMachine) -> None:
    machine.rtc("rtc0", "1\n")
    machine.wall_ns += YEAR_NS
    assert machine.clock().now().tq == RTC


@pytest.mark.parametrize("ahead_ns", [-40 * DAY_NS, 0, YEAR_NS, WRONG_NS])
def test_signed_time_is_believed_at_once_if_it_can_be(machine: ClockMachine, ahead_ns: int) -> None:
    machine.wall_ns = RELEASED_NS + 50 * DAY_NS + ahead_ns
    clock = machine.clock(NTS)
    clock.raise_floor(RELEASED_NS + 50 * DAY_NS)
    assert clock.now().tq == "nts"
    machine.wall_ns = RELEASED_NS - CORRECTION_NS - 1
    assert clock.now().tq == "none"


def test_one_wrong_answer_is_never_certain(machine: ClockMachine) -> None:
    clock = machine.clock()
    assert clock.now().tq == "ntp"
    machine.wall_ns += WRONG_NS
    assert clock.now().tq == "none"
    for _ in range(90):
        machine.passes(S)
        assert clock.now().tq == "none"
    machine.wall_ns -= WRONG_NS
    assert clock.now().tq == "ntp"
    assert clock.floor.ns == RELEASED_NS


def test_a_time_that_was_believed_is_not_watched_again(machine: ClockMachine) -> None:
    """The box runs for years without a restart, and its time service is away now and then."""
    clock = machine.clock()
    assert clock.now().tq == "ntp"
    for day in range(3 * 365):
        machine.passes(DAY_NS)
        machine.state = UNSYNCED if day % 5 == 0 else SYNCED
        assert clock.now().tq == ("floor" if day % 5 == 0 else "ntp")


def test_a_former_process_has_watched_for_this_one(machine: ClockMachine) -> None:
    machine.wall_ns += YEAR_NS
    first = machine.clock()
    assert held_ns(machine, first) == SETTLE_NS
    second = machine.clock()
    assert second.now().tq == "floor"
    second.resume(machine.wall_ns - machine.mono_ns)
    assert second.now().tq == "ntp"
    machine.wall_ns += CORRECTION_NS + S
    assert second.now().tq == "floor"


@pytest.mark.parametrize("spoil", ["step", "lost"])
def test_what_does_not_hold_is_watched_anew(machine: ClockMachine, spoil: str) -> None:
    machine.wall_ns += WRONG_NS
    clock = machine.clock()
    for _ in range(10):
        assert held_ns(machine, clock, SETTLE_NS - S) is None
        if spoil == "step":
            machine.wall_ns += STEADY_NS + S
        else:
            machine.state = UNSYNCED
            machine.passes(S)
            clock.now()
            machine.state = SYNCED
            machine.passes(S)  # the kernel is asked once a second
    assert held_ns(machine, clock) == SETTLE_NS


def test_what_leaves_the_time_that_can_be_is_watched_anew(machine: ClockMachine) -> None:
    machine.wall_ns += WRONG_NS
    clock = machine.clock()
    assert held_ns(machine, clock, SETTLE_NS - S) is None
    beside_ns = machine.wall_ns
    machine.wall_ns = 0
    assert clock.now().tq == "none"
    machine.wall_ns = beside_ns
    assert held_ns(machine, clock) == SETTLE_NS


def test_a_floor_that_rises_above_what_is_watched_makes_it_wait_longer(
    machine: ClockMachine,
) -> None:
    machine.wall_ns += YEAR_NS
    clock = machine.clock()
    assert held_ns(machine, clock, SETTLE_NS - S) is None
    clock.raise_floor(machine.wall_ns + YEAR_NS)
    assert held_ns(machine, clock) == OVERRULE_NS


def test_small_corrections_do_not_begin_it_anew(machine: ClockMachine) -> None:
    machine.wall_ns += YEAR_NS
    clock = machine.clock()
    clock.now()
    for _ in range(9):
        machine.passes(MINUTE_NS)
        machine.wall_ns += STEADY_NS // 10
        assert clock.now().tq == "floor"
    machine.passes(MINUTE_NS)
    assert clock.now().tq == "ntp"


# -- below what was certain ----------------------------------------------------------------------


def test_a_correction_by_hours_is_believed_at_once(machine: ClockMachine) -> None:
    clock = machine.clock()
    clock.raise_floor(TODAY_NS + CORRECTION_NS)
    assert clock.now().tq == "ntp"
    assert clock.floor.ns == TODAY_NS + CORRECTION_NS


def test_a_certainty_that_was_wrong_is_overruled_after_an_hour(machine: ClockMachine) -> None:
    clock = machine.clock()
    clock.raise_floor(TODAY_NS + WRONG_NS)
    assert clock.now().tq == "none"
    assert clock.wrong() == RELEASED_NS, "else every certificate had ended"
    assert "60 minutes" in str(clock.floor.doubt)
    assert held_ns(machine, clock) == OVERRULE_NS
    assert clock.floor.ns == machine.wall_ns, "it falls to what is known now"
    for wall_ns in (TODAY_NS, TODAY_NS + WRONG_NS):
        day = datetime.fromtimestamp(wall_ns // S, UTC).date()
        assert day.isoformat() in str(clock.floor.overruled)
    assert clock.wrong() is None
    machine.passes(S)
    machine.state = UNSYNCED
    assert clock.now().tq == "floor"


def test_nothing_before_the_signed_floor_is_ever_believed(machine: ClockMachine) -> None:
    """Neither before this program, nor before a certificate that was verified."""
    clock = machine.clock()
    clock.raise_floor(TODAY_NS + YEAR_NS, signed=True)
    assert held_ns(machine, clock) is None
    assert clock.wrong() == TODAY_NS + YEAR_NS
    assert "which cannot be" in str(clock.floor.doubt)
    machine.wall_ns += YEAR_NS
    assert clock.now().tq == "ntp"


def test_a_certificate_that_cannot_be_raises_no_floor(machine: ClockMachine) -> None:
    clock = machine.clock()
    clock.raise_floor(CEILING_NS + 1, signed=True)
    assert clock.floor.ns == RELEASED_NS
    clock.raise_floor(TODAY_NS + WRONG_NS)
    clock.raise_floor(TODAY_NS, signed=True)
    assert (clock.floor.signed_ns, clock.floor.ns) == (TODAY_NS, TODAY_NS + WRONG_NS)


def test_without_a_time_service_the_floor_stays(machine: ClockMachine) -> None:
    machine.state = UNSYNCED
    clock = machine.clock()
    clock.raise_floor(TODAY_NS + 2 * DAY_NS)
    assert held_ns(machine, clock) is None
    assert clock.now().tq == "none"
    assert clock.wrong() == RELEASED_NS
    machine.wall_ns += WRONG_NS + HORIZON_NS
    assert clock.now().tq == "none"


def test_a_wall_that_no_calendar_knows_has_a_doubt_as_well(machine: ClockMachine) -> None:
    machine.wall_ns = 1 << 90
    clock = machine.clock()
    assert clock.now().tq == "none"
    assert "ns, and the last known" in str(clock.floor.doubt)
