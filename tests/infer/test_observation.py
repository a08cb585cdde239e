"""What is read out of ticks: believed loops only, each lane once, speeds where loops are paired."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import LoopTick
from edge.core.looptick import Stay
from edge.infer.observation import (
    POSITIONS,
    PositionObservation,
    model_inputs,
    observe,
    ticks_by_slot,
)
from edge.infer.sites import LaneSite, Role
from models.congestion.congestionstate import BLOCKS, PLACES
from tests.infer.street import SLOT_NS, tick

SECOND = 1_000_000_000
LANES = {f"n{i}": LaneSite(f"n{i}", "north", "mid") for i in (1, 2)}
PAIR = {"n1": LaneSite("n1", "north", "mid", paired=True, spacing_m=4.0)}


def _loop(part: str, ons_s: list[float], long_s: float) -> LoopTick:
    stays = tuple(Stay(int(on * SECOND), int((on + long_s) * SECOND)) for on in ons_s)
    on_ns = sum(stay.off_ns - stay.on_ns for stay in stays)
    return LoopTick("n1", part, 0, SLOT_NS, SLOT_NS, on_ns, stays)  # type: ignore[arg-type]


def test_occupancy_is_over_the_lanes_that_are_believed() -> None:
    ticks = [tick("n1", SLOT_NS, 0.1), tick("n2", SLOT_NS, 0.3), tick("other", SLOT_NS, 1.0)]
    seen = observe(ticks, LANES, {})["north"]["mid"]
    assert (seen.lowest, round(seen.mean, 9), seen.highest) == (0.1, 0.2, 0.3)
    seen = observe(ticks, LANES, {("n2", "lead"): 0.9, ("n1", "lead"): 0.4})["north"]["mid"]
    assert (seen.lowest, seen.mean, seen.highest) == (0.1, 0.1, 0.1)
    assert observe(ticks, LANES, {(n, "lead"): 1.0 for n in LANES}) == {}


def test_a_slot_that_nobody_watched_says_nothing() -> None:
    assert observe([tick("n1", SLOT_NS, 0.9)._replace(seen_ns=0)], LANES, {}) == {}
    half = tick("n1", SLOT_NS, 0.4)._replace(seen_ns=SLOT_NS // 2)
    assert observe([half], LANES, {})["north"]["mid"].mean == 0.8


def _stuck(lane: str, since_s: float) -> LoopTick:
    begin = int((30.0 - since_s) * SECOND)
    on_ns = min(SLOT_NS, SLOT_NS - begin)
    return LoopTick(lane, "lead", 0, SLOT_NS, SLOT_NS, on_ns, (), 0, begin)


def test_what_stands_in_a_corridor_beside_lanes_that_flow_is_no_jam() -> None:
    station = {f"n{i}": LaneSite(f"n{i}", "north", "corridor") for i in (1, 2, 3)}
    flow = [tick("n2", SLOT_NS, 0.1), tick("n3", SLOT_NS, 0.2)]
    seen = observe([_stuck("n1", 25.0), *flow], station, {})["north"]["corridor"]
    assert (seen.highest, seen.lowest, seen.standing) == (0.2, 0.1, 0.0)
    seen = observe([_stuck("n1", 12.0), *flow], station, {})["north"]["corridor"]
    assert seen.highest == 0.4  # a lorry may be so slow
    seen = observe([_stuck("n1", 25.0), flow[0], tick("n3", SLOT_NS, 0.4)], station, {})["north"][
        "corridor"
    ]
    assert seen.highest > 0.8  # the jam reaches the next lane
    crawling = _stuck("n1", 25.0)._replace(stays=(Stay(-12 * SECOND, 4 * SECOND),))
    seen = observe([crawling, *flow], station, {})["north"]["corridor"]
    assert seen.highest > 0.8  # it stands after others that stood: a queue in one lane
    gone = LoopTick("n1", "lead", 0, SLOT_NS, SLOT_NS, 25 * SECOND, (Stay(0, 25 * SECOND),))
    assert observe([gone, *flow], station, {})["north"]["corridor"].highest > 0.8
    alone = observe([_stuck("n1", 25.0)], station, {})["north"]["corridor"]
    assert alone.highest > 0.8  # nobody is there to say that traffic flows
    whole = observe([_stuck(lane, 25.0) for lane in station], station, {})["north"]["corridor"]
    assert whole.lowest > 0.8


def test_a_lane_that_waits_at_a_signal_counts_beside_one_that_drives() -> None:
    ticks = [_stuck("n1", 25.0), tick("n2", SLOT_NS, 0.1)]
    assert observe(ticks, LANES, {})["north"]["mid"].highest > 0.8


@pytest.mark.parametrize("role", ["turn", "bus", "bicycle"])
def test_a_lane_beside_the_road_s_traffic_hides_no_queue(role: Role) -> None:
    lanes = {**LANES, "n2": LaneSite("n2", "north", "mid", role=role)}
    ticks = [tick("n1", SLOT_NS, 0.9), tick("n2", SLOT_NS, 0.0)]
    seen = observe(ticks, lanes, {})["north"]["mid"]
    assert (seen.lowest, seen.mean, seen.every) == (0.9, 0.9, 0.45)
    broken = {("n1", "lead"): 1.0}
    assert observe(ticks, lanes, broken)["north"]["mid"].mean == 0.0  # nobody else is there
    main: dict[str, LaneSite] = {**LANES, "n2": LaneSite("n2", "north", "mid", role="auxiliary")}
    assert observe(ticks, main, {})["north"]["mid"].lowest == 0.0  # an exit jams with its road


def test_a_broken_lead_loop_is_replaced_by_the_trail() -> None:
    ticks = [_loop("lead", [], 0), _loop("trail", [1.0, 5.0], 1.5)]
    assert observe(ticks, PAIR, {})["north"]["mid"].mean == 0.0
    seen = observe(ticks, PAIR, {("n1", "lead"): 1.0})["north"]["mid"]
    assert (seen.mean, seen.stay_s) == (0.1, 1.5)


def test_a_long_vehicle_in_a_pair_is_judged_by_its_speed() -> None:
    """4 m in 0.4 s are 10 m/s, at which a car stays 0.65 s; this one stays 2 s."""
    ticks = [_loop("lead", [1.0, 8.0], 2.0), _loop("trail", [1.4, 8.4], 2.0)]
    assert round(observe(ticks, PAIR, {})["north"]["mid"].stay_s, 6) == 0.65
    (alone,) = observe(ticks[:1], PAIR, {})["north"].values()
    assert alone.stay_s == 2.0


def test_what_stands_on_a_loop_counts_from_when_it_came() -> None:
    begin = -20 * SECOND
    standing = LoopTick("n1", "lead", 0, SLOT_NS, SLOT_NS, SLOT_NS, (), 0, begin)
    seen = observe([standing], LANES, {})["north"]["mid"]
    assert (seen.standing, seen.longest_s, seen.stay_s, seen.flow) == (1.0, 50.0, 0.0, 0.0)


def test_green_is_told_where_a_phase_is_known() -> None:
    plain = tick("n1", SLOT_NS, 0.5)
    assert observe([plain], LANES, {})["north"]["mid"].green is None
    phased = plain._replace(green_ns=10 * SECOND, green_on_ns=2 * SECOND)
    assert observe([phased], LANES, {})["north"]["mid"].green == 0.2
    assert observe([phased._replace(green_ns=0)], LANES, {})["north"]["mid"].green is None


def test_pulses_tell_no_occupancy() -> None:
    lanes = {"n1": LaneSite("n1", "north", "mid", mode="pulse")}
    assert observe([tick("n1", SLOT_NS, 0.5)], lanes, {}) == {}


def test_ticks_are_taken_slot_by_slot() -> None:
    ticks = [tick(n, k * SLOT_NS, 0.1) for k in (1, 2) for n in ("n1", "n2")]
    assert [(end, dt, len(all_)) for end, dt, all_ in ticks_by_slot(ticks)] == [
        (SLOT_NS, 30.0, 2),
        (2 * SLOT_NS, 30.0, 2),
    ]


def test_inputs_stand_where_the_model_looks_for_them() -> None:
    def seen(value: float) -> PositionObservation:
        return PositionObservation(value, value, value, value, value, value, value, None)

    x, present = model_inputs(
        {"mid": seen(0.3), "stop": seen(0.4)}, {"stop": seen(0.5), "mid": seen(0.6)}, {}
    )
    assert len(x) == len(BLOCKS) * len(PLACES)
    assert x[:6] == [0.0, 0.0, 0.3, 0.4, 0.6, 0.0]
    assert present == [0.0, 0.0, 1.0, 1.0, 1.0, 0.0]
    *fields, last = (field.removesuffix("_s") for field in PositionObservation._fields)
    assert (*fields, "phased", last) == BLOCKS  # what older models were given stands first
    assert PLACES[: len(POSITIONS)] == POSITIONS


@given(
    st.lists(
        st.tuples(st.floats(0, 29), st.floats(0.01, 20)), max_size=8, unique_by=lambda v: v[0]
    ),
    st.booleans(),
)
def test_numbers_stay_in_their_ranges(spans: list[tuple[float, float]], standing: bool) -> None:
    at, stays = 0.0, []
    for on, long in sorted(spans):
        begin, end = max(on, at), min(max(on, at) + long, 30.0)
        if end > begin:
            stays.append(Stay(int(begin * SECOND), int(end * SECOND)))
            at = end
    on_ns = sum(stay.off_ns - stay.on_ns for stay in stays)
    since = int(at * SECOND) if standing else None
    on_ns += SLOT_NS - since if since is not None else 0
    one = LoopTick("n1", "lead", 0, SLOT_NS, SLOT_NS, on_ns, tuple(stays), 0, since)
    seen = observe([one], LANES, {})["north"]["mid"]
    assert 0 <= seen.lowest <= seen.mean <= seen.highest <= 1
    assert 0 <= seen.standing <= 1
    assert seen.longest_s <= 300
    x, _ = model_inputs({"mid": seen}, {}, {})
    assert all(abs(v) < 1e6 for v in x)
