"""Carries the wires of a played cabinet to a guest: levels of lines, transfers on its I2C bus, and
adapters that are pulled out when their far end is gone.
"""

import errno
import struct
import threading
import time
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
from edge.rig.qmp import QmpError

HEAD: Final = struct.Struct("=IHH")  # as kerbstone_i2c has it
MESSAGE: Final = struct.Struct("=HHHH")
ANSWER: Final = struct.Struct("=Ii")
WATCH_S: Final = 0.1


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
        self._lock = threading.Lock()
        self._end = threading.Event()
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

    def far_ends(self) -> dict[str, str]:
        """Bus -> the pseudo-terminal that it is played on now."""
        return {name: str(Path(wire.place).resolve()) for name, wire in self._ports.items()}

    def transfer(self, asked: bytes) -> bytes:
        """Answer a transfer of the guest's bus, in the form of `kerbstone_i2c`."""
        number, messages = unpacked(asked)
        wire = self._cabinet.buses.get(self._i2c)
        if not isinstance(wire, PlayedI2c) or wire.fault == "unplugged":
            return ANSWER.pack(number, -errno.ENXIO)
        code, data = wire.kernel.transfer(messages)
        return ANSWER.pack(number, min(code, 0)) + data

    def attach(self, machine: GuestMachine) -> None:
        """Its lines stand as they are now, and follow from then on."""
        with self._lock:
            self._machine = machine
            for line, high in self._levels.items():
                machine.pull(line, high)

    def detach(self) -> None:
        """The machine is gone, or will be."""
        with self._lock:
            self._machine = None

    def watch(self, report: Callable[[str], None]) -> None:
        """From now on adapters are pulled out and put in as the cabinet's ports go and come.
        `report` hears of what QEMU refuses."""
        threading.Thread(
            target=self._watch, args=(report,), name="rig-adapters", daemon=True
        ).start()

    def stop(self) -> None:
        """Always safe."""
        self._end.set()
        self.detach()

    # inside

    def _tap(self, chip: SimChip) -> None:
        names = {name: line.name for line in chip.lines for name in _names(line.number, line.name)}
        drive = chip.drive

        def driven(line: int | str, level: bool | None, mono_ns: int) -> None:
            drive(line, level, mono_ns)
            name = names[str(line)]
            with self._lock:
                self._levels[name] = bool(level)
                if self._machine is not None:
                    self._machine.pull(name, bool(level))

        chip.drive = driven  # type: ignore[method-assign]

    def _watch(self, report: Callable[[str], None]) -> None:
        there = self.far_ends()
        known: GuestMachine | None = self._machine
        while not self._end.wait(WATCH_S):
            machine = self._machine
            if machine is not known:  # one that was booted with what is there now
                known, there = (
                    machine,
                    {n: p for n, p in self.far_ends().items() if Path(p).exists()},
                )
                continue
            if machine is None:
                continue
            for name, wire in self._ports.items():
                link = Path(wire.place)
                now = str(link.resolve()) if link.exists() else ""
                if now == there.get(name, ""):
                    continue
                try:
                    if there.get(name):
                        machine.unplug(name)
                    if now:
                        time.sleep(WATCH_S)
                        machine.plug(name, now)
                except (QmpError, OSError, ValueError) as error:
                    report(f"the adapter of bus.{name} cannot be moved: {error}")
                there[name] = now


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
