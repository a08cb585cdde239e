"""A lane that is dead as a whole is named by those beside it, and an empty one is not."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.core import Contact, Draft, Stream
from edge.core.loop import LoopTick, Stay
from edge.infer.guard import Guard
from edge.infer.judge import Judge, JudgeSetup
from edge.infer.loops.activity import Activity
from edge.infer.loops.due import BANDS
from edge.infer.loops.judge import Loops
from edge.infer.loops.rules import Ruling
from edge.infer.loops.weekhours import WeekHours
from edge.infer.sites import ApproachSite, LaneSite
from edge.process.engine import Engine, LaneSetup, Setup
from models import BUNDLES
from tests.process.build import MINUTE, S, found, presences

DEAD_MIN = 60  # when the pair falls silent
PAIRS = tuple(f"north_{i}" for i in (1, 2))


def arrivals(a_minute: float, minutes: float, seed: int) -> list[float]:
    """Seconds at which vehicles come by chance."""
    chance, at, out = random.Random(seed), 0.0, list[float]()
    while at < minutes * 60.0 - 30.0:
        at += 1.5 + chance.expovariate(1.0 / (60.0 / a_minute - 1.5))
        out.append(at)
    return out


def driven(lane: str, times: Iterable[float]) -> list[Contact]:
    """Both loops of a pair, at 50 km/h."""
    times = list(times)
    return presences(f"{lane}.lead", *((at, at + 0.47) for at in times)) + presences(
        f"{lane}.trail", *((at + 0.29, at + 0.76) for at in times)
    )


def said(contacts: list[Contact], minutes: int, model: bool) -> Iterator[tuple[int, list[Draft]]]:
    """What an engine and its judge tell in each minute."""
    engine = Engine(Setup(tuple(LaneSetup(n, "north", 4.0, 2.0) for n in PAIRS)))
    sites = tuple(LaneSite(n, "north", "corridor", paired=True, spacing_m=4.0) for n in PAIRS)
    judge = Judge(JudgeSetup(sites, anomaly=False, hurry=False))
    if model:
        judge.load()
    engine.start(0)
    engine.contacts(found(*(f"{n}.{part}" for n in PAIRS for part in ("lead", "trail"))))
    contacts.sort(key=lambda each: each.mono_ns)
    at = 0
    for minute in range(minutes):
        upto = at
        while upto < len(contacts) and contacts[upto].mono_ns < (minute + 1) * MINUTE:
            upto += 1
        engine.contacts(contacts[at:upto])
        at = upto
        drafts = engine.close((minute + 1) * MINUTE)
        verdict = judge.judge((minute + 1) * MINUTE, drafts, engine.ticks, None)
        yield minute + 1, [*verdict.drafts, *verdict.events]


def faults(told: Iterable[tuple[int, list[Draft]]]) -> list[tuple[int, str, dict[str, Any]]]:
    return [
        (minute, draft.source, dict(draft.body))
        for minute, drafts in told
        for draft in drafts
        if draft.stream is Stream.EVENT and draft.body["event"] == "sensor_fault"
    ]


@pytest.mark.parametrize("model", [True, False], ids=["model", "rule"])
def test_a_pair_that_dies_is_named_by_the_lane_beside_it(model: bool) -> None:
    living, dying = (arrivals(10.0, 100.0, seed) for seed in (1, 2))
    contacts = driven("north_2", living) + driven("north_1", (t for t in dying if t < 3600.0))
    events = faults(said(contacts, 100, model))
    assert [(who, e["part"], e["fault"], e["state"]) for _, who, e in events] == [
        ("north_1", part, "stuck_off", "on") for part in ("lead", "trail")
    ]
    for minute, _, body in events:
        assert DEAD_MIN < minute <= DEAD_MIN + 15
        assert body["since_s"] == pytest.approx((minute - DEAD_MIN) * 60.0, abs=60.0)
        assert "vehicles passed in north_2 beside it" in body["text"]
        assert "or the lane is closed" in body["text"]


@pytest.mark.parametrize("model", [True, False], ids=["model", "rule"])
def test_a_pair_that_never_lived_has_a_word_of_its_own(model: bool) -> None:
    events = faults(said(driven("north_2", arrivals(10.0, 30.0, 1)), 30, model))
    assert [(who, e["part"], e["fault"], e["state"]) for _, who, e in events] == [
        ("north_1", part, "never_active", "on") for part in ("lead", "trail")
    ]
    assert all(minute <= 15 for minute, _, _ in events)
    assert all("since it is watched" in body["text"] for _, _, body in events)


# -- one rule by itself ----------------------------------------------------------------------------

THREE = tuple(LaneSite(f"a_{i}", "a", "corridor") for i in (0, 1, 2))
Paces = Mapping[str, float]


def slot_of(number: int, counts: Paces, on: Iterable[str] = (), **more: Any) -> list[LoopTick]:
    """Vehicles that came in a slot; `on`: lanes on which one stands."""
    begin, end = number * 30 * S, (number + 1) * 30 * S
    return [
        LoopTick(
            lane, "lead", begin, end, 30 * S, int(n) * S // 3,
            tuple(
                Stay(begin + i * S + k * S // 3, begin + i * S + (k + 1) * S // 3)
                for i in range(int(n))
            ),
            since_ns=begin if lane in on else None, **more,
        )
        for k, (lane, n) in enumerate(counts.items())
    ]  # fmt: skip


class Road:
    """Feeds a rule: so many vehicles in each slot."""

    def __init__(
        self,
        lanes: Iterable[LaneSite] = THREE,
        approaches: Iterable[ApproachSite] = (),
        doubted: Iterable[str] = (),
    ) -> None:
        self.sites, self.ways = tuple(lanes), tuple(approaches)
        self.doubted = set(doubted)
        self.rule = self.new()
        self.slot = 0
        self.told: dict[str, tuple[float, Ruling]] = {}  # minutes and what was said first

    def new(self) -> Activity:
        return Activity(
            self.sites, self.ways, lambda key: "breakup" if key[0] in self.doubted else None
        )

    def drive(
        self, minutes: float, counts: Paces, wall_s: float | None = None, **more: Any
    ) -> None:
        for _ in range(round(minutes * 2)):
            ticks = slot_of(self.slot, counts, **more)
            self.slot += 1
            wall = None if wall_s is None else wall_s + self.slot * 30.0
            for key, ruling in self.rule.step(
                {(t.lane, t.part): t for t in ticks}, {}, wall
            ).items():
                self.told.setdefault(key[0], (self.slot / 2.0, ruling))


def test_two_dead_lanes_of_three_hide_neither() -> None:
    road = Road()
    road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
    road.drive(15, {"a_0": 5, "a_1": 0, "a_2": 0})
    assert road.told.keys() == {"a_1", "a_2"}


def test_a_lane_that_dies_later_does_not_excuse_the_one_before() -> None:
    road = Road()
    road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
    road.drive(3, {"a_0": 5, "a_1": 5, "a_2": 0})
    road.drive(15, {"a_0": 5, "a_1": 0, "a_2": 0})
    assert road.told.keys() == {"a_1", "a_2"}


def test_who_is_not_to_be_believed_accuses_nobody() -> None:
    road = Road(THREE[:2], doubted=["a_0"])
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.drive(60, {"a_0": 20, "a_1": 0})
    assert road.told == {}
    road.doubted.clear()
    road.drive(20, {"a_0": 5, "a_1": 5})
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.told.keys() == {"a_1"}


def test_one_that_counts_ghosts_is_contradicted_by_one_that_lives() -> None:
    road = Road()
    for _ in range(60):
        road.drive(1.5, {"a_0": 2, "a_1": 2, "a_2": 2})
        road.drive(0.5, {"a_0": 0, "a_1": 0, "a_2": 2})
    for _ in range(5):  # nobody drives but a vehicle now and then, and a_2 counts on
        road.drive(4.0, {"a_0": 0, "a_1": 0, "a_2": 2})
        road.drive(0.5, {"a_0": 1, "a_1": 0, "a_2": 2})
    assert road.told == {}


STATIONS = tuple(LaneSite(f"{a}_{i}", a, "corridor") for a in "mno" for i in (0, 1))
WAYS = (ApproachSite("m", "n", 500.0), ApproachSite("n", "o", 500.0), ApproachSite("o"))


def test_a_closed_lane_whose_vehicles_pass_beside_it_is_not_dead() -> None:
    even = dict.fromkeys((lane.name for lane in STATIONS), 4)
    road = Road(STATIONS, WAYS)
    road.drive(240, even)
    road.drive(60, {**even, "n_0": 0, "n_1": 8})
    assert road.told == {}
    road.drive(60, even)
    road.drive(15, {**even, "n_0": 0})
    assert road.told.keys() == {"n_0"}


def test_a_single_lane_is_told_by_those_along() -> None:
    lanes = tuple(LaneSite(f"{a}_0", a, "corridor") for a in "mno")
    road = Road(lanes, WAYS)
    road.drive(120, {"m_0": 5, "n_0": 5, "o_0": 5})
    road.drive(15, {"m_0": 5, "n_0": 0, "o_0": 5})
    assert road.told.keys() == {"n_0"}
    assert "before or after it in" in road.told["n_0"][1].seen


def test_nobody_is_due_while_it_is_red() -> None:
    lanes = (*THREE[:2],)
    road = Road(lanes)
    road.drive(120, {"a_0": 5, "a_1": 5}, green_ns=15 * S)
    road.drive(30, {"a_0": 5, "a_1": 0}, green_ns=0)  # its neighbour turns on an arrow
    assert road.told == {}
    road.drive(1, {"a_0": 5, "a_1": 0}, green_ns=15 * S)
    assert road.told.keys() == {"a_1"}


def test_a_lane_alone_is_told_by_the_green_that_passed() -> None:
    road = Road(THREE[:1])
    road.drive(240, {"a_0": 2}, green_ns=15 * S)
    road.drive(45, {"a_0": 0}, green_ns=15 * S)
    minute, ruling = road.told["a_0"]
    assert 265 <= minute <= 285
    assert "min of green" in ruling.seen


def test_one_that_stands_on_a_loop_is_no_silence() -> None:
    road = Road(THREE[:2])
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.drive(60, {"a_0": 5, "a_1": 0}, on=["a_1"])
    assert road.told == {}


MONDAY_S = 1_789_948_800.0  # midnight, a Monday


def days(road: Road, count: int) -> None:
    """Eighty an hour from six to twenty o'clock, and nobody by night."""
    for hour in range(count * 24):
        n = 20 if 6 <= hour % 24 < 20 else 0
        for _ in range(4):
            road.drive(0.5, {"a_0": n}, MONDAY_S)
            road.drive(14.5, {"a_0": 0}, MONDAY_S)


