"""From a site's configuration to buses and devices, and from these to engine and judge. Building a
bus touches no wire.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    Bus,
    GpioBus,
    I2cBus,
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
from edge.gateway.streetsetup import (
    approach_sites,
    bay_setup,
    lane_setup,
    lane_sites,
    signal_setups,
)
from edge.infer.judge import Judge, JudgeSetup
from edge.process.enginesetup import ContactSetup, DeviceSetup, EngineSetup, PulseSetup
from edge.process.growthbounds import full_scale_power_w
from edge.process.inputmeanings import input_meanings

ENERGY_QUANTITIES: Final = {Quantity.ENERGY, Quantity.POWER, Quantity.APPARENT_POWER}
ROAD_QUANTITIES: Final = {
    Quantity.COUNT,
    Quantity.DURATION,
    Quantity.STATE,
}  # all that a loop card counts


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

    def pipeline(self, *, replayed: bool = False, hurry: bool = True) -> Pipeline:
        """Engine and judge. `replayed` leaves out what recorded edges cannot speak of. Without
        `hurry` no model is ever late: the same bytes, however busy the machine is.

        Raises ConfigError, often Problems, for what cannot be made of this site.
        """
        if not replayed and (
            wrong := calibrationsetup.calibration_problems(self.site, self.points())
        ):
            raise Problems(wrong)
        folder = self.site.models.dir
        with self._faults_of_the_file():
            setup = self.setup(replayed)
        # what the judge cannot do with a site that the engine takes is a fault of the program
        judge = Judge(
            self._judged(setup, hurry=hurry and not replayed), Path(folder) if folder else None
        )
        with self._faults_of_the_file():
            return Pipeline(setup, judge)

    @contextmanager
    def _faults_of_the_file(self) -> Iterator[None]:
        """What is wrong here the site has said."""
        try:
            yield
        except ValueError as error:
            raise ConfigError(f"{self.site.file}: {error}") from error

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

    def _judged(self, setup: EngineSetup, *, hurry: bool) -> JudgeSetup:
        return JudgeSetup(
            lanes=lane_sites(self.site),
            approaches=approach_sites(self.site),
            congestion=self.site.models.congestion,
            anomaly=self.site.models.anomaly,
            loopfault=self.site.models.loopfault,
            shadow=Path(shadow) if (shadow := self.site.models.shadow) else None,
            period_ns=setup.period_ns,
            hurry=hurry,
        )


def _stream(points: Sequence[Point]) -> Stream:
    if any(point.quantity in ENERGY_QUANTITIES for point in points):
        return Stream.ENERGY
    if all(point.quantity in ROAD_QUANTITIES for point in points):
        return Stream.TRAFFIC
    return Stream.AIR


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
