"""Reads a register map from its table, and says of each mistake what would be right."""

import math
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeGuard

from edge.core import ConfigError, Kind, Point, Quantity

HERE: Final = Path(__file__).parent
SITE: Final = Path("/etc/kerbstone/meters")  # tables of one's own; they go before ours

WORDS: Final = {"u16": 1, "i16": 1, "u32": 2, "i32": 2, "f32": 2, "u64": 4, "i64": 4, "f64": 4}
QUANTITIES: Final = {quantity.label: quantity for quantity in Quantity}
KINDS: Final = {kind.value: kind for kind in Kind}
TOTALS: Final = (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY)
HEAD_KEYS: Final = ("maker", "model", "function", "words", "max_registers", "points")
ROW_KEYS: Final = (
    "address", "type", "quantity", "low", "high", "scale", "kind", "resolution",
)  # fmt: skip
MAX_REGISTERS: Final = 125  # by the protocol


@dataclass(frozen=True, slots=True)
class Register:
    """Where a point lives and how it is told: raw value of `type`, times `scale`."""

    point: Point
    address: int
    type: str
    scale: float = 1.0

    @property
    def words(self) -> int:
        """Registers of 16 bits that it takes."""
        return WORDS[self.type]


@dataclass(frozen=True, slots=True)
class RegisterMap:
    """A whole device, as read from its file. `words` is the order inside long values."""

    name: str
    maker: str
    model: str
    function: int
    words: str
    max_registers: int
    registers: tuple[Register, ...]


def tables() -> dict[str, Path]:
    """Every table that there is: driver name -> file."""
    return {path.stem: path for place in (HERE, SITE) for path in sorted(place.glob("*.toml"))}


def load(name: str) -> RegisterMap:
    """The table of this name. Raises ConfigError with all mistakes in it, or if nobody has it."""
    found = tables()
    if name not in found:
        raise ConfigError(f"no meter is called {name!r}; known are {', '.join(sorted(found))}")
    try:
        text = found[name].read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{found[name]} cannot be read: {error}") from error
    return parse(text, found[name])


def parse(text: str, path: Path) -> RegisterMap:
    """A table from its text; `path` names it in errors. Raises ConfigError with all mistakes."""
    try:
        doc = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    wrong: list[str] = []
    _head(doc, wrong)
    registers: list[Register] = []
    rows = doc.get("points")
    if not isinstance(rows, dict) or not rows:
        wrong.append("[points] is missing: one row per value, key = { address = ..., ... }")
        rows = {}
    for key, row in rows.items():
        mistakes: list[str] = []
        register = _register(key, row, mistakes)
        if register is not None:
            registers.append(register)
        wrong += [f"point {key}: {mistake}" for mistake in mistakes]
    wrong += _overlaps(registers)
    limit = doc.get("max_registers")
    if isinstance(limit, int):
        wrong += [
            f"point {r.point.key}: needs {r.words} registers, max_registers allows {limit}"
            for r in registers
            if r.words > limit
        ]
    if wrong:
        raise ConfigError("\n".join(f"{path}: {mistake}" for mistake in wrong))
    return RegisterMap(
        path.stem,
        doc["maker"],
        doc["model"],
        doc["function"],
        doc["words"],
        doc["max_registers"],
        tuple(registers),
    )


def _head(doc: Mapping[str, Any], wrong: list[str]) -> None:
    wrong += _strangers(doc, HEAD_KEYS)
    for key in ("maker", "model"):
        if not isinstance(doc.get(key), str) or not doc[key]:
            wrong.append(f'{key} must be a name, as in {key} = "Eastron"')
    if doc.get("function") not in (3, 4):
        wrong.append("function must be 3 (holding registers) or 4 (input registers)")
    if doc.get("words") not in ("big", "little"):
        wrong.append('words must be "big" (high word first) or "little" (low word first)')
    limit = doc.get("max_registers")
    if not _is_int(limit) or not 1 <= limit <= MAX_REGISTERS:
        wrong.append(
            f"max_registers must be 1..{MAX_REGISTERS}: what the meter gives in one answer"
        )


def _register(key: str, row: Any, wrong: list[str]) -> Register | None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", key):
        wrong.append("a key is lower case letters, digits and _, and begins with a letter")
    if not isinstance(row, dict):
        wrong.append('must be a row: { address = 0x0000, type = "f32", quantity = "voltage", ... }')
        return None
    wrong += _strangers(row, ROW_KEYS)
    kind = _choice(row, "type", WORDS, wrong)
    quantity = _choice(row, "quantity", QUANTITIES, wrong)
    address = row.get("address")
    words = WORDS[kind] if kind else 1
    if not _is_int(address) or not 0 <= address <= 0x10000 - words:
        wrong.append(f"address must be 0..{0x10000 - words:#06x}, as it goes over the wire")
    low, high = (_number(row, name, wrong, required=True) for name in ("low", "high"))
    if low is not None and high is not None and not low < high:
        wrong.append(f"low must be below high, not {low:g} and {high:g}")
    scale = _number(row, "scale", wrong) if "scale" in row else 1.0
    if scale == 0:
        wrong.append("scale must not be 0: value = register * scale")
    resolution = _number(row, "resolution", wrong) if "resolution" in row else 0.0
    if "resolution" in row and resolution is not None and resolution <= 0:
        wrong.append("resolution must be above 0, in the unit of the quantity")
    is_total = quantity is not None and QUANTITIES[quantity] in TOTALS
    if is_total and "kind" not in row:
        wrong.append('kind is missing: "total" for a register that only grows, else "gauge"')
    grows = _choice(row, "kind", KINDS, wrong) if "kind" in row else "gauge"
    if wrong or kind is None or quantity is None or grows is None or low is None or high is None:
        return None
    point = Point(key, QUANTITIES[quantity], low, high, resolution or 0.0, KINDS[grows])
    return Register(point, row["address"], kind, scale or 1.0)


def _choice(
    row: Mapping[str, Any], name: str, known: Mapping[str, Any], wrong: list[str]
) -> str | None:
    value = row.get(name)
    if isinstance(value, str) and value in known:
        return value
    hint = get_close_matches(str(value), known, 1)
    meant = f"; did you mean {hint[0]!r}?" if hint else ""
    said = f"not {value!r}" if name in row else "and is missing"
    wrong.append(f"{name} must be one of {', '.join(known)}, {said}{meant}")
    return None


def _number(
    row: Mapping[str, Any], name: str, wrong: list[str], required: bool = False
) -> float | None:
    value = row.get(name)
    if (_is_int(value) or isinstance(value, float)) and math.isfinite(value):
        return value
    if name in row or required:
        why = "" if name in row else ", and is missing"
        wrong.append(f"{name} must be a finite number in the unit of the quantity{why}")
    return None


def _is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _strangers(row: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    wrong = []
    for key in row:
        if key not in known:
            hint = get_close_matches(key, known, 1)
            meant = f"; did you mean {hint[0]!r}?" if hint else f"; known are {', '.join(known)}"
            wrong.append(f"{key} is not known here{meant}")
    return wrong


def _overlaps(registers: list[Register]) -> list[str]:
    wrong = []
    by_address = sorted(registers, key=lambda register: register.address)
    for one, other in pairwise(by_address):
        if one.address + one.words > other.address:
            wrong.append(
                f"point {other.point.key}: its address {other.address:#06x} lies inside"
                f" {one.point.key} ({one.type} at {one.address:#06x})"
            )
    return wrong
