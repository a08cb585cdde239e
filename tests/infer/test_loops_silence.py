"""Silence: empty at night, closed and standing lanes are no fault; a dead loop by day is one."""

import math
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.infer.loops.loopfeatures import FEATURES
from edge.infer.loops.loopflag import LEARNED_FAULTS, WIDTH
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.loops.looprules import COLUMN
from edge.infer.loops.silence import (
    AROUND_DUE,
    LONG,
    NEVER_DUE,
    OWN_DUE,
    PAIR_DUE,
    PAIR_S,
    SHORT_Z,
    SOME_Z,
    STANDING_S,
    due_by_own_pace,
    is_dead,
    without_unproven_silence,
)
from edge.infer.modelguard import ModelGuard
from edge.infer.sites import ApproachSite, LaneSite
from models import BUNDLES
from tests.infer.test_looprules import LoopKey, Spans, ticks
from tests.long import one_in

LANES = tuple(LaneSite(f"{a}_{i}", a, "corridor") for a in ("m", "n", "o") for i in (0, 1, 2))
SITES = (ApproachSite("m", "n", 500.0), ApproachSite("n", "o", 500.0), ApproachSite("o"))
HURT: LoopKey = ("n_0", "lead")
DAY_S = 5.0  # from one vehicle to the next in a lane by day
FROM_S, HOURS = 5400.0, 3.0


def road(gaps_s: list[tuple[float, float]], closed: tuple[float, float] | None = None) -> (
    dict[LoopKey, Spans]
):  # fmt: skip
    """Single loops of three lanes at three stations; gaps by lane from (second, gap) on.

    While it is `closed`, what drives in the first lane passes the middle station beside it.
    """
    chance = random.Random(3)
    out: dict[LoopKey, Spans] = {(lane.name, "lead"): [] for lane in LANES}
    last = {(a, i): -9.0 for a in "mno" for i in (0, 1, 2)}
    coming = []
    for i in (0, 1, 2):
        at = 0.0
        while at < HOURS * 3600 - 90:
            gap_s = next(gap for since, gap in reversed(gaps_s) if at >= since)
            at += 1.5 + chance.expovariate(1.0 / (gap_s - 1.5))
            coming.append((at, i))
    for at, i in sorted(coming):
        for a, later in (("m", 0.0), ("n", 30.0), ("o", 60.0)):
            diverted = a == "n" and i == 0 and closed and closed[0] <= at + later < closed[1]
            lane = 1 if diverted else i
            begin = max(at + later, last[a, lane] + 1.0)
            last[a, lane] = begin + 0.3
            out[f"{a}_{lane}", "lead"].append((begin, begin + 0.3))
    return out


def flags(stays: dict[LoopKey, Spans], folder: Path) -> dict[LoopKey, list[tuple[float, str]]]:
    """(second, fault) of every flag that went on."""
    loops = LoopJudge(LANES, SITES, ModelGuard("loopfault", folder, hurry=False))
    assert loops.guard.load() == (folder == BUNDLES / "loopfault")
    out: dict[LoopKey, list[tuple[float, str]]] = {}
    for slot in ticks(stays, HOURS):
        for v in loops.step(slot[0].to_ns, slot):
            if v.change == "on":
                out.setdefault((v.lane, v.part), []).append((slot[0].to_ns / 1e9, v.fault or ""))
    return out


