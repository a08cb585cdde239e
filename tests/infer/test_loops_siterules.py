"""Rules that see several loops: what each remembers, over weeks, restarts and wrong clocks."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Draft
from edge.core.looptick import LoopTick, Stay
from edge.infer.loops.burst import BurstRule
from edge.infer.loops.evidence import LoopKey
from edge.infer.loops.faultreporter import FaultReporter
from edge.infer.loops.loopflag import FAULTS, QUIET_S, LoopFlag
from edge.infer.loops.loopjudge import LoopJudge, LoopVerdict
from edge.infer.loops.looprules import RULE_NAME
from edge.infer.loops.polarity import PAIRS, PolarityRule
from edge.infer.loops.silentsite import SilentSite
from edge.infer.loops.siterule import SiteRule
from edge.process.engineevents import sensor_fault_event
from tests.infer.test_loopjudge import judged, ruled
from tests.infer.test_looprules import street, ticks
from tests.kit.asread import as_read

S = 1_000_000_000
SLOT = 30
KEYS: tuple[LoopKey, ...] = (("a", "lead"), ("a", "trail"), ("b", "lead"))
MONDAY_S = 4 * 86_400.0
DAY = 86_400


def slot(end_s: float, count: int = 0, seen: float = 1.0) -> dict[LoopKey, LoopTick]:
    """Every loop counted so many; nobody is on one."""
    begin, end = round((end_s - SLOT) * S), round(end_s * S)
    return {
        (lane, part): LoopTick(
            lane, "lead" if part == "lead" else "trail", begin, end, round(seen * SLOT * S), 0,
            stays_left_out=count,
        )
        for lane, part in KEYS
    }  # fmt: skip


def until(
    rule: SilentSite, from_s: int, to_s: int, count: Callable[[int], int], wall_s: float | None
) -> int | None:
    """The second in which it first speaks."""
    for end_s in range(from_s + SLOT, to_s + SLOT, SLOT):
        wall = None if wall_s is None else wall_s + end_s
        if rule.step(slot(end_s, count(end_s)), {}, wall):
            return end_s
    return None


def weekly(at_s: int) -> int:
    """One in thirty seconds by day, fewer in the evening; by night and on Sundays two an hour."""
    hour = at_s // 3600
    of_day = hour % 24 if hour // 24 % 7 != 6 else 0
    each_s = SLOT if 6 <= of_day < 20 else 300 if 5 <= of_day < 23 else 1800
    return int(at_s % each_s == 0)


def test_the_hours_of_the_week_tell_a_day_from_a_sunday() -> None:
    site, learned = SilentSite(KEYS), 9 * DAY
    assert until(site, 0, learned, weekly, MONDAY_S) is None
    saved = json.loads(json.dumps(site.snapshot()))
    assert len(json.dumps(saved)) < 6000
    tuesday = learned + 10 * 3600
    assert until(site, learned, tuesday, weekly, MONDAY_S) is None
    dead_s = until(site, tuesday, tuesday + 7200, lambda at: 0, MONDAY_S)
    assert dead_s is not None
    assert dead_s - tuesday <= 1800
    other = SilentSite(KEYS)
    other.restore(saved)
    sunday = 13 * DAY
    assert until(other, learned, sunday, weekly, MONDAY_S) is None
    assert until(other, sunday, sunday + 20 * 3600, lambda at: 0, MONDAY_S) is None


def test_a_clock_that_steps_has_taught_the_wrong_hours() -> None:
    site, learned = SilentSite(KEYS), 9 * DAY
    until(site, 0, learned, weekly, MONDAY_S)
    night = learned + 2 * 3600  # which it takes for ten o'clock from now on
    until(site, learned, night, weekly, MONDAY_S)
    assert until(site, night, night + 3600, lambda at: 0, MONDAY_S + 8 * 3600) is None


def test_an_hour_that_summer_time_moves_is_no_dead_site() -> None:
    site, learned = SilentSite(KEYS), 10 * DAY
    until(site, 0, learned, lambda at: 2 * weekly(at), MONDAY_S)
    six = learned + 6 * 3600  # people come an hour later from this day on
    until(site, learned, six, weekly, MONDAY_S)
    assert until(site, six, six + 3300, lambda at: 0, MONDAY_S) is None


def test_what_is_silent_again_and_again_is_learned_without_a_clock() -> None:
    site, said = SilentSite(KEYS), 0
    for day in range(14):  # a gate that is open for nine hours
        begin = day * DAY
        said += until(site, begin, begin + 9 * 3600, lambda at: 1, None) is not None
        said += until(site, begin + 9 * 3600, begin + DAY, lambda at: 0, None) is not None
    assert said <= 4
    assert until(site, 14 * DAY, 15 * DAY, lambda at: at % DAY < 9 * 3600, None) is None


def test_half_a_site_that_nobody_watches_is_no_silence() -> None:
    site = SilentSite(KEYS)
    until(site, 0, 4 * 3600, lambda at: 5, None)
    for end_s in range(4 * 3600 + SLOT, 8 * 3600, SLOT):
        assert not site.step(slot(end_s, 0, seen=0.2), {}, None)


def test_a_loop_that_is_stuck_does_not_hide_a_dead_site() -> None:
    site = SilentSite(KEYS)
    until(site, 0, 4 * 3600, lambda at: 5, None)
    reported: dict[LoopKey, Any] = {}
    for end_s in range(4 * 3600 + SLOT, 8 * 3600, SLOT):
        here = slot(end_s)
        here[KEYS[2]] = here[KEYS[2]]._replace(since_ns=3 * 3600 * S, on_ns=SLOT * S)
        reported = site.step(here, {}, None)
    assert set(reported) == set(KEYS[:2])
    assert all(ruling.since_ns >= 4 * 3600 * S for ruling in reported.values())


def test_a_dead_site_is_dead_after_a_restart_and_a_silence_begins_anew() -> None:
    site = SilentSite(KEYS)
    until(site, 0, 4 * 3600, lambda at: 5, None)
    assert until(site, 4 * 3600, 4 * 3600 + 840, lambda at: 0, None) is None
    young, dead = SilentSite(KEYS), SilentSite(KEYS)
    young.restore(site.snapshot())
    young.missing(20.0)
    assert until(young, 16_000, 16_000 + 840, lambda at: 0, None) is None
    assert until(site, 15_240, 15_400, lambda at: 0, None) is not None
    dead.restore(site.snapshot())
    dead.missing(3600.0)
    assert dead.step(slot(SLOT), {}, None)  # of another boot: the clock begins at 0
    assert not dead.step(slot(2 * SLOT, 1), {}, None)


# --- polarity -------------------------------------------------------------------------------------


def gaps(hours: float) -> list[dict[LoopKey, LoopTick]]:
    """An inverted loop, slot by slot: free for half a second at a time."""
    chance, at, spans = random.Random(1), 0.0, list[tuple[float, float]]()
    while at < hours * 3600.0:
        spans.append((at, at + 1.0 + chance.expovariate(1 / 6)))
        at = spans[-1][1] + chance.uniform(0.4, 0.6)
    key = ("a", "lead")
    return [{key: slot[0]} for slot in ticks({key: spans}, hours)]


def test_polarity_remembers_over_a_restart_and_speaks_of_the_whole_time() -> None:
    one, key, slots = PolarityRule([("a", "lead")]), ("a", "lead"), gaps(0.5)
    assert not any(one.step(slot, {}, None) for slot in slots[:20])
    saved = json.loads(json.dumps(one.snapshot()))
    other = PolarityRule([key, ("new", "lead")])
    other.restore(saved)
    other.missing(10.0)
    found = [ruling for slot in slots[20:30] for ruling in other.step(slot, {}, None).values()]
    assert found[0].fault == "inverted"
    assert found[0].since_ns == -10 * S  # from the first slot on, and the gap is in it
    assert list(other.unproven()) == [key, ("new", "lead")]


def test_a_loop_that_was_the_right_way_round_is_not_inverted_by_an_hour_of_queue() -> None:
    key, rule = ("a", "lead"), PolarityRule([("a", "lead")])
    spans = [(at, at + 0.5) for at in map(float, range(0, 1800, 6))]
    sound = [{key: slot[0]} for slot in ticks({key: spans}, 0.5)]
    for slot in sound:
        assert not rule.step(slot, {}, None)
    said = [bool(rule.step(slot, {}, None)) for slot in moved(gaps(3.0), 1800)]
    assert not any(said[:120])  # an hour of it may be a queue
    assert said[-1]


def moved(slots: list[dict[LoopKey, LoopTick]], by_s: int) -> Iterator[dict[LoopKey, LoopTick]]:
    """The same, later."""
    for slot in slots:
        yield {
            key: tick._replace(
                from_ns=tick.from_ns + by_s * S,
                to_ns=tick.to_ns + by_s * S,
                stays=tuple(Stay(on + by_s * S, off + by_s * S) for on, off in tick.stays),
                since_ns=None if tick.since_ns is None else tick.since_ns + by_s * S,
            )
            for key, tick in slot.items()
        }


def test_an_inverted_loop_that_begins_in_a_jam_is_told_within_the_hour_after_it() -> None:
    """In a jam vehicles stand on it, and it is free for most of the time, as a sound one is."""
    chance, key, at, jam_s = random.Random(4), ("a", "lead"), 0.0, 900
    between = list[tuple[float, float]]()
    while at < jam_s:
        at += chance.uniform(4.0, 12.0)
        between.append((at, at + chance.uniform(0.8, 1.6)))
        at = between[-1][1]
    rule = PolarityRule([key])
    jam = [{key: slot[0]} for slot in ticks({key: between}, jam_s / 3600.0)]
    assert not any(rule.step(slot, {}, None) for slot in jam)
    said = [bool(rule.step(slot, {}, None)) for slot in moved(gaps(2.5), jam_s)]
    assert said.index(True) * SLOT < 3600


def test_edges_that_are_missing_make_no_free_time() -> None:
    one = PolarityRule([("a", "lead")])
    for slot in gaps(1.0):
        blind = {key: tick._replace(seen_ns=tick.seen_ns - 1) for key, tick in slot.items()}
        assert not one.step(blind, {}, None)


@pytest.mark.parametrize(
    ("rule", "saved"),
    [
        (PolarityRule(KEYS), {"a|lead": {}}),
        (
            PolarityRule(KEYS),
            {"a|lead": {**PolarityRule(KEYS).snapshot()["a|lead"], "free": [1.0]}},
        ),
        (
            PolarityRule(KEYS),
            {"a|lead": {**PolarityRule(KEYS).snapshot()["a|lead"], "held_s": -1.0}},
        ),
        (PolarityRule(KEYS), {"a|lead": {**PolarityRule(KEYS).snapshot()["a|lead"], "up": 1}}),
        (PolarityRule(KEYS), {"a|lead": {**PolarityRule(KEYS).snapshot()["a|lead"], "nights": -1}}),
        (SilentSite(KEYS), {}),
        (SilentSite(KEYS), {**SilentSite(KEYS).snapshot(), "hours": [[0.0, 0.0]]}),
        (SilentSite(KEYS), {**SilentSite(KEYS).snapshot(), "pace": [float("nan"), 0.0, 0.0]}),
        (SilentSite(KEYS), {**SilentSite(KEYS).snapshot(), "dead": None}),
        (BurstRule(KEYS), [1]),
    ],
)
def test_what_is_no_snapshot_is_refused_and_nothing_has_changed(rule: SiteRule, saved: Any) -> None:
    before = rule.snapshot()
    with pytest.raises((KeyError, TypeError, ValueError)):
        rule.restore(saved)
    assert rule.snapshot() == before


@given(st.lists(st.tuples(st.floats(0.001, 500), st.floats(0.001, 500)), max_size=3 * PAIRS))
def test_a_loop_and_its_contrary_are_never_both_inverted(spans: list[tuple[float, float]]) -> None:
    at, stays, free = 1.0, list[Stay](), list[Stay]()
    for on, off in spans:
        a, b, c = (round(t * S) for t in (at, at + on, at + on + off))
        stays.append(Stay(a, b))
        free.append(Stay(b, c))
        at += on + off
    said = []
    for each in (stays, free):
        one, key = PolarityRule(KEYS), KEYS[0]
        end = round((at + 1) * S)
        tick = LoopTick("a", "lead", 0, end, end, 0, tuple(each))
        rest = LoopTick("a", "lead", end, end + SLOT * S, SLOT * S, 0, since_ns=end)
        said.append(bool(one.step({key: tick}, {}, None) or one.step({key: rest}, {}, None)))
    assert not all(said) or max(max(s) for s in spans) > 600.0


# --- what is told ---------------------------------------------------------------------------------


def row(fault: str) -> list[float]:
    out = [0.0] * (1 + len(FAULTS))
    out[0], out[1 + FAULTS.index(fault)] = 0.05, 0.95
    return out


def test_a_rule_that_sees_more_takes_the_place_of_another_fault() -> None:
    flag = LoopFlag(0.6, 0.3)
    assert flag.step(row("stuck_on"), S, 30.0, traffic=True, at_once=True) == "on"
    assert flag.step(row("chatter"), 2 * S, 30.0, traffic=True, at_once=True) is None
    assert flag.step(row("inverted"), 3 * S, 30.0, traffic=True, at_once=True, over=True) == "on"
    assert (flag.fault, flag.since_ns) == ("inverted", 3 * S)
    assert flag.step(row("inverted"), 4 * S, 30.0, traffic=True, at_once=True, over=True) is None
    sound = [1.0] + [0.0] * len(FAULTS)
    assert flag.step(sound, 5 * S, QUIET_S, traffic=True, at_once=True) == "off"


def verdict(fault: str | None, turn: Any) -> LoopVerdict:
    return LoopVerdict("north_1", "lead", 0.95 if fault else 0.0, fault, 0, turn, RULE_NAME)


def said(drafts: list[Draft]) -> list[tuple[Any, Any]]:
    return [(as_read(d)["fault"], as_read(d)["state"]) for d in drafts]


def test_a_fault_that_is_another_one_ends_before_that_begins() -> None:
    reporter = FaultReporter()
    assert said(reporter.report(S, [verdict("stuck_on", "on")])) == [("stuck_on", "on")]
    both = reporter.report(2 * S, [verdict("inverted", "on")])
    assert said(both) == [("stuck_on", "off"), ("inverted", "on")]
    assert "does not have the fault stuck_on; its fault is inverted" in as_read(both[0])["text"]
    assert said(reporter.report(3 * S, [verdict(None, "off")])) == [("inverted", "off")]


def test_of_an_inverted_loop_nobody_else_says_that_it_is_stuck() -> None:
    reporter = FaultReporter()
    reporter.report(S, [verdict("inverted", "on")])
    for on in (True, False, True, False):
        theirs = sensor_fault_event("north_1", S, "stuck_on", on, "lead", since_s=600.0)
        reporter.report(S, [], [theirs])
        assert reporter.dropped == [theirs]


def test_loops_of_which_nothing_is_known_do_not_speak_of_jams(tmp_path: Any) -> None:
    loops: LoopJudge = ruled(tmp_path)
    assert set(loops.weights().values()) == {1.0}
    judged(loops, ticks(street(0.25), 0.25))
    assert max(loops.weights().values()) < 0.5
    other = ruled(tmp_path)
    other.restore(loops.snapshot())
    assert other.weights() == loops.weights()


def queue_that_clears(lag_s: float, queue_s: float, seed: int) -> Iterator[dict[LoopKey, LoopTick]]:
    """Slots of a sound pair: free flow, a queue that creeps with even gaps, and free flow again."""
    chance, at_s, on = random.Random(seed), 10.0, list[tuple[float, float]]()
    for until_s, gaps_s, stays_s in (
        (1800.0, (4.0, 12.0), (0.35, 0.45)),
        (1800.0 + queue_s, (0.8, 1.1), (4.0, 16.0)),
        (3600.0 + queue_s, (4.0, 12.0), (0.35, 0.45)),
    ):
        while at_s < until_s:
            stay_s = chance.uniform(*stays_s)
            on.append((at_s, at_s + stay_s))
            at_s += stay_s + chance.uniform(*gaps_s)
    loops = {("a", "lead"): on, ("a", "trail"): [(a + lag_s, b + lag_s) for a, b in on]}
    for from_s in range(0, int(at_s) - 60, 30):
        to_s, slot = from_s + 30, {}
        for key, stays in loops.items():
            ended = tuple(Stay(int(a * 1e9), int(b * 1e9)) for a, b in stays if from_s < b <= to_s)
            since = next((int(a * 1e9) for a, b in stays if a < to_s < b), None)
            slot[key] = LoopTick(
                "a", "lead" if key[1] == "lead" else "trail", from_s * 10**9, to_s * 10**9,
                30 * 10**9, int(bool(ended or since)), ended, 0, since,
            )  # fmt: skip
        yield slot


@pytest.mark.parametrize("seed", [1, 7])
def test_a_sound_pair_is_not_inverted_when_a_queue_clears(seed: int) -> None:
    """In a queue both are occupied most of the time. One of them is seen to be right first."""
    lead, trail = ("a", "lead"), ("a", "trail")
    rule = PolarityRule([lead, trail], {lead: trail, trail: lead})
    assert not any(rule.step(slot, {}, None) for slot in queue_that_clears(1.5, 2400.0, seed))
