"""Simulated chips on the far side of the guest's test bus, as a process of its own.

    python3 -m tests.kernel.guest.answers sen55 [NAME ...]

It says `ready`, then obeys lines on its standard input: `fault NAME` with the name of an errno
(ETIMEDOUT leaves transfers unacknowledged: a chip that holds the bus low), `once NAME` for one
transfer, `power 0` or `power 1` for the first chip, `asked` to be told the messages of all
transfers so far. Each is acknowledged by a line of JSON.
"""

import errno
import inspect
import json
import os
import select
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

from drivers.sim.i2c import I2cChip, I2cKernel, I2cMessage

DEVICE: Final = "/dev/kerbstone-i2c"
LONGEST: Final = 8 + 42 * 8200
HEAD: Final = struct.Struct("=IHH")
MESSAGE: Final = struct.Struct("=HHHH")
ANSWER: Final = struct.Struct("=Ii")

HELD: Final[dict[str, dict[str, float]]] = {
    "sen55": {
        "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
        "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
    },
    "sht4x": {"temperature": 21.5, "humidity": 48.0},
}  # fmt: skip


def adapter(name: str) -> str:
    """The path of the bus whose adapter is called so. Raises FileNotFoundError."""
    for folder in sorted(Path("/sys/class/i2c-dev").iterdir()):
        if (folder / "name").read_text().strip() == name:
            return f"/dev/{folder.name}"
    raise FileNotFoundError(f"no adapter is called {name}")


class AnsweringProcess:
    """The process, seen from another. `with AnsweringProcess("sen55") as answers: ...`."""

    def __init__(self, *chips: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kernel.guest.answers", *chips],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._say, self._hear = _pipes(self._process)
        if self._hear.readline().strip() != "ready":
            raise RuntimeError("nobody answers on the bus")

    def __call__(self, *words: str) -> Any:
        self._say.write(" ".join(words) + "\n")
        self._say.flush()
        return json.loads(self._hear.readline())

    def __enter__(self) -> "AnsweringProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a bus whose adapter is unplugged in the middle of it."""
        self._process.kill()
        self._process.wait()
        self._say.close()
        self._hear.close()


def _pipes(process: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def made(name: str) -> tuple[int, I2cChip]:
    """A chip that has had supply since yesterday, so that it knows all its values."""
    kind: Any = import_module(f"drivers.sim.{name}").CHIP
    since = {"powered_s": 86_400.0} if "powered_s" in inspect.signature(kind).parameters else {}
    chip: I2cChip = kind(HELD[name], **since)
    return kind.ADDRESS, chip


def unpacked(reported: bytes) -> tuple[int, list[I2cMessage]]:
    """A transfer as the module tells it: its number, its messages."""
    number, count, _ = HEAD.unpack_from(reported)
    at, messages = HEAD.size, []
    for _ in range(count):
        address, flags, length, _ = MESSAGE.unpack_from(reported, at)
        at += MESSAGE.size
        message = I2cMessage(address, flags, length)
        if not message.reads:
            message = I2cMessage(address, flags, length, reported[at : at + length])
            at += length
        messages.append(message)
    return number, messages


def obey(words: list[str], bus: I2cKernel, once: list[int], asked: list[int]) -> Any:
    """One line of the standard input; what is said about it."""
    match words:
        case ["fault", name]:
            bus.fault = 0 if name == "none" else getattr(errno, name)
        case ["once", name]:
            once.append(getattr(errno, name))
        case ["nack", name]:
            bus.nack_errno = getattr(errno, name)
        case ["power", on]:
            first: Any = next(iter(bus.chips.values()))
            first.power(on == "1")
        case ["asked"]:
            return asked
        case _:
            raise ValueError(words)
    return True


def serve(chips: Mapping[int, I2cChip]) -> None:
    """Until the standard input ends."""
    bus, once, asked = I2cKernel(chips), list[int](), list[int]()
    wire = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK)  # a transfer may be given up before its read
    print("ready", flush=True)
    for reported in _heard(wire):
        if isinstance(reported, str):
            print(json.dumps(obey(reported.split(), bus, once, asked)), flush=True)
            continue
        number, messages = unpacked(reported)
        asked.append(len(messages))
        if once:
            code, data = -once.pop(0), b""
        elif bus.fault == errno.ETIMEDOUT:
            continue  # the kernel waits, as for a chip that stretches its clock for ever
        else:
            code, data = bus.transfer(messages)
        with suppress(OSError):  # too late: the kernel has given it up
            os.write(wire, ANSWER.pack(number, min(code, 0)) + data)


def _heard(wire: int) -> Iterator[str | bytes]:
    while True:
        ready = select.select([wire, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            line = sys.stdin.readline()
            if not line:
                return
            yield line
        elif wire in ready:
            with suppress(BlockingIOError):
                yield os.read(wire, LONGEST)


if __name__ == "__main__":
    serve(dict(made(name) for name in sys.argv[1:]))
