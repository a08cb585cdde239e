"""An approach as a picture: flags, P(congested), volume, occupancy, speed and health above one
another, over the same time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from math import inf
from typing import Final

from edge.report.plot import scale, strips, style, svgpaths
from edge.report.plot.columntable import ColumnTable
from edge.report.plot.plotdata import LaneData, View
from edge.report.plot.scale import LEFT, PLOT, WIDTH, short_number

GAP: Final = 9.0  # between panels
PROBABILITIES: Final = (
    ("now", "P now"),
    ("in5", "P in 5 min"),
    ("in15", "P in 15 min"),
)
KEY: Final = 46.0  # a stroke of the legend and the spaces around it
LETTER: Final = 6.6  # width of a letter of 12 px, for what must not overlap


@dataclass(frozen=True, slots=True)
class Panel:
    """A quantity: its lines are kinds of `lines.points`; the axis ends between `least`
    and `most`."""

    kind: str
    title: str
    unit: str
    height: float
    least: float
    kinds: tuple[str, ...]
    most: float = inf


PANELS: Final = (
    Panel("volume", "volume", "veh/h", 92, 120, ("volume",)),
    Panel("occupancy", "occupancy", "%", 92, 10, ("occupancy",), 100),
    Panel("speed", "speed", "km/h", 92, 30, ("speed", "single")),
    Panel("queue", "queue", "% of time", 64, 20, ("queue",), 100),
    Panel("aog", "arrivals on green", "%", 64, 100, ("aog",), 100),
    Panel("split", "split failures", "% of cycles", 64, 20, ("split",), 100),
)
P: Final = Panel("p", "P(congested)", "", 72, 1, ("now", "in5", "in15"))


@dataclass(slots=True)
class SvgParts:
    """Parts of one picture, each below the one before."""

    y: float = 0.0
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, style: str = "") -> None:
        """`y` is that of the base line, from the sheet's present end."""
        named = f' class="{style}"' if style else ""
        x_y = f'x="{short_number(round(x, 1))}" y="{short_number(round(self.y + y, 1))}"'
        self.parts.append(f"<text {x_y}{named}>{escape(text)}</text>")


def axis_tops(view: View) -> dict[str, float]:
    """The upper end of each axis: the same for all approaches, so that they can be compared."""
    found = {}
    for panel in PANELS:
        tables = [lane.table for lane in view.kept.lanes.values()]
        drawn = (view.points(t, kind) for t in tables for kind in panel.kinds if _has(t, kind))
        end = scale.axis_top(svgpaths.highest_value(drawn), panel.least)
        found[panel.kind] = min(end, panel.most)
    return found


def draw_approach(view: View, name: str, ends: dict[str, float]) -> tuple[str, float]:
    """The inside of a picture of this approach, and its height."""
    svg, lanes = SvgParts(), view.kept.members(name)
    _legend(svg, view, name, lanes)
    spans = view.kept.flags.of([name, *(lane.name for lane in lanes)])
    svg.y, drawn = strips.draw_flags(view, spans, svg.y)
    svg.parts += drawn
    jams = strips.draw_jams(view, spans)
    probable = view.kept.approaches.get(name)
    if probable is not None and probable.has("now"):
        content = [
            _path(kind, f"line {kind}", svgpaths.line_path(
                view.points(probable, kind), *_steps(view), P.height, 1.0))
            for kind in P.kinds if probable.has(kind)
        ]  # fmt: skip
        _panel(svg, P, 1.0, jams, content)
    for panel in PANELS:
        if any(_has(lane.table, kind) for lane in lanes for kind in panel.kinds):
            content = [part for part in _lanes(view, panel, lanes, ends[panel.kind])]
            _panel(svg, panel, ends[panel.kind], jams, content)
    svg.y, drawn = strips.draw_health(view, lanes, svg.y)
    svg.parts += drawn
    _times(svg, view)
    return "".join(svg.parts), svg.y


def draw_others(view: View) -> tuple[str, float] | None:
    """Bays, and flags of what is no lane and no approach; None when there are none."""
    kept = view.kept
    known = {*kept.lanes, *kept.approaches}
    spans = [span for span in kept.flags.spans if span.source not in known]
    if not spans and not kept.bays:
        return None
    svg = SvgParts()
    svg.text(0, 18, "bays and other devices" if kept.bays else "other devices", "head")
    svg.y += 28
    svg.y, drawn = strips.draw_flags(view, spans, svg.y)
    svg.parts += drawn
    svg.y, drawn = strips.draw_bays(view, svg.y)
    svg.parts += drawn
    _times(svg, view)
    return "".join(svg.parts), svg.y


