"""What a lane is for where nobody said it, and how soon it is called dead then."""

from pathlib import Path

import pytest

from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.loops.surroundings import presumed_roles
from edge.infer.modelguard import ModelGuard
from edge.infer.sites import ApproachSite, LaneSite, Role
from models import BUNDLES
from tests.infer.test_loopjudge import judged
from tests.infer.test_looprules import LANES, SITES, street, ticks

WAYS = (ApproachSite("k", "l", 500.0), ApproachSite("l", "m", 500.0), ApproachSite("m"))


def lanes(**counts: int) -> list[LaneSite]:
    return [LaneSite(f"{a}_{i}", a, "corridor") for a, n in counts.items() for i in range(n)]


def roles(sites: list[LaneSite], ways: tuple[ApproachSite, ...] = WAYS) -> dict[str, Role | None]:
    return {lane.name: lane.role for lane in presumed_roles(sites, ways)}


def test_a_lane_that_begins_and_ends_at_a_station_is_one_of_its_outer_ones() -> None:
    found = roles(lanes(k=3, l=4, m=3))
    assert [found[f"l_{i}"] for i in range(4)] == [
        "auxiliary", "mainline", "mainline", "auxiliary",
    ]  # fmt: skip
    assert {found[f"{a}_{i}"] for a in "km" for i in range(3)} == {"mainline"}


def test_at_a_signal_it_is_a_turning_lane() -> None:
    sites = [
        *(LaneSite(f"mid_{i}", "w", "mid") for i in range(2)),
        *(LaneSite(f"stop_{i}", "w", "stop") for i in range(3)),
    ]
    found = roles(sites, ())
    assert [found[f"stop_{i}"] for i in range(3)] == ["turn", "mainline", "turn"]


@pytest.mark.parametrize("counts", [{"k": 4, "l": 3, "m": 3}, {"k": 1, "l": 2, "m": 1}, {"x": 4}])
def test_where_lanes_go_on_or_none_would_be_left_all_are_of_the_mainline(
    counts: dict[str, int],
) -> None:
    ways = WAYS[1:]  # nothing is known of what lies along k
    assert set(roles(lanes(**counts), ways).values()) == {"mainline"}


def test_what_somebody_said_stays() -> None:
    sites = [*lanes(k=3, m=3), *lanes(l=3), LaneSite("l_3", "l", "corridor", role="bus")]
    assert roles(sites)["l_3"] == "bus"
    assert roles([LaneSite("b", "k", "corridor", role="bicycle"), *lanes(k=2)])["b"] == "bicycle"


@pytest.mark.parametrize("by", ["model", "rule"])
@pytest.mark.parametrize(
    ("role", "called"), [(None, False), ("auxiliary", False), ("mainline", True)]
)
def test_an_unused_auxiliary_lane_is_not_called_dead_within_hours(
    by: str, role: Role | None, called: bool, tmp_path: Path
) -> None:
    sites = [*LANES[:2], LaneSite("m_2", "m", "corridor", role=role), *LANES[2:]]
    bundle = BUNDLES / "loopfault" if by == "model" else tmp_path / "none"
    loops = LoopJudge(sites, SITES, ModelGuard("loopfault", bundle, hurry=False))
    assert loops.guard.load() == (by == "model")
    stays = {**street(2.0), ("m_2", "lead"): []}
    reported = judged(loops, ticks(stays, 2.0))
    assert any(v.fault for v in reported["m_2", "lead"]) == called
    assert not any(v.fault for key, vs in reported.items() if key[0] != "m_2" for v in vs)
