"""What the engine must know about a site: lanes, bays, signals, polled devices, pulse meters."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from edge.core.point import Point
from edge.core.record import Stream
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.calibration import Correction, GasCell, InputPoint
from edge.process.traffic.passage import LENGTH_CLASSES, Classes, Kind, classes_problem

MIN_SPACING_M: Final[Mapping[Kind, float]] = {"vehicle": 1.8288, "bicycle": 0.5}
"""Six feet: below it a loop pair gives no speed (MnDOT IRIS, DetectionEvent). Loops for bicycles
lie closer, and bicycles are slower."""


@dataclass(frozen=True, slots=True)
class LaneSetup:
    """One lane: a loop, or a pair of loops when `spacing_m` is given.

    `spacing_m` runs from leading edge to leading edge, `loop_m` is the length of a loop along the
    lane. Contacts come as `{name}.lead` and `{name}.trail`. What is no bicycle, by its speed or its
    length, counts on a lane of that kind, and has no speed. Raises ValueError for what cannot work.
    """

    name: str
    approach: str
    spacing_m: float | None = None
    loop_m: float = 2.0
    mode: Literal["presence", "pulse"] = "presence"
    kind: Kind = "vehicle"
    max_presence_s: float = 300.0
    bounce_ms: float = 15.0  # chatter shorter than this is one edge: its first
    merge_ms: float = 60.0  # a vehicle that breaks up for less than this is one vehicle
    # By how much the on-times of a pair may differ. MnDOT IRIS takes 0.1, on freeways; vehicles
    # that brake towards a queue need more: without them the speed of a jam comes out too high.
    tolerance: float = 0.2
    no_activity_s: float = 0.0  # 0: a silent loop is no fault (an empty road is silent, too)
    # What a loop adds to a vehicle's length: its field is not as long as its wire. None: `loop_m`.
    effective_m: float | None = None
    limit_kmh: float | None = None  # what a lane without a pair scales its speeds by
    classes: Classes = LENGTH_CLASSES  # for lanes of vehicles
    # Ours, after the German table of fines: it begins at half of half the speedometer's figure in
    # metres, which is 0.9 s at any speed.
    tailgate_s: float = 0.9
    stopped_s: float = 10.0  # who is on the loop for longer has stopped there

    def __post_init__(self) -> None:
        least = MIN_SPACING_M[self.kind]
        if self.spacing_m is not None and not least <= self.spacing_m <= 100:
            raise ValueError(f"lane {self.name}: spacing_m must be {least} to 100")
        if not 0.2 <= self.loop_m <= 50:
            raise ValueError(f"lane {self.name}: loop_m must be 0.2 to 50")
        if not 1 <= self.bounce_ms <= 100 or not self.bounce_ms <= self.merge_ms <= 1000:
            raise ValueError(f"lane {self.name}: 1 <= bounce_ms <= 100, bounce_ms <= merge_ms")
        if not 1 <= self.max_presence_s <= 86_400 or self.no_activity_s < 0:
            raise ValueError(f"lane {self.name}: max_presence_s 1 to 86400, no_activity_s >= 0")
        if not 0 < self.tolerance < 1:
            raise ValueError(f"lane {self.name}: tolerance must be between 0 and 1")
        if not 0.2 <= self.zone_m <= 50:
            raise ValueError(f"lane {self.name}: effective_m must be 0.2 to 50")
        if self.limit_kmh is not None and not 5 <= self.limit_kmh <= 200:
            raise ValueError(f"lane {self.name}: limit_kmh must be 5 to 200")
        if not 0 < self.tailgate_s <= 10 or not 3 <= self.stopped_s <= self.max_presence_s:
            raise ValueError(
                f"lane {self.name}: tailgate_s above 0 to 10, stopped_s 3 to max_presence_s"
            )
        if wrong := classes_problem(self.classes):
            raise ValueError(f"lane {self.name}: {wrong}")

    @property
    def doubled(self) -> bool:
        """Has this lane a second loop?"""
        return self.spacing_m is not None

    @property
    def paired(self) -> bool:
        """Does this lane give speeds?"""
        return self.doubled and self.mode == "presence"

    @property
    def zone_m(self) -> float:
        """The loop's own part of the length that it gives."""
        return self.loop_m if self.effective_m is None else self.effective_m

    @property
    def lead(self) -> str:
        """The source of the first loop's contacts."""
        return f"{self.name}.lead"

    @property
    def trail(self) -> str:
        """The source of the second loop's contacts."""
        return f"{self.name}.trail"


