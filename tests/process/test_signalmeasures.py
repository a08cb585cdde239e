"""What traffic did with its green: arrivals, queues, split failures; over windows and restarts."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.process.approachsignal import ApproachSignal, SignalSetup
from edge.process.debounce import Debouncer, LineEvent
from edge.process.merge import merge_bodies
from edge.process.phase import PhaseSetup
from edge.process.signalmeasures import SignalLane, merge_measures
from edge.wire.contract.body import body_map
from edge.wire.contract.signal import Signal
from tests.kit.engine import MINUTE, MS, PAIR, S, engine, found, presences

GREEN = PhaseSetup("north_green", "north", "green")
MINUTES = (MINUTE, 2 * MINUTE, 3 * MINUTE)


class SignalRun:
    """A signal with lanes whose lead loops are given as presences; a window is a minute."""

    def __init__(self, *lanes: SignalLane, on: bool = False) -> None:
        names = tuple((each.lane, each.position) for each in lanes)
        self.sites = lanes
        self.signal = ApproachSignal(SignalSetup("north", (GREEN,), names), lanes)
        self.signal.begin(0)
        self.lines = {each.lane: Debouncer(15 * MS) for each in lanes}
        self.start = 0
        self.signal.lines["north_green"].fold(found("north_green", on=on), 0)
        for name, line in self.lines.items():
            line.fold(found(name), 0)

    def lamp(self, *pairs: tuple[float, float]) -> None:
        self.signal.lines["north_green"].fold(presences("north_green", *pairs), self.start)

    def loop(self, lane: str, *pairs: tuple[float, float]) -> None:
        self.lines[lane].fold(presences(lane, *pairs), self.start)

    def to(self, end_ns: int) -> dict[str, dict[str, int]]:
        self.signal.run(self.start, end_ns)
        changes: dict[str, list[LineEvent]] = {}
        for name, line in self.lines.items():
            line.end_window(end_ns)
            changes[name] = line.take(end_ns)
        reported = self.signal.figures(self.start, end_ns, changes)
        self.start = end_ns
        return msgspec.to_builtins(reported)  # type: ignore[no-any-return]

    def reborn(self) -> None:
        state = msgspec.json.decode(msgspec.json.encode(self.signal.snapshot()))
        self.signal = ApproachSignal(self.signal.setup, self.sites)
        self.signal.begin(0)
        self.signal.restore(state, self.start)


STOP, FAR = SignalLane("stop_1", "stop"), SignalLane("far_1", "advance")


def test_arrivals_and_occupancy_are_told_by_colour() -> None:
    world = SignalRun(STOP)
    world.lamp((20, 50))
    world.loop("stop_1", (5, 22), (30, 30.5), (30.53, 31), (55, 56.25))
    assert world.to(MINUTE) == {
        "stop_1": {
            "cycles": 1,
            "green_us": 30_000_000,
            "red_us": 30_000_000,
            "arrivals": 3,  # a gap of 30 ms is one vehicle
            "arrivals_on_green": 1,
            "green_on_us": 2_970_000,
            "red_on_us": 16_250_000,
            "queue_at_green": 1,
            "cycles_judged": 1,
            "split_failures": 0,
        }
    }


def test_a_queue_that_reaches_the_advance_loop_is_told() -> None:
    world = SignalRun(STOP, FAR)
    world.lamp((10, 15), (30, 35), (50, 55))
    world.loop("stop_1", (5, 12), (25, 32))
    world.loop("far_1", (8, 14), (49, 51))
    reported = world.to(MINUTE)
    assert (reported["stop_1"]["queue_at_green"], reported["stop_1"]["queue_to_advance"]) == (2, 1)
    assert "queue_at_green" not in reported["far_1"]
    assert reported["far_1"]["arrivals"] == 2


@pytest.mark.parametrize(
    ("pair", "failed"),
    [((0, 60), 1), ((20, 54), 1), ((20, 53.9), 0), ((26, 60), 1), ((26.1, 60), 0), ((0, 50), 0)],
)
def test_a_split_failure_wants_four_fifths_of_green_and_of_five_seconds_of_red(
    pair: tuple[float, float], failed: int
) -> None:
    """Green for 30 s from second 20 on; red from second 50 on."""
    world = SignalRun(STOP)
    world.lamp((20, 50))
    world.loop("stop_1", pair)
    reported = world.to(MINUTE)["stop_1"]
    assert (reported["cycles_judged"], reported["split_failures"]) == (1, failed)


def test_red_of_less_than_five_seconds_is_not_judged() -> None:
    world = SignalRun(STOP)
    world.lamp((10, 30), (34, 50))
    assert world.to(MINUTE)["stop_1"]["cycles_judged"] == 1


def test_a_cycle_over_windows_and_a_restart_is_judged_once() -> None:
    world = SignalRun(STOP)
    world.lamp((50, 118))
    world.loop("stop_1", (45, 130))
    first = world.to(MINUTE)["stop_1"]
    assert (first["cycles"], first["cycles_judged"]) == (1, 0)
    world.reborn()
    assert world.to(2 * MINUTE)["stop_1"]["cycles_judged"] == 0
    world.reborn()
    third = world.to(3 * MINUTE)["stop_1"]
    assert (third["cycles"], third["cycles_judged"], third["split_failures"]) == (0, 1, 1)


def test_a_green_that_was_found_is_not_judged() -> None:
    world = SignalRun(STOP, on=True)
    world.signal.lines["north_green"].fold([Contact("north_green", False, 20 * S)], 0)
    world.loop("stop_1", (1, 40))
    reported = world.to(MINUTE)["stop_1"]
    assert (reported["green_us"], reported["cycles"], reported["cycles_judged"]) == (
        20_000_000,
        0,
        0,
    )


def test_a_loop_that_nobody_watched_has_no_figures_of_that_time() -> None:
    world = SignalRun(STOP)
    world.lamp((10, 50))
    world.lines["stop_1"].mark_unobserved(30 * S)
    reported = world.to(MINUTE)["stop_1"]
    assert reported["green_us"] == 20_000_000
    assert reported["cycles_judged"] == 0


def test_a_green_that_began_unwatched_is_no_cycle_of_the_lane() -> None:
    world = SignalRun(STOP)
    world.lamp((10, 50))
    world.lines["stop_1"].mark_unobserved(5 * S)
    reported = world.to(MINUTE)["stop_1"]
    assert (reported["cycles"], reported["red_us"]) == (0, 5_000_000)


def test_who_arrives_as_it_turns_green_arrives_on_green() -> None:
    world = SignalRun(STOP)
    world.lamp((20, 50))
    world.loop("stop_1", (20, 22), (50, 52))
    reported = world.to(MINUTE)["stop_1"]
    assert (reported["arrivals"], reported["arrivals_on_green"], reported["queue_at_green"]) == (
        2,
        1,
        0,
    )


def test_lost_edges_of_a_loop_leave_the_cycle_unjudged() -> None:
    world = SignalRun(STOP)
    world.lamp((20, 50))
    world.loop("stop_1", (5, 25))
    world.lines["stop_1"].fold([Contact("stop_1", True, 30 * S, lost=2)], 0)
    reported = world.to(MINUTE)["stop_1"]
    assert (reported["cycles"], reported["cycles_judged"]) == (1, 0)


def test_a_loop_in_pulse_mode_has_arrivals_only() -> None:
    world = SignalRun(SignalLane("stop_1", "stop", presence=False, merge_ns=0))
    world.lamp((10, 50))
    world.loop("stop_1", (20, 20.125), (55, 55.125))
    assert world.to(MINUTE) == {
        "stop_1": {
            "cycles": 1,
            "green_us": 40_000_000,
            "red_us": 20_000_000,
            "arrivals": 2,
            "arrivals_on_green": 1,
        }
    }


def test_without_a_colour_there_are_no_figures() -> None:
    world = SignalRun(STOP)
    world.signal.mark_unobserved(30 * S)
    world.signal.lines["north_green"].fold(found("north_green", at_s=50, on=True), 0)
    assert world.to(MINUTE) == {}
    reported = world.to(2 * MINUTE)["stop_1"]
    assert (reported["cycles"], reported["green_us"]) == (0, 60_000_000)  # nobody saw it begin


PAIRS = st.lists(st.integers(1, 179_000), min_size=2, max_size=24, unique=True).map(
    lambda ms: [(a / 1000, b / 1000) for a, b in zip(*[iter(sorted(ms)[: len(ms) & ~1])] * 2)]  # noqa: B905
)


@given(PAIRS, PAIRS, st.booleans())
def test_windows_restarts_and_merging_change_nothing(
    green: list[tuple[float, float]], on: list[tuple[float, float]], again: bool
) -> None:
    """Three windows merged, in either order, are the one long window."""

    def play(ends: Sequence[int]) -> list[dict[str, Any]]:
        world = SignalRun(STOP, FAR)
        world.lamp(*[(a, b) for a, b in green if b - a > 0.02])
        world.loop("stop_1", *[(a, b) for a, b in on if b - a > 0.02])
        reported = []
        for end in ends:
            reported.append(world.to(end)["stop_1"])
            if again:
                world.reborn()
        return reported

    (whole,) = play(MINUTES[-1:])
    a, b, c = play(MINUTES)
    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == whole


def merged(a: dict[str, int], b: dict[str, int]) -> dict[str, int]:
    both = merge_measures(msgspec.convert(a, Signal), msgspec.convert(b, Signal))
    return msgspec.to_builtins(both)  # type: ignore[no-any-return]


FIGURES = {"cycles": 2, "green_us": 9, "red_us": 5, "arrivals": 3, "arrivals_on_green": 1}


def test_a_window_without_figures_does_not_count_in_a_sum() -> None:
    lane, some = body_map(engine(PAIR).close(S)[0].body), {"signal": FIGURES}
    assert merge_bodies({**lane, **some}, lane)["signal"] == some["signal"]
    assert merge_bodies(lane, {**lane, **some})["signal"] == some["signal"]
    assert "signal" not in merge_bodies(lane, lane)
