"""A whole cabinet on simulated wires: what a site file describes, played until it is stopped.

    with Cabinet(placed_site(site, places)) as cabinet:
        cabinet.misbehave("main_meter", "silent")

The gateway meets it on sockets and ports only, as it would meet hardware.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self

import msgspec

import drivers
from drivers.sim.timeline import Timeline
from edge.cabinet.deskplaces import DeskPlace
from edge.cabinet.faulttargets import FaultTarget, find_targets, make_targets
from edge.cabinet.playedbus import PlayedBus, play_bus
from edge.cabinet.playeddevice import PlayedDevice, Source, play_device
from edge.cabinet.playedlines import (
    PlayedLines,
    RecordedLines,
    StreetWish,
    play_lines,
    site_chip,
)
from edge.cabinet.simrequest import device_request
from edge.config import GpioBus, Site
from edge.core import ConfigError, Edge

S: Final = 1_000_000_000
REFRESH_NS: Final = S  # a serial device's table of values is written anew so often


@dataclass(frozen=True, slots=True)
class RecordedEdges:
    """Edges that drive all GPIO lines of a site, and how the lines stand at the start."""

    edges: Iterable[Edge]
    levels: Mapping[str, bool]


def placed_site(site: Site, places: Mapping[str, DeskPlace]) -> Site:
    """The site with other places for its buses; all else is as it was."""
    buses = {
        name: msgspec.structs.replace(bus, **places[name].keys) if name in places else bus
        for name, bus in site.buses.items()
    }
    return replace(site, buses=buses)


class Cabinet:
    """Everything on the wires of a site whose places are simulated. A context manager.

    `ports`: bus -> a real serial port that it is played on. `sources`: device -> what it measures,
    at a moment of the cabinet's clock; others measure typical values. `recorded` drives the loops
    in place of traffic by `street`. The clock counts seconds from `zero_ns` of `clock_ns`. Raises
    ConfigError for what cannot be played.
    """

    def __init__(
        self,
        site: Site,
        *,
        ports: Mapping[str, str] | None = None,
        street: StreetWish | None = None,
        sources: Mapping[str, Source] | None = None,
        recorded: RecordedEdges | None = None,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        zero_ns: int | None = None,
    ) -> None:
        self.site = site
        self._clock_ns = clock_ns
        self.zero_ns = clock_ns() if zero_ns is None else zero_ns
        self.timeline = Timeline(clock_ns)
        self.devices: dict[str, PlayedDevice] = {}
        self.buses: dict[str, PlayedBus] = {}
        self.lines: dict[str, PlayedLines] = {}
        self._recorded: list[RecordedLines] = []
        self._stack = contextlib.ExitStack()
        for number, name in enumerate(site.devices):
            if drivers.spec(site.devices[name].driver).wiring != "gpio":
                self.devices[name] = self._device(number, name, (sources or {}).get(name))
        for name, bus in site.buses.items():
            if not isinstance(bus, GpioBus):
                there = [self.devices[one] for one in site.devices_on(name)]
                port = (ports or {}).get(name, "")
                self.buses[name] = play_bus(name, bus, there, self.timeline, port)
            elif recorded is not None:
                chip = site_chip(site, name, bus, clock_ns)
                self._recorded.append(
                    RecordedLines(
                        chip, self.timeline, recorded.edges, self.zero_ns, recorded.levels
                    )
                )
            else:
                self.lines[name] = play_lines(
                    site, name, bus, self.timeline, street or StreetWish()
                )
        self.targets = make_targets(site, self.devices, self.buses, self.lines)

    def now_s(self) -> float:
        """The present moment of its clock."""
        return (self._clock_ns() - self.zero_ns) / S

    def start(self) -> Self:
        """Open all wires. Raises OSError, with the place, for one that cannot be had."""
        with contextlib.ExitStack() as stack:
            wires: list[PlayedLines | RecordedLines | PlayedBus] = [*self.lines.values()]
            for wire in (*wires, *self._recorded, *self.buses.values()):
                try:
                    wire.start()
                except OSError as error:
                    if error.errno is None:
                        raise
                    text = error.strerror or str(error)
                    raise OSError(error.errno, text, wire.place) from error
                stack.callback(wire.stop)
            self.timeline.at(self._clock_ns(), self._refresh)
            self.timeline.start()
            stack.callback(self.timeline.stop)
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """Close them. Always safe."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def misbehave(self, target: str, fault: str) -> list[FaultTarget]:
        """Let something show a fault from now on, or none. Gives what that was.

        Raises ValueError that says what can be, OSError when a bus cannot be plugged in again.
        """
        found = find_targets(self.targets, target, fault)
        for one in found:
            one.misbehave(fault)
        return found

    def drive(self, lane: str, speed_kmh: float, length_m: float) -> None:
        """Somebody drives over a lane now. Raises ValueError for one that is not there."""
        lanes = {name: one for played in self.lines.values() for name, one in played.lanes.items()}
        if lane not in lanes:
            raise ValueError(f"no lane is called {lane!r}; there are {', '.join(lanes) or 'none'}")
        traffic = lanes[lane]
        self.timeline.now(lambda t_ns: traffic.drive(t_ns, speed_kmh, length_m))

    def _device(self, number: int, name: str, source: Source | None) -> PlayedDevice:
        driver = self.site.devices[name].driver
        try:
            return play_device(name, device_request(self.site, name), self.now_s, number, source)
        except ValueError as error:
            raise ConfigError(f"device.{name}: cannot be simulated: {error}") from error
        except ModuleNotFoundError as error:  # a driver of somebody's own package
            raise ConfigError(
                f"device.{name}: nothing simulates {driver}: leave this device out"
            ) from error

    def _refresh(self, t_ns: int) -> None:
        for device in self.devices.values():
            device.refresh((t_ns - self.zero_ns) / S)
        self.timeline.at(t_ns + REFRESH_NS, self._refresh)
