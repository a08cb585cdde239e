"""A bay: stays over windows and restarts, overstays, passers-by, and what nobody saw."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from edge.core.edge import Contact
from edge.core.record import Draft, Stream
from edge.process.baywindow import BaySetup, BayWindow
from edge.process.merge import merge_bodies
from tests.kit.asread import as_read
from tests.kit.engine import MINUTE, MS, S, found, presences

SETUP = BaySetup("bay_1", "loading", max_stay_min=10.0)


class BayRun:
    """One bay, closed every minute; what it told."""

    def __init__(self, setup: BaySetup = SETUP) -> None:
        self.bay = BayWindow(setup)
        self.bay.begin(0)
        self.start = 0
        self.bodies: list[Any] = []
        self.events: list[Draft] = []

    def fold(self, *contacts: Contact) -> None:
        self.bay.lines["bay_1"].fold(contacts, self.start)

    def to(self, end_ns: int, marks: Sequence[str] = ()) -> Any:
        """Close minute by minute; gives the last body."""
        while self.start < end_ns:
            end = min(self.start + MINUTE, end_ns)
            draft, events = self.bay.close(self.start, end, marks)
            assert (draft.stream, draft.source) == (Stream.BAY, "bay_1")
            assert all(self.start <= each.from_ns <= end for each in events)
            self.start = end
            self.bodies.append(as_read(draft))
            self.events += events
        return self.bodies[-1]

    def total(self, key: str) -> int:
        return sum(body.get(key) or 0 for body in self.bodies)

    def states(self) -> list[tuple[float, str]]:
        return [(each.from_ns / S, as_read(each)["state"]) for each in self.events]

    def reborn(self) -> "BayRun":
        """The same bay in another process, from a snapshot on a disk."""
        other = BayRun(self.bay.setup)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.bay.snapshot()))
        other.bay.restore(state, self.start)
        other.start, other.bodies, other.events = self.start, self.bodies, self.events
        return other


def watched(setup: BaySetup = SETUP, on: bool = False) -> BayRun:
    world = BayRun(setup)
    world.fold(*found("bay_1", on=on))
    return world


def test_a_stay_over_windows_is_counted_once_and_to_the_microsecond() -> None:
    world = watched()
    world.fold(*presences("bay_1", (50.25, 200.75)))
    assert world.to(MINUTE)["occupied"] == 1
    assert world.bodies[0]["since_s"] == 0.0
    assert world.bodies[0]["arrivals"] == 0  # ten seconds have not passed yet
    world.to(5 * MINUTE)
    assert [body["arrivals"] for body in world.bodies] == [0, 1, 0, 0, 0]
    assert [body["departures"] for body in world.bodies] == [0, 0, 0, 1, 0]
    assert world.total("occupied_us") == 150_500_000
    stay = world.bodies[3]["stay"]
    assert (stay["n"], stay["sum"]) == (1, 150_500)
    assert world.bodies[4] | {"covered_s": 60.0, "occupied": 0, "since_s": None} == world.bodies[4]


def test_who_leaves_within_ten_seconds_passed_by() -> None:
    world = watched()
    world.fold(*presences("bay_1", (5, 14.999), (30, 40.0)))
    body = world.to(MINUTE)
    assert (body["arrivals"], body["departures"], body["passers"]) == (1, 1, 1)
    assert body["stay"]["sum"] == 10_000
    assert body["occupied_us"] == 19_999_000  # occupied is occupied


def test_a_loop_that_opens_for_a_moment_has_not_been_left() -> None:
    world = watched()
    world.fold(*presences("bay_1", (10, 30), (31.9, 50)))
    body = world.to(MINUTE)
    assert (body["arrivals"], body["stay"]["sum"]) == (1, 40_000)
    assert body["occupied_us"] == 38_100_000


def test_one_that_opens_for_two_seconds_has_been_left() -> None:
    world = watched()
    world.fold(*presences("bay_1", (10, 30), (32, 58)))
    assert world.to(MINUTE)["departures"] == 1
    assert world.to(2 * MINUTE)["departures"] == 1  # certain at the very end of the window


def test_an_overstay_is_an_event_and_its_time_is_exact() -> None:
    world = watched()
    world.fold(*presences("bay_1", (30, 1530.5)))  # 25 minutes and half a second
    world.to(30 * MINUTE)
    assert world.states() == [(630.0, "on"), (1532.5, "off")]
    assert world.total("overstays") == 1
    assert world.total("overstay_us") == 900_500_000
    assert [body["overstay_us"] for body in world.bodies][10:12] == [30_000_000, 60_000_000]
    on, off = (as_read(each) for each in world.events)
    assert on["text"] == "bay_1: occupied by one vehicle for 10 minutes, which is the limit."
    assert off["text"] == "bay_1: the vehicle left after 25 minutes; the limit is 10."
    assert off["stay_s"] == 1500.0


@pytest.mark.parametrize("ms", [1, 17_250, 29_999])
def test_a_single_stay_is_told_in_whole_minutes(ms: int) -> None:
    """Nobody is to find one vehicle's stay by its milliseconds."""
    world = watched()
    world.fold(*presences("bay_1", (60 - ms / 1000, 720 + ms / 2000)))
    world.to(13 * MINUTE)
    reported = [body["since_s"] for body in world.bodies]
    assert reported == [60.0 * n for n in range(12)] + [None]
    assert as_read(world.events[1])["stay_s"] == 660.0 + 60.0 * (ms * 1.5 > 30_000)


