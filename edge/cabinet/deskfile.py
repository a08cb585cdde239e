"""The copy of a site file for a desk: the same text, with other places for its wires.

Comments and order stay. Each line that is other says what it was. A result that does not read as it
should is refused: nothing is written on a guess.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.config.keylines import KeyPath, key_lines, value_spans
from edge.core import ConfigError
from edge.core.printable import printable
from edge.core.tomltext import TomlError, parse_toml

MARK: Final = "# A desk file, made by kerbstone sim"
ADDED: Final = "# desk: added"
CREDENTIALS: Final = ("fallback", "proxy", "username", "password_file", "ca", "cert", "key")
"""Keys of [uplink] that speak of the site's own broker."""


@dataclass(frozen=True, slots=True)
class DeskChange:
    """A value that is other at the desk; None: the key is left out."""

    path: KeyPath
    value: str | int | None


def is_desk_file(text: str) -> bool:
    """Whether it was made here."""
    return text.startswith(MARK)


def desk_changes(
    places: Mapping[str, Mapping[str, str | int]], folder: Path, broker: str,
    authority: Path | None = None,
) -> list[DeskChange]:  # fmt: skip
    """All of them. `broker` is its URL, or "" to keep the site's own; `authority`: its `ca`."""
    found = [
        DeskChange(("bus", bus, key), value)
        for bus, keys in places.items()
        for key, value in keys.items()
    ]
    found += [DeskChange(("store", "dir"), str(folder / "store"))]
    found += [DeskChange(("store", "run_dir"), str(folder / "run"))]
    if broker:
        found += [
            DeskChange(("uplink", "url"), broker),
            DeskChange(("uplink", "confirm"), "broker"),
        ]
        kept = {"ca": str(authority)} if authority is not None else {}
        found += [DeskChange(("uplink", key), kept.get(key)) for key in CREDENTIALS]
    return found


def differing(text: str, changes: Sequence[DeskChange]) -> tuple[DeskChange, ...]:
    """Those that change what the file says."""
    wanted = parse_toml(text)
    return tuple(change for change in changes if _apply(wanted, change))


def rewrite(text: str, changes: Sequence[DeskChange], source: str) -> str:
    """The desk's copy of a file that is in order. Raises ConfigError where it cannot be made."""
    text = text.replace("\r\n", "\n")
    text = text if text.endswith("\n") else text + "\n"
    wanted = parse_toml(text)
    lines, spans = key_lines(text), value_spans(text)
    rows = text.split("\n")[:-1]
    missing: dict[KeyPath, list[DeskChange]] = {}
    starts = [0]
    for row in rows:
        starts.append(starts[-1] + len(row) + 1)
    edits: list[tuple[int, int, str]] = []
    for change in changes:
        if _apply(wanted, change) is False:
            continue
        if change.path in spans:
            edits += _edit(text, starts, lines[change.path], spans[change.path], change)
        else:
            missing.setdefault(change.path[:-1], []).append(change)
    tail: list[str] = []
    for table, those in missing.items():
        added = [f"{c.path[-1]} = {_value(c.value)}  {ADDED}\n" for c in those]
        if table in lines:
            at = starts[lines[table]]
            edits.append((at, at, "".join(added)))
        else:
            tail += ["\n", f"[{'.'.join(map(str, table))}]  {ADDED}\n", *added]
    for begin, end, new in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    made = "".join((_head(source), text, *tail))
    _check(made, wanted, changes, lines)
    return made


def _head(source: str) -> str:
    name = printable(source)
    return (
        f"{MARK} of {name}: the same site, on simulated wires.\n"
        "# Lines that are other say what they were. It is made anew at each start of "
        "`kerbstone sim`;\n"
        "# to change it and keep that, start `kerbstone sim` with this file.\n"
    )


def _apply(wanted: dict[str, Any], change: DeskChange) -> bool:
    """Put the change into what the file must mean. False when it changes nothing."""
    table = wanted
    for part in change.path[:-1]:
        if change.value is None and part not in table:
            return False
        table = table.setdefault(str(part), {})
    key = str(change.path[-1])
    if change.value is None:
        return table.pop(key, None) is not None
    if table.get(key) == change.value:
        return False
    table[key] = change.value
    return True


def _edit(
    text: str, starts: Sequence[int], line: int, span: tuple[int, int], change: DeskChange
) -> list[tuple[int, int, str]]:
    begin, end = span
    row = starts[line - 1]
    if change.value is None:
        last = text.count("\n", 0, end)  # a list may go over several lines
        return [(start, start, "# desk: ") for start in starts[line - 1 : last + 1]]
    was = printable(" ".join(text[begin:end].split()), 80)
    eol = text.find("\n", end)
    edits = [(begin, end, _value(change.value))]
    if text.count("\n", row, end) == 0:
        edits.append((eol, eol, f"  # desk: was {was}"))
    return edits


def _value(value: str | int | None) -> str:
    return json.dumps(value, ensure_ascii=False)


def _check(
    made: str,
    wanted: Mapping[str, Any],
    changes: Sequence[DeskChange],
    lines: Mapping[KeyPath, int],
) -> None:
    try:
        found = parse_toml(made)
    except TomlError:
        found = {}
    if found == wanted:
        return
    for change in changes:
        table: Any = found
        for part in change.path[:-1]:
            table = table.get(part, {}) if isinstance(table, dict) else {}
        if not isinstance(table, dict) or table.get(change.path[-1]) != change.value:
            name = ".".join(map(str, change.path))
            line = next((lines[p] for p in (change.path, change.path[:-1]) if p in lines), 0)
            where = f"line {line}: " if line else ""
            raise ConfigError(
                f"{where}{name} cannot be changed in the copy for the desk: write it as a line "
                f"`{change.path[-1]} = ...` of its own, below [{name.rpartition('.')[0]}]"
            )
    raise ConfigError(
        "the copy for the desk would not mean the same: write each key of [bus.*], [store] and "
        "[uplink] on a line of its own"
    )
