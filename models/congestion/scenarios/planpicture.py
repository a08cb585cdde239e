"""Draws plans of streets as an SVG: one panel for each kind, from the scene, without SUMO.

    python -m models.congestion.scenarios.planpicture docs/streets.svg

Roads are drawn wider than they are, so that their lanes can be seen.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from math import hypot
from pathlib import Path
from typing import Final, NamedTuple

from models.congestion.scenarios.generate import OLDER_KINDS, SEEDS, Task, draw_scene
from models.congestion.scenarios.scene import Road, Scene
from models.congestion.scenarios.simstreet import Split
from models.congestion.scenarios.streetkinds import KINDS, StreetKind

PANEL: Final = (560.0, 150.0)
MARGIN: Final = (16.0, 44.0, 16.0, 6.0)  # left, top, right, bottom
COLUMNS: Final = 2
LANE: Final = 3.2  # how wide a lane is drawn
AROUND, AROUND_M = 0.03, 45.0  # beyond watched roads: a share of their extent, and at least
WATCHED, OTHER = "#9aa7b5", "#dde2e7"
BUS_COLOUR: Final = "#6a1b9a"
COLOURS: Final = {
    "corridor": "#1f5fa8", "stop": "#b3261e", "advance": "#b36b00", "mid": "#1b7f3b",
}  # fmt: skip
LEGEND: Final = (
    ("corridor", "station"), ("stop", "stop line"), ("advance", "advance"), ("mid", "mid-block"),
    ("bus", "bus stop"), ("signal", "signal"),
)  # fmt: skip

Point = tuple[float, float]


class PlanView(NamedTuple):
    """From metres to a panel of the picture, from (x, y) `low` to `high`."""

    left: float
    bottom: float
    scale: float
    low: Point
    high: Point

    def at(self, x: float, y: float) -> Point:
        return (
            self.left + (x - self.low[0]) * self.scale,
            self.bottom - (y - self.low[1]) * self.scale,
        )

    def cut(self, begin: Point, end: Point) -> tuple[float, float] | None:
        """Which part of a line is in the panel (Liang and Barsky); None if nothing is."""
        first, last = 0.0, 1.0
        for axis in (0, 1):
            step = end[axis] - begin[axis]
            for edge, sign in ((self.low[axis], -1.0), (self.high[axis], 1.0)):
                room, slope = sign * (edge - begin[axis]), sign * step
                if slope == 0 and room < 0:
                    return None
                if slope < 0:
                    first = max(first, room / slope)
                elif slope > 0:
                    last = min(last, room / slope)
        return (first, last) if first < last else None


def plans_svg(scenes: list[tuple[StreetKind, Scene]]) -> str:
    """One picture of all scenes."""
    rows = -(-len(scenes) // COLUMNS)
    width, height = COLUMNS * PANEL[0], rows * PANEL[1] + 26
    inner: list[str] = []
    for i, (kind, scene) in enumerate(scenes):
        inner += _panel(kind, scene, (i % COLUMNS) * PANEL[0], (i // COLUMNS) * PANEL[1])
    inner += _legend(height - 10)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'font-family="sans-serif">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(inner)
        + "\n</svg>\n"
    )


def _panel(kind: StreetKind, scene: Scene, x: float, y: float) -> Iterator[str]:
    yield f'<text x="{x + MARGIN[0]:.0f}" y="{y + 20:.0f}" font-size="14">{kind.name}</text>'
    yield (
        f'<text x="{x + MARGIN[0]:.0f}" y="{y + 35:.0f}" font-size="11" fill="#555555">'
        f"{kind.line}</text>"
    )
    view = _view(scene, x, y)
    for road in sorted(scene.roads, key=lambda road: road.watched):
        yield from _road(scene, road, view)
    for name in sorted({signal.node for signal in scene.signals}):
        if view.cut(scene.nodes[name], (scene.nodes[name][0] + 0.1, scene.nodes[name][1])):
            yield _light(*view.at(*scene.nodes[name]))
    roads = {road.name: road for road in scene.roads}
    for stop in scene.stops:
        middle_m = (stop.from_m + stop.to_m) / 2
        yield from _mark(scene, roads[stop.road], view, middle_m, -1, BUS_COLOUR, 5.0)
    for loop in scene.loops:
        yield from _mark(
            scene, roads[loop.link], view, loop.at_m + loop.loop_m / 2, loop.index,
            COLOURS[loop.position], 2.8,
        )  # fmt: skip


def _view(scene: Scene, x: float, y: float) -> PlanView:
    """Watched roads in the middle of the panel, and a little of what is around them."""
    ends = {end for road in scene.roads if road.watched for end in (road.begin, road.end)}
    xs, ys = zip(*(scene.nodes[end] for end in ends), strict=True)
    around = max(AROUND * (max(xs) - min(xs)), AROUND_M)
    wide, high = PANEL[0] - MARGIN[0] - MARGIN[2], PANEL[1] - MARGIN[1] - MARGIN[3]
    extent = (max(xs) - min(xs) + 2 * around, max(ys) - min(ys) + 2 * around)
    scale = min(wide / extent[0], high / extent[1])
    middle = ((max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2)
    half = (min(wide / scale, extent[0]) / 2, high / scale / 2)
    return PlanView(
        x + MARGIN[0], y + MARGIN[1] + high, scale,
        (middle[0] - half[0], middle[1] - half[1]), (middle[0] + half[0], middle[1] + half[1]),
    )  # fmt: skip


def _along(scene: Scene, road: Road, view: PlanView) -> tuple[Point, Point, Point]:
    """Where a road begins and ends in the picture, and the unit vector to its right."""
    begin, end = view.at(*scene.nodes[road.begin]), view.at(*scene.nodes[road.end])
    length = max(hypot(end[0] - begin[0], end[1] - begin[1]), 1e-6)
    return begin, end, (-(end[1] - begin[1]) / length, (end[0] - begin[0]) / length)


def _road(scene: Scene, road: Road, view: PlanView) -> Iterator[str]:
    seen = view.cut(scene.nodes[road.begin], scene.nodes[road.end])
    if seen is None:
        return
    begin, end, right = _along(scene, road, view)
    corners = []
    for part, lanes in ((seen[0], 0), (seen[1], 0), (seen[1], road.lanes), (seen[0], road.lanes)):
        aside = lanes * LANE + 0.5
        px, py = (begin[i] + part * (end[i] - begin[i]) + aside * right[i] for i in (0, 1))
        corners.append(f"{px:.1f},{py:.1f}")
    points = " ".join(corners)
    yield f'<polygon points="{points}" fill="{WATCHED if road.watched else OTHER}"/>'


def _mark(
    scene: Scene, road: Road, view: PlanView, at_m: float, lane: int, colour: str, size: float
) -> Iterator[str]:
    """A square on a lane; lane 0 is the right one, -1 lies beside the road."""
    seen = view.cut(scene.nodes[road.begin], scene.nodes[road.end])
    part = at_m / road.length_m
    if seen is None or not seen[0] <= part <= seen[1]:
        return
    begin, end, right = _along(scene, road, view)
    aside = (road.lanes - lane - 0.5) * LANE + 0.5
    px = begin[0] + part * (end[0] - begin[0]) + aside * right[0]
    py = begin[1] + part * (end[1] - begin[1]) + aside * right[1]
    yield (
        f'<rect x="{px - size / 2:.1f}" y="{py - size / 2:.1f}" width="{size}" height="{size}" '
        f'fill="{colour}"/>'
    )


def _light(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="#ffffff" stroke="#222222"/>'


def _legend(y: float) -> Iterator[str]:
    x = MARGIN[0]
    for position, word in LEGEND:
        if position == "signal":
            yield _light(x + 4, y - 4)
        else:
            colour = COLOURS.get(position, BUS_COLOUR)
            yield f'<rect x="{x:.1f}" y="{y - 8:.1f}" width="7" height="7" fill="{colour}"/>'
        yield f'<text x="{x + 12:.1f}" y="{y - 1:.1f}" font-size="11">{word}</text>'
        x += 84.0


def example_scenes() -> list[tuple[StreetKind, Scene]]:
    """The first street of each kind, in the order in which kinds are listed."""
    out = []
    for i, kind in enumerate(KINDS.values()):
        split: Split = "train" if kind.name in OLDER_KINDS else "training"
        seed = SEEDS[split] + i - (0 if split == "train" else len(OLDER_KINDS))
        task = Task(f"{kind.name}_{seed}", kind.name, split, seed, calm=False)
        out.append((kind, draw_scene(task)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.write_text(plans_svg(example_scenes()), encoding="utf-8")


if __name__ == "__main__":
    main()
