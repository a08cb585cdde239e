"""What vehicles truly did over the pairs of loops of a street: by that speeds are scored.

It comes from SUMO's own points, vehicle by vehicle, before a loop joins what is bumper to bumper.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from models.congestion.scenarios.scene import BEFORE_S, Scene
from models.congestion.scenarios.simstreet import Floats
from models.congestion.scenarios.sumoreadings import LoopPass, read_passes

FILE: Final = "crossings.npz"
COLUMNS: Final = ("lead_on_s", "lead_off_s", "trail_on_s", "trail_off_s", "pace_s_m", "speed_ms")
"""Of a vehicle over a pair. `pace_s_m` is the mean of front and rear, from loop to loop: its time
in the pair for a metre, standing included. `speed_ms` is that at which its front came to the lead
loop. What left the lane between the loops has no trail times and no pace: nan."""
LEAD_ON, LEAD_OFF, TRAIL_ON, TRAIL_OFF, PACE, SPEED = range(len(COLUMNS))

Crossings = dict[str, Floats]  # lane -> [n, COLUMNS], in the order of coming


def read_crossings(scene: Scene, folder: Path) -> Crossings:
    """Of each pair of a scene that was driven in `folder`."""
    if not any(loop.spacing_m for loop in scene.loops):
        return {}
    passes = read_passes(folder / "loops.csv", len(scene.loops))
    at = {(loop.lane, loop.part): i for i, loop in enumerate(scene.loops)}
    out: Crossings = {}
    for (lane, part), i in at.items():
        spacing_m = scene.loops[i].spacing_m
        if part == "lead" and spacing_m:
            j = at[lane, "trail"]
            # How far the trail loop feels further to the front than the lead loop does.
            further_m = (scene.reach_m[j] - scene.reach_m[i]) / 2
            out[lane] = _crossed(passes[i], passes[j], spacing_m - further_m, spacing_m + further_m)
    return out


def _crossed(lead: list[LoopPass], trail: list[LoopPass], front_m: float, rear_m: float) -> Floats:
    then = {one.vehicle: one for one in trail}
    rows = []
    for one in sorted(lead, key=lambda each: each.on_s):
        other = then.get(one.vehicle)
        on_s, off_s = (np.nan, np.nan) if other is None else (other.on_s, other.off_s)
        pace = ((on_s - one.on_s) / front_m + (off_s - one.off_s) / rear_m) / 2
        if not np.isfinite([one.off_s, off_s]).all():  # still there at the end
            pace = np.nan
        rows.append((one.on_s, one.off_s, on_s, off_s, pace, one.speed_ms))
    found = np.array(rows, np.float64).reshape(-1, len(COLUMNS))
    found[:, :PACE] -= BEFORE_S
    return found[found[:, LEAD_ON] >= 0]


def save_crossings(crossings: Crossings, folder: Path) -> None:
    """Write `folder`/crossings.npz; nothing where there is no pair."""
    if crossings:
        np.savez_compressed(
            folder / FILE,
            **{lane: found.astype(np.float32) for lane, found in crossings.items()},  # type: ignore[arg-type]
        )


def load_crossings(folder: Path) -> Crossings:
    """Of a saved street; nothing if it has no pair, or was made without this file."""
    if not (folder / FILE).is_file():
        return {}
    with np.load(folder / FILE) as arrays:
        return {lane: arrays[lane].astype(np.float64) for lane in arrays.files}
