"""Years of a box in virtual time: boots, gaps, and a time service that is wrong in one of them.

Joined here as the daemon joins them: the clock, the clock map of the outbox, and the windows.
"""

import sqlite3
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.acquire.clock import SystemClock
from edge.acquire.timefloor import DAY_NS, OVERRULE_NS, SETTLE_NS, YEAR_NS
from edge.core.release import RELEASED_NS
from edge.core.walltime import CORRECTION_NS
from edge.gateway.windowschedule import WindowSchedule
from edge.kernelclock import Discipline
from edge.outbox.clockmap import boot_bounds, forget_before, read_marks, write_mark
from edge.outbox.database import SCHEMA, Database

S = 1_000_000_000
MINUTE, HOUR = 60 * S, 3600 * S
LOOK_NS = 30 * S
EPOCH_NS = RELEASED_NS + 3 * DAY_NS


class Table:
    """A clock map, as the outbox keeps it, in memory."""

    def __init__(self) -> None:
        self._db = sqlite3.connect(":memory:")
        self._db.executescript(SCHEMA)

    def __del__(self) -> None:
        self._db.close()

    def rows(self, statement: str, values: Any = ()) -> list[Any]:
        return self._db.execute(statement, values).fetchall()

    def one(self, statement: str, values: Any = ()) -> Any:
        return self.rows(statement, values)[0][0]


@dataclass(frozen=True)
class ClockBoot:
    """One boot of an honest time service, or of one that is wrong for a while."""

    gap_ns: int  # without power, before it
    length_ns: int
    synced_ns: int | None  # since the boot
    wrong_ns: int = 0  # how far beside
    healed_ns: int = 0  # since it was synchronised; then it is right


@dataclass
class Seen:
    """What became of a boot."""

    began_ns: int  # the truth
    ended_ns: int
    stamps: list[Any]
    cuts: int
    overruled: str | None
    wrong_floors: int  # looks at which a certificate of today would be refused


class ClockOverBoots:
    """Its outbox outlives its boots. `alone`: nothing but the last boot's marks is kept."""

    def __init__(self, *, alone: bool = False) -> None:
        self.map = cast(Database, Table())
        self.true_ns, self.number, self._alone = EPOCH_NS, 0, alone

    def boot(self, boot: ClockBoot) -> Seen:
        self.number += 1
        self.true_ns += boot.gap_ns
        began_ns, mono_ns = self.true_ns, 10 * S
        if self._alone:
            forget_before(self.map, self.number - 1)
        state = {"wall": 0, "mono": mono_ns, "synced": False}
        clock = SystemClock(
            root=Path(tempfile.gettempdir()) / "no such root",
            wall_ns=lambda: state["wall"],
            mono_ns=lambda: state["mono"],
            kernel=lambda: Discipline(bool(state["synced"]), 1000),
        )
        clock.raise_floor(boot_bounds(self.map, self.number)[0] or 0)
        windows = WindowSchedule(MINUTE, clock.now())
        seen = Seen(began_ns, began_ns + boot.length_ns, [], 0, None, 0)
        while mono_ns < boot.length_ns:
            since_ns = None if boot.synced_ns is None else mono_ns - boot.synced_ns
            state["mono"] = mono_ns
            state["synced"] = since_ns is not None and since_ns >= 0
            beside_ns = -began_ns
            if since_ns is not None and since_ns >= 0:
                beside_ns = boot.wrong_ns if since_ns < boot.healed_ns else 0
            state["wall"] = began_ns + mono_ns + beside_ns
            now = clock.now()
            if mono_ns >= windows.end_ns:
                windows.opened(now)
            if windows.cut(now) is not None:
                seen.cuts += 1
                windows.opened(now)
            floor_ns = clock.wrong()
            dated_ns = now.wall_ns if floor_ns is None else floor_ns
            seen.wrong_floors += dated_ns > began_ns + mono_ns + YEAR_NS
            write_mark(self.map, self.number, now)
            seen.stamps.append(now)
            mono_ns += LOOK_NS
        seen.overruled = clock.floor.overruled
        self.true_ns = seen.ended_ns
        return seen


HONEST = ClockBoot(HOUR, 3 * HOUR, MINUTE)


def words(seen: Seen) -> list[str]:
    """The qualities of a boot, one after the other."""
    found = [stamp.tq for stamp in seen.stamps]
    return [word for n, word in enumerate(found) if n == 0 or found[n - 1] != word]


@pytest.mark.parametrize("alone", [True, False])
def test_a_boot_that_was_wrong_by_years_costs_the_next_one_an_hour(alone: bool) -> None:
    box = ClockOverBoots(alone=alone)
    box.boot(HONEST)
    wrong = box.boot(replace(HONEST, wrong_ns=14 * YEAR_NS, healed_ns=9 * HOUR))
    assert words(wrong) == ["none", "ntp"]
    healing = box.boot(HONEST)
    assert words(healing) == ["none", "ntp"]
    certain = [stamp.mono_ns for stamp in healing.stamps if stamp.tq == "ntp"]
    assert MINUTE + OVERRULE_NS <= certain[0] <= MINUTE + OVERRULE_NS + 2 * LOOK_NS
    assert healing.overruled is not None
    assert healing.wrong_floors == 0, "no certificate was refused"
    assert healing.cuts == 1
    after = box.boot(HONEST)
    assert after.overruled is None
    assert next(stamp.tq for stamp in after.stamps if stamp.mono_ns > 2 * MINUTE) == "ntp"
    assert [mark.tq for mark in read_marks(box.map, 2)] == ["none"], (
        "what it was certain of is gone"
    )


