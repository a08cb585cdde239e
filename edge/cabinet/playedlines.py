"""The GPIO lines of a played cabinet: lanes with traffic, signals, bays, pulses, contacts."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from drivers.sim.contact import PATTERNS
from drivers.sim.contactplay import CYCLE, BayPlay, CyclePlay, PulsePlay, SignalPlay
from drivers.sim.drivencontact import FLUTTER_S, PULSE_FLUTTER_S, Drive, DrivenContact
from drivers.sim.gpio import SimChip
from drivers.sim.lanetraffic import LaneTraffic
from drivers.sim.loopcard import LoopCard
from drivers.sim.timeline import Timeline
from drivers.sim.traffic import Flow, LoopLayout, VehicleStream
from edge.config import GpioBus, Lane, Site
from edge.core import ConfigError, Edge

PI_LINES: Final = 58  # of the chip of a Raspberry Pi 4; others have a few less
OFFSET: Final = re.compile(r"(?:GPIO)?(\d{1,5})")
USUAL_KMH: Final = 50.0
OPEN_ROAD_KMH: Final = 80.0
SINGLE_M: Final = 4.0  # a lane with one loop has no distance
HEAT_W: Final = 900.0  # what flows through a meter with a pulse output
Hour = Callable[[], float]


@dataclass(slots=True)
class PlayedLines:
    """One chip. `contacts` by name of a device or a bay, `loops` by `LANE.lead`, `LANE.trail`,
    `signals` by approach.
    """

    chip: SimChip
    timeline: Timeline
    contacts: dict[str, DrivenContact] = field(default_factory=dict)
    loops: dict[str, LoopCard] = field(default_factory=dict)
    lanes: dict[str, LaneTraffic] = field(default_factory=dict)
    signals: dict[str, SignalPlay] = field(default_factory=dict)
    plays: list[PulsePlay | CyclePlay | BayPlay] = field(default_factory=list)

    @property
    def place(self) -> str:
        """Where its clients find it."""
        return str(self.chip.path)

    def start(self) -> None:
        """Drive every line idle, then let things happen. Raises OSError for a path that is used."""
        self.chip.start()
        now_ns = self.timeline.clock_ns()
        for contact in (*self.contacts.values(), *self.loops.values()):
            contact.begin(now_ns)
        # traffic looks at the signals
        for play in (*self.plays, *self.signals.values(), *self.lanes.values()):
            play.begin(now_ns)

    def stop(self) -> None:
        """The lines are gone. Always safe."""
        self.chip.close()


@dataclass(frozen=True, slots=True)
class StreetWish:
    """How much traffic there is, and by which seed it is drawn. `hour` is the hour of the day."""

    flow: Flow = field(default_factory=Flow)
    seed: int = 1
    hour: Hour = lambda: 12.0


def play_lines(
    site: Site, bus: str, keys: GpioBus, timeline: Timeline, wish: StreetWish
) -> PlayedLines:
    """Everything on one GPIO bus, not served yet. Raises ConfigError for a line that is not there.

    Each lane, bay and contact has a seed of its own, from its name: another one beside it changes
    nothing.
    """
    played = PlayedLines(site_chip(site, bus, keys, timeline.clock_ns), timeline)
    signals: dict[str, dict[str, list[DrivenContact]]] = {}
    for name, device in site.devices_on(bus).items():
        line, active = str(device.options["line"]), device.options.get("active", "low")
        contact = DrivenContact(
            timeline, _drive(played, line), active == "high", _seed(wish, name),
            PULSE_FLUTTER_S if device.driver == "s0" else FLUTTER_S,
        )  # fmt: skip
        played.contacts[name] = contact
        if device.phase is not None:
            colours = signals.setdefault(device.phase.approach, {})
            colours.setdefault(device.phase.colour, []).append(contact)
        elif device.driver == "s0":
            per_kwh = int(device.options.get("imp_per_kwh", 1000))
            played.plays.append(PulsePlay(timeline, contact, per_kwh, lambda: HEAT_W))
        else:
            played.plays.append(CyclePlay(timeline, contact, *PATTERNS["contact"]))
    cycle_s = sum(seconds for _, seconds in CYCLE)
    for turn, (approach, colours) in enumerate(sorted(signals.items())):
        offset_s = turn * cycle_s / len(signals)
        played.signals[approach] = SignalPlay(timeline, colours, offset_s)
    for name, lane in site.lanes_on(bus).items():
        signal = played.signals.get(lane.approach) if lane.position == "stop" else None
        _lane(played, name, lane, wish, signal)
    _neighbours(site, bus, played)
    for name, bay in site.bays_on(bus).items():
        contact = DrivenContact(
            timeline, _drive(played, bay.line), bay.active == "high", _seed(wish, name)
        )
        played.contacts[name] = contact
        played.plays.append(BayPlay(timeline, contact, _seed(wish, name)))
    return played


class RecordedLines:
    """Lines of a chip that recorded edges drive, in place of traffic of our own.

    An edge's stamp is in ns of the recording, which began at `zero_ns` of the timeline.
    """

    def __init__(
        self, chip: SimChip, timeline: Timeline, edges: Iterable[Edge], zero_ns: int,
        levels: Mapping[str, bool],
    ) -> None:  # fmt: skip
        self.chip, self.timeline = chip, timeline
        self._edges, self._zero_ns, self._levels = iter(edges), zero_ns, levels

    @property
    def place(self) -> str:
        """Where its clients find it."""
        return str(self.chip.path)

    def start(self) -> None:
        """Drive the lines as they stand, then as recorded. Raises OSError as the chip does."""
        now_ns = self.timeline.clock_ns()
        for line, high in self._levels.items():
            self.chip.drive(line, high, now_ns)
        self.chip.start()
        self._plan()

    def stop(self) -> None:
        self.chip.close()

    def _plan(self) -> None:
        if (edge := next(self._edges, None)) is not None:
            at_ns = self._zero_ns + edge.mono_ns
            self.timeline.at(at_ns, lambda t_ns: self._play(edge, t_ns))

    def _play(self, edge: Edge, t_ns: int) -> None:
        self.chip.drive(edge.line, edge.high, t_ns)
        self._plan()


def site_chip(site: Site, bus: str, keys: GpioBus, clock_ns: Callable[[], int]) -> SimChip:
    """A chip like that of a Raspberry Pi, and with the lines that the site calls by other names.

    Raises ConfigError for a number that it has not.
    """
    names = [f"GPIO{number}" for number in range(PI_LINES)]
    for path, line in site_lines(site, bus):
        found = OFFSET.fullmatch(line)
        if found is None:
            names.append(line)
        elif int(found[1]) >= PI_LINES:
            raise ConfigError(
                f"{path}: {line}: the simulated chip has GPIO0 to GPIO{PI_LINES - 1}, as that of a "
                "Raspberry Pi"
            )
    return SimChip(names, Path(keys.chip.removeprefix("sim:")), clock_ns=clock_ns)


def site_lines(site: Site, bus: str) -> Iterator[tuple[str, str]]:
    """All lines of a bus, each with the key that names it."""
    for name, lane in site.lanes_on(bus).items():
        yield f"lane.{name}.lead", lane.lead
        if lane.trail:
            yield f"lane.{name}.trail", lane.trail
    for name, bay in site.bays_on(bus).items():
        yield f"bay.{name}.line", bay.line
    for name, device in site.devices_on(bus).items():
        if "line" not in device.options:  # a driver of somebody's own package
            raise ConfigError(f"device.{name}: nothing simulates {device.driver}: leave it out")
        yield f"device.{name}.line", str(device.options["line"])


def _lane(
    played: PlayedLines, name: str, lane: Lane, wish: StreetWish, signal: SignalPlay | None
) -> None:
    lead = _loop(played, f"{name}.lead", lane.lead, lane, wish)
    trail = None if lane.trail is None else _loop(played, f"{name}.trail", lane.trail, lane, wish)
    speed_kmh = lane.limit_kmh or (OPEN_ROAD_KMH if lane.position == "corridor" else USUAL_KMH)
    layout = LoopLayout(lane.spacing_m or SINGLE_M, lane.loop_m)
    stream = VehicleStream(layout, speed_kmh, _seed(wish, name), bicycles=lane.kind == "bicycle")
    played.lanes[name] = LaneTraffic(
        played.timeline, stream, lead, trail, lambda: wish.flow.at(wish.hour()), signal
    )


def _loop(played: PlayedLines, name: str, line: str, lane: Lane, wish: StreetWish) -> LoopCard:
    drive, high = _drive(played, line), lane.active == "high"
    played.loops[name] = LoopCard(played.timeline, drive, high, lane.mode, _seed(wish, name))
    return played.loops[name]


def _neighbours(site: Site, bus: str, played: PlayedLines) -> None:
    """Lanes of one approach lie beside each other in the order of the file."""
    for lanes in site.approaches.values():
        here = [name for name in lanes if name in site.lanes_on(bus)]
        for one, other in pairwise(here):
            for role in ("lead", "trail"):
                left, right = (played.loops.get(f"{name}.{role}") for name in (one, other))
                if left is not None and right is not None:
                    right.beside(left)
                    if left.neighbour is None:
                        left.beside(right)


def _drive(played: PlayedLines, line: str) -> Drive:
    name = f"GPIO{int(line)}" if line.isdecimal() else line
    return lambda high, t_ns: played.chip.drive(name, high, t_ns)


def _seed(wish: StreetWish, name: str) -> int:
    """The same for a name in each run; Python's own hash is not."""
    found = wish.seed
    for byte in name.encode():
        found = (found * 257 + byte) % 2**61
    return found
