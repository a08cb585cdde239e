"""A simulated PMS5003 on a pseudo-terminal: it talks by itself, and obeys the few commands it has.

Source: Plantower PMS5003 datasheet, transport protocol. Run alone: `python -m
drivers.sim.pms5003 [--link PATH] [point=value ...]` prints the port to open.
"""

import argparse
import os
import select
import struct
import sys
import threading
import time
import tty
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

Values = Mapping[str, float] | Callable[[float], Mapping[str, float]]
Fault = Literal["half", "sum", "garbage"]

HEAD: Final = b"\x42\x4d\x00\x1c"
VERSION: Final = 0x97
MASS: Final = ("pm1_0", "pm2_5", "pm10")
NUMBER: Final = ("n0_3", "n0_5", "n1_0", "n2_5", "n5_0", "n10")  # 1/cm3; on the wire in 0.1 litre
MODE, READ, SLEEP = 0xE1, 0xE2, 0xE4
COMMAND: Final = 7  # bytes


def frame(values: Mapping[str, float], error: int = 0) -> bytes:
    """One frame. Without values it is the frame of zeros of a sensor that starts."""
    masses = [_count(values.get(key, 0.0)) for key in MASS]
    numbers = [_count(values.get(key, 0.0) * 100) for key in NUMBER]
    # indoors ("CF=1") and outdoors differ at high concentrations only; the same here
    body = HEAD + struct.pack(">12HBB", *masses, *masses, *numbers, VERSION if values else 0, error)
    return body + sum(body).to_bytes(2)


def _count(value: float) -> int:
    return max(0, min(0xFFFF, round(value)))


class Pms5003:
    """One sensor behind `port`. A context manager; its thread ends with it.

    Faults: `silent` says nothing; `error` is its error code; `bias` is added to a point; what is
    put into `faults` spoils one frame each; `say` puts any bytes on the wire.
    `zeros` frames of zeros come after power-on.
    """

    def __init__(
        self,
        values: Values,
        every_s: float = 0.8,
        zeros: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.values, self.every_s, self.zeros, self.clock = values, every_s, zeros, clock
        self.silent = False
        self.error = 0
        self.bias: dict[str, float] = {}
        self.faults: deque[Fault] = deque()
        self.passive = self.asleep = False
        self.port = ""
        self._left = zeros
        self._master = self._slave = -1
        self._wake = (-1, -1)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Open the pseudo-terminal, name it in `port`, and begin to talk."""
        self._master, self._slave = os.openpty()  # the slave stays open: no hang-up between users
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Fall silent and give the pseudo-terminal back. Always safe."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        os.write(self._wake[1], b".")
        thread.join(5)
        for fd in (self._master, self._slave, *self._wake):
            os.close(fd)

    def power_cycle(self) -> None:
        """Off and on: it starts with zeros, awake and in active mode."""
        self._left = self.zeros
        self.passive = self.asleep = False

    def say(self, data: bytes) -> None:
        """Put bytes on the wire. What nobody reads is lost, as on a UART."""
        with suppress(BlockingIOError):
            os.write(self._master, data)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _talk(self) -> None:
        due = time.monotonic()
        heard = b""
        while True:
            rest_s = max(0.0, due - time.monotonic())
            ready, _, _ = select.select([self._master, self._wake[0]], [], [], rest_s)
            if self._wake[0] in ready:
                return
            if self._master in ready:
                heard = self._obey(heard + os.read(self._master, 256))
            if time.monotonic() >= due:
                due += self.every_s
                if not (self.silent or self.asleep or self.passive):
                    self.say(self._next())

    def _next(self) -> bytes:
        if self._left > 0:
            self._left -= 1
            return frame({})
        found = self.values(self.clock()) if callable(self.values) else self.values
        values = {key: value + self.bias.get(key, 0.0) for key, value in found.items()}
        data = frame(values, self.error)
        match self.faults.popleft() if self.faults else None:
            case "half":
                return data[:17]
            case "sum":
                return data[:-1] + bytes([data[-1] ^ 0x01])
            case "garbage":
                return b"\x42\x00\xffBM\x00" + data
        return data

    def _obey(self, heard: bytes) -> bytes:
        """Do what was asked for; returns what is not a whole command yet."""
        while (at := heard.find(b"\x42\x4d")) >= 0 and len(heard) - at >= COMMAND:
            command, heard = heard[at : at + COMMAND], heard[at + COMMAND :]
            if sum(command[:-2]) != int.from_bytes(command[-2:]) or self.silent:
                continue
            argument = command[4]
            match command[2]:
                case _ if command[2] == MODE:
                    self.passive = argument == 0
                case _ if command[2] == SLEEP:
                    if self.asleep and argument == 1:
                        self._left = self.zeros
                    self.asleep = argument == 0
                case _ if command[2] == READ and not self.asleep:
                    self.say(self._next())
                    continue
            answer = b"\x42\x4d\x00\x04" + command[2:3] + bytes([argument])
            self.say(answer + sum(answer).to_bytes(2))
        return heard[-COMMAND:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Talk on a pseudo-terminal until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m drivers.sim.pms5003", description=__doc__)
    parser.add_argument("--link", type=Path, help="make this name lead to the port")
    parser.add_argument("values", nargs="*", metavar="point=value")
    args = parser.parse_args(arguments)
    pairs = [text.partition("=") for text in args.values]
    with Pms5003({key: float(value) for key, _, value in pairs}) as sensor:
        if args.link:
            args.link.unlink(missing_ok=True)
            args.link.symlink_to(sensor.port)
        print(sensor.port, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
