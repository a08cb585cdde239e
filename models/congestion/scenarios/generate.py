"""Makes the scenarios from which the models of loop health and congestion are trained and scored.

    pip install eclipse-sumo numpy       # 1.28; half a gigabyte, in an environment of its own
    python -m models.congestion.scenarios.generate --out DIR

Writes DIR/train/NAME and DIR/held_out/NAME, each a street as `street.load` reads it, and in each
the folder `usual`: the same street on a day on which nothing happens. Everything follows from the
seeds in the names. What is there already is left alone, so it can be interrupted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from models.congestion.scenarios import crossings, sumo, sumoreadings
from models.congestion.scenarios.corridors import draw_corridor
from models.congestion.scenarios.scene import Scene, usual_day
from models.congestion.scenarios.simstreet import (
    USUAL,
    Kind,
    SimStreet,
    Split,
    load_street,
    save_street,
)
from models.congestion.scenarios.towns import draw_town

KINDS: Final[tuple[Kind, ...]] = ("corridor", "arterial", "grid")
SEEDS: Final[dict[Split, int]] = {"train": 1000, "held_out": 5000, "legacy": 0}
CALM_EVERY: Final = 4  # one scenario in so many has no cause to jam


@dataclass(frozen=True)
class Task:
    """One scenario to make. `minutes` None: as long as its seed says."""

    name: str
    kind: Kind
    split: Split
    seed: int
    calm: bool
    minutes: float | None = None
    usual: bool = False  # the same street on a day on which nothing happens


def tasks(train: int, held_out: int, minutes: float | None = None) -> Iterator[Task]:
    """All scenarios, so ordered that any beginning of the list holds all kinds of both splits."""
    counts: dict[Split, int] = {"train": train, "held_out": held_out}
    order: list[tuple[float, Split, int]] = sorted(
        ((i + 0.5) / count, split, i) for split, count in counts.items() for i in range(count)
    )
    for _, split, i in order:
        kind = KINDS[i % len(KINDS)]
        seed = SEEDS[split] + i
        calm = (i // len(KINDS)) % CALM_EVERY == CALM_EVERY - 1
        yield Task(f"{kind}_{seed}", kind, split, seed, calm, minutes)


def draw_scene(task: Task) -> Scene:
    """The scene of a task."""
    random = np.random.default_rng([task.seed, 10])
    hours = round(float(random.uniform(1.25, 2.1)) * 6) / 6
    if task.minutes is not None:
        hours = task.minutes / 60
    if task.kind == "corridor":
        scene = draw_corridor(task.name, task.split, task.seed, hours, task.calm)
    else:
        scene = draw_town(task.name, task.split, task.seed, hours, task.calm, task.kind == "grid")
    return usual_day(scene) if task.usual else scene


def place_of(task: Task, out: Path) -> Path:
    """Where it is written: a usual day inside the folder of its street."""
    place = out / task.split / task.name
    return place / USUAL if task.usual else place


def make_scenario(task: Task, out: Path) -> str:
    """Make one scenario, or find it made; a line about it."""
    place = place_of(task, out)
    if (place / "meta.json").exists():
        return street_line(load_street(place), 0.0)
    started = time.monotonic()
    place.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{task.name}-"))
    try:
        scene = draw_scene(task)
        sumo.run_sumo(scene, folder)
        street = sumoreadings.read_street(scene, folder)
        crossed = crossings.read_crossings(scene, folder)
    except sumo.SumoError as error:
        return f"{task.name}: {error}"
    # Others may read while this writes: a street appears whole or not at all.
    hidden = place.parent / f".{task.name}.{os.getpid()}"
    save_street(street, hidden)
    crossings.save_crossings(crossed, hidden)
    hidden.rename(place)
    shutil.rmtree(folder)
    return street_line(street, time.monotonic() - started)


def street_line(street: SimStreet, took_s: float) -> str:
    """A street in a line: its size, how many vehicles its loops saw, its events."""
    events = sum(len(link.events) for link in street.links)
    minutes = sum(end - begin for link in street.links for begin, end in link.events) / 60
    cause = street.about.get("cause", "")
    return (
        f"{street.split:8} {street.name:14} {street.hours:4.2f} h  {len(street.links)} links "
        f"{len(street.loops):3} loops {sum(map(len, street.stays)):6} stays  {cause:8} "
        f"{events:2} events {minutes:5.0f} min  {took_s:5.1f} s"
    )


def events_summary(streets: list[SimStreet]) -> str:
    """Events of each kind, and how many scenarios have some and none."""
    rows: dict[tuple[str, str], list[int]] = defaultdict(list)
    for street in streets:
        rows[street.split, street.kind].append(sum(len(link.events) for link in street.links))
    lines = [
        f"{split:8} {kind:8} {len(n):3} scenarios  {sum(n):4} events  {sum(map(bool, n)):3} with"
        for (split, kind), n in sorted(rows.items())
    ]
    whole = [n for found in rows.values() for n in found]
    share = sum(map(bool, whole)) / max(len(whole), 1)
    return "\n".join([*lines, f"{len(whole)} scenarios, {share:.0%} with events"])


def main() -> int:
    """0 when all scenarios are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train", type=int, default=66, help="scenarios to train with")
    parser.add_argument("--held-out", type=int, default=33, help="scenarios to score with")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", metavar="NAME", help="one scenario, such as corridor_1000")
    parser.add_argument("--minutes", type=float, help="length of each, instead of 1.2 to 2.2 h")
    options = parser.parse_args()
    todo = [
        replace(task, usual=which)
        for which in (False, True)
        for task in tasks(options.train, options.held_out, options.minutes)
        if options.only in (None, task.name)
    ]
    try:
        sumo.find_sumo()
    except ModuleNotFoundError:
        parser.error("SUMO is not here: pip install eclipse-sumo, in an environment of its own")
    if not todo:
        parser.error(f"no scenario {options.only}")
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs) as pool:
            for text in pool.map(make_scenario, todo, [options.out] * len(todo)):
                print(text, flush=True)
    else:
        for task in todo:
            print(make_scenario(task, options.out), flush=True)
    places = [place_of(task, options.out) for task in todo]
    made = [load_street(place) for place in places if (place / "meta.json").exists()]
    print(events_summary(made))
    return 0 if len(made) == len(todo) else 1


if __name__ == "__main__":
    sys.exit(main())
