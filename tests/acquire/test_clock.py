"""Time as the kernel tells it, and how far it is to be trusted."""

import ctypes
import datetime
import os
import re
import time
from pathlib import Path

import pytest

from edge.acquire.clock import (
    HORIZON_NS,
    TIMESYNC,
    SystemClock,
    boot_id,
)
from edge.acquire.timefloor import CEILING_NS, DAY_NS, YEAR_NS
from edge.core import TimeQuality
from edge.core.release import RELEASED, RELEASED_NS
from edge.kernelclock import TORN_NS, Discipline, Timex, discipline
from tests.kit.clock import FLOOR, NONE, NTP, NTS, RTC

S = 1_000_000_000
TODAY_NS = RELEASED_NS + 20 * DAY_NS
SYNCED, UNSYNCED = Discipline(True, 1500), Discipline(False, 16_000_000)
CHANGELOG = Path(__file__).parents[2] / "CHANGELOG.md"


class ClockMachine:
    """Its two clocks, what its kernel says of them, and its files."""

    def __init__(self, root: Path, wall_ns: int = TODAY_NS) -> None:
        self.root = root
        self.mono_ns, self.wall_ns = 50 * S, wall_ns
        self.state: Discipline | None = UNSYNCED
        self.asked = 0

    def clock(self, synced_as: TimeQuality = NTP) -> SystemClock:
        return SystemClock(
            synced_as=synced_as,
            root=self.root,
            wall_ns=lambda: self.wall_ns,
            mono_ns=lambda: self.mono_ns,
            kernel=self._ask,
        )

    def _ask(self) -> Discipline | None:
        self.asked += 1
        return self.state

    def passes(self, ns: int) -> None:
        self.mono_ns += ns
        self.wall_ns += ns

    def rtc(self, name: str, hctosys: str) -> None:
        folder = self.root / "sys/class/rtc" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hctosys").write_text(hctosys)


@pytest.fixture
def machine(tmp_path: Path) -> ClockMachine:
    return ClockMachine(tmp_path)


def test_the_structure_is_as_long_as_the_kernel_s() -> None:
    assert ctypes.sizeof(Timex) == 208
    assert Timex.maxerror.offset == 24
    assert Timex.status.offset == 40


def test_now_is_now_on_this_machine() -> None:
    before, clock = time.monotonic_ns(), SystemClock()
    stamp = clock.now()
    assert before <= stamp.mono_ns <= time.monotonic_ns()
    assert abs(stamp.wall_ns - time.time_ns()) < 60 * S
    assert stamp.tq in ("floor", "rtc", "ntp")
    found = discipline()
    assert found is None or found.max_error_us >= 0


def test_this_version_was_not_released_in_the_future_nor_before_the_last_one() -> None:
    assert time.time_ns() >= RELEASED_NS, "edge/core/release.py, or this machine's clock"
    assert datetime.datetime.fromtimestamp(RELEASED_NS / 1e9, datetime.UTC).date() == RELEASED
    days = re.findall(r"^## .*(\d{4}-\d{2}-\d{2})", CHANGELOG.read_text(), re.MULTILINE)
    assert all(datetime.date.fromisoformat(day) <= RELEASED for day in days[1:])


def test_a_wall_without_a_source_is_only_known_not_to_be_wrong(machine: ClockMachine) -> None:
    clock = machine.clock()
    assert clock.now().tq == "floor"
    assert clock.wrong() is None
    assert clock.max_error_us == 16_000_000


@pytest.mark.parametrize("wall_ns", [0, RELEASED_NS - 1, TODAY_NS + HORIZON_NS])
def test_a_wall_that_cannot_be_right_is_said_to_be_wrong(
    machine: ClockMachine, wall_ns: int
) -> None:
    clock = machine.clock()
    machine.wall_ns = wall_ns
    assert clock.now().tq == "none"
    assert clock.wrong() == RELEASED_NS


@pytest.mark.parametrize("word", [NTP, NTS])
def test_a_synchronised_clock_is_what_the_site_says(
    machine: ClockMachine, word: TimeQuality
) -> None:
    machine.state = SYNCED
    clock = machine.clock(word)
    assert clock.now().tq == word
    assert clock.max_error_us == 1500
    machine.passes(S)
    machine.state = None  # a sandbox forbids to ask
    assert clock.now().tq == "floor"
    assert clock.max_error_us is None


def test_the_floor_only_rises_and_not_beyond_what_can_be(machine: ClockMachine) -> None:
    clock = machine.clock()
    clock.raise_floor(TODAY_NS)
    clock.raise_floor(TODAY_NS - 1)
    clock.raise_floor(0)
    clock.raise_floor(CEILING_NS + 1)
    assert clock.floor.ns == TODAY_NS
    machine.wall_ns -= 1
    assert clock.now().tq == "none"


