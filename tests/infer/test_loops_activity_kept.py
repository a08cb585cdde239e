"""What the rule of silent lanes keeps: a restart goes on with it, damage is refused or harmless."""

from __future__ import annotations

import json
import math
import random
from typing import Any

from tests.infer.road import MONDAY_S, STATIONS, THREE, WAYS, ActivityRoad
from tests.kit.engine import S


def test_a_restart_in_a_silence_goes_on_with_it() -> None:
    whole, cut = ActivityRoad(), ActivityRoad()
    for road in (whole, cut):
        road.drive(120, {"a_0": 5, "a_1": 5, "a_2": 5})
        road.drive(5, {"a_0": 5, "a_1": 0, "a_2": 5})
        if road is cut:
            kept = json.loads(json.dumps(road.rule.snapshot()))
            road.rule = road.new()
            road.rule.restore(kept)
        road.drive(10, {"a_0": 5, "a_1": 0, "a_2": 5})
    for road in (whole, cut):
        ((lane, (minute, ruling)),) = road.reported.items()
        assert (lane, minute, ruling.since_ns) == ("a_1", 130.0, 120 * 60 * S)


def test_a_lane_that_never_lived_stays_so_over_restarts_until_its_first_vehicle() -> None:
    road = ActivityRoad(THREE[:2])
    road.drive(30, {"a_0": 5, "a_1": 0})
    assert road.reported["a_1"][1].fault == "never_active"
    kept = json.loads(json.dumps(road.rule.snapshot()))
    road.rule, road.reported = road.new(), {}
    road.rule.restore(kept)
    road.drive(1, {"a_0": 5, "a_1": 0})
    assert road.reported["a_1"][1].fault == "never_active"
    road.drive(120, {"a_0": 5, "a_1": 5})
    road.reported = {}
    road.drive(15, {"a_0": 5, "a_1": 0})
    assert road.reported["a_1"][1].fault == "stuck_off"


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


def test_a_damaged_state_is_refused_or_harmless() -> None:
    road = ActivityRoad(STATIONS, WAYS)
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
    road = ActivityRoad()
    road.drive(3000, {"a_0": 5, "a_1": 5, "a_2": 5}, MONDAY_S)
    assert len(json.dumps(road.rule.snapshot())) / 3 < 4000
