"""The fields of a table's row, each with what would be right where it is wrong."""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeGuard


def choice(
    row: Mapping[str, Any], name: str, known: Mapping[str, Any], wrong: list[str]
) -> str | None:
    """A word from a list."""
    value = row.get(name)
    if isinstance(value, str) and value in known:
        return value
    hint = get_close_matches(str(value), known, 1)
    meant = f"; did you mean {hint[0]!r}?" if hint else ""
    problem = f"not {value!r}" if name in row else "and is missing"
    wrong.append(f"{name} must be one of {', '.join(known)}, {problem}{meant}")
    return None


def choices(
    row: Mapping[str, Any], name: str, known: Iterable[str], wrong: list[str]
) -> tuple[str, ...]:
    """A list of words from a list; nothing when it is not there."""
    value, known = row.get(name, []), list(known)
    if isinstance(value, list) and all(isinstance(word, str) and word in known for word in value):
        return tuple(value)
    among = ", ".join(known) if known else "nothing: there is none"
    wrong.append(f"{name} must be a list of words among {among}, not {value!r}")
    return ()


def number(
    row: Mapping[str, Any], name: str, wrong: list[str], required: bool = False
) -> float | None:
    """A finite number."""
    value = row.get(name)
    if (is_int(value) or isinstance(value, float)) and math.isfinite(value):
        return value
    if name in row or required:
        why = "" if name in row else ", and is missing"
        wrong.append(f"{name} must be a finite number in the unit of the quantity{why}")
    return None


def whole_number(
    row: Mapping[str, Any], name: str, low: int, high: int, wrong: list[str]
) -> int | None:
    """A whole number between two others, both included."""
    value = row.get(name)
    if is_int(value) and low <= value <= high:
        return value
    wrong.append(f"{name} must be a whole number {low}..{high}, not {value!r}")
    return None


def is_int(value: Any) -> TypeGuard[int]:
    """An integer, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool)


def unknown_keys(row: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """What is wrong with keys that nobody asks for."""
    wrong, known = [], list(known)
    for key in row:
        if key not in known:
            hint = get_close_matches(key, known, 1)
            meant = f"; did you mean {hint[0]!r}?" if hint else f"; choose from {', '.join(known)}"
            wrong.append(f"{key} is not known here{meant}")
    return wrong
