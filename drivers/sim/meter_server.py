"""One simulated meter: the registers of a table, and what they hold. With an encoder of its own.

It reads the same tables as the driver, and shares no code with it: a mistake on one side must
not be hidden by the same one on the other.
"""

import math
import os
import struct
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from drivers.sim.meter_unit import (
    FAULTS,
    Image,
    Kind,
    Unit,
    UnitFault,
    UnitReply,
    Values,
    write_registers,
)

__all__ = ["FAULTS", "Kind", "MeterServer", "UnitFault", "UnitReply", "Values"]

TABLES: Final = Path(__file__).parent.parent / "meters"
SITE: Final = Path(os.environ.get("KERBSTONE_METERS") or "/etc/kerbstone/meters")
PACK: Final = {
    "u16": "H", "i16": "h", "u32": "L", "i32": "l",
    "u64": "Q", "i64": "q", "f32": "f", "f64": "d",
}  # fmt: skip


class MeterServer(Unit):
    """A meter as its table (a name, a file, or a parsed document) tells it; `values` per point.

    A value is what is in the network, in the unit of its quantity: the meter divides by its
    ratios, which are among the values by their names ("ct": 40; 1 without). None is a value that
    this meter has not: what its table calls absent, or else a zero. A condition is raised by its
    name ("phases": -1 is what the register then holds). `gaps` says what registers between the
    points are: "zero", as Eastron's are, or "refuse".
    """

    def __init__(
        self,
        table: str | Path | Mapping[str, Any],
        values: Values,
        serial: int = 12_345_678,
        gaps: Literal["zero", "refuse"] = "zero",
    ) -> None:
        if isinstance(table, str):
            own = SITE / f"{table}.toml"
            table = own if own.exists() else TABLES / own.name
        if isinstance(table, Path):
            table = tomllib.loads(table.read_text(encoding="utf-8"))
        super().__init__(table["max_registers"], gaps)
        self.table, self.values, self.serial = table, values, serial
        self.missing: set[str] = set()  # points that this device refuses

    def swap(self, serial: int) -> None:
        """Another meter of the same type; its registers are what `values` gives from now on."""
        self.serial = serial

    def held(self) -> dict[str, float]:
        """What the registers stand for now, per point; a value that is absent is 0."""
        now = self._now()
        return {key: float(now.get(key) or 0.0) for key in self.table["points"]}

    def image(self, function: int) -> Image:
        """Registers that hold points, ratios, conditions and the serial number."""
        image: dict[int, tuple[int, bytes]] = {}
        now = self._now()
        ratios = self.table.get("ratios", {})
        for key, row in self.table["points"].items():
            if key not in self.missing and self._reads(row, function):
                write_registers(image, row["address"], self._coded(row, now.get(key, 0.0), now))
        for key, row in ratios.items():
            if key not in self.missing and self._reads(row, function):
                write_registers(image, row["address"], self._coded(row, now.get(key, 1.0), now))
        for key, row in self.table.get("conditions", {}).items():
            if self._reads(row, function):
                write_registers(
                    image, row["address"], self._coded(row, now.get(key, row["normal"]), now)
                )
        who = self.table.get("identity")
        if who is not None and self._reads(who, function):
            write_registers(image, who["address"], self._serial(who))
        return image

    def _now(self) -> Mapping[str, float | None]:
        return self.values() if callable(self.values) else self.values

    def _reads(self, row: Mapping[str, Any], function: int) -> bool:
        return bool(row.get("function", self.table["function"]) == function)

    def _coded(
        self, row: Mapping[str, Any], value: float | None, now: Mapping[str, float | None]
    ) -> bytes:
        kind = row["type"]
        if value is None:
            return self._ordered(self._absent(kind))
        raw: float = value / row.get("scale", 1)
        for ratio in row.get("times", ()):
            raw /= now.get(ratio) or 1.0
        if kind[0] != "f":
            bits = 8 * struct.calcsize(">" + PACK[kind])
            low, high = (
                (0, 2**bits - 1) if kind[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            )
            raw = min(max(math.floor(raw + 0.5), low), high)  # it cannot show more
        return self._ordered(struct.pack(">" + PACK[kind], raw))

    def _absent(self, kind: str) -> bytes:
        """What stands for no value: all ones, 0x7F and ones, 0x80 and zeros, or a quiet NaN."""
        size, words = struct.calcsize(">" + PACK[kind]), self.table.get("absent", ())
        if kind[0] == "f":
            return struct.pack(">" + PACK[kind], math.nan if "nan" in words else 0.0)
        if "largest" in words:
            return (b"\xff" if kind[0] == "u" else b"\x7f") + b"\xff" * (size - 1)
        if "smallest" in words:
            return (b"\x00" if kind[0] == "u" else b"\x80") + b"\x00" * (size - 1)
        return bytes(size)

    def _ordered(self, coded: bytes) -> bytes:
        if self.table["words"] == "little":
            return b"".join(coded[i : i + 2] for i in range(len(coded) - 2, -1, -2))
        return coded

    def _serial(self, who: Mapping[str, Any]) -> bytes:
        if who["type"] == "text":
            return str(self.serial).encode("ascii").ljust(2 * who["length"], b"\0")
        return self._ordered(struct.pack(">" + PACK[who["type"]], self.serial))
