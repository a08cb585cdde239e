"""A scenario as a picture, from its file alone: who drives when, what is measured, what breaks.

One SVG without anything from outside, as wide as a phone. The same scenario gives the same bytes.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Final

from edge.config import Site
from edge.rig.judgedrun import seconds
from edge.rig.picturerows import BAR, HEIGHT, PictureRow, Step, columns, curve, path, scale, shown
from edge.rig.scenario import Fault, Scenario
from edge.rig.vehicles import Passage, cycle_of, passages

WIDTH: Final = 480
MARGIN: Final = 8
LABEL: Final = 17  # height of the text above a row
GAP: Final = 5  # below a row
AXIS: Final = 26
COLUMNS: Final = 80  # of vehicles in the picture
CYCLES_LIMIT: Final = 60  # greens that are drawn one by one
TICKS: Final = 5  # times on the axis, at most
LABEL_WIDTH: Final = 36
STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 10_800, 21_600)
NS: Final = 1e9
STYLE: Final = (
    "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;fill:#1b1f24}"
    ".soft{fill:#57606a}.back{fill:#f2f4f6}.edge{stroke:#d5dae0}"
    "path{vector-effect:non-scaling-stroke}"
    ".true{fill:#e0a030}.truth{fill:none;stroke:#0072b2;stroke-width:2}.green{fill:#3f9c78}"
    ".fault{fill:#f0c9b3;stroke:#b3400e;stroke-width:1}"
    ".mark{stroke:#b3400e;stroke-width:2.5}"
    ".waits{fill:#fbeee7;stroke:#b3400e;stroke-width:1;stroke-dasharray:4 3}"
)


def scenario_picture(scenario: Scenario, site: Site) -> str:
    """The whole SVG."""
    about = scenario.about
    end_s = about.duration_s + about.settle_s
    rows = [*_lanes(scenario, site), *_signals(scenario), *_values(scenario), *_faults(scenario)]
    height = AXIS + MARGIN + round(sum(LABEL + row.height + GAP for row in rows))
    words = " ".join(row.words for row in rows)
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{shown(about.name)}</title><desc>{shown(words)}</desc>",
            f'<style>{STYLE}</style><rect width="{WIDTH}" height="{height}" fill="#fff"/>\n',
            *_axis(end_s, about.duration_s, height),
            *_stacked(rows, end_s),
            "</svg>\n",
        ]
    )


def _stacked(rows: list[PictureRow], end_s: float) -> Iterator[str]:
    y, width = AXIS, WIDTH - 2 * MARGIN
    for row in rows:
        note = f' <tspan class="soft">{shown(row.note)}</tspan>' if row.note else ""
        yield f'<text x="{MARGIN}" y="{y + LABEL - 5}">{shown(row.label)}{note}</text>'
        yield f'<svg x="{MARGIN}" y="{y + LABEL}" width="{width}" height="{row.height:g}" '
        yield f'viewBox="0 0 {end_s:g} {row.height:g}" preserveAspectRatio="none">'
        yield f'<rect class="back" width="{end_s:g}" height="{row.height:g}"/>'
        yield f"{''.join(row.shapes)}</svg>\n"
        y += round(LABEL + row.height + GAP)


def _axis(end_s: float, duration_s: float, height: int) -> Iterator[str]:
    """Times, and where the street ends and the rest is waited for."""
    metre = (WIDTH - 2 * MARGIN) / end_s
    step_s = next((step_s for step_s in STEPS_S if end_s <= TICKS * step_s), STEPS_S[-1])
    for at_s in range(0, math.ceil(end_s), step_s):
        x = MARGIN + at_s * metre
        yield f'<path class="edge" d="M{x:.1f} 6V{height - MARGIN}"/>'
        at = f"{at_s / 3600:g} h" if end_s > 7200 else seconds(at_s)
        if x < WIDTH - LABEL_WIDTH:
            yield f'<text class="soft" x="{x + 3:.1f}" y="16">{at}</text>'
    x = MARGIN + duration_s * metre
    yield f'<path class="edge" d="M{x:.1f} 6V{height - MARGIN}" stroke-dasharray="2 3"/>\n'


def _lanes(scenario: Scenario, site: Site) -> Iterator[PictureRow]:
    found: dict[str, list[Passage]] = {}
    for one in passages(scenario, site):
        found.setdefault(one.lane, []).append(one)
    end_s = scenario.about.duration_s + scenario.about.settle_s
    counts = {lane: _counts(vehicles, end_s) for lane, vehicles in found.items()}
    most = max((value or 0.0 for steps in counts.values() for _, _, value in steps), default=1.0)
    for lane in (name for name in site.lanes if name in found):
        vehicles = found[lane]
        mean = sum(one.speed_kmh for one in vehicles) / len(vehicles)
        words = f"{lane}: {len(vehicles)} vehicles, at {mean:.0f} km/h in the mean."
        row = PictureRow("", lane, words, height=HEIGHT - 16, note=words.partition(": ")[2])
        row.shapes.append(path("true", columns(counts[lane], (0.0, most), row.height)))
        yield row
    for trace in scenario.traces:
        text = f"traffic of {trace.file}"
        yield PictureRow("", text, f"{text}.", note=f"({trace.kind})")


def _counts(vehicles: list[Passage], end_s: float) -> list[Step]:
    """How many came in each column of the picture."""
    width_s = end_s / COLUMNS
    counts = [0.0] * COLUMNS
    for one in vehicles:
        counts[min(COLUMNS - 1, int(one.t_s / width_s))] += 1
    return [(n * width_s, (n + 1) * width_s, count) for n, count in enumerate(counts)]


def _signals(scenario: Scenario) -> Iterator[PictureRow]:
    """When they are green. The usual signal of a site is none of the scenario's."""
    end_s = scenario.about.duration_s + scenario.about.settle_s
    for signal in scenario.signals:
        cycle = cycle_of(signal)
        words = f"{signal.approach}: {signal.green_s:g} s green, {signal.red_s:g} s red."
        row = PictureRow("", f"signal of {signal.approach}", words, note=words.partition(": ")[2])
        at_s = signal.offset_s
        for _ in range(CYCLES_LIMIT):
            colour, left_ns = cycle.colour(round((at_s - signal.offset_s) * NS))
            until_s = at_s + left_ns / NS
            if colour == "green":
                row.bar(at_s, min(until_s, end_s), "green", "green")
            at_s = until_s
            if at_s >= end_s:
                break
        yield row


