"""From a site's configuration to buses, devices, and the set-up of engine and judge: what they must
know of its lanes, bays and signals. Building a bus touches no wire.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import drivers
from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_port import SerialPort
from edge.acquire.stage import StageHeader
from edge.config import (
    Bay,
    Bus,
    Class,
    GpioBus,
    I2cBus,
    Lane,
    ModbusRtuBus,
    ModbusTcpBus,
    Problems,
    SerialBus,
    Site,
)
from edge.core import (
    ConfigError,
    ContactLine,
    LineDevice,
    LineSpec,
    Point,
    Polled,
    Quantity,
    Stream,
)
from edge.gateway import calibrationsetup
from edge.gateway.pipeline import Pipeline
from edge.infer.judge import Judge, JudgeSetup
from edge.infer.sites import ApproachSite, LaneSite
from edge.process.approachsignal import SignalSetup
from edge.process.baywindow import BaySetup
from edge.process.engine import Engine
from edge.process.enginesetup import ContactSetup, DeviceSetup, EngineSetup, LaneSetup, PulseSetup
from edge.process.growthbounds import full_scale_power_w
from edge.process.inputmeanings import input_meanings
from edge.process.phase import PhaseSetup
from edge.process.traffic.passage import LENGTH_CLASSES, Classes

ENERGY_QUANTITIES: Final = {Quantity.ENERGY, Quantity.POWER, Quantity.APPARENT_POWER}
ROAD_QUANTITIES: Final = {
    Quantity.COUNT,
    Quantity.DURATION,
    Quantity.STATE,
}  # all that a loop card counts
UNBOUNDED_CM: Final = 100_000  # the last class has no limit, and its number is not looked at


@dataclass(frozen=True, slots=True)
class PolledDevice:
    """A device that is asked: its place in the site, and its driver on its bus."""

    name: str
    polled: Polled
    every_s: float
    stream: Stream


@dataclass(slots=True)
class Wiring:
    """What hangs on which bus. Building it touches no wire."""

    site: Site
    buses: dict[str, Any] = field(default_factory=dict)
    polled: dict[str, list[PolledDevice]] = field(default_factory=dict)  # by bus
    lines: dict[str, list[LineSpec]] = field(default_factory=dict)  # by bus
    lined: dict[str, ContactLine] = field(default_factory=dict)  # by line

    @classmethod
    def of(cls, site: Site) -> "Wiring":
        wiring = cls(site)
        for name, bus in site.buses.items():
            wiring.buses[name] = make_bus(bus)
        for name, device in site.devices.items():
            spec = drivers.spec(device.driver)
            built = drivers.build(
                device.driver,
                wiring.buses[device.bus],
                device.options,
                device.points or (),
                backwards=device.reversed,
            )
            if spec.wiring == "gpio":
                wiring._hang(device.bus, name, cast("LineDevice", built))
            else:
                asked = cast("Polled", built)
                stream = _stream(asked.points)
                wiring.polled.setdefault(device.bus, []).append(
                    PolledDevice(name, asked, device.every_s, stream)
                )
        for name, lane in site.lanes.items():
            options = {"active": lane.active, "bias": lane.bias}
            for role, line in (("lead", lane.lead), ("trail", lane.trail)):
                if line:
                    loop = drivers.build("loop", None, {"line": line, **options})
                    wiring._hang(lane.bus, f"{name}.{role}", cast("LineDevice", loop))
        for name, bay in site.bays.items():
            bay_options = {"line": bay.line, "active": bay.active, "bias": bay.bias}
            wiring._hang(
                bay.bus, name, cast("LineDevice", drivers.build("loop", None, bay_options))
            )
        return wiring

    def points(self) -> Mapping[str, Sequence[Point]]:
        """Points of every polled device, in the order of its sweeps."""
        return {d.name: d.polled.points for group in self.polled.values() for d in group}

    def staged(self) -> StageHeader:
        """What the entries of a stage are about. Raises ValueError as `setup` does."""
        return StageHeader(input_meanings(self.setup()), self.site.streams.raw)

    def pipeline(self, *, replayed: bool = False) -> Pipeline:
        """Engine and judge. `replayed` leaves out what recorded edges cannot speak of.

        Raises ConfigError, often Problems, for what cannot be made of this site.
        """
        if not replayed and (
            wrong := calibrationsetup.calibration_problems(self.site, self.points())
        ):
            raise Problems(wrong)
        try:
            setup = self.setup(replayed)
            engine = Engine(setup)
        except ValueError as error:
            raise ConfigError(f"{self.site.file}: {error}") from error
        folder = self.site.models.dir
        return Pipeline(
            engine, Judge(self._judged(setup, replayed), Path(folder) if folder else None)
        )

    def close(self) -> None:
        """Give the buses back. Always safe."""
        for bus in self.buses.values():
            if not isinstance(bus, str):  # the name of a GPIO chip: its listener closes it
                bus.close()

    def _hang(self, bus: str, source: str, device: LineDevice) -> None:
        for spec in device.lines:
            self.lines.setdefault(bus, []).append(spec)
            self.lined[spec.line] = ContactLine(source, device.active == "high")

    def setup(self, replayed: bool = False) -> EngineSetup:
        """What the engine must know. `replayed` leaves out what recorded edges do not show."""
        site = self.site
        devices = [] if replayed else [d for group in self.polled.values() for d in group]
        return EngineSetup(
            lanes=tuple(lane_setup(name, lane) for name, lane in site.lanes.items()),
            bays=tuple(bay_setup(name, bay) for name, bay in site.bays.items()),
            signals=signal_setups(site),
            devices=tuple(
                DeviceSetup(
                    d.name,
                    d.stream,
                    tuple(d.polled.points),
                    d.every_s,
                    # ranges that the site has said itself are no ranges for meters of any size
                    full_scale_power_w(d.polled.points)
                    if "amps" in site.devices[d.name].options
                    else None,
                    corrections=calibrationsetup.device_corrections(site, d.name),
                    cells=calibrationsetup.device_cells(site, d.name),
                    backwards=site.devices[d.name].reversed,
                )
                for d in devices
            ),
            pulses=tuple(
                PulseSetup(name, float(device.options.get("imp_per_kwh", 1000)))
                for name, device in site.devices.items()
                if device.driver == "s0"
            ),
            contacts=tuple(
                ContactSetup(name, device.options.get("event", "contact"))
                for name, device in site.devices.items()
                if device.driver == "contact" and device.phase is None
            ),
            period_ns=site.period_ns,
        )

    def _judged(self, setup: EngineSetup, replayed: bool) -> JudgeSetup:
        return JudgeSetup(
            lanes=lane_sites(self.site),
            approaches=approach_sites(self.site),
            congestion=self.site.models.congestion,
            anomaly=self.site.models.anomaly,
            loopfault=self.site.models.loopfault,
            shadow=Path(shadow) if (shadow := self.site.models.shadow) else None,
            period_ns=setup.period_ns,
            hurry=not replayed,  # a replay gives the same bytes, however busy the machine is
        )


def _stream(points: Sequence[Point]) -> Stream:
    if any(point.quantity in ENERGY_QUANTITIES for point in points):
        return Stream.ENERGY
    if all(point.quantity in ROAD_QUANTITIES for point in points):
        return Stream.TRAFFIC
    return Stream.AIR


def lane_setup(name: str, lane: Lane) -> LaneSetup:
    """A lane for the engine. Raises ValueError for what cannot work."""
    return LaneSetup(
        name=name,
        approach=lane.approach,
        spacing_m=lane.spacing_m if lane.trail else None,
        loop_m=lane.loop_m,
        mode=lane.mode,
        kind=lane.kind,
        max_presence_s=lane.max_presence_s,
        effective_m=lane.effective_m,
        limit_kmh=lane.limit_kmh,
        classes=LENGTH_CLASSES if lane.classes is None else class_limits(lane.classes),
        tailgate_s=lane.tailgate_s,
        stopped_s=lane.stopped_s,
    )


def class_limits(classes: Sequence[Class]) -> Classes:
    """Name and upper limit in cm of each class."""
    return tuple(
        (one.name, UNBOUNDED_CM if one.to_m is None else round(one.to_m * 100)) for one in classes
    )


def bay_setup(name: str, bay: Bay) -> BaySetup:
    """A bay for the engine. Raises ValueError for what cannot work."""
    return BaySetup(name, bay.kind, bay.max_stay_min, bay.min_stay_s)


def signal_setups(site: Site) -> tuple[SignalSetup, ...]:
    """The signals whose colours contacts show, each with the lanes of its approach."""
    found = []
    for approach, contacts in site.signals.items():
        phases = ((name, site.devices[name].phase) for name in contacts)
        found.append(
            SignalSetup(
                approach,
                tuple(PhaseSetup(n, approach, one.colour) for n, one in phases if one is not None),
                tuple((n, site.lanes[n].position) for n in site.approaches.get(approach, ())),
            )
        )
    return tuple(found)


def lane_sites(site: Site) -> tuple[LaneSite, ...]:
    """The lanes whose loops are judged. Of bicycles no model knows anything (see `role`)."""
    return tuple(
        LaneSite(
            name,
            one.approach,
            one.position,
            paired=one.trail is not None,
            spacing_m=one.spacing_m if one.trail else None,
            loop_m=one.loop_m,
            mode=one.mode,
            limit_kmh=one.limit_kmh,
            role=one.role or ("bicycle" if one.kind == "bicycle" else "mainline"),
        )
        for name, one in site.lanes.items()
    )


def approach_sites(site: Site) -> tuple[ApproachSite, ...]:
    """All approaches with lanes of vehicles, in the order of the file."""
    judged = dict.fromkeys(one.approach for one in site.lanes.values() if one.kind == "vehicle")
    found = []
    for name in judged:
        way = site.ways.get(name)
        downstream = way.downstream if way and way.downstream in judged else None
        found.append(ApproachSite(name, downstream, way.distance_m if way and downstream else None))
    return tuple(found)


def make_bus(bus: Bus) -> Any:
    """The bus that a driver is given. A GPIO chip is opened by its listener: here it is a name."""
    match bus:
        case GpioBus():
            return bus.chip
        case I2cBus():
            return SmbusI2c(bus.path)
        case SerialBus():
            line = bus.line()
            return SerialPort(bus.port, line.baud, line.parity, line.stop, line.bits)
        case ModbusRtuBus():
            port = SerialPort(bus.port, bus.baud, bus.parity, bus.stop)
            return ModbusRtu(port, bus.timeout_s, bus.link_delay_s)
        case ModbusTcpBus():
            return ModbusTcp(bus.host, bus.port, bus.timeout_s)
