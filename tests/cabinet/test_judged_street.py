"""The faults of a played street are called by their names by the gateway, and a sound one is not.

An hour passes in a second: the street's timeline and the daemon's pipeline share a virtual clock.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

import drivers
from drivers.sim.traffic import Flow
from edge.cabinet.cabinet import Cabinet, placed_site
from edge.cabinet.deskplaces import desk_places
from edge.cabinet.playedlines import StreetWish
from edge.config import Site, load_site
from edge.core import Contact, Edge, Stream
from edge.gateway.wiring import Wiring
from tests.kit.asread import as_read
from tests.long import one_in

S: Final = 1_000_000_000
EXAMPLE: Final = Path(__file__).parents[2] / "deploy" / "cabinet.example.toml"
SOUND_MIN: Final = 10  # minutes before the fault
WITHIN_MIN: Final = 30
WORDS: Final = {  # what is broken -> what the gateway calls it
    ("north_1", "stuck_on"): "stuck_on",
    ("north_1", "dead"): "stuck_off",
    ("north_1.trail", "dead"): "stuck_off",
    ("north_2", "chatter"): "chatter",
    ("north_2", "crosstalk"): "crosstalk",
    ("north_1.trail", "crosstalk"): "crosstalk",
    ("north_2", "splashover"): "splashover",
    ("north_1", "dead_pair"): "stuck_off",
    ("north_1", "breakup"): "breakup",
    ("north_1", "late_release"): "late_release",
    ("north_1", "undercount"): "undercount",
    ("north_2", "inverted"): "inverted",
    ("north_1", "swapped"): "swapped",
}


@dataclass
class JudgedStreet:
    """The lanes of the example. `events` are the gateway's, with the minute of each."""

    flow: float = 500.0
    more: str = ""  # of the site file, with every lane at a stop line
    seed: int = 1
    models: bool = False
    events: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    counted: int = 0
    edges: int = 0

    def __post_init__(self) -> None:
        site = load_site(EXAMPLE, drivers.catalogue())
        if self.more:
            site = with_signal(self.more)
        site = placed_site(site, desk_places(site, Path("/tmp"), {}))
        self.now_ns = 3600 * S
        wish = StreetWish(Flow(self.flow), self.seed)
        self.cabinet = Cabinet(site, street=wish, clock_ns=lambda: self.now_ns)
        self._wiring = Wiring.of(site)
        self._pipeline = self._wiring.pipeline()
        if self.models:
            self._pipeline.load()
        self._batch: list[Contact] = []
        self._lines = self.cabinet.lines["contacts"]
        self._lines.chip.path = None  # nobody is served
        self._lines.chip.drive = self._drive  # type: ignore[method-assign]
        self._pipeline.engine.start(self.now_ns)
        self._lines.start()
        self._batch.clear()  # idle levels are no edges

    def live(self, minutes: int) -> None:
        for _ in range(minutes):
            self.now_ns += 60 * S
            self.cabinet.timeline.run_until(self.now_ns)
            self._pipeline.engine.contacts(list(self._batch))
            self._batch.clear()
            minute = self.now_ns // (60 * S) - 60
            for draft in self._pipeline.engine.close(self.now_ns):
                body = as_read(draft)
                if "event" in body:
                    self.events.append((minute, body))
                if draft.stream is Stream.TRAFFIC and "volume" in body:
                    self.counted += body["volume"] or 0
                    self.records.append(body)

    def end(self) -> None:
        self._lines.stop()

    def faults(self, event: str = "sensor_fault") -> list[tuple[int, str]]:
        return [(minute, str(body.get("fault", ""))) for minute, body in self.events
                if body["event"] == event and body["state"] == "on"]  # fmt: skip

    def _drive(self, line: int | str, level: bool | None, mono_ns: int) -> None:
        self.edges += 1
        edge = Edge(str(line), bool(level), mono_ns, len(self._batch))
        self._batch.append(self._wiring.lined[str(line)].contact(edge))


def with_signal(more: str) -> Site:
    """The example at a stop line."""
    text = EXAMPLE.read_text(encoding="utf-8").replace('position = "mid"', 'position = "stop"')
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "site.toml")
        file.write_text(text + more, encoding="utf-8")
        return load_site(file, drivers.catalogue())


