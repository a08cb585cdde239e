"""An incident is suspected between two stations, and only there."""

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from edge.core import Draft, LoopTick, Stream
from edge.infer.incident import Incidents, IncidentVerdict
from edge.infer.judge import Judge, JudgeSetup
from edge.infer.sites import ApproachSite, LaneSite
from tests.infer.street import SLOT_NS, tick
from tests.kit.asread import as_read
from tests.kit.bodies import lane
from tests.kit.judging import judged

SITES = (ApproachSite("up", "down", 500.0), ApproachSite("down", "end", 500.0), ApproachSite("end"))
LANES = tuple(LaneSite(f"{name}_1", name, "corridor") for name in ("up", "down", "end"))


class IncidentRoad:
    """Three stations; each slot with the occupancies that a test says."""

    def __init__(self, incidents: Incidents | None = None) -> None:
        self.incidents = incidents or Incidents(SITES, LANES)
        self.end_ns = 0
        self.reported: list[IncidentVerdict] = []

    def run(self, count: int, *occupancy: float, scores: dict[tuple[str, str], float]) -> None:
        for _ in range(count):
            self.end_ns += SLOT_NS
            names = (lane.name for lane in LANES)
            ticks: list[LoopTick] = [
                tick(name, self.end_ns, value) for name, value in zip(names, occupancy, strict=True)
            ]
            self.reported += self.incidents.step(ticks, scores)

    def turns(self) -> list[tuple[str, str, str]]:
        return [(v.upstream, v.downstream, v.turn) for v in self.reported]


def _road(incidents: Incidents | None = None) -> IncidentRoad:
    return IncidentRoad(incidents)


def test_a_jam_above_an_empty_road_is_suspicious_until_it_dissolves() -> None:
    road = _road()
    road.run(60, 0.15, 0.15, 0.15, scores={})
    assert road.reported == []
    road.run(20, 0.7, 0.04, 0.04, scores={})
    assert road.turns() == [("up", "down", "on")]
    assert "upstream" in road.reported[0].reason
    road.run(40, 0.15, 0.15, 0.15, scores={})
    assert road.turns() == [("up", "down", "on"), ("up", "down", "off")]


def test_a_jam_that_reaches_both_stations_is_no_incident_between_them() -> None:
    road = _road()
    road.run(60, 0.15, 0.15, 0.15, scores={})
    road.run(60, 0.7, 0.65, 0.04, scores={})
    assert ("up", "down", "on") not in road.turns()


def test_a_bottleneck_whose_flow_stays_is_no_incident() -> None:
    road = _road()
    road.run(60, 0.2, 0.2, 0.2, scores={})
    road.run(60, 0.7, 0.2, 0.2, scores={})
    assert road.reported == []


def test_half_a_minute_of_it_is_not_enough() -> None:
    road = _road()
    road.run(60, 0.15, 0.15, 0.15, scores={})
    road.run(1, 0.5, 0.04, 0.15, scores={})
    road.run(30, 0.15, 0.15, 0.15, scores={})
    assert road.reported == []


def test_a_broken_loop_is_not_believed_and_a_station_without_one_ends_the_suspicion() -> None:
    road = _road()
    road.run(60, 0.15, 0.15, 0.15, scores={})
    broken = {("up_1", "lead"): 1.0}
    road.run(60, 1.0, 0.04, 0.04, scores=broken)
    assert road.reported == []
    road.run(30, 0.15, 0.15, 0.15, scores={})
    road.run(20, 0.7, 0.04, 0.04, scores={})
    road.run(9, 0.7, 0.04, 0.04, scores=broken)
    assert road.turns() == [("up", "down", "on")]
    road.run(2, 0.7, 0.04, 0.04, scores=broken)
    assert road.turns() == [("up", "down", "on"), ("up", "down", "off")]
    assert road.reported[-1].reason == ""


def test_a_station_that_has_more_lanes_than_the_one_before_carries_less_in_each() -> None:
    """One lane that is full, two after it: what comes spreads out, and nothing is in the way."""
    lanes = (LANES[0], *LANES[1:], LaneSite("down_2", "down", "corridor"))
    incidents = Incidents(SITES, lanes)
    names = ("up_1", "down_1", "down_2", "end_1")
    for slot in range(1, 81):
        ticks = [
            tick(name, slot * SLOT_NS, value)
            for name, value in zip(names, (0.35, 0.1, 0.09, 0.1), strict=True)
        ]
        assert incidents.step(ticks, {}) == []