@pytest.fixture(params=["model", "rule"])
def judge(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the model is, or is not."""
    return BUNDLES / "loopfault" if request.param == "model" else tmp_path / "none"


@one_in(2)
def test_a_loop_that_dies_by_day_is_found_within_minutes(judge: Path) -> None:
    stays = road([(0.0, DAY_S)])
    stays[HURT] = [stay for stay in stays[HURT] if stay[1] < FROM_S]
    reported = flags(stays, judge)
    assert list(reported) == [HURT]
    ((when, fault),) = reported[HURT]
    assert fault == "stuck_off"
    assert when - FROM_S <= 300.0


@one_in(2)
def test_a_lane_that_is_empty_at_night_is_no_fault(judge: Path) -> None:
    stays = road([(0.0, 12.0), (3000.0, 60.0), (5400.0, 400.0)])
    stays[HURT] = [stay for stay in stays[HURT] if stay[1] < FROM_S]
    assert flags(stays, judge) == {}


@one_in(2)
def test_a_closed_lane_whose_vehicles_pass_beside_it_is_no_fault(judge: Path) -> None:
    stays = road([(0.0, 8.0)], (FROM_S, FROM_S + 1800.0))
    whole = flags(stays, judge)
    assert not [fault for _, fault in whole.get(HURT, []) if fault == "stuck_off"]


@one_in(2)
def test_a_lane_is_no_fault_where_traffic_stands(judge: Path) -> None:
    stays = road([(0.0, DAY_S)])
    for key, spans in stays.items():
        before = [stay for stay in spans if stay[1] < FROM_S]
        standing = [(FROM_S + 5.0 + len(key[0]), FROM_S + 2400.0)]
        after = [stay for stay in spans if stay[0] > FROM_S + 2405.0]
        stays[key] = [*before, *([] if key == HURT else standing), *after]
    reported = flags(stays, judge)
    assert not [f for _, f in reported.get(HURT, []) if f == "stuck_off"]


def _row(**columns: float) -> list[float]:
    """Columns as they are; of counts and seconds the log1p is taken."""
    logs = ("idle", "due", "due_mate", "due_beside", "due_along", "on_others", "count_slow")
    row = [0.0] * len(FEATURES)
    for name, value in columns.items():
        row[COLUMN[name]] = math.log1p(value) if name in logs else value
    return row


AGED = math.log1p(36_000.0 / 600.0)
SILENT = {
    "idle": 240.0, "count_slow": 400.0, "age": AGED, "across_fast": SHORT_Z, "across_mid": SOME_Z,
    "idle_usual": LONG, "due_along": AROUND_DUE + 0.01, "due_beside": 9.0, "beside": 1.0,
}  # fmt: skip
NOBODY = {"across_fast": 0.0, "across_mid": 0.0}  # nothing to compare with


@pytest.mark.parametrize(
    ("change", "along", "expected"),
    [
        ({}, True, True),
        ({"across_fast": 0.0}, True, True),
        ({"idle_usual": LONG - 0.1}, True, True),
        ({"across_fast": SHORT_Z + 0.1, "idle_usual": LONG - 0.1}, True, False),
        ({"across_fast": 0.0, "due_along": AROUND_DUE - 0.1}, True, False),
        ({**NOBODY, "due_along": 0.0}, False, True),
        ({**NOBODY, "due_beside": AROUND_DUE - 0.1}, False, False),
        ({**NOBODY, "due_beside": 0.0, "beside": 0.0}, False, True),
        ({"across_fast": 0.0, "across_mid": SOME_Z + 0.1}, True, False),  # they pass beside it
        ({"across_fast": 0.0, "on_others": STANDING_S + 0.1}, True, False),
        ({"count_slow": 2.0}, True, False),  # the lane is hardly used
        ({"count_slow": 0.0}, True, False),  # or was empty before too
    ],
)
def test_silence_needs_vehicles_that_should_have_come(
    change: dict[str, float], along: bool, expected: bool
) -> None:
    assert is_dead(_row(**{**SILENT, **change}), along=along) is expected


@pytest.mark.parametrize(
    ("idle_s", "mate", "expected"),
    [
        (PAIR_S + 0.1, PAIR_DUE + 0.1, True),
        (PAIR_S - 1.0, 25.0, False),  # a partner that chatters
        (3600.0, PAIR_DUE - 0.1, False),  # a lane that is empty
    ],
)
def test_of_a_pair_the_partner_tells(idle_s: float, mate: float, expected: bool) -> None:
    row = _row(**{**SILENT, "idle": idle_s, "due_mate": mate, "paired": 1.0})
    assert is_dead(row, along=True) is expected


@given(st.floats(1.0, 3600.0), st.floats(30.0, 7200.0), st.floats(0.005, 0.5))
def test_what_is_due_is_the_pace_before_times_the_silence(
    age_s: float, idle_s: float, pace: float
) -> None:
    """The count fades over 45 min, before and while it is silent."""
    came = pace * 2700.0 * (1.0 - math.exp(-(age_s + 300.0) / 2700.0))
    row = _row(
        idle=idle_s,
        count_slow=came * math.exp(-idle_s / 2700.0),
        age=math.log1p((age_s + 300.0 + idle_s) / 600.0),
    )
    assert due_by_own_pace(row) == pytest.approx(pace * idle_s, rel=1e-6)


@pytest.mark.parametrize(
    ("idle_s", "due", "age_s", "expected"),
    [
        (120.0, NEVER_DUE + 0.1, 120.0, True),
        (120.0, NEVER_DUE - 0.1, 120.0, False),
        (480.0, NEVER_DUE + 0.1, 480.0, False),  # nobody drives: it is night
        (480.0, 8.1, 480.0, True),
        (480.0, 8.1, 4800.0, False),  # it has lived
    ],
)
def test_a_loop_that_never_lived_is_told_by_those_along(
    idle_s: float, due: float, age_s: float, expected: bool
) -> None:
    row = _row(idle=idle_s, due_along=due, age=math.log1p(age_s / 600.0))
    assert is_dead(row, along=True) is expected


def test_a_loop_that_never_saw_a_vehicle_has_nothing_due() -> None:
    assert due_by_own_pace(_row(idle=86_400.0 * 30, age=AGED)) == 0.0 < OWN_DUE


@given(st.lists(st.floats(0.0, 1.0), min_size=WIDTH, max_size=WIDTH))
def test_a_word_that_does_not_count_goes_to_sound(p: list[float]) -> None:
    off = 1 + LEARNED_FAULTS.index("stuck_off")
    assert without_unproven_silence(p, silent=True) == p
    reported = without_unproven_silence(p, silent=False)
    assert reported[off] == 0.0
    assert sum(reported) == pytest.approx(sum(p))
    assert [reported[i] for i in range(1, WIDTH) if i != off] == [
        p[i] for i in range(1, WIDTH) if i != off
    ]
