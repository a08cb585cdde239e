"""How long a dead lane goes unnamed, and that a quiet road of two lanes is never called dead."""

import math
from collections.abc import Mapping

import pytest

from edge.infer.sites import Role
from models.loopfault.silences import (
    DAY,
    HOURS,
    SilenceSite,
    naming_delays,
    random_road,
    silence_alarms,
    silence_lane,
)
from tests.long import one_in


def dying(a_minute: float, share: float, seed: int, role: Role = "mainline") -> float | None:
    """Minutes until it is named, after half a day in which it lived."""
    pace = {"beside": a_minute, "dying": a_minute * share}
    beside: Role = "bicycle" if role == "bicycle" else "mainline"
    of = random_road(lambda _: pace, 0.5 + HOURS / 24.0, seed, {"dying": role, "beside": beside})
    (result,) = [m for lane, _, _, m in naming_delays(of, [DAY // 2]) if lane == "dying"]
    return result


@one_in(2)
@pytest.mark.parametrize(
    ("a_minute", "share", "most"), [(10.0, 1.0, 15.0), (10.0, 0.5, 15.0), (1.0, 1.0, 60.0),
                                    (1.0, 0.6, 60.0)],
)  # fmt: skip
def test_a_dead_lane_is_named_in_time(a_minute: float, share: float, most: float) -> None:
    for seed in range(4):
        result = dying(a_minute, share, seed)
        assert result is not None
        assert result <= most


@pytest.mark.parametrize(
    ("role", "share", "least", "most"),
    [("turn", 0.2, 15.0, 40.0), ("bus", 0.05, 60.0, 160.0), ("auxiliary", 0.3, 30.0, 90.0),
     ("bicycle", 0.5, 8.0, 30.0)],
)  # fmt: skip
def test_lanes_of_other_roles_are_named_by_their_share(
    role: Role, share: float, least: float, most: float
) -> None:
    result = dying(10.0, share, 1, role)
    assert result is not None
    assert least <= result <= most


def by_day(hour: float) -> Mapping[str, float]:
    """A road with an overtaking lane: three in four at the peaks, and nothing there by night."""
    day = hour % 24.0
    busy = 12.0 * max(0.0, math.sin(math.pi * (day - 5.0) / 18.0)) if 5.0 < day < 23.0 else 0.0
    both = 0.4 + busy
    over = 0.0 if both < 1.5 else both * min(0.6, both / 20.0)
    return {"right": both - over, "over": over}


@pytest.mark.long
def test_a_quiet_fortnight_of_a_road_that_is_empty_at_night_has_no_alarm() -> None:
    of = random_road(by_day, 14.0)
    assert [a for a in silence_alarms(of)] == []


def test_a_lane_that_dies_by_night_is_named_in_the_morning() -> None:
    of = random_road(by_day, 3.0)
    from_slot = 2 * DAY + 120  # one o'clock

    def play(first: int):  # type: ignore[no-untyped-def]
        for i, (ticks, wall_s) in enumerate(of.play(first)):  # type: ignore[misc]
            yield (silence_lane(ticks, "over") if i >= from_slot else ticks), wall_s

    (result,) = silence_alarms(SilenceSite("road", of.lanes, (), 3.0, play))
    hour = result.at_s / 3600.0 % 24.0
    assert result.lane == "over"
    assert 5.5 < hour < 8.0