def test_time_in_the_dark_is_no_overstay_and_none_of_it_comes_in_a_later_window() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.bay.mark_unobserved(700 * S)
    world.to(12 * MINUTE)
    world.fold(*found("bay_1", at_s=750, on=True))
    world.to(14 * MINUTE)
    assert [b["overstay_us"] / 1e6 for b in world.bodies[10:]] == [30.0, 40.0, 30.0, 60.0]
    assert [b["covered_s"] for b in world.bodies[11:]] == [40.0, 30.0, 60.0]


def test_a_contact_that_opens_over_a_border_makes_no_window_longer_than_it_is() -> None:
    world = watched()
    world.fold(*presences("bay_1", (30, 719), (720.5, 900)))
    world.to(14 * MINUTE)
    assert [b["overstay_us"] / 1e6 for b in world.bodies[10:]] == [30.0, 59.0, 59.5, 60.0]


def test_while_edges_were_lost_nobody_stood_too_long() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.to(11 * MINUTE)
    world.fold(Contact("bay_1", True, 700 * S, lost=2))
    world.to(12 * MINUTE)
    assert world.states() == [(630.0, "on"), (700.0, "off")]
    assert (world.bodies[11]["overstay_us"], world.bodies[11]["occupied_us"]) == (0, 20_000_000)


def test_without_a_limit_nobody_stays_too_long() -> None:
    world = watched(BaySetup("bay_1", "parking"))
    world.fold(*presences("bay_1", (30, 90_000)))
    world.to(91_000 * S)
    assert world.events == []
    assert world.total("overstay_us") == 0
    assert sum(body["stay"]["sum"] for body in world.bodies) == 89_970_000


def test_who_was_found_there_has_stayed_at_least_so_long() -> None:
    world = watched(on=True)
    world.fold(Contact("bay_1", False, 700 * S))
    world.to(15 * MINUTE)
    assert world.total("arrivals") == 0  # nobody saw it come
    assert world.total("departures") == 1
    assert all(body["stay"]["n"] == 0 for body in world.bodies)
    assert [as_read(each)["text"] for each in world.events] == [
        "bay_1: occupied by one vehicle for at least 10 minutes, which is the limit.",
        "bay_1: the vehicle left after at least 12 minutes; the limit is 10.",
    ]
    assert world.bodies[11]["quality"] == {"uncertain:gap": 1}


def test_what_nobody_watched_is_not_free() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.bay.mark_unobserved(45 * S)
    body = world.to(MINUTE)
    assert (body["covered_s"], body["occupied_us"], body["occupied"]) == (45.0, 15_000_000, None)
    world.to(2 * MINUTE)
    body = world.to(3 * MINUTE)
    assert body["health"] == "unobserved"
    assert body["covered_s"] == 0
    assert body["quality"] == {"bad:gap": 1}
    for key in ("occupied_us", "occupancy", "arrivals", "departures", "stay", "overstays"):
        assert body[key] is None, key
    assert world.bodies[1]["quality"] == {"bad:gap": 1}


def test_a_gap_of_less_than_a_minute_does_not_end_a_stay() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.to(MINUTE)
    world = world.reborn()
    world.bay.mark_unobserved(70 * S)
    world.fold(*found("bay_1", at_s=100, on=True), Contact("bay_1", False, 900 * S))
    world.to(20 * MINUTE)
    assert (world.total("arrivals"), world.total("departures")) == (1, 1)
    assert [body["stay"]["sum"] for body in world.bodies if body["stay"]["n"]] == [870_000]
    assert world.bodies[15]["quality"] == {"uncertain:gap": 1}
    assert world.total("occupied_us") == 840_000_000  # without the half minute in the dark
    assert world.states() == [(630.0, "on"), (902.0, "off")]
    assert world.total("overstay_us") == 270_000_000