def test_a_floor_that_rises_counts_at_once(machine: ClockMachine) -> None:
    clock = machine.clock()
    assert clock.now().tq == "floor"
    clock.raise_floor(TODAY_NS + 1)
    assert clock.now().tq == "none"


def test_the_file_of_timesyncd_raises_the_floor(machine: ClockMachine) -> None:
    file = machine.root / TIMESYNC
    file.parent.mkdir(parents=True)
    file.touch()
    os.utime(file, ns=(0, TODAY_NS + S))
    assert machine.clock().floor.ns == TODAY_NS + S
    os.utime(file, ns=(0, CEILING_NS + S))
    assert machine.clock().floor.ns == RELEASED_NS


def test_an_rtc_counts_when_the_kernel_took_the_time_from_it(machine: ClockMachine) -> None:
    machine.rtc("rtc0", "0\n")
    assert machine.clock().now().tq == FLOOR
    machine.rtc("rtc1", "1\n")
    assert machine.clock().now().tq == RTC
    machine.rtc("rtc1", "\xff")
    assert machine.clock().now().tq == FLOOR


def test_an_rtc_with_an_empty_battery_is_no_source(machine: ClockMachine) -> None:
    machine.rtc("rtc0", "1\n")
    machine.wall_ns = 946_684_800 * S  # 2000
    assert machine.clock().now().tq == NONE


def test_a_clock_that_somebody_set_is_not_the_rtc_s_until_it_was_synchronised(
    machine: ClockMachine,
) -> None:
    machine.rtc("rtc0", "1\n")
    clock = machine.clock()
    assert clock.now().tq == "rtc"
    machine.wall_ns += 3600 * S
    assert clock.now().tq == "floor"
    machine.passes(S)
    assert clock.now().tq == "floor"
    machine.passes(S)
    machine.state = SYNCED
    assert clock.now().tq == "ntp"
    machine.passes(S)
    machine.state = UNSYNCED  # the network is away for hours
    assert clock.now().tq == "rtc"
    assert clock.steps == 1


def test_an_rtc_whose_driver_comes_late_sets_the_clock(machine: ClockMachine) -> None:
    machine.wall_ns = 0
    clock = machine.clock()
    assert clock.now().tq == "none"
    machine.rtc("rtc0", "1\n")
    machine.wall_ns = TODAY_NS
    assert clock.now().tq == "rtc"


def test_a_step_is_seen_at_once_and_the_kernel_is_asked_once_a_second(
    machine: ClockMachine,
) -> None:
    machine.state = SYNCED
    clock = machine.clock()
    for _ in range(100):
        machine.passes(S // 100)
        assert clock.now().tq == "ntp"
    assert machine.asked == 1
    machine.state = UNSYNCED  # as setting the clock does
    machine.wall_ns -= 10 * YEAR_NS
    assert clock.now().tq == "none"
    assert clock.steps == 1
    machine.wall_ns += 10 * YEAR_NS
    assert clock.now().tq == "floor"
    assert clock.steps == 2


def test_slewing_is_no_step(machine: ClockMachine) -> None:
    clock = machine.clock()
    for _ in range(3600):
        machine.passes(S)
        machine.wall_ns += 500_000
        clock.now()
    assert clock.steps == 0


def test_a_process_that_stands_still_between_two_clocks_has_seen_no_step(tmp_path: Path) -> None:
    mono_ns = iter([10 * S, 70 * S, 70 * S, 70 * S, *[71 * S] * 9])
    walls = iter([TODAY_NS + 70 * S, TODAY_NS + 70 * S, TODAY_NS + 71 * S])
    clock = SystemClock(
        root=tmp_path, wall_ns=lambda: next(walls), mono_ns=lambda: next(mono_ns),
        kernel=lambda: SYNCED,
    )  # fmt: skip
    stamp = clock.now()  # stopped for a minute after it had looked at one of them
    assert stamp.wall_ns - stamp.mono_ns == TODAY_NS
    clock.now()
    assert clock.steps == 0


def test_a_machine_that_never_lets_us_look_at_both_gives_some_time(tmp_path: Path) -> None:
    ticks = iter(range(0, 100 * TORN_NS, 2 * TORN_NS))
    clock = SystemClock(
        root=tmp_path, wall_ns=lambda: TODAY_NS, mono_ns=lambda: next(ticks), kernel=lambda: None
    )
    assert clock.now().tq == "floor"


async def test_sleeping_until_the_past_returns_at_once() -> None:
    await SystemClock().sleep_until(0)


def test_a_boot_has_one_name() -> None:
    assert boot_id() == boot_id()
    assert len(boot_id()) == 36