def _values(scenario: Scenario) -> Iterator[PictureRow]:
    end_s = scenario.about.duration_s + scenario.about.settle_s
    for value in scenario.values:
        name = f"{value.device}.{value.point}"
        if value.series is not None:
            yield PictureRow("", name, f"{name}: as in {value.series}.", note=value.series)
            continue
        pairs = value.curve or ((0.0, value.constant or 0.0),)
        points = [*pairs, (end_s, pairs[-1][1])]
        numbers = [number for _, number in points]
        ends = scale(numbers)
        span = f"{min(numbers):g}" + (f" to {max(numbers):g}" if len(set(numbers)) > 1 else "")
        row = PictureRow("", name, f"{name} is {span}.", note=span)
        row.height = BAR if len(set(numbers)) == 1 else HEIGHT - 16
        row.shapes.append(path("truth", curve(points, ends, row.height)))
        yield row


def _faults(scenario: Scenario) -> Iterator[PictureRow]:
    end_s = scenario.about.duration_s + scenario.about.settle_s
    for target, faults in _by_target(scenario).items():
        kinds = ", ".join(dict.fromkeys(fault.kind for fault in faults))
        row = PictureRow("", target, "", note=kinds)
        told = []
        for fault in faults:
            told.append(f"{fault.kind} of {target} {_when(fault)}")
            if fault.at_s is None:  # nobody knows when
                row.bar(0.0, end_s, "waits", told[-1])
            elif fault.for_s is None:
                row.mark(fault.at_s, "", told[-1])
            else:
                row.bar(fault.at_s, fault.at_s + fault.for_s, "fault", told[-1])
        row.words = f"{'; '.join(told)}."
        if any(fault.at_s is None for fault in faults):
            row.note += f" {_when(faults[0])}"
        yield row


def _by_target(scenario: Scenario) -> Mapping[str, list[Fault]]:
    found: dict[str, list[Fault]] = {}
    for fault in scenario.faults:
        found.setdefault(fault.target, []).append(fault)
    return found


def _when(fault: Fault) -> str:
    lasts = "" if fault.for_s is None else f" for {seconds(fault.for_s)}"
    if fault.at_s is not None:
        return f"at {seconds(fault.at_s)}{lasts}"
    states = " and ".join(f"{one.state} {one.of}".strip() for one in fault.when or ())
    return f"when a condition holds ({states}){lasts}"