def test_after_a_longer_gap_it_is_another_stay() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.to(11 * MINUTE)
    world.bay.mark_unobserved(700 * S)
    world.fold(*found("bay_1", at_s=760, on=True))
    world.to(14 * MINUTE)
    assert world.states() == [(630.0, "on"), (760.0, "off")]
    assert "is not known" in as_read(world.events[1])["text"]
    assert world.bodies[12]["quality"] == {"uncertain:gap": 1}
    assert world.bodies[13]["since_s"] == 60.0


def test_who_left_in_a_gap_has_left() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.to(MINUTE)
    world.bay.mark_unobserved(70 * S)
    world.fold(*found("bay_1", at_s=100))
    body = world.to(2 * MINUTE)
    assert (body["departures"], body["stay"]["n"], body["occupied"]) == (1, 0, 0)


def test_lost_edges_end_what_is_known() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S), Contact("bay_1", True, 200 * S, lost=3))
    world.to(4 * MINUTE)
    assert world.total("lost_edges") == 3
    assert world.total("departures") == 0
    assert world.bodies[3]["quality"] == {"uncertain:gap": 1}
    assert world.bodies[3]["since_s"] == 60.0


def test_a_departure_is_certain_after_the_gap_began() -> None:
    world = watched()
    world.fold(*presences("bay_1", (10, 59)))
    world.bay.mark_unobserved(MINUTE)
    assert world.to(MINUTE)["departures"] == 0
    body = world.to(2 * MINUTE)
    assert (body["departures"], body["health"]) == (1, "unobserved")
    assert body["quality"] == {"bad:gap": 1, "good": 1}


def test_a_contact_that_chatters_tells_nothing() -> None:
    world = watched()
    for i in range(2000):
        world.fold(Contact("bay_1", i % 2 == 0, 10 * S + i * 5 * MS))
    body = world.to(MINUTE)
    assert body["health"] == "chatter"
    assert body["quality"] == {"bad:fault": 1}
    assert body["void_s"] == body["covered_s"] == 60.0
    assert body["occupied"] is None


@pytest.mark.parametrize("again", [False, True])
def test_a_start_over_ends_an_overstay(again: bool) -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.to(11 * MINUTE)
    world.bay.begin(12 * MINUTE)
    world.start = 12 * MINUTE
    if again:  # killed before the first window was over
        world = world.reborn()
    world.to(14 * MINUTE)
    assert world.states() == [(630.0, "on"), (720.0, "off")]


def test_an_end_that_was_not_told_yet_outlives_another_start() -> None:
    world = watched()
    world.fold(Contact("bay_1", True, 30 * S))
    world.to(11 * MINUTE)
    for minute in (12, 13):  # the power fails before the first window is over
        world = world.reborn()
        world.bay.begin(minute * MINUTE)
        world.start = minute * MINUTE
    world.to(15 * MINUTE)
    assert world.states() == [(630.0, "on"), (780.0, "off")]


def test_nothing_is_told_by_which_a_vehicle_could_be_known_again() -> None:
    """Its stay can be read; no length, speed or trace of its loop, and no other key by chance."""
    world = watched()
    world.fold(*presences("bay_1", (5, 14), (30, 700.25)))
    world.to(13 * MINUTE)
    assert {key for body in world.bodies for key in body} == {
        "bay", "kind", "covered_s", "occupied_us", "occupancy", "arrivals", "departures", "stay",
        "overstays", "overstay_us", "occupied", "since_s", "quality", "health", "passers",
    }  # fmt: skip
    assert {key for each in world.events for key in as_read(each)} == {
        "event", "state", "by", "max_stay_min", "stay_s", "text"
    }  # fmt: skip


def test_a_mark_is_in_the_quality() -> None:
    assert watched().to(MINUTE, ["uncertain:clock"])["quality"] == {"uncertain:clock": 1}


@pytest.mark.parametrize(
    "wrong", [{"max_stay_min": -1}, {"min_stay_s": 601}, {"max_stay_min": 0.1}, {"bounce_ms": 0}]
)
def test_what_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="bay bay_1: "):
        BaySetup("bay_1", **{"kind": "loading", **wrong})  # type: ignore[arg-type]


def test_two_bays_cannot_be_one() -> None:
    body = watched().to(MINUTE)
    for other in ({"bay": "bay_2"}, {"kind": "parking"}):
        with pytest.raises(ValueError, match="cannot be one"):
            merge_bodies(body, {**body, **other})