def alt_text(view: View, name: str) -> str:
    """What a reader who does not see the picture must know of it."""
    lanes, start = view.kept.members(name), view.heading.start_s
    spans = view.kept.flags.of([name, *(lane.name for lane in lanes)])
    total = sum(sum(svgpaths.without_nan(lane.table["volume"])) for lane in lanes)
    jams = [span for span in spans if span.kind == "congestion"]
    text = (
        f"{_count_text(len(lanes), 'lane')} ({', '.join(lane.name for lane in lanes)}), from "
        f"{scale.time_text(view.frame.from_s, start)} to "
        f"{scale.time_text(view.frame.to_s, start)}. {total:,.0f} vehicles over all loops. "
    )
    if jams:
        first = scale.time_text(jams[0].from_ns / 1e9, start)
        text += f"Congested {_count_text(len(jams), 'time')}, first at {first}. "
    else:
        text += "No congestion was flagged. "
    rest = len(spans) - len(jams)
    return text + (f"{_count_text(rest, 'other flag')}." if rest else "No other flags.")


def _count_text(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _legend(svg: SvgParts, view: View, name: str, lanes: Sequence[LaneData]) -> None:
    title = f"approach {name}"
    svg.text(0, 18, title, "head")
    probable = view.kept.approaches.get(name)
    shown = [(f"l{i % style.LANES}", lane.name, i) for i, lane in enumerate(lanes)]
    if probable is not None and any(probable.has(kind) for kind, _ in PROBABILITIES[1:]):
        shown += [(kind, text, -1) for kind, text in PROBABILITIES if probable.has(kind)]
    if any(lane.table.has("single") for lane in lanes):
        shown.append(("l7 single", "speed from one loop", -1))
    x = max(LEFT, len(title) * 9.0 + 20)
    for css, text, _ in shown:
        if x + len(text) * LETTER + KEY > WIDTH:
            x, svg.y = LEFT, svg.y + 17
        at, y = short_number(round(x, 1)), short_number(svg.y + 14)
        svg.parts.append(f'<path class="line key {css}" d="M{at} {y}h24"/>')
        svg.text(x + 29, 18, text)
        x += len(text) * LETTER + KEY
    svg.y += 30


def _lanes(view: View, panel: Panel, lanes: Sequence[LaneData], end: float) -> Iterator[str]:
    step_px, step_s = _steps(view)
    for i, lane in enumerate(lanes):
        for kind in panel.kinds:
            if not _has(lane.table, kind):
                continue
            found = view.points(lane.table, kind)
            colour = f"l{i % style.LANES}"
            if around := svgpaths.band_path(found, step_px, panel.height, end):
                yield _path(kind, f"band {colour}", around, i)
            more = " single" if kind == "single" else ""
            path = svgpaths.line_path(found, step_px, step_s, panel.height, end)
            yield _path(kind, f"line {colour}{more}", path, i)


def _path(kind: str, css: str, path: str, lane: int | None = None) -> str:
    of = "" if lane is None else f' data-lane="{lane}"'
    return f'<path class="{css}" data-kind="{kind}"{of} d="{path}"/>'


def _panel(
    svg: SvgParts, panel: Panel, end: float, jams: Sequence[str], content: Sequence[str]
) -> None:
    height = panel.height
    svg.text(0, 16, panel.title, "name")
    svg.text(0, 32, panel.unit, "muted")
    numbers = [0, 0.5, 1] if panel is P else scale.axis_numbers(end)
    rules = []
    svg.parts.append(f'<g class="numbers" data-kind="{panel.kind}">')
    for number in numbers:
        y = height - 2 - (height - 4) * number / end
        svg.text(LEFT - 7, y + 4, short_number(number), "small muted end")
        rules.append(
            f'<path class="rule" d="M0 {short_number(round(y, 1))}H{short_number(PLOT)}"/>'
        )
    svg.parts.append("</g>")
    size = f'width="{short_number(PLOT)}" height="{short_number(height)}"'
    where = f'x="{short_number(LEFT)}" y="{short_number(svg.y)}"'
    svg.parts.append(f'<svg class="panel" data-kind="{panel.kind}" {where} {size}>')
    svg.parts += [f'<rect class="back" {size}/>', *jams]
    svg.parts += ['<g class="rules">', *rules, "</g>", *content]
    svg.parts.append(f'<rect class="frame" {size}/></svg>')
    svg.y += height + GAP


def _times(svg: SvgParts, view: View) -> None:
    svg.parts.append(f'<g class="times" data-y="{short_number(svg.y)}">')
    for at_s, text in scale.time_marks(view.frame, view.heading.start_s):
        x = LEFT + view.frame.x(at_s)
        y = short_number(svg.y - 2)
        svg.parts.append(f'<path class="rule" d="M{short_number(round(x, 1))} {y}v5"/>')
        svg.text(x, 16, text, "small muted mid")
    svg.parts.append("</g>")
    known = view.heading.start_s is not None
    svg.text(0, 16, "time, UTC" if known else "since the start, h:min", "small muted")
    svg.y += 26


def _steps(view: View) -> tuple[float, float]:
    return PLOT * view.bin_s / (view.frame.to_s - view.frame.from_s), view.bin_s


def _has(table: ColumnTable, kind: str) -> bool:
    if kind == "queue":
        return any(value > 0 for value in table["queue"])  # a day without one needs no panel
    return table.has({"occupancy": "on", "aog": "on_green", "split": "failures"}.get(kind, kind))