def test_a_lane_alone_is_told_by_the_hours_of_the_week_if_the_clock_is_trusted() -> None:
    road = Road((LaneSite("a_0", "a", "stop"),))
    days(road, 15)
    assert road.told == {}
    kept, slot = road.rule.snapshot(), road.slot
    road.drive(7 * 60, {"a_0": 0})
    assert road.told == {}  # nobody knows the hour
    road.rule, road.slot = road.new(), slot
    road.rule.restore(kept)
    road.drive(7 * 60, {"a_0": 0}, MONDAY_S)
    minute, ruling = road.told["a_0"]
    assert 6 * 60 < minute - 15 * 1440 <= 7 * 60  # nobody is due by night
    assert "usual in these hours of the week" in ruling.seen


def test_a_clock_that_steps_forgets_its_hours() -> None:
    hours = WeekHours()
    for slot in range(2 * 168 * 120):
        hours.step(slot * 30 * S, MONDAY_S + slot * 30.0, 1.0, 30.0)
    now = 2 * 168 * 120
    known = hours.step(now * 30 * S, MONDAY_S + now * 30.0, 1.0, 30.0)
    assert known is not None
    assert known.due == pytest.approx(1.0)
    assert known.sure
    assert hours.step((now + 1) * 30 * S, MONDAY_S + now * 30.0 + 7200.0, 1.0, 30.0) is None
    assert max(hours.weeks) == 0


