"""One value on a screen: its digits, its unit, how old it is and how far it is to be trusted."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Final

from edge.core.humanize import span_text
from edge.core.printable import printable

VALUE_WIDTH: Final = 12
UNIT_WIDTH: Final = 6
NAME_WIDTH: Final = 26
NAME_LIMIT: Final = 48  # characters
MARKS: Final = "▁▂▃▄▅▆▇█"
PLAIN_MARKS: Final = "_.-=+*#@"  # for a terminal without these letters
STATE_WORDS: Final[Mapping[str, str]] = {
    "silent": "SILENT",
    "crc": "DAMAGED ON THE WIRE",
    "warmup": "warming up",
    "busy": "busy",
    "stale": "nothing new",
}


def value_text(value: Any) -> str:
    """Six digits, as the driver's resolution seldom has more; a counter or energy keeps all."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value}"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1e4 else f"{value:.6g}"
    return printable(str(value), VALUE_WIDTH)


def age_text(age_s: Any) -> str:
    """`3.2 s ago`; what never was is `never`."""
    return "never" if not isinstance(age_s, (int, float)) else f"{span_text(age_s)} ago"


def state_text(state: str) -> str:
    """Of a device."""
    return STATE_WORDS.get(state, printable(state, VALUE_WIDTH * 2).upper())


def unit_text(unit: Any) -> str:
    """A bare number has none."""
    return "" if unit in ("1", "/", None) else printable(str(unit), UNIT_WIDTH)


def reading_text(reading: Mapping[str, Any]) -> str:
    """Point, value, unit and, unless it is good, quality."""
    quality = str(reading.get("quality", ""))
    doubt = "" if quality == "good" else f"  {printable(quality, VALUE_WIDTH * 2)}"
    point = printable(str(reading.get("point", "")), NAME_LIMIT)
    value, unit = value_text(reading.get("value")), unit_text(reading.get("unit"))
    return f"{point:<{NAME_WIDTH}}{value:>{VALUE_WIDTH}} {unit:<{UNIT_WIDTH}}{doubt}".rstrip()


def sparkline(values: Sequence[float | None], width: int, marks: str = MARKS) -> str:
    """The last `width` values, from the least to the greatest of them; a blank where there was
    none. One that never moves lies at the bottom.
    """
    shown = values[-width:]
    known = [value for value in shown if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    top = len(marks) - 1
    return "".join(
        " " if value is None else marks[round((value - low) / span * top) if 0 < span < inf else 0]
        for value in shown
    )
