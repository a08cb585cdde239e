"""Plots of the acceptance sheet, as SVG without anything from outside: a drive over its loops, and
values in their usual ranges. Readable on grey paper: no colour alone says anything.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 640
LEFT: Final = 150
ROW: Final = 34
TOP: Final = 22
TICKS: Final = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 60_000)
TICKS_MOST: Final = 9


def drive_plot(figures: Mapping[str, Any]) -> str:
    """Each loop a row, with the time for which the vehicle was on it; "" without a drive."""
    loops = figures.get("loops")
    if not isinstance(loops, Sequence) or not loops:
        return ""
    ends = [end if end is not None else start + 1000 for _, start, end in loops]
    first_ms = min(start for _, start, _ in loops)
    span_ms = max(max(ends) - first_ms, 1)
    margin = max(50, span_ms // 8)
    from_ms, to_ms = first_ms - margin, max(ends) + margin
    scale = (WIDTH - LEFT - 16) / (to_ms - from_ms)
    height = TOP + ROW * len(loops) + 30

    def x(ms: float) -> float:
        return float(round(LEFT + (ms - from_ms) * scale, 1))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'class="plot" aria-label="{escape(_drive_words(loops))}">'
    ]
    step = next((t for t in TICKS if (to_ms - from_ms) / t <= TICKS_MOST), TICKS[-1])
    tick = (from_ms - first_ms) // step * step
    while tick <= to_ms - first_ms:
        at = x(first_ms + tick)
        if at >= LEFT:
            parts.append(f'<path class="grid" d="M{at} {TOP - 6}V{height - 28}"/>')
            parts.append(f'<text class="tick" x="{at}" y="{height - 12}">{tick:g}</text>')
        tick += step
    parts.append(f'<text class="unit" x="{WIDTH - 4}" y="{height - 1}">ms</text>')
    for row, (source, start, end) in enumerate(loops):
        y = TOP + ROW * row
        right = x(end if end is not None else start + 1000)
        on_s = "still on" if end is None else f"{(end - start) / 1000:.2f} s"
        parts.append(f'<text class="row" x="0" y="{y + 18}">{escape(str(source))}</text>')
        parts.append(
            f'<path class="line" d="M{LEFT} {y + 22}H{x(start)}V{y + 4}H{right}V{y + 22}'
            f'H{WIDTH - 10}"/>'
        )
        parts.append(
            f'<text class="on" x="{(x(start) + right) / 2:.1f}" y="{y + 17}">{on_s}</text>'
        )
    return "".join([*parts, "</svg>"])


def _drive_words(loops: Sequence[Any]) -> str:
    """The same for who does not see it."""
    first = min(start for _, start, _ in loops)
    return "; ".join(
        f"{source} from {start - first} ms to {'-' if end is None else end - first} ms"
        for source, start, end in loops
    )


def range_bar(value: float, low: float, high: float) -> str:
    """A value between the ends of its range; a mark beyond an end stands at that end."""
    span = high - low
    if span <= 0:
        return ""
    share = min(1.0, max(0.0, (value - low) / span))
    x = round(4 + share * 112, 1)
    words = f"{value:.4g} of {low:g} to {high:g}"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 14" class="bar" role="img" '
        f'aria-label="{words}"><path class="grid" d="M4 3V11M116 3V11M4 7H116"/>'
        f'<path class="mark" d="M{x} 1V13"/></svg>'
    )
