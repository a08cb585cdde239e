"""The wires of a played cabinet: each carries the devices of one bus, and has faults of its own."""

import contextlib
import errno
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from drivers.sim._responder import Responder, SharedLine
from drivers.sim._talker import Talker
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter_line import STEP_S, WHOLE_S, MeterLine
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.open_port import open_serial
from drivers.sim.simpty import link_target
from drivers.sim.timeline import Timeline
from edge.cabinet.playeddevice import PlayedDevice
from edge.config import I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus
from edge.core import ConfigError
from edge.core.driver import SerialLine
from edge.durable.atomicwrite import replace_link
from edge.durable.filelock import FileLock

NOISE_S: Final = (0.2, 0.8)  # between two bursts on a noisy line
NOISE_BYTES: Final = (2, 12)
NS: Final = 1_000_000_000
MODBUS_BITS: Final = 8


class PlayedBus:
    """One wire with its devices. A subclass opens it; `fault` is one of FAULTS, or ""."""

    FAULTS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, devices: Iterable[PlayedDevice], timeline: Timeline) -> None:
        self.name, self.devices, self.timeline = name, list(devices), timeline
        self.fault = ""
        self._open = False
        self._turns = 0
        self._chance = random.Random(name)

    def start(self) -> None:
        """Open it. Raises OSError when its place cannot be had."""
        self.open()
        self._open = True

    def stop(self) -> None:
        """Close it. Always safe."""
        self._turns += 1
        if self._open:
            self._open = False
            self.close()

    def misbehave(self, fault: str) -> None:
        """A fault by its name, "" for none. Raises ValueError for another, OSError as `start`."""
        if fault and fault not in self.FAULTS:
            raise ValueError(f"{fault!r} is no fault of bus {self.name}: {', '.join(self.FAULTS)}")
        self.fault = fault
        self._turns += 1
        if fault == "unplugged":
            if self._open:
                self._open = False
                self.close()
            return
        if not self._open:
            self.start()
        self.show(fault)
        if fault == "noise":
            turn = self._turns
            self.timeline.now(lambda t_ns: self._rustle(turn, t_ns))

    @property
    def place(self) -> str:
        """Where its clients find it, or the real port that it uses."""
        raise NotImplementedError

    def open(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def show(self, fault: str) -> None:
        """What is wrong with it from now on, beside `unplugged`."""

    def send(self, data: bytes) -> None:
        """Bytes out of the blue."""

    def asked(self, device: PlayedDevice) -> int:
        """How many questions came for it so far, or how often it was to speak by itself."""
        return device.turns()

    def carried(self) -> int:
        """The same of the whole wire: what came while nobody answered is in it, too."""
        return sum(self.asked(device) for device in self.devices)

    def _rustle(self, turn: int, t_ns: int) -> None:
        if turn != self._turns or not self._open:
            return
        self.send(self._chance.randbytes(self._chance.randint(*NOISE_BYTES)))
        wait_s = self._chance.uniform(*NOISE_S)
        self.timeline.at(t_ns + round(wait_s * NS), lambda at_ns: self._rustle(turn, at_ns))


class PlayedI2c(PlayedBus):
    """Chips on one I2C bus, behind a socket."""

    FAULTS = (
        "silent",  # its wires are cut: nobody acknowledges
        "stuck",  # a wire is held low: every transfer ends after the adapter's patience
        "unplugged",
    )

    def __init__(
        self, name: str, devices: Iterable[PlayedDevice], timeline: Timeline, path: Path
    ) -> None:
        super().__init__(name, devices, timeline)
        self._chips = {one.address: one.sim for one in self.devices}
        self.kernel = I2cKernel(self._chips)
        self._path = path
        self._server = I2cServer(self.kernel, path)

    @property
    def place(self) -> str:
        return str(self._path)

    def open(self) -> None:
        self._server = I2cServer(self.kernel, self._path)
        self._server.start()

    def close(self) -> None:
        self._server.stop()

    def show(self, fault: str) -> None:
        self.kernel.fault = errno.ETIMEDOUT if fault == "stuck" else 0
        self.kernel.chips = {} if fault == "silent" else self._chips

    def asked(self, device: PlayedDevice) -> int:
        return self.kernel.asked[device.address]


class PlayedTcp(PlayedBus):
    """Modbus units behind an endpoint of this machine."""

    FAULTS = ("silent", "unplugged")

    def __init__(
        self, name: str, devices: Iterable[PlayedDevice], timeline: Timeline, bus: ModbusTcpBus
    ) -> None:
        super().__init__(name, devices, timeline)
        self._units = {one.address: one.sim for one in self.devices}
        self._bus = bus

    @property
    def place(self) -> str:
        return f"{self._bus.host}:{self._bus.port}"

    def open(self) -> None:
        self._server = MeterTcp(self._units, self._bus.host, self._bus.port).start()

    def close(self) -> None:
        self._server.stop()

    def show(self, fault: str) -> None:
        self._server.units = {} if fault == "silent" else self._units

    def carried(self) -> int:
        return self._server.requests


class PlayedPort(PlayedBus):
    """Something on a serial port: a pseudo-terminal under the name `link`, or a real `port`.

    Another simulation that has the same name keeps it: a lock lies beside it.
    """

    FAULTS = ("silent", "noise", "unplugged")

    def __init__(
        self, name: str, devices: Iterable[PlayedDevice], timeline: Timeline,
        link: Path, port: str, line: SerialLine,
    ) -> None:  # fmt: skip
        super().__init__(name, devices, timeline)
        self._link, self._port, self._line = link, port, line
        self._stack = contextlib.ExitStack()

    @property
    def place(self) -> str:
        return self._port or str(self._link)

    def open(self) -> None:
        with contextlib.ExitStack() as stack:
            fd = -1
            if self._port:
                fd = stack.enter_context(open_serial(self._port, self._line))
            else:
                self._claim(stack)
            path = self.play(stack, fd)
            if not self._port:
                replace_link(self._link, link_target(path, self._link), sync=False)
                stack.callback(self._link.unlink, missing_ok=True)
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()

    def play(self, stack: contextlib.ExitStack, fd: int) -> str:
        """Begin to listen on the descriptor, or on a new pseudo-terminal, and give its name."""
        raise NotImplementedError

    def _claim(self, stack: contextlib.ExitStack) -> None:
        if self._link.exists() and not self._link.is_symlink():
            raise FileExistsError(
                f"{self._link} is somebody's file, and no port of a simulation: remove it, or name "
                f"another port for bus.{self.name}"
            )
        lock = FileLock(self._link.with_name(f".{self._link.name}.lock"))
        if not lock.take():
            raise BlockingIOError(
                f"{self._link} is in use by {lock.holder()}: end that simulation, or name another "
                f"port for bus.{self.name}"
            )
        stack.callback(lock.release)


class PlayedRtu(PlayedPort):
    """Modbus units on one RS-485 line, with the true time of its wire.

    Bytes of an answer that are due within `step_s` leave together (`MeterLine`).
    """

    step_s = STEP_S

    def play(self, stack: contextlib.ExitStack, fd: int) -> str:
        self._units: Mapping[int, Any] = {one.address: one.sim for one in self.devices}
        line = self._line
        if fd >= 0:
            answering = MeterRtu(self._units, line.baud)
            answering.start(fd)
            stack.callback(answering.stop)
            self._played: MeterLine | MeterRtu = answering
            return ""
        timed = MeterLine(
            self._units, line.baud, line.parity, line.stop, step_s=self.step_s, own_speed=True
        ).start()
        stack.callback(timed.stop)
        self._played = timed
        return timed.path

    def show(self, fault: str) -> None:
        self._played.units = {} if fault == "silent" else self._units

    def carried(self) -> int:
        return self._played.asked if isinstance(self._played, MeterRtu) else self._played.requests

    def send(self, data: bytes) -> None:
        self._played.send(data)


def keep_answers_whole(buses: Iterable[PlayedBus]) -> None:
    """Before they start: each answer on an RS-485 line leaves in one piece, when its last byte is
    due. Whoever plays the wire and has to wait for a processor stops in the middle of an answer
    for longer than any wire can, and the box is right to call that damage.
    """
    for bus in buses:
        if isinstance(bus, PlayedRtu):
            bus.step_s = WHOLE_S


class PlayedSerial(PlayedPort):
    """One device that talks by itself, or several with addresses that are asked."""

    def play(self, stack: contextlib.ExitStack, fd: int) -> str:
        sims = [one.sim for one in self.devices]
        if len(sims) > 1 and not all(isinstance(one, Responder) for one in sims):
            raise ConfigError(
                f"bus.{self.name}: several devices of this kind on one port cannot be simulated"
            )
        if len(sims) == 1:
            (alone,) = sims
            if not hasattr(alone, "line_speed"):  # one that changes it looks after it itself
                alone.only_at = self._line.baud
            alone.start(fd)
            stack.callback(alone.stop)
            self._played: Talker | SharedLine | Any = alone
            return str(alone.port)
        self._played = SharedLine(sims, fd, self._line.baud).start()
        stack.callback(self._played.stop)
        return str(self._played.port)

    def show(self, fault: str) -> None:
        for one in self.devices:
            if fault == "silent":
                one.sim.misbehave("silent")
            else:
                one.sim.misbehave(one.fault)

    def send(self, data: bytes) -> None:
        self._played.send(data)


def play_bus(
    name: str,
    bus: I2cBus | SerialBus | ModbusRtuBus | ModbusTcpBus,
    devices: Iterable[PlayedDevice],
    timeline: Timeline,
    port: str = "",
) -> PlayedBus:
    """The wire of a bus, not opened yet. `port` is a real one that it is told to use."""
    match bus:
        case I2cBus(path=path):
            return PlayedI2c(name, devices, timeline, Path(path.removeprefix("sim:")))
        case ModbusTcpBus():
            return PlayedTcp(name, devices, timeline, bus)
        case ModbusRtuBus():
            line = SerialLine(bus.baud, MODBUS_BITS, bus.parity, bus.stop)
            return PlayedRtu(name, devices, timeline, Path(bus.port), port, line)
        case SerialBus():
            return PlayedSerial(name, devices, timeline, Path(bus.port), port, bus.line())
