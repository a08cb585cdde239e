"""The site of a scenario, as far as a scenario names parts of it: what there is, by which name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import drivers
from drivers.sim.simdevice import list_faults
from edge.cabinet.playedbus import PlayedI2c, PlayedPort, PlayedTcp
from edge.cabinet.simrequest import device_request
from edge.config import GpioBus, I2cBus, ModbusTcpBus, Site
from edge.core import ConfigError, Point, Polled
from edge.rig.faultcatalogue import (
    OFFSET,
    SYSTEM,
    FaultKind,
    TargetKind,
    find_kind,
    kinds_of,
)

BOX_SOURCES: Final = ("gateway", "outbox", "*")
"""Sources of events that are about the box, or about all of it."""
LOOPS: Final = ("lead", "trail")


@dataclass(frozen=True, slots=True)
class ScenarioTarget:
    """One thing that a fault may be of. `full` is a name that nothing else has."""

    full: str
    kind: TargetKind
    faults: tuple[str, ...]

    def row(self, fault: str) -> FaultKind | None:
        """Of the table of faults, if it can show this one."""
        return find_kind(self.kind, fault) if fault in self.faults else None


class ScenarioSite:
    """`site` is right. All names are looked up here."""

    def __init__(self, site: Site) -> None:
        self.site = site

    @cached_property
    def points(self) -> Mapping[str, Mapping[str, Point]]:
        """Polled device -> what is read of it. Of a device that cannot be built nothing."""
        found: dict[str, Mapping[str, Point]] = {}
        for name, device in self.site.devices.items():
            try:
                built = drivers.build(
                    device.driver, None, device.options, device.points or (),
                    backwards=device.reversed,
                )  # fmt: skip
            except ConfigError:
                continue
            if isinstance(built, Polled):
                found[name] = {point.key: point for point in built.points}
        return found

    @cached_property
    def sources(self) -> frozenset[str]:
        """Whom events and issues may be about."""
        site = self.site
        parts = [f"{lane}.{loop}" for lane in site.lanes for loop in LOOPS]
        parts += [f"{device}.{point}" for device, keys in self.points.items() for point in keys]
        named = (site.lanes, site.approaches, site.devices, site.bays, site.buses)
        return frozenset([*BOX_SOURCES, *parts, *(name for names in named for name in names)])

    def targets(self, name: str) -> list[ScenarioTarget]:
        """All that a target's name may mean."""
        if name in SYSTEM:
            return [ScenarioTarget(name, name, tuple(kinds_of(name)))]
        return [one for one in self._all if name in (one.full, one.full.partition(".")[2])]

    @cached_property
    def names(self) -> list[str]:
        """What can be a target, for a hint."""
        return [*SYSTEM, *(one.full.partition(".")[2] for one in self._all)]

    @cached_property
    def _all(self) -> list[ScenarioTarget]:
        return [*self._buses(), *self._devices(), *self._lanes(), *self._approaches()]

    def _buses(self) -> Iterator[ScenarioTarget]:
        for name, bus in self.site.buses.items():
            match bus:
                case GpioBus():
                    continue
                case I2cBus():
                    yield ScenarioTarget(f"bus.{name}", "i2c_bus", PlayedI2c.FAULTS)
                case ModbusTcpBus():
                    yield ScenarioTarget(f"bus.{name}", "bus", PlayedTcp.FAULTS)
                case _:
                    yield ScenarioTarget(f"bus.{name}", "bus", PlayedPort.FAULTS)

    def _devices(self) -> Iterator[ScenarioTarget]:
        contact = tuple(kinds_of("contact"))
        for name, device in self.site.devices.items():
            if name not in self.points:
                yield ScenarioTarget(f"device.{name}", "contact", contact)
                continue
            chip = isinstance(self.site.buses.get(device.bus), I2cBus)
            kind: TargetKind = "chip" if chip else "device"
            yield ScenarioTarget(f"device.{name}", kind, self._device_faults(name))
            for key in self.points[name]:
                yield ScenarioTarget(f"device.{name}.{key}", kind, (OFFSET,))
        for name in self.site.bays:
            yield ScenarioTarget(f"bay.{name}", "contact", contact)

    def _device_faults(self, name: str) -> tuple[str, ...]:
        """Of what simulates it; nothing where nothing does."""
        try:
            request = device_request(self.site, name)
            return list_faults(request.driver, request.wiring, request.table is not None)
        except (ConfigError, ImportError):
            return ()

    def _lanes(self) -> Iterator[ScenarioTarget]:
        loop, pair = tuple(kinds_of("loop")), tuple(kinds_of("pair"))
        for name, lane in self.site.lanes.items():
            yield ScenarioTarget(f"lane.{name}", "loop", loop)
            if lane.trail is not None:
                yield ScenarioTarget(f"lane.{name}", "pair", pair)
                yield ScenarioTarget(f"lane.{name}.trail", "loop", loop)

    def _approaches(self) -> Iterator[ScenarioTarget]:
        for name in self.site.approaches:
            yield ScenarioTarget(f"approach.{name}", "approach", tuple(kinds_of("approach")))
