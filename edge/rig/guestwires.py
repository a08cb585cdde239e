"""Carries the wires of a played cabinet to a guest: levels of lines, transfers on its I2C bus, and
where the far ends of its adapters are.

A level is pulled in the guest DELAY_NS after its moment in the street: however late this machine
is, up to that, two changes stay as far apart as they are there. `PullPlan` has the rest.
"""

import errno
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cMessage
from edge.cabinet.cabinet import Cabinet
from edge.cabinet.playedbus import PlayedI2c, PlayedPort
from edge.config import GpioBus, I2cBus, Site
from edge.rig.guestmachine import GuestMachine
from edge.rig.layer import LayerError

HEAD: Final = struct.Struct("=IHH")  # as kerbstone_i2c has it
MESSAGE: Final = struct.Struct("=HHHH")
ANSWER: Final = struct.Struct("=Ii")
DELAY_NS: Final = 300_000_000  # a host that others use is seldom later
RETAKE_NS: Final = 10_000_000
"""By so much the guest's clock may seem to have moved before that is followed: how far it is ahead
is known a little better or worse each second, and two loops of one lane would be of two times."""


class GuestWires:
    """Of one cabinet. `attach` gives it a machine; another one after a power cut."""

    def __init__(self, cabinet: Cabinet) -> None:
        """Raises LayerError for a cabinet that has more than the guest."""
        self._cabinet = cabinet
        self._machine: GuestMachine | None = None
        self._chip = _only(cabinet.site, GpioBus, "chip of GPIO lines")
        self._i2c = _only(cabinet.site, I2cBus, "I2C bus")
        self._ports = {
            name: wire for name, wire in cabinet.buses.items() if isinstance(wire, PlayedPort)
        }
        self._levels: dict[str, bool] = {}
        self._ahead_ns = 0
        self._ask_ahead: Callable[[], int] = lambda: 0
        self._lock = threading.Lock()
        if self._chip:
            self._tap(cabinet.lines[self._chip].chip)

    @property
    def lines(self) -> list[str]:
        """All lines, by the names that the site may use."""
        if not self._chip:
            return ["unused"]
        return [line.name for line in self._cabinet.lines[self._chip].chip.lines]

    @property
    def chip(self) -> str:
        """The bus with the lines; "" for none."""
        return self._chip

    @property
    def i2c(self) -> str:
        return self._i2c

    def plugged(self, name: str) -> bool:
        """Whether this is a bus that is played on a port."""
        return name in self._ports

    def far_ends(self) -> dict[str, str]:
        """Bus -> the pseudo-terminal that it is played on now; "" while it is unplugged."""
        places = {name: Path(wire.place) for name, wire in self._ports.items()}
        return {n: str(place.resolve()) if place.exists() else "" for n, place in places.items()}

    def transfer(self, asked: bytes) -> bytes:
        """Answer a transfer of the guest's bus, in the form of `kerbstone_i2c`."""
        number, messages = unpacked(asked)
        wire = self._cabinet.buses.get(self._i2c)
        if not isinstance(wire, PlayedI2c) or wire.fault == "unplugged":
            return ANSWER.pack(number, -errno.ENXIO)
        code, data = wire.kernel.transfer(messages)
        return ANSWER.pack(number, min(code, 0)) + data

    def attach(self, machine: GuestMachine, ahead_ns: Callable[[], int]) -> None:
        """Its lines stand as they are now, and follow from then on. `ahead_ns`: by how much its
        monotonic clock is ahead of that of the cabinet."""
        with self._lock:
            self._machine, self._ask_ahead = machine, ahead_ns
            self._ahead_ns = ahead_ns()
            for line, high in self._levels.items():
                machine.pull(line, high)

    def detach(self) -> None:
        """The machine is gone, or will be."""
        with self._lock:
            self._machine = None

    def stop(self) -> None:
        """Always safe."""
        self.detach()

    # inside

    def _moment(self, mono_ns: int) -> int:
        """By the guest's clock, when it is to be pulled."""
        ahead_ns = self._ask_ahead()
        if abs(ahead_ns - self._ahead_ns) > RETAKE_NS:
            self._ahead_ns = ahead_ns
        return mono_ns + self._ahead_ns + DELAY_NS

    def _tap(self, chip: SimChip) -> None:
        names = {name: line.name for line in chip.lines for name in _names(line.number, line.name)}
        lanes = lane_of_line(self._cabinet.site, self._chip)
        drive = chip.drive

        def driven(line: int | str, level: bool | None, mono_ns: int) -> None:
            drive(line, level, mono_ns)
            name = names[str(line)]
            with self._lock:
                self._levels[name] = bool(level)
                if self._machine is not None:
                    self._machine.pull(
                        name, bool(level), self._moment(mono_ns), lanes.get(name, name)
                    )

        chip.drive = driven  # type: ignore[method-assign]


def unpacked(asked: bytes) -> tuple[int, list[I2cMessage]]:
    """A transfer as the module tells it: its number, its messages. Raises struct.error."""
    number, count, _ = HEAD.unpack_from(asked)
    at, messages = HEAD.size, []
    for _ in range(count):
        address, flags, length, _ = MESSAGE.unpack_from(asked, at)
        at += MESSAGE.size
        message = I2cMessage(address, flags, length)
        if not message.reads:
            message = I2cMessage(address, flags, length, asked[at : at + length])
            at += length
        messages.append(message)
    return number, messages


def lane_of_line(site: Site, chip: str) -> dict[str, str]:
    """Lines of loops -> their lane: the two loops of one lane stay together."""
    return {
        f"GPIO{int(line)}" if line.isdecimal() else line: name
        for name, lane in site.lanes_on(chip).items()
        for line in (lane.lead, lane.trail)
        if line is not None
    }


def _names(number: int, name: str) -> Iterator[str]:
    yield from (str(number), f"GPIO{number}")
    if name:
        yield name


def _only(site: Site, kind: type, what: str) -> str:
    """The one bus of a kind; "" for none. Raises LayerError."""
    found = [name for name, bus in site.buses.items() if isinstance(bus, kind)]
    if len(found) > 1:
        raise LayerError(
            f"the guest has one {what}; this site has {', '.join(found)}: run it on pty"
        )
    return found[0] if found else ""
