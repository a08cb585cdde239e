"""What a run looks like on one time axis: rows of shapes, x in seconds, y from 0 (top) to the
height of the row.

A day of 64 lanes has more vehicles and windows than anybody can look at: beyond a budget they are
thinned, and the row says so. What is wrong is never thinned away: marks are made before.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from edge.core.printable import printable

HEIGHT: Final = 40.0  # of a row with a curve
BAR: Final = 14.0  # of a row with bars
MARKS_LIMIT: Final = 200  # in one row
Step = tuple[float, float, float | None]
"""From, to, value; None where there is none."""


@dataclass(slots=True)
class PictureRow:
    """One row. `label` and `words` are texts for people and not escaped yet; `words` says the same
    as the picture, for who does not see it. `shapes` is SVG, escaped."""

    group: str
    label: str
    words: str
    shapes: list[str] = field(default_factory=list)
    height: float = BAR
    note: str = ""
    """What is left out, and how the y axis goes."""

    def bar(self, from_s: float, to_s: float, css: str, title: str) -> None:
        """A thing that lasts; at least a hair wide, so that it can be seen."""
        self.shapes.append(
            f'<path class="{css}" d="M{_n(from_s)} 2H{_n(max(to_s, from_s))}V{_n(self.height - 2)}'
            f'H{_n(from_s)}Z"><title>{shown(title)}</title></path>'
        )

    def mark(self, at_s: float, css: str, title: str = "") -> None:
        """A thing that happens."""
        told = f"<title>{shown(title)}</title>" if title else ""
        self.shapes.append(
            f'<path class="mark {css}" d="M{_n(at_s)} 0V{_n(self.height)}">{told}</path>'
        )

    def marks(self, found: Sequence[tuple[float, str]], css: str) -> None:
        """At most MARKS_LIMIT of them."""
        for at_s, title in found[:MARKS_LIMIT]:
            self.mark(at_s, css, title)
        if len(found) > MARKS_LIMIT:
            self.note += f" {len(found) - MARKS_LIMIT} more are not drawn."


def shown(text: str) -> str:
    """A stranger's text as a part of a page: one line, and no mark of the page."""
    return escape(printable(text))


def scale(values: Iterable[float], *, zero: bool = False) -> tuple[float, float]:
    """Low and high of a y axis, with something between them."""
    found = list(values)
    low, high = min(found, default=0.0), max(found, default=1.0)
    low = min(0.0, low) if zero else low
    if high <= low:
        low, high = (low, low + 1.0) if zero else (low - 1.0, high + 1.0)
    return low, high


def curve(points: Sequence[tuple[float, float]], ends: tuple[float, float], height: float) -> str:
    """The `d` of a path through points."""
    return "M" + "L".join(f"{_n(x)} {_n(_y(value, ends, height))}" for x, value in points)


def steps(found: Sequence[Step], ends: tuple[float, float], height: float) -> str:
    """The `d` of a step line, broken where there is no value and where time is left out."""
    parts: list[str] = []
    before: float | None = None
    for from_s, to_s, value in found:
        if value is None:
            before = None
            continue
        y = _n(_y(value, ends, height))
        joined = before is not None and abs(before - from_s) < 0.05
        parts.append(f"V{y}H{_n(to_s)}" if joined else f"M{_n(from_s)} {y}H{_n(to_s)}")
        before = to_s
    return "".join(parts)


def columns(found: Sequence[Step], ends: tuple[float, float], height: float) -> str:
    """The `d` of columns that stand on the row's lower edge."""
    return "".join(
        f"M{_n(a)} {_n(height)}V{_n(_y(value, ends, height))}H{_n(b)}V{_n(height)}Z"
        for a, b, value in found
        if value
    )


def thin(found: Sequence[Step], most: int) -> tuple[list[Step], int]:
    """At most so many steps, each the mean of as many of them as are joined; and how many."""
    each = -(-len(found) // max(1, most))
    if each <= 1:
        return list(found), 1
    joined: list[Step] = []
    for at in range(0, len(found), each):
        group = found[at : at + each]
        values = [value for _, _, value in group if value is not None]
        mean = sum(values) / len(values) if values else None
        joined.append((group[0][0], group[-1][1], mean))
    return joined, each


def changes(found: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Only where the value changes; if these are too many, the highest of each stretch."""
    kept = [
        each for number, each in enumerate(found) if not number or each[1] != found[number - 1][1]
    ]
    size = -(-len(kept) // max(1, most))
    if size <= 1:
        return kept
    return [max(kept[at : at + size], key=lambda each: each[1]) for at in range(0, len(kept), size)]


def path(css: str, d: str) -> str:
    return f'<path class="{css}" d="{d}"/>' if d and d != "M" else ""


def spread(names: Iterable[str], limit: int) -> dict[str, int]:
    """How many shapes each of these rows may have."""
    found = list(names)
    return {each: max(20, limit // max(1, len(found))) for each in found}


def grouped(rows: Sequence[PictureRow]) -> Iterator[tuple[str, list[PictureRow]]]:
    """By their groups, in the order in which these first come."""
    groups: dict[str, list[PictureRow]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    yield from groups.items()


def _y(value: float, ends: tuple[float, float], height: float) -> float:
    low, high = ends
    return height - 2 - (value - low) / (high - low) * (height - 4)


def _n(value: float) -> str:
    """Hundredths are enough: of a second, and of a pixel."""
    return f"{value:.2f}".rstrip("0").rstrip(".")
