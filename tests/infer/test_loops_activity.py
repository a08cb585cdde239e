"""A lane that is dead as a whole is named by those beside it, and an empty one is not."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.core import Contact, Draft, Stream
from edge.core.looptick import Stay
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.modelguard import ModelGuard
from edge.infer.sites import LaneSite
from edge.process.engine import EngineSetup, LaneSetup
from models import BUNDLES
from tests.infer.road import slot_of
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, found, presences

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
    sites = tuple(LaneSite(n, "north", "corridor", paired=True, spacing_m=4.0) for n in PAIRS)
    judge = Judge(JudgeSetup(sites, anomaly=False, hurry=False))
    if model:
        judge.load()
    setup = EngineSetup(tuple(LaneSetup(n, "north", 4.0, 2.0) for n in PAIRS))
    engine = Pipeline(setup, judge).engine
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
        yield minute + 1, engine.close((minute + 1) * MINUTE)


def faults(reported: Iterable[tuple[int, list[Draft]]]) -> list[tuple[int, str, dict[str, Any]]]:
    return [
        (minute, draft.source, as_read(draft))
        for minute, drafts in reported
        for draft in drafts
        if draft.stream is Stream.EVENT and as_read(draft)["event"] == "sensor_fault"
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
    assert all("since the gateway began to watch it" in body["text"] for _, _, body in events)


def test_a_track_of_bicycles_is_flagged_by_the_judge_of_the_loops(tmp_path: Path) -> None:
    lanes = tuple(LaneSite(f"track_{i}", "a", "corridor", role="bicycle") for i in (0, 1))
    loops = LoopJudge(lanes, (), ModelGuard("loopfault", tmp_path))
    turns = []
    for slot in range(600):
        ticks = slot_of(slot, {"track_0": 2, "track_1": 2 if slot < 480 else 0})
        turns += [v for v in loops.step(ticks[0].to_ns, ticks) if v.change]
    assert [(v.lane, v.fault, v.change) for v in turns] == [("track_1", "stuck_off", "on")]
    kept = json.loads(json.dumps(loops.snapshot()))
    assert LoopJudge(lanes, (), ModelGuard("loopfault", tmp_path)).restore(kept)


def test_a_loop_of_a_pair_that_never_lived_has_that_word_too(tmp_path: Path) -> None:
    lane = LaneSite("x", "x", "corridor", paired=True, spacing_m=4.0)
    loops = LoopJudge((lane,), (), ModelGuard("loopfault", tmp_path))
    turns = []
    for slot in range(40):
        (lead,) = slot_of(slot, {"x": 4})
        (trail,) = slot_of(slot, {"x": 0})
        ticks = [lead, trail._replace(part="trail")]
        turns += [v for v in loops.step(lead.to_ns, ticks) if v.change]
    assert [(v.part, v.fault) for v in turns] == [("trail", "never_active")]


def test_congestion_leaves_a_dead_pair_out() -> None:
    lanes = tuple(LaneSite(f"n_{i}", "n", "mid", paired=True, spacing_m=4.0) for i in (0, 1))
    loops = LoopJudge(lanes, (), ModelGuard("loopfault", BUNDLES / "none"))
    for slot in range(300):
        ticks = []
        for tick in slot_of(slot, {"n_0": 5, "n_1": 5 if slot < 240 else 0}):
            later = tuple(Stay(on + S // 4, off + S // 4) for on, off in tick.stays)
            ticks += [tick, tick._replace(part="trail", stays=later)]
        loops.step(ticks[0].to_ns, ticks)
    scores = loops.weights()
    assert min(scores["n_1", part] for part in ("lead", "trail")) > 0.9
    assert max(scores["n_0", part] for part in ("lead", "trail")) < 0.1
