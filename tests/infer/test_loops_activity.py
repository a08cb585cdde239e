"""A lane that is dead as a whole is named by those beside it, and an empty one is not."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from edge.core import Contact, Draft, Stream
from edge.infer.judge import Judge, JudgeSetup
from edge.infer.sites import LaneSite
from edge.process.engine import Engine, LaneSetup, Setup
from tests.process.build import MINUTE, found, presences

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