@pytest.mark.parametrize("flow", [150.0, 500.0, 1400.0])
@pytest.mark.parametrize("models", [False, True])
def test_of_a_sound_street_nothing_is_said_and_every_vehicle_is_counted(
    flow: float, models: bool
) -> None:
    street = JudgedStreet(flow, models=models)
    street.live(120)
    passed = sum(lane.vehicles for lane in street.cabinet.lines["contacts"].lanes.values())
    street.end()
    assert street.faults() == street.faults("congestion") == []
    assert street.counted == pytest.approx(passed, abs=4 + 0.002 * passed)  # some are on their way


@pytest.mark.parametrize("broken", WORDS, ids="-".join)
@pytest.mark.parametrize("seed", [1, 2, 3])
@one_in(3)
def test_a_fault_is_called_by_its_name(broken: tuple[str, str], seed: int) -> None:
    street = JudgedStreet(seed=seed)
    street.live(SOUND_MIN)
    street.cabinet.misbehave(*broken)
    street.live(WITHIN_MIN)
    street.end()
    said = [fault for _, fault in street.faults()]
    assert WORDS[broken] in said, street.events


def test_of_contacts_that_bounce_nothing_is_said_and_no_vehicle_is_counted_twice() -> None:
    sound, street = JudgedStreet(1000.0), JudgedStreet(1000.0)
    for loop in ("north_1", "north_1.trail", "north_2"):
        street.cabinet.misbehave(loop, "bounce")
    for each in (sound, street):
        each.live(60)
        each.end()
    assert street.faults() == []
    assert sound.counted > 1900
    assert abs(street.counted - sound.counted) <= 1  # one may be on its way at the end
    assert street.edges > 4 * sound.edges


def test_a_dead_card_lets_nobody_be_counted_on_any_lane() -> None:
    street = JudgedStreet()
    street.live(SOUND_MIN)
    street.cabinet.misbehave("north", "dead_card")
    street.live(2)  # who was on the loops may leave them
    before = street.counted
    street.live(10)
    assert street.counted == before
    street.cabinet.misbehave("north", "none")
    street.live(5)
    street.end()
    assert street.counted > before + 40


def test_dense_and_slow_traffic_is_congestion_and_its_end_is_seen() -> None:
    street = JudgedStreet()
    street.live(SOUND_MIN)
    street.cabinet.misbehave("north", "congestion")
    street.live(15)
    assert street.faults("congestion")
    assert street.faults() == []
    street.cabinet.misbehave("north", "none")
    street.live(20)
    street.end()
    ended = [body for _, body in street.events if body["event"] == "congestion"]
    assert ended[-1]["state"] == "off"


SIGNAL: Final = """
[device.north_green]
driver = "contact"
bus = "contacts"
line = "GPIO6"
phase = { approach = "north", colour = "green" }
"""


def test_vehicles_stand_at_red_and_leave_at_green() -> None:
    street = JudgedStreet(400.0, SIGNAL)
    street.live(120)
    passed = sum(lane.vehicles for lane in street.cabinet.lines["contacts"].lanes.values())
    street.end()
    assert [body for _, body in street.events if body["event"] == "sensor_fault"] == []
    assert street.counted == pytest.approx(passed, abs=6)
    told = [body["signal"] for body in street.records if "signal" in body]
    red = sum(one["red_on_us"] for one in told) / sum(one["red_us"] for one in told)
    green = sum(one["green_on_us"] for one in told) / sum(one["green_us"] for one in told)
    assert red > 0.5 > green
    assert sum(one["queue_at_green"] for one in told) > 100
    assert street.faults("congestion") == []


def test_more_than_a_signal_lets_through_is_no_endless_queue() -> None:
    street = JudgedStreet(1000.0, SIGNAL)
    street.live(120)
    assert street.cabinet.timeline.waiting() < 40
    passed = sum(lane.vehicles for lane in street.cabinet.lines["contacts"].lanes.values())
    street.end()
    assert 2 * 2 * 600 < passed < 2 * 2 * 800
    assert street.faults() == []