def test_bicycles_are_judged_by_bicycles_alone() -> None:
    lanes = (
        *THREE[:2],
        LaneSite("track_0", "a", "corridor", role="bicycle"),
        LaneSite("track_1", "a", "corridor", role="bicycle"),
    )
    road = Road(lanes)
    road.drive(240, {"a_0": 5, "a_1": 5, "track_0": 2, "track_1": 2})
    road.drive(120, {"a_0": 5, "a_1": 5, "track_0": 0, "track_1": 0})
    assert road.told == {}
    road.drive(30, {"a_0": 5, "a_1": 5, "track_0": 2, "track_1": 2})
    road.drive(60, {"a_0": 5, "a_1": 5, "track_0": 0, "track_1": 2})
    assert road.told.keys() == {"track_0"}


def test_a_track_of_bicycles_is_flagged_by_the_judge_of_the_loops(tmp_path: Path) -> None:
    lanes = tuple(LaneSite(f"track_{i}", "a", "corridor", role="bicycle") for i in (0, 1))
    loops = Loops(lanes, (), Guard("loopfault", tmp_path))
    turns = []
    for slot in range(600):
        ticks = slot_of(slot, {"track_0": 2, "track_1": 2 if slot < 480 else 0})
        turns += [v for v in loops.step(ticks[0].to_ns, ticks) if v.turn]
    assert [(v.lane, v.fault, v.turn) for v in turns] == [("track_1", "stuck_off", "on")]
    kept = json.loads(json.dumps(loops.snapshot()))
    assert Loops(lanes, (), Guard("loopfault", tmp_path)).restore(kept)


