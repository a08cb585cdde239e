"""Any driver on a wire that replays one case of its trace (tests/drivers/traces/NAME.toml).

What a case holds depends on the wiring; `options` are the driver's options, `expect` gives points
and values: 9.5, "bad:crc", or { value = 9.5, uncertain = "warmup" }.
- I2C: script = [{ to = 0x69, write = "0202", reply = "0001b0" }, ...]
- a serial device that talks by itself: frames = ["424d...", ...]
- a serial device that is asked: dialogue = [{ write = "7e0000...", reply = "7e00..." }, ...]; what
  has no answer (`send`) has reply = ""
- a meter: frames = [request, answer, ...], whole RTU frames of unit 1
- a GPIO line: edges = [[high, mono_ns, seqno, lost], ...], contacts = [[on, mono_ns, lost,
  initial], ...]; seqno 0 is the level found at opening
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import drivers
from drivers.buses.modbus.frame import exception_error
from edge.core import (
    Bad,
    BusError,
    DataError,
    Framer,
    LineDevice,
    Polled,
    Reason,
    Sample,
    UncertainValue,
    crc16_modbus,
)

TRACES = Path(__file__).parent / "traces"
Case = dict[str, Any]


# Each wire has `replies`, which a test may change: what is in them is what the driver gets;
# `used`, which of them it got; `dead`, whether nobody answers any more; and `frames()`, the
# conversation for `explain`.


@dataclass
class I2cWire:
    """Answers each transfer by what is written in it; anything else is silence.

    What stands more than once in the script is answered in its order, and from the start again.
    """

    asked: list[tuple[int, bytes]]
    replies: list[bytes]
    used: list[int] = field(default_factory=list)
    dead: bool = False
    lengths: list[int] = field(init=False)
    last: int = -1  # where in the script it is

    def __post_init__(self) -> None:
        self.lengths = [len(reply) for reply in self.replies]

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes:
        if self.dead or (address, write) not in self.asked:
            raise BusError(f"nobody answers at 0x{address:02x} to {write.hex()}")
        count = len(self.asked)
        turns = ((self.last + step) % count for step in range(1, count + 1))
        place = self.last = next(turn for turn in turns if self.asked[turn] == (address, write))
        self.used.append(place)
        assert read == self.lengths[place], "the driver asks for another length than was recorded"
        return self.replies[place]

    def frames(self) -> list[bytes]:
        pairs = zip(self.asked, self.replies, strict=True)
        return [frame for (_, write), reply in pairs for frame in (write, reply) if frame]


@dataclass
class SerialWire:
    """The frames come again for each read; then it is silent."""

    replies: list[bytes]
    used: list[int] = field(default_factory=list)
    dead: bool = False

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        assert timeout_s > 0
        assert not write, "this device talks by itself; record a dialogue for one that is asked"
        self.used += range(len(self.replies))
        return _cut_out(cut, b"" if self.dead else b"".join(self.replies), newest)

    async def send(self, data: bytes) -> None:
        raise AssertionError("this device talks by itself; record a dialogue for one that is asked")

    async def speed(self, baud: int = 0) -> None:
        assert baud >= 0

    def frames(self) -> list[bytes]:
        return list(self.replies)


@dataclass
class DialogueWire:
    """A serial device that is asked: each question that was recorded has its answer."""

    asked: list[bytes]
    replies: list[bytes]
    used: list[int] = field(default_factory=list)
    dead: bool = False

    async def frame(
        self, cut: Framer, timeout_s: float, write: bytes = b"", newest: bool = False
    ) -> bytes:
        assert timeout_s > 0
        if self.dead or write not in self.asked:
            raise BusError(f"nothing came after {write.hex() or 'nothing'}")
        place = self.asked.index(write)
        self.used.append(place)
        return _cut_out(cut, self.replies[place], newest)

    async def send(self, data: bytes) -> None:
        if self.dead:
            raise BusError("the line is gone")
        assert data in self.asked, f"{data.hex()} was not recorded"

    async def speed(self, baud: int = 0) -> None:
        assert baud >= 0

    def frames(self) -> list[bytes]:
        pairs = zip(self.asked, self.replies, strict=True)
        return [frame for pair in pairs for frame in pair if frame]


def _cut_out(cut: Framer, waiting: bytes, newest: bool) -> bytes:
    """The first frame, or the last, of what is waiting."""
    found = b""
    if not waiting:
        raise BusError("nothing came")
    while waiting:
        frame, done = cut(waiting)
        assert 0 <= done <= len(waiting)
        found = frame or found
        if frame and not newest:
            break
        if not done:
            break
        waiting = waiting[done:]
    if not found:
        raise DataError("bytes came, and no frame among them")
    return found


@dataclass
class ModbusWire:
    """Answers from recorded RTU frames; `replies` are the registers of each answer.

    A request that was recorded is answered as then; any other is answered from the registers
    that all recorded answers hold together, or met with silence.
    """

    recorded: list[bytes]
    asked: list[bytes]
    replies: list[bytes]
    refusals: dict[bytes, int]  # with the code of the exception
    used: list[int] = field(default_factory=list)
    dead: bool = False

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        if self.dead:
            raise BusError(f"unit {unit} does not answer")
        request = bytes([unit, function]) + address.to_bytes(2) + count.to_bytes(2)
        if request in self.refusals:
            raise exception_error(unit, self.refusals[request])
        if request in self.asked:
            place = self.asked.index(request)
            self.used.append(place)
            return self.replies[place]
        image: dict[int, bytes] = {}
        for known, reply in zip(self.asked, self.replies, strict=True):
            if known[:2] == request[:2]:
                first = int.from_bytes(known[2:4])
                for i in range(len(reply) // 2):
                    image[first + i] = reply[2 * i : 2 * i + 2]
        try:
            return b"".join(image[address + i] for i in range(count))
        except KeyError:
            raise BusError(f"unit {unit} does not answer") from None

    def frames(self) -> list[bytes]:
        return list(self.recorded)


def trace(name: str) -> dict[str, Any]:
    """The trace of one driver; a driver without one fails here."""
    return tomllib.loads((TRACES / f"{name}.toml").read_text(encoding="utf-8"))


def cases(name: str) -> list[Case]:
    """The recorded conversations of one driver, none if it has no trace (a test of its own)."""
    return list(trace(name)["case"]) if (TRACES / f"{name}.toml").exists() else []


def options(name: str, case: Case) -> dict[str, Any]:
    """The case's options; for an option without default, something to build with."""
    found = dict(case.get("options", {}))
    for key, option in drivers.spec(name).options.items():
        if option.required and key not in found:
            found[key] = {"unit": 1, "line": "GPIO17"}.get(key, option.low or 1)
    return found


