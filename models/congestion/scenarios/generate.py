"""Makes the scenarios from which the models of loop health and congestion are trained and scored.

    pip install eclipse-sumo numpy       # 1.28; half a gigabyte, in an environment of its own
    python -m models.congestion.scenarios.generate --out DIR
    python -m models.congestion.scenarios.generate --out DIR --set training
    python -m models.congestion.scenarios.generate --kinds

Writes DIR/train/NAME and DIR/held_out/NAME, or with `--set` DIR/SET/NAME: each a street as
`street.load` reads it, and in each the folder `usual`: the same street on a day on which nothing
happens. Everything follows from the seeds in the names. What is there already is left alone, so it
can be interrupted.

There are three sets: models are trained on `training`, all choices are made on `choosing`, and
`final` is for the last score. Its seed is drawn when it is made, and recorded (see `finalset`).
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from models.congestion.scenarios import crossings, sumo, sumoreadings
from models.congestion.scenarios.finalset import FINAL, SetRecord, read_record, write_record
from models.congestion.scenarios.scene import Scene, usual_day
from models.congestion.scenarios.simstreet import (
    USUAL,
    Kind,
    SimStreet,
    Split,
    load_street,
    save_street,
)
from models.congestion.scenarios.streetkinds import KINDS, NEWER, OLDER, kinds_table

SEEDS: Final[dict[Split, int]] = {
    "train": 1000, "held_out": 5000, "legacy": 0, "training": 2000, "choosing": 4000,
}  # fmt: skip
ROOM: Final[dict[str, range]] = {"training": range(2000, 4000), "choosing": range(4000, 5000)}
"""Where the seeds of a set lie. None is in two sets, and none among those that training leaves out
(`treelearning.UNSEEN`)."""
FINAL_FROM: Final = 10_000_000  # and on: seeds that are drawn for a final set
COUNTS: Final[dict[str, int]] = {"training": 60, "choosing": 30, "final": 60}
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
        yield _task(OLDER_KINDS, split, SEEDS[split], i, minutes)


def set_tasks(split: Split, seed: int, count: int, minutes: float | None = None) -> Iterator[Task]:
    """The scenarios of a set, from a seed on. The kinds take turns; a final set has all."""
    kinds = (*NEWER_KINDS, *OLDER_KINDS) if split == FINAL else NEWER_KINDS
    for i in range(count):
        yield _task(kinds, split, seed, i, minutes)


OLDER_KINDS: Final = tuple(kind.name for kind in OLDER)
NEWER_KINDS: Final = tuple(kind.name for kind in NEWER)


def _task(kinds: tuple[Kind, ...], split: Split, first: int, i: int, minutes: float | None) -> Task:
    kind = kinds[i % len(kinds)]
    calm = (i // len(kinds)) % CALM_EVERY == CALM_EVERY - 1
    return Task(f"{kind}_{first + i}", kind, split, first + i, calm, minutes)


def draw_scene(task: Task) -> Scene:
    """The scene of a task."""
    random = np.random.default_rng([task.seed, 10])
    shortest, longest = (1.25, 2.1) if task.split in ("train", "held_out") else (1.0, 1.7)
    hours = round(float(random.uniform(shortest, longest)) * 6) / 6
    if task.minutes is not None:
        hours = task.minutes / 60
    # The older kinds have two geometries: that of the training, and that of all else.
    split: Split = task.split
    if task.kind in OLDER_KINDS and task.split != "train":
        split = "train" if task.split == "training" else "held_out"
    scene = KINDS[task.kind].draw(task.name, split, task.seed, hours, task.calm)
    scene = replace(scene, split=task.split)
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
    hidden = place.parent / f".{task.name}.{os.getpid()}"
    save_street(street, hidden)
    crossings.save_crossings(crossed, hidden)
    _publish(hidden, place)
    shutil.rmtree(folder)
    return street_line(street, time.monotonic() - started)


def _publish(hidden: Path, place: Path) -> None:
    """Others may read while this writes: a street appears with its `meta.json`, last of all.

    Its folder may be there already, with its usual day, which another process made sooner.
    """
    place.mkdir(exist_ok=True)
    for path in sorted(hidden.iterdir(), key=lambda path: path.name == "meta.json"):
        path.replace(place / path.name)
    hidden.rmdir()


def street_line(street: SimStreet, took_s: float) -> str:
    """A street in a line: its size, how many vehicles its loops saw, its events."""
    events = sum(len(link.events) for link in street.links)
    minutes = sum(end - begin for link in street.links for begin, end in link.events) / 60
    cause = street.about.get("cause", "")
    return (
        f"{street.split:8} {street.name:16} {street.hours:4.2f} h  {len(street.links)} links "
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


def set_seed(out: Path, name: str, seed: int | None) -> int:
    """The first seed of a set, and a record of it: that of before, if there is one.

    ValueError if another is wanted than that of before, or one that is not of this set. A final
    set draws its own, so that nobody has seen its streets; `seed` makes a known one again.
    """
    record = read_record(out / name)
    if record is not None:
        if seed not in (None, record.seed):
            raise ValueError(f"{out / name} was drawn from seed {record.seed}")
        return record.seed
    if name == FINAL:
        first = FINAL_FROM + secrets.randbelow(2**30) if seed is None else seed
        if first < FINAL_FROM:
            raise ValueError(f"seeds of a final set are {FINAL_FROM} and above")
    else:
        first = ROOM[name].start if seed is None else seed
        if first not in ROOM[name]:
            raise ValueError(f"seeds of {name} are {ROOM[name].start} to {ROOM[name].stop - 1}")
    write_record(out / name, SetRecord(name, first, datetime.now(UTC).date().isoformat()))
    return first


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--kinds", action="store_true", help="list the kinds of streets, and end")
    parser.add_argument("--set", choices=sorted(COUNTS), help="make this set, of the newer kinds")
    parser.add_argument("--seed", type=int, help="the first of the set; final: drawn anew")
    parser.add_argument("--count", type=int, help="streets of the set")
    parser.add_argument("--train", type=int, default=66, help="scenarios to train with")
    parser.add_argument("--held-out", type=int, default=33, help="scenarios to score with")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", metavar="NAME", help="one scenario, such as corridor_1000")
    parser.add_argument("--kind", choices=KINDS, help="only scenarios of this kind")
    parser.add_argument("--minutes", type=float, help="length of each, instead of 1 to 2.2 h")
    return parser


def main() -> int:
    """0 when all scenarios are there."""
    parser = _parser()
    options = parser.parse_args()
    if options.kinds:
        print("\n".join(kinds_table()))
        return 0
    if options.out is None:
        parser.error("--out says where the streets are to be written")
    try:
        sumo.find_sumo()
    except ModuleNotFoundError:
        parser.error("SUMO is not here: pip install eclipse-sumo, in an environment of its own")
    days = list(tasks(options.train, options.held_out, options.minutes))
    if options.set:
        try:
            first = set_seed(options.out, options.set, options.seed)
        except ValueError as error:
            parser.error(str(error))
        count = options.count or COUNTS[options.set]
        days = list(set_tasks(options.set, first, count, options.minutes))
    days = [
        task
        for task in days
        if options.only in (None, task.name) and options.kind in (None, task.kind)
    ]
    if not days:
        parser.error(f"no scenario {options.only or options.kind}")
    if options.set:
        # Each with its usual day: what is there already can be used.
        todo = [replace(task, usual=which) for task in days for which in (False, True)]
    else:
        todo = [replace(task, usual=which) for which in (False, True) for task in days]
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