def test_a_restart_in_a_silence_goes_on_with_it() -> None:
    whole, cut = Road(), Road()
    for road in (whole, cut):
        road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
        road.drive(5, {"a_0": 5, "a_1": 0, "a_2": 5})
        if road is cut:
            kept = json.loads(json.dumps(road.rule.snapshot()))
            road.rule = road.new()
            road.rule.restore(kept)
        road.drive(10, {"a_0": 5, "a_1": 0, "a_2": 5})
    for road in (whole, cut):
        ((lane, (minute, ruling)),) = road.told.items()
        assert (lane, minute, ruling.since_ns) == ("a_1", 130.0, 120 * 60 * S)


def test_what_nobody_watched_is_in_doubt_and_proves_nothing() -> None:
    road = Road()
    road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
    road.rule.missing(3600.0)
    road.drive(9.5, {"a_0": 5, "a_1": 0, "a_2": 5})
    assert road.told == {}
    road.drive(1.0, {"a_0": 5, "a_1": 0, "a_2": 5})
    ((_, ruling),) = road.told.values()
    assert ruling.since_ns == (120 - 60) * 60 * S


def test_a_lane_that_is_not_watched_is_not_silent() -> None:
    road = Road(THREE[:2])
    road.drive(120, {"a_0": 5, "a_1": 5})
    for _ in range(120):
        ticks = slot_of(road.slot, {"a_0": 5, "a_1": 0})
        ticks[1] = ticks[1]._replace(seen_ns=0)
        road.slot += 1
        assert road.rule.step({(t.lane, t.part): t for t in ticks}, {}, None) == {}


def test_a_lane_that_never_lived_stays_so_over_restarts_until_its_first_vehicle() -> None:
    road = Road(THREE[:2])
    road.drive(30, {"a_0": 5, "a_1": 0})
    assert road.told["a_1"][1].fault == "never_active"
    kept = json.loads(json.dumps(road.rule.snapshot()))
    road.rule, road.told = road.new(), {}
    road.rule.restore(kept)
    road.drive(1, {"a_0": 5, "a_1": 0})
    assert road.told["a_1"][1].fault == "never_active"
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.told = {}
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.told["a_1"][1].fault == "stuck_off"


def test_a_loop_of_a_pair_that_never_lived_has_that_word_too(tmp_path: Path) -> None:
    lane = LaneSite("x", "x", "corridor", paired=True, spacing_m=4.0)
    loops = Loops((lane,), (), Guard("loopfault", tmp_path))
    turns = []
    for slot in range(40):
        (lead,) = slot_of(slot, {"x": 4})
        (trail,) = slot_of(slot, {"x": 0})
        ticks = [lead, trail._replace(part="trail")]
        turns += [v for v in loops.step(lead.to_ns, ticks) if v.turn]
    assert [(v.part, v.fault) for v in turns] == [("trail", "never_active")]


