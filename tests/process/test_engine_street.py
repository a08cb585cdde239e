"""Bays and signals in the engine: with lanes, over snapshots, merged as an outbox does."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.core.record import Draft, Stream
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.engine import Engine, EngineSetup, LaneSetup
from edge.process.enginesetup import ContactSetup
from edge.process.merge import merge_bodies
from edge.process.phase import PhaseSetup
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, S, body, events, found, presences

GREEN = PhaseSetup("north_green", "north", "green")
SETUP = EngineSetup(
    lanes=(LaneSetup("stop_1", "north"), LaneSetup("far_1", "north"), LaneSetup("east_1", "north")),
    contacts=(ContactSetup("door", "door"),),
    bays=(BaySetup("bakery", "loading", max_stay_min=2.0),),
    signals=(
        SignalSetup(
            "north", (GREEN,), (("stop_1", "stop"), ("far_1", "advance"), ("east_1", "corridor"))
        ),
    ),
)
SOURCES = ("stop_1.lead", "far_1.lead", "east_1.lead", "bakery", "north_green")


def started(setup: EngineSetup = SETUP) -> Engine:
    engine = Engine(setup)
    engine.start(0)
    engine.contacts([*found(*SOURCES[:-1]), *found(SOURCES[-1], at_s=1)])
    return engine


def street() -> list[Contact]:
    """Three minutes: three greens, a queue at the second, a delivery, and a door."""
    reported = [
        *presences("north_green", (20, 50), (80, 110), (140, 170)),
        *presences("stop_1.lead", (30, 31), (70, 118), (150, 151)),
        *presences("far_1.lead", (28, 28.5), (79, 82), (149, 149.5)),
        *presences("east_1.lead", (33, 34)),
        *presences("bakery", (10, 170)),
        Contact("door", True, 5 * S),
    ]
    return sorted(reported, key=lambda each: each.mono_ns)


def play(engine: Engine, reported: Sequence[Contact], size: int, again: int = 0) -> list[Draft]:
    """Three minutes, in batches of `size`; born again from a snapshot after minute `again`."""
    drafts: list[Draft] = []
    at = 0
    for minute in (1, 2, 3):
        while at < len(reported) and reported[at].mono_ns < minute * MINUTE:
            drafts += engine.contacts(reported[at : at + size])
            at += size
        drafts += engine.close(minute * MINUTE)
        if minute == again:
            # what was taken beyond the window is read back from the stage
            contacts, _ = engine.pending()
            state = msgspec.msgpack.decode(msgspec.msgpack.encode(engine.snapshot()))
            engine = Engine(engine.setup)
            engine.restore(state)
            assert engine.dropped == ()
            engine.contacts(contacts)
    return drafts


def test_a_lane_says_what_it_did_with_its_green() -> None:
    drafts = play(started(), street(), 1)
    stop = [as_read(each) for each in drafts if each.source == "stop_1"]
    assert "signal" not in stop[0], "the level was found in this window"
    assert stop[1]["signal"] == {
        "cycles": 1,
        "green_us": 30_000_000,
        "red_us": 30_000_000,
        "arrivals": 1,
        "arrivals_on_green": 0,
        "green_on_us": 30_000_000,
        "red_on_us": 18_000_000,
        "queue_at_green": 1,
        "cycles_judged": 1,
        "split_failures": 1,
        "queue_to_advance": 1,
    }
    far = [as_read(each) for each in drafts if each.source == "far_1"][2]["signal"]
    assert (far["arrivals"], far["arrivals_on_green"]) == (1, 1)
    assert all("signal" not in as_read(each) for each in drafts if each.source == "east_1")


def test_a_phase_makes_no_events_and_no_records() -> None:
    drafts = play(started(), street(), 1)
    assert {each.source for each in drafts} == {"stop_1", "far_1", "east_1", "bakery", "door"}
    assert [(each.source, as_read(each)["event"]) for each in events(drafts)] == [
        ("door", "door"),
        ("bakery", "overstay"),
        ("bakery", "overstay"),
    ]


def test_a_phase_that_rests_is_told_with_its_window() -> None:
    engine = started()
    drafts = [draft for i in range(1, 12) for draft in engine.close(i * MINUTE)]
    (fault,) = events(drafts)
    assert (fault.source, as_read(fault)["fault"], fault.from_ns) == (
        "north_green",
        "phase",
        601 * S,
    )
    reported = ["signal" in as_read(each) for each in drafts if each.source == "stop_1"]
    assert reported == [False, *[True] * 9, False]


def test_the_slots_of_a_lane_with_a_signal_tell_green() -> None:
    engine = started()
    engine.contacts(street())
    engine.close(MINUTE)
    assert {each.green_ns for each in engine.ticks} == {None}  # not known from its begin
    engine.close(2 * MINUTE)
    reported = {
        (each.lane, each.from_ns // S): (each.green_ns, each.green_on_ns) for each in engine.ticks
    }
    assert reported[("stop_1", 60)] == (10 * S, 10 * S)
    assert reported[("stop_1", 90)] == (20 * S, 20 * S)
    assert reported[("far_1", 60)] == (10 * S, 2 * S)


def test_a_lane_that_is_not_to_be_believed_has_no_figures_of_its_signal() -> None:
    engine = started()
    engine.contacts([Contact("stop_1.lead", True, 10 * S)])
    for minute in range(1, 7):
        reported = presences("north_green", (minute * 60 - 40, minute * 60 - 10))
        engine.contacts(reported)
        drafts = engine.close(minute * MINUTE)
    assert body(drafts, "stop_1")["health"] == "stuck_on"
    assert "signal" not in body(drafts, "stop_1")
    assert "signal" in body(drafts, "far_1")


def test_who_stands_in_a_bay_is_there_after_a_gap() -> None:
    engine = started()
    engine.contacts([Contact("bakery", True, 30 * S)])
    engine.close(MINUTE)
    engine.mark_gap(70 * S, 90 * S)
    engine.contacts(found("bakery", at_s=90, on=True))
    reported = body(engine.close(2 * MINUTE), "bakery")
    assert (reported["covered_s"], reported["occupied"], reported["since_s"]) == (40.0, 1, 120.0)
    engine.closed("bakery", 130 * S)
    reported = body(engine.close(3 * MINUTE), "bakery")
    assert (reported["covered_s"], reported["occupied"]) == (10.0, None)


def test_a_partial_window_is_marked_on_bays_too() -> None:
    engine = started()
    assert body(engine.close(30 * S, partial=True), "bakery")["partial"] is True


def test_a_bay_that_the_snapshot_does_not_know_begins_unobserved() -> None:
    engine = started()
    engine.close(MINUTE)
    other = Engine(SETUP)
    other.restore({**engine.snapshot(), "bays": {}, "signals": {}})
    assert body(other.close(2 * MINUTE), "bakery")["health"] == "unobserved"


def test_a_bay_that_is_gone_is_dropped() -> None:
    engine = started()
    engine.close(MINUTE)
    other = Engine(EngineSetup(lanes=SETUP.lanes))
    other.restore(engine.snapshot())
    assert other.dropped == ("bakery", "north")


@pytest.mark.parametrize(
    "wrong",
    [
        {"bays": (BaySetup("stop_1"),)},
        {"signals": SETUP.signals * 2},
        {"signals": (SignalSetup("north", (GREEN,), (("stop_9", "stop"),)),)},
    ],
)
def test_what_cannot_be_one_site_is_refused(wrong: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(ValueError, match=r"same name|same approach|a lane that is not there"):
        EngineSetup(lanes=SETUP.lanes, **wrong)  # type: ignore[arg-type]


@given(st.integers(1, 40), st.integers(0, 3))
def test_batches_and_restarts_change_nothing(size: int, again: int) -> None:
    assert play(started(), street(), size, again) == play(started(), street(), 1)


def test_records_of_bays_and_signals_merge_in_any_order() -> None:
    drafts = play(started(), street(), 1)
    for source, stream in (("bakery", Stream.BAY), ("stop_1", Stream.TRAFFIC)):
        a, b, c = (
            as_read(each) for each in drafts if (each.source, each.stream) == (source, stream)
        )
        left, right = merge_bodies(merge_bodies(a, b), c), merge_bodies(a, merge_bodies(b, c))
        assert msgspec.json.encode(left) == msgspec.json.encode(right)
    merged = merge_bodies(merge_bodies(a, b), c)
    assert merged["signal"]["cycles"] == 2
    assert merged["signal"]["split_failures"] == 1


def test_a_bay_and_a_lane_do_not_merge() -> None:
    drafts = play(started(), street(), 1)
    lane, bay = (next(as_read(d) for d in drafts if d.source == s) for s in ("stop_1", "bakery"))
    with pytest.raises(ValueError, match="no summaries of one source"):
        merge_bodies(lane, bay)
    with pytest.raises(ValueError, match="missing required field"):
        merge_bodies({"bay": "bakery"}, bay)
