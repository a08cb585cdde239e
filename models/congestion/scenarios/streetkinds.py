"""All kinds of streets that can be generated, each with the function that draws it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from models.congestion.scenarios.corridors import draw_corridor
from models.congestion.scenarios.openroads import draw_ramps, draw_workzone
from models.congestion.scenarios.roundabouts import draw_roundabouts
from models.congestion.scenarios.scene import Scene
from models.congestion.scenarios.signalroads import draw_signal_road
from models.congestion.scenarios.simstreet import Kind, Split
from models.congestion.scenarios.towns import draw_town

Draw = Callable[[str, Split, int, float, bool], Scene]  # name, split, seed, hours, calm


class StreetKind(NamedTuple):
    """`line` tells in a line what is drawn."""

    name: Kind
    line: str
    draw: Draw


OLDER: Final[tuple[StreetKind, ...]] = (
    StreetKind(
        "corridor", "a motorway or rural road: a lane drop or a ramp, incidents, blocked exits",
        draw_corridor,
    ),
    StreetKind(
        "arterial", "a row of crossings with fixed-time signals",
        partial(draw_town, grid=False),
    ),
    StreetKind(
        "grid", "a town of 3 to 4 by 3 to 4 crossings with fixed-time signals",
        partial(draw_town, grid=True),
    ),
)  # fmt: skip
"""Of the sets `train` and `held_out`. What their seeds draw does not change."""

NEWER: Final[tuple[StreetKind, ...]] = (
    StreetKind(
        "roundabout", "one to three roundabouts in a row, of one or two lanes and 3 or 4 arms",
        draw_roundabouts,
    ),
    StreetKind(
        "ramps", "a motorway with several entries and exits, auxiliary lanes, loops on ramps",
        draw_ramps,
    ),
    StreetKind(
        "actuated", "signals whose greens follow the traffic, turn lanes, side roads",
        partial(draw_signal_road, "actuated"),
    ),
    StreetKind(
        "workzone", "closed lanes, works that come and go, one lane shared by signals",
        draw_workzone,
    ),
    StreetKind(
        "buses", "bus lines with stops in the lane, or with a bus lane",
        partial(draw_signal_road, "buses"),
    ),
    StreetKind(
        "coordinated", "a green wave, and another plan from some time of the day on",
        partial(draw_signal_road, "coordinated"),
    ),
    StreetKind(
        "bicycles", "many bicycles among the cars, overtaken within the lane",
        partial(draw_signal_road, "bicycles"),
    ),
)  # fmt: skip
"""Of the sets `training`, `choosing` and `final`; the last has the older ones, too."""

KINDS: Final = {kind.name: kind for kind in (*OLDER, *NEWER)}


def kinds_table() -> list[str]:
    """A line for each kind."""
    return [f"{kind.name:12} {kind.line}" for kind in KINDS.values()]
