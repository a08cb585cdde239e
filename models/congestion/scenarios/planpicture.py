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

PANEL: Final = (560.0, 170.0)
MARGIN: Final = (16.0, 44.0, 16.0, 14.0)  # left, top, right, bottom
COLUMNS: Final = 2
LANE: Final = 2.6  # how wide a lane is drawn: wider than it is
COLOURS: Final = {
    "corridor": "#1f5fa8", "stop": "#b3261e", "advance": "#b36b00", "mid": "#1b7f3b",
}  # fmt: skip
BUS_COLOUR: Final = "#6a1b9a"
LEGEND: Final = (
    ("corridor", "station"), ("stop", "stop line"), ("advance", "advance"), ("mid", "mid-block"),
)  # fmt: skip

Point = tuple[float, float]


class View(NamedTuple):
    """From metres to the picture."""

    left: float
    top: float
    scale: float
    low: Point

    def at(self, x: float, y: float) -> Point:
        return (
            self.left + (x - self.low[0]) * self.scale,
            self.top - (y - self.low[1]) * self.scale,
        )


def plans_svg(scenes: list[tuple[StreetKind, Scene]]) -> str:
    """One picture of all scenes."""
    rows = -(-len(scenes) // COLUMNS)
    width, height = COLUMNS * PANEL[0], rows * PANEL[1] + 26
    inner: list[str] = []
    for i, (kind, scene) in enumerate(scenes):
        x, y = (i % COLUMNS) * PANEL[0], (i // COLUMNS) * PANEL[1]
        inner += _panel(kind, scene, x, y)
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
    xs = [px for px, _ in scene.nodes.values()]
    ys = [py for _, py in scene.nodes.values()]
    wide, high = PANEL[0] - MARGIN[0] - MARGIN[2], PANEL[1] - MARGIN[1] - MARGIN[3]
    scale = min(wide / (max(xs) - min(xs)), high / max(max(ys) - min(ys), 1.0))
    top = y + MARGIN[1] + high / 2 + (max(ys) - min(ys)) * scale / 2
    view = View(x + MARGIN[0], top, scale, (min(xs), min(ys)))
    for road in scene.roads:
        yield _road(scene, road, view)
    lit = {signal.node for signal in scene.signals}
    for name in sorted(lit):
        yield _light(*view.at(*scene.nodes[name]))
    roads = {road.name: road for road in scene.roads}
    for stop in scene.stops:
        middle_m = (stop.from_m + stop.to_m) / 2
        yield _mark(scene, roads[stop.road], view, middle_m, -1, BUS_COLOUR, 5.0)
    for loop in scene.loops:
        yield _mark(
            scene, roads[loop.link], view, loop.at_m + loop.loop_m / 2, loop.index,
            COLOURS[loop.position], 2.2,
        )  # fmt: skip


def _along(scene: Scene, road: Road, view: View) -> tuple[Point, Point, Point]:
    """Where a road begins and ends in the picture, and the unit vector to its right."""
    begin, end = view.at(*scene.nodes[road.begin]), view.at(*scene.nodes[road.end])
    length = max(hypot(end[0] - begin[0], end[1] - begin[1]), 1e-6)
    right = (-(end[1] - begin[1]) / length, (end[0] - begin[0]) / length)
    return begin, end, right


def _road(scene: Scene, road: Road, view: View) -> str:
    begin, end, right = _along(scene, road, view)
    aside = road.lanes * LANE / 2 + 0.5
    points = [f"{px + aside * right[0]:.1f},{py + aside * right[1]:.1f}" for px, py in (begin, end)]
    colour = "#9aa7b5" if road.watched else "#dde2e7"
    return (
        f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
        f'stroke-width="{road.lanes * LANE:.1f}"/>'
    )


def _mark(
    scene: Scene, road: Road, view: View, at_m: float, lane: int, colour: str, size: float
) -> str:
    """A square on a lane; lane 0 is the right one, -1 lies beside the road."""
    begin, end, right = _along(scene, road, view)
    part = at_m / road.length_m
    aside = (road.lanes - lane - 0.5) * LANE + 0.5
    px = begin[0] + part * (end[0] - begin[0]) + aside * right[0]
    py = begin[1] + part * (end[1] - begin[1]) + aside * right[1]
    return (
        f'<rect x="{px - size / 2:.1f}" y="{py - size / 2:.1f}" width="{size}" height="{size}" '
        f'fill="{colour}"/>'
    )


def _light(x: float, y: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2" fill="none" stroke="#222222"/>'


def _legend(y: float) -> Iterator[str]:
    x = MARGIN[0]
    for position, word in (*LEGEND, ("bus", "bus stop"), ("signal", "signal")):
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