def test_what_was_taken_for_a_fault_teaches_little() -> None:
    """A lane that was closed for a day, and is open again, dies: it is named as before."""
    road = Road(THREE[:2])
    road.drive(240, {"a_0": 5, "a_1": 5})
    road.drive(1440, {"a_0": 5, "a_1": 0})
    road.drive(60, {"a_0": 5, "a_1": 5})
    road.told, began = {}, road.slot / 2.0
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.told["a_1"][0] - began <= 15.0


def damaged(saved: Any, chance: random.Random) -> Any:
    """Something is another thing than it was."""
    wrong: list[Any] = [None, "x", [], {}, math.nan, -1.0, 1e300, True]
    if isinstance(saved, dict) and saved and chance.random() < 0.8:
        key = chance.choice(list(saved))
        return {**saved, key: damaged(saved[key], chance)}
    if isinstance(saved, list) and saved and chance.random() < 0.8:
        at = chance.randrange(len(saved))
        return [*saved[:at], damaged(saved[at], chance), *saved[at + 1 :]]
    return chance.choice(wrong)


def test_a_dead_lane_teaches_those_beside_it_no_share() -> None:
    """It is mended after a day: what it counts then makes no more due beside it than before."""
    road = Road(THREE[:2])
    road.drive(240, {"a_0": 5, "a_1": 1})
    before = [road.rule._quiet["a_0"].beside["a_1"].share(band) for band in range(BANDS)]
    road.drive(1440, {"a_0": 5, "a_1": 0})
    after = [road.rule._quiet["a_0"].beside["a_1"].share(band) for band in range(BANDS)]
    assert after == pytest.approx(before, rel=1.0)  # of the minutes before it was known


def test_a_lane_stays_dead_until_its_first_vehicle() -> None:
    road = Road(THREE[:2])
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.told.keys() == {"a_1"}
    road.doubted |= {"a_0", "a_1"}  # nobody is believed any more
    road.told = {}
    road.drive(0.5, {"a_0": 5, "a_1": 0})
    assert road.told.keys() == {"a_1"}
    road.told = {}
    road.drive(5, {"a_0": 5, "a_1": 1})
    assert road.told == {}


def test_a_damaged_state_is_refused_or_harmless() -> None:
    road = Road(STATIONS, WAYS)
    road.drive(60, dict.fromkeys((lane.name for lane in STATIONS), 4), MONDAY_S)
    whole = json.loads(json.dumps(road.rule.snapshot()))
    refused = 0
    for seed in range(400):
        road.rule = road.new()
        try:
            road.rule.restore(damaged(whole, random.Random(seed)))
        except (AttributeError, KeyError, TypeError, ValueError):
            refused += 1
            continue
        road.drive(1, dict.fromkeys((lane.name for lane in STATIONS), 4), MONDAY_S)
        json.dumps(road.rule.snapshot(), allow_nan=False)
    assert refused > 200


def test_a_state_is_small() -> None:
    road = Road()
    road.drive(3000, {"a_0": 5, "a_1": 5, "a_2": 5}, MONDAY_S)
    assert len(json.dumps(road.rule.snapshot())) / 3 < 4000


def test_congestion_leaves_a_dead_pair_out() -> None:
    lanes = tuple(LaneSite(f"n_{i}", "n", "mid", paired=True, spacing_m=4.0) for i in (0, 1))
    loops = Loops(lanes, (), Guard("loopfault", BUNDLES / "none"))
    for slot in range(300):
        ticks = []
        for tick in slot_of(slot, {"n_0": 5, "n_1": 5 if slot < 240 else 0}):
            later = tuple(Stay(on + S // 4, off + S // 4) for on, off in tick.stays)
            ticks += [tick, tick._replace(part="trail", stays=later)]
        loops.step(ticks[0].to_ns, ticks)
    scores = loops.weights()
    assert min(scores["n_1", part] for part in ("lead", "trail")) > 0.9
    assert max(scores["n_0", part] for part in ("lead", "trail")) < 0.1
