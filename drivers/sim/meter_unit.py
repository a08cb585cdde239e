"""One simulated Modbus unit: how it answers a read of its registers, and how it misbehaves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

Kind = Literal["silent", "crc", "exception", "noise", "late", "foreign", "cut"]
FAULTS: Final = get_args(Kind)
KINDS: Final[dict[str, Kind]] = {kind: kind for kind in FAULTS}
Values = Mapping[str, float | None] | Callable[[], Mapping[str, float | None]]
"""Point -> value in our units, once or looked up each time; None is one that the device lacks."""
Image = Mapping[int, tuple[int, bytes]]
"""Register -> (its place inside its value, its two bytes)."""


@dataclass(frozen=True, slots=True)
class UnitFault:
    """How a unit misbehaves, for so many answers (None: until told otherwise)."""

    kind: Kind
    times: int | None = None
    code: int = 4  # of an exception
    seconds: float = 1.0  # of a late answer, beyond its turnaround
    noise: bytes = b"\x00\xff\x81"  # before the answer


@dataclass(frozen=True, slots=True)
class UnitReply:
    """What goes back, before check sum or header. `unit` may be a foreign one."""

    unit: int
    pdu: bytes
    before: bytes = b""
    spoilt: bool = False
    cut: bool = False
    late_s: float = 0.0


class Unit:
    """A device with registers; what is in them is its subclass's affair.

    `gaps` says what registers between values are: "zero", as Eastron's are, or "refuse".
    `limit` is how many it gives in one answer.
    """

    def __init__(self, limit: int = 125, gaps: Literal["zero", "refuse"] = "zero") -> None:
        self.limit, self.gaps = limit, gaps
        self.fault: UnitFault | None = None
        self.requests = 0

    def held(self) -> dict[str, float]:
        """What the registers hold now, per point, before encoding."""
        raise NotImplementedError

    def image(self, function: int) -> Image:
        """All registers that this function reads."""
        raise NotImplementedError

    def misbehave(self, fault: str) -> None:
        """One of FAULTS until told otherwise, "" for none. Raises ValueError for another."""
        if fault and fault not in KINDS:
            raise ValueError(f"{fault!r} is no fault of a meter: {', '.join(FAULTS)}")
        self.fault = UnitFault(KINDS[fault]) if fault else None

    def answer(self, unit: int, pdu: bytes) -> UnitReply | None:
        """The reply to a request for this unit; None: it stays silent."""
        self.requests += 1
        fault = self._misbehave()
        if fault is not None and fault.kind == "silent":
            return None
        reply = self._read(pdu)
        if fault is None:
            return UnitReply(unit, reply)
        match fault.kind:
            case "exception":
                return UnitReply(unit, bytes((pdu[0] | 0x80, fault.code)))
            case "noise":
                return UnitReply(unit, reply, before=fault.noise)
            case "late":
                return UnitReply(unit, reply, late_s=fault.seconds)
            case "foreign":
                return UnitReply(unit % 247 + 1, reply)
            case "crc":
                return UnitReply(unit, reply, spoilt=True)
            case _:
                return UnitReply(unit, reply, cut=True)

    def _misbehave(self) -> UnitFault | None:
        fault = self.fault
        if fault is not None and fault.times is not None:
            left = fault.times - 1
            self.fault = (
                UnitFault(fault.kind, left, fault.code, fault.seconds, fault.noise)
                if left
                else None
            )
        return fault

    def _read(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function not in (3, 4) or len(pdu) != 5:
            return bytes((function | 0x80, 1))
        address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if not 1 <= count <= self.limit:
            return bytes((function | 0x80, 3))
        image = self.image(function)
        hole = self._hole(image, address, address + count)
        words = b"".join(
            image[at][1] if at in image else hole for at in range(address, address + count)
        )
        ends = (image.get(address, (0, b""))[0], image.get(address + count, (0, b""))[0])
        if len(words) != 2 * count or any(ends):  # a hole, or a value cut in two
            return bytes((function | 0x80, 2))
        return bytes((function, 2 * count)) + words

    def _hole(self, image: Image, first: int, end: int) -> bytes:
        """What a register without a value holds; b"" when there is none to be read."""
        inside = bool(image) and min(image) <= first and end <= max(image) + 1
        return b"\0\0" if self.gaps == "zero" and inside else b""


def write_registers(image: dict[int, tuple[int, bytes]], address: int, coded: bytes) -> None:
    """Lay a value into registers from `address` on."""
    for i in range(0, len(coded), 2):
        image[address + i // 2] = (i // 2, coded[i : i + 2])
