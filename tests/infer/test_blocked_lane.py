"""Something in the way on an approach with signals: told by its lanes and places, or not at all."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import LoopTick
from edge.core.looptick import Stay
from edge.infer.blockedlane import LASTING_S
from edge.infer.incident import Incidents, IncidentVerdict
from edge.infer.judgeevents import incident_event, unwatched_incident
from edge.infer.sites import ApproachSite, LaneSite, Role
from tests.infer.street import SLOT_NS
from tests.kit.asread import as_read

SITES = (ApproachSite("north", "bridge", 300.0),)
LANES = tuple(
    LaneSite(f"{approach}_{position}_{i}", approach, position)
    for approach, position in (("north", "mid"), ("north", "stop"), ("bridge", "mid"))
    for i in (1, 2)
)
CAR_NS = 400_000_000
CYCLE = 3  # slots: red, red, green

Traffic = Mapping[str, tuple[float, float]]  # by lane: vehicles a slot, share of it occupied


def _tick(name: str, end_ns: int, vehicles: float, occupied: float, seen: bool) -> LoopTick:
    begin = end_ns - SLOT_NS
    count = round(vehicles)
    stays = tuple(
        Stay(begin + i * SLOT_NS // max(count, 1), begin + i * SLOT_NS // max(count, 1) + CAR_NS)
        for i in range(count)
    )
    on_ns = max(int(occupied * SLOT_NS), count * CAR_NS)
    return LoopTick(name, "lead", begin, end_ns, SLOT_NS if seen else 0, on_ns, stays)


class SignalStreet:
    """Two lanes with loops in the midst of a block and at its stop line, and those of the next."""

    def __init__(self, incidents: Incidents | None = None) -> None:
        self.incidents = incidents or Incidents(SITES, LANES)
        self.slot = 0
        self.reported: list[IncidentVerdict] = []

    def run(
        self,
        count: int,
        change: Traffic | None = None,
        *,
        scores: dict[tuple[str, str], float] | None = None,
        unseen: tuple[str, ...] = (),
        level: float = 1.0,
    ) -> None:
        for _ in range(count):
            self.slot += 1
            green = self.slot % CYCLE == 0
            usual: dict[str, tuple[float, float]] = {}
            for lane in LANES:
                at_stop = lane.position == "stop"
                flow = level * ((12.0 if green else 0.0) if at_stop else 4.0)
                usual[lane.name] = flow, 0.7 if at_stop and not green and flow else 0.05
            traffic = {**usual, **(change or {})}
            end_ns = self.slot * SLOT_NS
            ticks = [_tick(name, end_ns, *traffic[name], name not in unseen) for name in traffic]
            self.reported += self.incidents.step(ticks, scores or {})

    def turns(self) -> list[tuple[str, str, str]]:
        return [(v.upstream, v.downstream, v.turn) for v in self.reported]


AROUND: Traffic = {"north_mid_1": (0.4, 0.02), "north_mid_2": (7.6, 0.12)}
CLOSED: Traffic = {
    "north_mid_1": (0.0, 1.0), "north_mid_2": (0.0, 1.0),
    "north_stop_1": (0.0, 0.0), "north_stop_2": (0.0, 0.0),
}  # fmt: skip
BEYOND: Traffic = {
    "north_stop_1": (0.0, 1.0), "north_stop_2": (0.0, 1.0),
    "north_mid_1": (0.0, 0.9), "north_mid_2": (0.0, 0.9),
    "bridge_mid_1": (0.0, 0.0), "bridge_mid_2": (0.0, 0.0),
}  # fmt: skip


def test_vehicles_that_drive_around_something_are_told_until_they_do_not_any_more() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(20, AROUND)
    assert street.turns() == [("north", "north", "on")]
    assert "north_mid_1 has" in street.reported[0].reason
    street.run(30)
    assert street.turns()[1:] == [("north", "north", "off")]
    assert street.reported[-1].reason.startswith("vehicles pass in all lanes")


def test_a_queue_that_does_not_begin_at_the_signal_is_told() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(14, CLOSED)
    assert ("north", "north", "on") in street.turns()


def test_vehicles_that_wait_at_a_signal_beyond_which_nothing_arrives_are_told() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(14, BEYOND)
    assert street.turns() == [("north", "bridge", "on")]
    assert "downstream" in street.reported[0].reason


def test_a_queue_at_a_signal_is_no_incident() -> None:
    queue: Traffic = {lane.name: (4.0, 0.8) for lane in LANES if lane.approach == "north"}
    street = SignalStreet()
    street.run(60)
    street.run(60, queue)
    assert street.reported == []


def test_a_queue_that_comes_from_the_next_approach_is_no_incident() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(60, {lane.name: (0.3, 0.9) for lane in LANES})
    assert street.reported == []


def test_less_traffic_in_all_lanes_is_no_incident() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(60, level=0.25)
    assert street.reported == []


def test_a_day_without_traffic_tells_nothing() -> None:
    street = SignalStreet()
    street.run(400, level=0.0)
    street.run(60)
    assert street.reported == []


def test_a_loop_that_died_is_no_blocked_lane() -> None:
    """Its vehicles are nowhere else."""
    street = SignalStreet()
    street.run(60)
    street.run(60, {"north_mid_1": (0.0, 0.0)})
    assert street.reported == []


def test_a_loop_that_sticks_is_no_queue() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(60, {"north_mid_1": (0.0, 1.0)})
    assert street.reported == []


def test_a_broken_loop_is_not_believed() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(40, AROUND, scores={("north_mid_1", "lead"): 1.0})
    assert street.reported == []


def test_when_nobody_sees_the_loops_any_more_the_suspicion_ends_without_a_reason() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(20, AROUND)
    assert street.turns() == [("north", "north", "on")]
    street.run(20, AROUND, unseen=tuple(lane.name for lane in LANES))
    assert street.turns()[1:] == [("north", "north", "off")]
    assert street.reported[-1].reason == ""


def test_what_lasts_for_hours_is_how_the_road_is_now() -> None:
    """A lane that is closed for good: the flag does not stay up for ever."""
    street = SignalStreet()
    street.run(60)
    street.run(20 + int(LASTING_S / 30) + 240, AROUND)
    assert street.turns() == [("north", "north", "on"), ("north", "north", "off")]


@pytest.mark.parametrize("role", ["bus", "bicycle"])
def test_lanes_that_not_all_may_use_are_not_compared(role: Role) -> None:
    lanes = tuple(
        LaneSite(one.name, one.approach, one.position, role=role)
        if one.name.endswith("_1")
        else one
        for one in LANES
    )
    street = SignalStreet(Incidents(SITES, lanes))
    street.run(60)
    street.run(30, AROUND)
    assert street.reported == []


@settings(max_examples=40)
@given(
    before=st.integers(0, 70),
    during=st.integers(0, 30),
    change=st.sampled_from([AROUND, CLOSED, BEYOND]),
    gap_s=st.sampled_from([0.0, 0.0, 60.0]),
)
def test_killed_at_any_time_it_goes_on_as_if_nothing_had_been(
    before: int, during: int, change: Traffic, gap_s: float
) -> None:
    whole, first = SignalStreet(), SignalStreet()
    for street in (whole, first):
        street.run(before)
        street.run(during, change)
    second = SignalStreet()
    second.slot = first.slot
    kept = json.loads(json.dumps(first.incidents.snapshot()))
    assert second.incidents.restore(kept) == []
    for street in (whole, second):
        street.incidents.missing(gap_s)
        street.run(30 - during, change)
        street.run(30)
    assert first.reported + second.reported == whole.reported


@settings(max_examples=25)
@given(
    levels=st.lists(st.floats(0.0, 1.5), min_size=20, max_size=60),
    dead=st.sampled_from([(), ("north_mid_1",), ("north_stop_1", "bridge_mid_2")]),
)
def test_lanes_that_rise_and_fall_together_are_never_suspicious(
    levels: list[float], dead: tuple[str, ...]
) -> None:
    street = SignalStreet()
    street.run(40)
    for level in levels:
        street.run(CYCLE, level=level, unseen=dead)
    assert not [turn for turn in street.turns() if turn[0] == turn[1]]


def test_an_approach_that_is_gone_is_told_when_its_flag_was_up() -> None:
    street = SignalStreet()
    street.run(60)
    street.run(20, AROUND)
    kept = street.incidents.snapshot()
    assert Incidents((), ()).restore(kept) == [("north", "north")]
    assert Incidents((), LANES).restore(kept) == []  # it is judged without what lies after it


def test_a_state_of_0_2_0_has_no_approaches_with_signals_and_is_taken_up() -> None:
    lanes = (*LANES, *(LaneSite(f"{name}_1", name, "corridor") for name in ("up", "down")))
    incidents = Incidents((*SITES, ApproachSite("up", "down", 500.0)), lanes)
    kept = [
        {"pair": ["up", "down"], "values": [0.6, 0.05, 0.1, 0.3], "age_s": 0.0, "high_s": 90.0,
         "raised": True, "low_s": 0.0},
    ]  # fmt: skip
    assert incidents.restore(kept) == []
    assert incidents.snapshot()[0] == kept[0]


@pytest.mark.parametrize(
    "change",
    [{"flags": [["north", True]]}, {"flags": [["north", True, 0.0, float("nan"), 0.0, 0.0]]},
     {"places": [["mid", [["north_mid_1", -1.0]]]]}, {"places": [["mid", [["north_mid_1"]]]]}],
)  # fmt: skip
def test_a_damaged_approach_is_refused(change: dict[str, object]) -> None:
    incidents = Incidents(SITES, LANES)
    before = incidents.snapshot()
    with pytest.raises((TypeError, ValueError)):
        incidents.restore([*before, {**before[-1], **change}])
    assert incidents.snapshot() == before


def test_the_event_names_the_approach_once_when_it_is_on_it() -> None:
    on = incident_event(5, IncidentVerdict("north", "north", "on", "a lane is empty"))
    body = as_read(on)
    assert (body["upstream"], body["downstream"], on.source) == ("north", "north", "north")
    assert body["text"].startswith("Something may block the road on north: a lane is empty (")
    assert (
        "on north any more"
        in as_read(incident_event(5, IncidentVerdict("north", "north", "off", "vehicles pass")))[
            "text"
        ]
    )
    gone = unwatched_incident(5, "north", "north")
    assert as_read(gone)["text"] == "The road on north is no longer watched, so the flag is closed."