def build(name: str, case: Case) -> tuple[Polled, Any]:
    """A driver that answers when asked, on a wire that replays this case."""
    wire = _wire(drivers.spec(name).wiring, case)
    device = drivers.build(name, wire, options(name, case))
    return cast(Polled, device), wire


def build_lined(name: str, case: Case) -> LineDevice:
    """A driver on GPIO lines."""
    device = drivers.build(name, None, options(name, case))
    return cast(LineDevice, device)


def _wire(wiring: str, case: Case) -> I2cWire | SerialWire | DialogueWire | ModbusWire:
    if wiring == "i2c":
        script = [(s["to"], bytes.fromhex(s["write"])) for s in case.get("script", [])]
        return I2cWire(script, [bytes.fromhex(s["reply"]) for s in case.get("script", [])])
    frames = [bytes.fromhex(text) for text in case.get("frames", [])]
    if "dialogue" in case:
        said = [(bytes.fromhex(d["write"]), bytes.fromhex(d["reply"])) for d in case["dialogue"]]
        assert len({write for write, _ in said}) == len(said), "each question once"
        return DialogueWire([write for write, _ in said], [reply for _, reply in said])
    if wiring == "serial" and not frames:
        return DialogueWire([], [])  # nobody is there, whoever waits and whoever asks
    if wiring == "serial":
        return SerialWire(frames)
    assert wiring == "modbus"
    return _modbus(frames)


def _modbus(frames: list[bytes]) -> ModbusWire:
    wire = ModbusWire(frames, [], [], {})
    for frame in frames:
        assert crc16_modbus(frame[:-2]).to_bytes(2, "little") == frame[-2:], frame.hex()
    for request, answer in zip(frames[::2], frames[1::2], strict=True):
        assert len(request) == 8
        assert request[0] == answer[0] == 1, "traces are of unit 1"
        if answer[1] == request[1] | 0x80:
            wire.refusals[request[:6]] = answer[2]
            continue
        assert answer[1] == request[1]
        assert answer[2] == len(answer) - 5 == 2 * int.from_bytes(request[4:6])
        wire.asked.append(request[:6])
        wire.replies.append(answer[3:-2])
    return wire


def sample(want: Any) -> Sample:
    """An expectation of a trace as the sample it stands for."""
    match want:
        case str():
            return Bad(Reason(want.removeprefix("bad:")))
        case {"value": value, "uncertain": reason}:
            return UncertainValue(value, Reason(reason))
    return float(want)


def same(got: Sample, want: Sample) -> bool:
    """Equal, numbers to the 24 bits of a float on the wire."""
    match got, want:
        case UncertainValue(a, why), UncertainValue(b, reason):
            return why == reason and same(a, b)
        case (float() | int(), float() | int()):
            return abs(got - want) <= 1e-9 + 1e-6 * abs(want)
    return got == want


def settled(found: Sample) -> Sample:
    """A sample without what a driver knows from before: a frame alone does not tell of a start."""
    match found:
        case UncertainValue(value, Reason.WARMUP):
            return value
        case Bad(Reason.STALE):
            return Bad(Reason.WARMUP)
    return found
