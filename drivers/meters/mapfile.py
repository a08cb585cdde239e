"""Reads a register map from its table, and says of each mistake where it is and what is right.

Tables of one's own are in /etc/kerbstone/meters, or where KERBSTONE_METERS points to.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeVar

from drivers.meters.registermodel import Register, RegisterMap
from drivers.meters.rowfields import choices, is_int, unknown_keys
from drivers.meters.tablelines import key_lines, line_of_key
from drivers.meters.tablerows import FUNCTIONS, condition_row, point_row, ratio_row, serial_row
from edge.core import ConfigError
from edge.core.driver import SerialLine

HERE: Final = Path(__file__).parent
VARIABLE: Final = "KERBSTONE_METERS"
SITE: Final = Path(os.environ.get(VARIABLE) or "/etc/kerbstone/meters")  # these go before ours
FILE_LIMIT: Final = 128 * 1024  # bytes; our longest has 12 kB
NAMES: Final = "[!._]*.toml"
PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")

HEAD_KEYS: Final = (
    "maker", "model", "function", "words", "max_registers", "gap", "line", "bauds", "formats",
    "amps", "absent", "identity", "ratios", "conditions", "points",
)  # fmt: skip
ABSENT: Final = ("largest", "smallest", "nan")
MAX_REGISTERS: Final = 125  # by the protocol
MAX_AMPS: Final = 100_000

Row = TypeVar("Row")


def list_maps() -> dict[str, Path]:
    """Every table that there is: driver name -> file. Nothing is read."""
    return {path.stem: path for place in (HERE, SITE) for path in sorted(place.glob(NAMES))}


def load_register_map(name: str) -> RegisterMap:
    """The table of this name. Raises ConfigError with all mistakes in it, or if nobody has it."""
    found = list_maps()
    if name not in found:
        raise ConfigError(f"no meter is called {name!r}; choose from {', '.join(sorted(found))}")
    return parse_register_map(_text(found[name]), found[name])


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would keep us waiting for its writer
        raise ConfigError(f"{path} is not a file; remove it, or put a table there")
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
        if len(data) > FILE_LIMIT:
            raise ConfigError(f"{path} has more than {FILE_LIMIT // 1024} kB; this is no table")
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: this line is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}; the gateway's user must be allowed to"
        ) from error


@lru_cache(maxsize=64)
def parse_register_map(text: str, path: Path) -> RegisterMap:
    """A table from its text; `path` names it in errors. Raises ConfigError with all mistakes."""
    doc = _document(text, path)
    wrong: list[str] = []
    _check_head(doc, wrong)
    identity = None
    if "identity" in doc:
        bad: list[str] = []
        identity = serial_row(doc["identity"], doc.get("function"), bad)
        wrong += [f"identity: {mistake}" for mistake in bad]
    ratios = _rows(doc, "ratios", ratio_row, wrong)
    signs = _rows(doc, "conditions", condition_row, wrong)
    if not isinstance(doc.get("points"), dict) or not doc["points"]:
        wrong.append("[points] is missing: one row per value, key = { address = ..., ... }")
    points = _rows(doc, "points", lambda key, row, bad: point_row(key, row, ratios, bad), wrong)
    cells = {f"points.{key}": register for key, register in points.items()}
    cells |= {f"ratios.{key}": register for key, register in ratios.items()}
    cells |= {f"conditions.{key}": sign.register for key, sign in signs.items()}
    wrong += _overlaps(cells, doc.get("function"))
    limit = doc.get("max_registers")
    if isinstance(limit, int):
        wrong += [
            f"{key}: needs {cell.words} registers, max_registers allows {limit}"
            for key, cell in cells.items()
            if cell.words > limit
        ]
    if wrong:
        raise ConfigError("\n".join(_placed(text, path, wrong)))
    return RegisterMap(
        path.stem,
        doc["maker"],
        doc["model"],
        doc["function"],
        doc["words"],
        doc["max_registers"],
        tuple(points.values()),
        line=doc.get("line", ""),
        bauds=tuple(doc.get("bauds", ())),
        formats=tuple(doc.get("formats", ())),
        gap=doc.get("gap"),
        absent=tuple(doc.get("absent", ())),
        amps=doc.get("amps", 0.0),
        identity=identity,
        ratios=ratios,
        signs=tuple(signs.values()),
    )


def _document(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = PLACE.search(str(error))
        line = found[1] if found and found[1] else text.rstrip().count("\n") + 1
        problem = PLACE.sub("", str(error))
        raise ConfigError(f"{path}:{line}: this is not TOML: {problem}") from error
    except (ValueError, RecursionError) as error:  # a number of 5000 digits; a list in a list in a
        raise ConfigError(f"{path}: a number is too long or lists are nested too deeply") from error


def _rows(
    doc: Mapping[str, Any],
    section: str,
    read: Callable[[str, Any, list[str]], Row | None],
    wrong: list[str],
) -> dict[str, Row]:
    rows = doc.get(section, {})
    if not isinstance(rows, dict):
        wrong.append(f"[{section}] must be a section of rows")
        return {}
    found: dict[str, Row] = {}
    for key, row in rows.items():
        mistakes: list[str] = []
        one = read(key, row, mistakes)
        if one is not None:
            found[key] = one
        wrong += [f"{section}.{key}: {mistake}" for mistake in mistakes]
    return found


def _check_head(doc: Mapping[str, Any], wrong: list[str]) -> None:
    wrong += unknown_keys(doc, HEAD_KEYS)
    for key in ("maker", "model"):
        if not isinstance(doc.get(key), str) or not doc[key]:
            wrong.append(f'{key} must be a name, as in {key} = "Eastron"')
    if doc.get("function") not in FUNCTIONS:
        wrong.append("function must be 3 (holding registers) or 4 (input registers)")
    if doc.get("words") not in ("big", "little"):
        wrong.append('words must be "big" (high word first) or "little" (low word first)')
    limit = doc.get("max_registers")
    if not is_int(limit) or not 1 <= limit <= MAX_REGISTERS:
        wrong.append(
            f"max_registers must be 1..{MAX_REGISTERS}: what the meter gives in one answer"
        )
    gap = doc.get("gap", 0)
    if not is_int(gap) or not 0 <= gap <= MAX_REGISTERS:
        wrong.append(
            f"gap must be 0..{MAX_REGISTERS}: registers without a point that may be read, too"
        )
    line = doc.get("line", "9600 8N1")
    if not isinstance(line, str) or not _settable(line):
        wrong.append('line must be how the meter leaves the factory, as in line = "9600 8N1"')
    if not _each_settable(doc.get("bauds", []), "{} 8N1"):
        wrong.append("bauds must be all baud rates that the meter has, as in bauds = [4800, 9600]")
    if not _each_settable(doc.get("formats", []), "9600 {}"):
        wrong.append('formats must be all that the meter can, as in formats = ["8N1", "8E1"]')
    amps = doc.get("amps", 1)
    if not (is_int(amps) or isinstance(amps, float)) or not 0 < amps <= MAX_AMPS:
        wrong.append("amps must be a number above 0: the largest current that the ranges are for")
    choices(doc, "absent", ABSENT, wrong)


def _settable(line: str) -> bool:
    try:
        return SerialLine.parse(line).bits == 8
    except ValueError:
        return False


def _each_settable(found: Any, form: str) -> bool:
    return isinstance(found, list) and all(_settable(form.format(each)) for each in found)


def _overlaps(cells: Mapping[str, Register], function: Any) -> list[str]:
    def place(key: str) -> tuple[int, int]:
        return cells[key].function or function or 0, cells[key].address

    wrong = []
    for key, other in pairwise(sorted(cells, key=place)):
        one, two = cells[key], cells[other]
        if place(key)[0] == place(other)[0] and one.end > two.address:
            wrong.append(
                f"{other}: its address {two.address:#06x} lies inside"
                f" {key} ({one.type} at {one.address:#06x})"
            )
    return wrong


def _placed(text: str, path: Path, wrong: list[str]) -> list[str]:
    """Each mistake behind file and line. It begins with its key, or with its row and a key."""
    found = key_lines(text)
    placed = []
    for mistake in wrong:
        row, colon, rest = mistake.partition(": ")
        key = (*row.split("."), rest.partition(" ")[0]) if colon else (mistake.partition(" ")[0],)
        line = line_of_key(found, key)
        placed.append((line, f"{path}:{line}: {mistake}" if line else f"{path}: {mistake}"))
    return [mistake for _, mistake in sorted(placed, key=lambda one: one[0])]