def test_a_wrong_answer_that_is_corrected_soon_leaves_no_trace() -> None:
    box = ClockOverBoots()
    seen = box.boot(replace(HONEST, wrong_ns=14 * YEAR_NS, healed_ns=90 * S))
    assert words(seen) == ["none", "ntp"]
    assert seen.cuts == 1
    assert seen.wrong_floors == 0
    assert boot_bounds(box.map, 2)[0] == seen.stamps[-1].wall_ns
    assert box.boot(HONEST).overruled is None


def test_a_box_from_a_drawer_is_certain_after_ten_minutes() -> None:
    box = ClockOverBoots()
    box.boot(HONEST)
    seen = box.boot(replace(HONEST, gap_ns=YEAR_NS))
    assert words(seen) == ["none", "floor", "ntp"]
    certain = [stamp.mono_ns for stamp in seen.stamps if stamp.tq == "ntp"]
    assert certain[0] <= MINUTE + SETTLE_NS + 2 * LOOK_NS
    assert seen.cuts == 1


def test_two_hundred_boots_after_a_wrong_one_are_right() -> None:
    box = ClockOverBoots(alone=True)
    box.boot(replace(HONEST, wrong_ns=14 * YEAR_NS, healed_ns=9 * HOUR))
    day = ClockBoot(20 * HOUR, 2 * HOUR, MINUTE)
    last = [box.boot(day).stamps[-1].tq for _ in range(198)]
    assert set(last) == {"ntp"}


BOOTS = st.lists(
    st.builds(
        ClockBoot,
        gap_ns=st.sampled_from([MINUTE, HOUR, 3 * DAY_NS, 90 * DAY_NS, 2 * YEAR_NS]),
        length_ns=st.sampled_from([5 * MINUTE, HOUR, 3 * HOUR]),
        synced_ns=st.none() | st.sampled_from([20 * S, 5 * MINUTE, HOUR]),
    ),
    min_size=1,
    max_size=5,
)


@given(boots=BOOTS, alone=st.booleans())
def test_an_honest_history_is_bounded_by_the_truth(boots: list[ClockBoot], alone: bool) -> None:
    box = ClockOverBoots(alone=alone)
    seen = [box.boot(boot) for boot in boots]
    for number, each in enumerate(seen, 1):
        assert all(
            stamp.wall_ns - stamp.mono_ns == each.began_ns
            for stamp in each.stamps
            if stamp.tq.is_synchronised
        )
        low, high = boot_bounds(box.map, number)
        assert low is None or low <= each.began_ns
        assert high is None or each.ended_ns <= high
        assert each.overruled is None
        assert each.cuts <= 1
        synced_ns = boots[number - 1].synced_ns
        if synced_ns is not None and each.stamps[-1].mono_ns > synced_ns + SETTLE_NS + LOOK_NS:
            assert each.stamps[-1].tq == "ntp"


@given(
    boots=BOOTS,
    at=st.integers(0, 4),
    wrong_ns=st.sampled_from([HOUR, 2 * DAY_NS, 50 * DAY_NS, YEAR_NS, 14 * YEAR_NS]),
    sign=st.sampled_from([1, -1]),
    healed_ns=st.sampled_from([30 * S, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 9 * HOUR]),
    alone=st.booleans(),
)
def test_a_history_with_one_wrong_boot_heals_in_the_next_that_is_right_for_long_enough(
    boots: list[ClockBoot], at: int, wrong_ns: int, sign: int, healed_ns: int, alone: bool
) -> None:
    box, at = ClockOverBoots(alone=alone), min(at, len(boots) - 1)
    boots[at] = replace(boots[at], wrong_ns=sign * wrong_ns, healed_ns=healed_ns)
    for number, boot in enumerate(boots):
        seen = box.boot(boot)
        assert seen.cuts <= 3
        last = seen.stamps[-1]
        since_ns = None if boot.synced_ns is None else last.mono_ns - boot.synced_ns
        if number != at:
            assert seen.wrong_floors == 0, "a wrong floor refuses no certificate"
            if since_ns is not None and since_ns > OVERRULE_NS + LOOK_NS:
                assert last.tq == "ntp"
    healing = box.boot(HONEST)
    assert healing.stamps[-1].tq == "ntp"
    assert boot_bounds(box.map, box.number + 1) == (healing.stamps[-1].wall_ns, None)
    after = box.boot(HONEST)
    assert after.stamps[2].tq == "ntp", "at the first look after the time service has answered"
    for number in range(1, box.number + 1):
        low, high = boot_bounds(box.map, number)
        assert low is None or high is None or low <= high + CORRECTION_NS