@dataclass(frozen=True, slots=True)
class DeviceSetup:
    """One polled device. `every_s` is how often it is asked; `max_power_w` bounds its registers.

    `points` are those that it measures; `corrections` and `cells` say what is made of them.
    Without `max_power_w` the sum of the upper limits of its power points is taken, or 1 MW. One
    that is mounted `backwards` has been turned before: its points say what they are.
    """

    name: str
    stream: Stream
    points: tuple[Point, ...]
    every_s: float
    max_power_w: float | None = None
    corrections: tuple[Correction, ...] = ()
    cells: tuple[GasCell, ...] = ()
    backwards: bool = False

    @property
    def inputs(self) -> Iterator[InputPoint]:
        """Points, often of other devices, that its own are corrected with."""
        yield from (each.humidity for each in self.corrections if each.humidity is not None)
        yield from (each.temperature for each in self.cells)
        made = {InputPoint(self.name, each.point) for each in self.cells}
        yield from (each.no2 for each in self.cells if each.no2 and each.no2 not in made)

    def __post_init__(self) -> None:
        if self.stream not in (Stream.AIR, Stream.ENERGY, Stream.TRAFFIC):
            raise ValueError(f"device {self.name}: stream must be air, energy or traffic")
        if not 0 < self.every_s <= 86_400:
            raise ValueError(f"device {self.name}: every_s must be above 0")
        blind = {InputPoint(self.name, each.point) for each in self.cells if each.no2 is not None}
        for cell in self.cells:
            if cell.no2 in blind:
                raise ValueError(f"cell {cell.point}: {cell.no2.point} needs NO2 itself")


@dataclass(frozen=True, slots=True)
class PulseSetup:
    """One S0 output (EN 62053-31): so many impulses are a kilowatt-hour."""

    name: str
    imp_per_kwh: float
    bounce_ms: float = 15.0  # a pulse is at least 30 ms long

    def __post_init__(self) -> None:
        if not 0 < self.imp_per_kwh <= 1e6 or not 1 <= self.bounce_ms < 30:
            raise ValueError(f"meter {self.name}: imp_per_kwh above 0, bounce_ms 1 to 30")


@dataclass(frozen=True, slots=True)
class ContactSetup:
    """A plain contact; `kind` is what its events are called."""

    name: str
    kind: Literal["door", "tamper", "plug", "contact"] = "contact"


@dataclass(frozen=True, slots=True)
class EngineSetup:
    """Everything that is turned into records. Names are unique over all kinds."""

    lanes: tuple[LaneSetup, ...] = ()
    devices: tuple[DeviceSetup, ...] = ()
    pulses: tuple[PulseSetup, ...] = ()
    contacts: tuple[ContactSetup, ...] = ()
    period_ns: int = 60_000_000_000
    bays: tuple[BaySetup, ...] = ()
    signals: tuple[SignalSetup, ...] = ()

    def __post_init__(self) -> None:
        names = list(self.names())
        if len(set(names)) != len(names):
            raise ValueError("two sources have the same name")
        if len({signal.approach for signal in self.signals}) != len(self.signals):
            raise ValueError("two signals are of the same approach")
        lanes = {lane.name for lane in self.lanes}
        if any(name not in lanes for signal in self.signals for name, _ in signal.lanes):
            raise ValueError("a signal is of a lane that is not there")

    def names(self) -> Iterator[str]:
        """All sources of records."""
        yield from (lane.name for lane in self.lanes)
        yield from (device.name for device in self.devices)
        yield from (meter.name for meter in self.pulses)
        yield from (contact.name for contact in self.contacts)
        yield from (bay.name for bay in self.bays)
        yield from (contact.name for signal in self.signals for contact in signal.contacts)