@pytest.mark.parametrize("at", range(0, 24, 3))
def test_killed_at_any_time_it_goes_on_as_if_nothing_had_been(at: int) -> None:
    whole, first = _road(), _road()
    for road in (whole, first):
        road.run(60, 0.15, 0.15, 0.15, scores={})
        road.run(at, 0.7, 0.04, 0.04, scores={})
    second = _road()
    assert second.incidents.restore(json.loads(json.dumps(first.incidents.snapshot()))) == []
    second.end_ns = first.end_ns
    for road in (whole, second):
        road.run(24 - at, 0.7, 0.04, 0.04, scores={})
        road.run(40, 0.15, 0.15, 0.15, scores={})
    assert first.reported + second.reported == whole.reported


def test_a_pair_that_is_gone_is_told_when_its_flag_was_up() -> None:
    road = _road()
    road.run(60, 0.15, 0.15, 0.15, scores={})
    road.run(20, 0.7, 0.04, 0.04, scores={})
    other = Incidents((), LANES)
    assert other.restore(road.incidents.snapshot()) == [("up", "down")]


@pytest.mark.parametrize(
    "change",
    [{"values": [1.0]}, {"values": [float("nan")] * 4}, {"age_s": -1}, {"pair": ["up"]}],
)
def test_a_damaged_snapshot_is_refused(change: dict[str, object]) -> None:
    (saved, *_) = Incidents(SITES, LANES).snapshot()
    with pytest.raises(ValueError, match=r"pair|values to unpack"):
        Incidents(SITES, LANES).restore([{**saved, **change}])


def test_of_a_snapshot_with_one_damaged_pair_nothing_is_taken_up() -> None:
    incidents = Incidents(SITES, LANES)
    before = incidents.snapshot()
    good = {**before[0], "raised": True}
    with pytest.raises(ValueError, match="pair"):
        incidents.restore([good, {**good, "age_s": -1}])
    assert incidents.snapshot() == before


def test_what_ended_in_a_gap_goes_off_once_after_it() -> None:
    road = _road()
    road.run(60, 0.15, 0.15, 0.15, scores={})
    road.run(20, 0.7, 0.04, 0.04, scores={})
    road.incidents.missing(400.0)
    road.end_ns += 400_000_000_000
    road.run(10, 0.15, 0.15, 0.15, scores={})
    assert road.turns() == [("up", "down", "on"), ("up", "down", "off")]


class Judged:
    """The same road through a whole judge; what it told of incidents."""

    def __init__(
        self,
        *,
        congestion: bool = True,
        sites: tuple[ApproachSite, ...] = SITES,
        flags: dict[str, Any] | None = None,
    ) -> None:
        setup = JudgeSetup(
            LANES, SLOT_NS, congestion=congestion, anomaly=False, loopfault=False, approaches=sites
        )
        self.judge = Judge(setup, Path("nowhere"))  # its rules answer
        if flags is not None:
            self.judge.restore_flags(msgpack.unpackb(msgpack.packb(flags)))
        self.reported: list[Draft] = []

    def run(self, first: int, last: int, *occupancy: float) -> None:
        for slot in range(first, last):
            end_ns = (slot + 1) * SLOT_NS
            pairs = list(zip(LANES, occupancy, strict=True))
            drafts = [
                Draft(Stream.TRAFFIC, one.name, end_ns - SLOT_NS, end_ns, lane(occupancy=value))
                for one, value in pairs
            ]
            ticks = [tick(one.name, end_ns, value) for one, value in pairs]
            events = judged(self.judge, end_ns, drafts, ticks).events
            self.reported += [each for each in events if as_read(each)["event"] == "incident"]

    def jam(self) -> None:
        self.run(0, 60, 0.15, 0.15, 0.15)
        self.run(60, 80, 0.7, 0.04, 0.04)


@pytest.mark.parametrize("congestion", [True, False])
def test_an_incident_is_suspected_with_and_without_the_congestion_model(congestion: bool) -> None:
    road = Judged(congestion=congestion)
    road.jam()
    assert [as_read(each)["state"] for each in road.reported] == ["on"]
    again = Judged(congestion=not congestion, flags=road.judge.snapshot_flags())
    again.run(80, 90, 0.7, 0.04, 0.04)
    assert again.reported == []  # it is up already


def test_an_incident_that_is_up_when_its_stations_are_no_pair_any_more_goes_off_once() -> None:
    road = Judged()
    road.jam()
    after = Judged(sites=(), flags=road.judge.snapshot_flags())
    after.run(80, 90, 0.7, 0.04, 0.04)
    (event,) = after.reported
    assert (as_read(event)["state"], event.to_ns) == ("off", 81 * SLOT_NS)
    assert as_read(event)["text"].endswith("is no longer watched, so the flag is closed.")
    again = Judged(flags=after.judge.snapshot_flags())
    again.run(90, 100, 0.15, 0.15, 0.15)
    assert again.reported == []
