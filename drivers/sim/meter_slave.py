"""One simulated Modbus unit: its registers, and how it answers. With an encoder of its own.

It reads the same tables as the driver, and shares no code with it: a mistake on one side must
not be hidden by the same one on the other.
"""

import math
import struct
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

TABLES: Final = Path(__file__).parent.parent / "meters"
SERIAL_ADDRESS: Final = 0xFC00  # holding registers of Eastron's serial number, 32 bits
PACK: Final = {
    "u16": "H", "i16": "h", "u32": "L", "i32": "l",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip

Values = Mapping[str, float] | Callable[[], Mapping[str, float]]
Kind = Literal["silent", "crc", "exception", "noise", "late", "foreign", "cut"]


@dataclass(frozen=True, slots=True)
class Fault:
    """How a unit misbehaves, for so many answers (None: until told otherwise)."""

    kind: Kind
    times: int | None = None
    code: int = 4  # of an exception
    seconds: float = 1.0  # of a late answer, beyond its turnaround
    noise: bytes = b"\x00\xff\x81"  # before the answer


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back, before check sum or header. `unit` may be a foreign one."""

    unit: int
    pdu: bytes
    before: bytes = b""
    spoilt: bool = False
    cut: bool = False
    late_s: float = 0.0


class Slave:
    """A meter as its table (a name, or a parsed document) tells it, holding `values` per point.

    `gaps` says what registers between the points are: "zero", as Eastron's are, or "refuse".
    """

    def __init__(
        self,
        table: str | Mapping[str, Any],
        values: Values,
        serial: int = 12_345_678,
        gaps: Literal["zero", "refuse"] = "zero",
    ) -> None:
        if isinstance(table, str):
            table = tomllib.loads((TABLES / f"{table}.toml").read_text(encoding="utf-8"))
        self.table, self.values, self.serial, self.gaps = table, values, serial, gaps
        self.fault: Fault | None = None
        self.missing: set[str] = set()  # points that this device does not have
        self.requests = 0

    def swap(self, serial: int) -> None:
        """Another meter of the same type; its registers are what `values` gives from now on."""
        self.serial = serial

    def held(self) -> dict[str, float]:
        """What the registers hold now, per point, before encoding."""
        now = self.values() if callable(self.values) else self.values
        return {key: float(now.get(key, 0.0)) for key in self.table["points"]}

    def answer(self, unit: int, pdu: bytes) -> Reply | None:
        """The reply to a request for this unit; None: it stays silent."""
        self.requests += 1
        fault = self._misbehave()
        if fault is not None and fault.kind == "silent":
            return None
        told = self._read(pdu)
        if fault is None:
            return Reply(unit, told)
        match fault.kind:
            case "exception":
                return Reply(unit, bytes((pdu[0] | 0x80, fault.code)))
            case "noise":
                return Reply(unit, told, before=fault.noise)
            case "late":
                return Reply(unit, told, late_s=fault.seconds)
            case "foreign":
                return Reply(unit % 247 + 1, told)
            case "crc":
                return Reply(unit, told, spoilt=True)
            case _:
                return Reply(unit, told, cut=True)

    def _misbehave(self) -> Fault | None:
        fault = self.fault
        if fault is not None and fault.times is not None:
            left = fault.times - 1
            self.fault = (
                Fault(fault.kind, left, fault.code, fault.seconds, fault.noise) if left else None
            )
        return fault

    def _read(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function not in (3, 4) or len(pdu) != 5:
            return bytes((function | 0x80, 1))
        address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        if not 1 <= count <= self.table["max_registers"]:
            return bytes((function | 0x80, 3))
        image = self._image(function)
        hole = self._hole(image, address, address + count)
        words = b"".join(
            image[at][1] if at in image else hole for at in range(address, address + count)
        )
        ends = (image.get(address, (0, b""))[0], image.get(address + count, (0, b""))[0])
        if len(words) != 2 * count or any(ends):  # a hole, or a value cut in two
            return bytes((function | 0x80, 2))
        return bytes((function, 2 * count)) + words

    def _hole(self, image: Mapping[int, tuple[int, bytes]], first: int, end: int) -> bytes:
        """What a register without a point holds; b"" when there is none to be read."""
        inside = bool(image) and min(image) <= first and end <= max(image) + 1
        return b"\0\0" if self.gaps == "zero" and inside else b""

    def _image(self, function: int) -> dict[int, tuple[int, bytes]]:
        """Register -> (its place inside its value, its two bytes)."""
        image: dict[int, tuple[int, bytes]] = {}
        if function == 3:
            self._put(image, SERIAL_ADDRESS, struct.pack(">L", self.serial))
        if function != self.table["function"]:
            return image
        now = self.held()
        for key, row in self.table["points"].items():
            if key in self.missing:
                continue
            raw: float = now[key] / row.get("scale", 1)
            if row["type"][0] != "f":
                raw = math.floor(raw + 0.5)
            coded = struct.pack(">" + PACK[row["type"]], raw)
            if self.table["words"] == "little":
                coded = b"".join(coded[i : i + 2] for i in range(len(coded) - 2, -1, -2))
            self._put(image, row["address"], coded)
        return image

    @staticmethod
    def _put(image: dict[int, tuple[int, bytes]], address: int, coded: bytes) -> None:
        for i in range(0, len(coded), 2):
            image[address + i // 2] = (i // 2, coded[i : i + 2])
