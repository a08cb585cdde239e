"""Series to train and to score on: real ones with labelled faults, and small generated ones."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

TRAIN: Final = (
    "household_power", "no2_Changping", "no2_Gucheng", "pm25_Changping", "pm25_Dongsi",
    "pm25_Gucheng",
)  # fmt: skip
LENGTH: Final = 3000
FAULTS: Final = ("spike", "stuck", "dropout", "noise", "shift", "drift")

Floats = NDArray[np.float64]
Shape = Callable[[Floats, np.random.Generator], Floats]


@dataclass(frozen=True)
class Fault:
    """Samples first to last - 1 are wrong, in this way."""

    first: int
    last: int
    kind: str


@dataclass(frozen=True)
class Series:
    """One series; NaN is missing. `quantum` is the step of one count, 0 if not known."""

    name: str
    values: Floats
    faults: tuple[Fault, ...]
    quantum: float = 0.0


def labelled(folder: Path) -> list[Series]:
    """`NAME.csv.gz` (value,label) beside `NAME.labels.json`."""
    out = []
    for path in sorted(folder.glob("*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        with gzip.open(path, "rt", encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        values = np.asarray([float(row[0]) if row[0] else np.nan for row in rows])
        labels = json.loads((folder / f"{name}.labels.json").read_text(encoding="utf-8"))["labels"]
        faults = tuple(Fault(f["i0"], f["i1"], f["kind"]) for f in labels)
        out.append(Series(name, values, faults))
    if not out:
        raise FileNotFoundError(f"no *.csv.gz in {folder}")
    return out


def _waves(t: Floats, rng: np.random.Generator) -> Floats:
    slow, quick = rng.uniform(150, 400), rng.uniform(5, 12)
    return (
        9.5 + 1.2 * np.sin(t * 2 * np.pi / slow) + 0.4 * np.sin(t * 2 * np.pi / quick)
    ) * np.ones_like(t)


def _noisy(t: Floats, rng: np.random.Generator) -> Floats:
    return 20 + rng.normal(0, 0.5, len(t)) + np.sin(t * 2 * np.pi / 720)


def _wander(t: Floats, rng: np.random.Generator) -> Floats:
    level = np.empty_like(t)
    now = 0.0
    for i, push in enumerate(rng.normal(0, 1, len(t))):
        now = 0.98 * now + push
        level[i] = now
    return 50 + 3 * level


def _load(t: Floats, rng: np.random.Generator) -> Floats:
    steps = 60.0 * (t % rng.integers(15, 25) < 8)
    return np.asarray(410 + steps + 25 * np.sin(t * 2 * np.pi / 60) + rng.normal(0, 1, len(t)))


def _counts(t: Floats, rng: np.random.Generator) -> Floats:
    return rng.poisson(4 + 3 * np.sin(t * 2 * np.pi / 500)).astype(np.float64)


def _flat(t: Floats, rng: np.random.Generator) -> Floats:
    return 50 + 0.02 * rng.normal(0, 1, len(t))


SHAPES: Final[dict[str, tuple[Shape, float]]] = {
    "waves": (_waves, 0.1),
    "noisy": (_noisy, 0.01),
    "wander": (_wander, 0.1),
    "load": (_load, 0.1),
    "counts": (_counts, 1.0),
    "flat": (_flat, 0.01),
}


def generated(seed: int) -> list[Series]:
    """Six shapes, each once sound and once with one fault of each kind."""
    out = []
    for name, (shape, quantum) in SHAPES.items():
        rng = np.random.default_rng([seed, len(name), ord(name[0])])
        t = np.arange(LENGTH, dtype=np.float64)
        sound = np.round(shape(t, rng) / quantum) * quantum
        out.append(Series(f"{name}_{seed}", sound, (), quantum))
        wrong, faults = sound.copy(), []
        for i, kind in enumerate(FAULTS):
            first = 500 + 400 * i + int(rng.integers(0, 100))
            last = first + (1 if kind == "spike" else int(rng.integers(15, 60)))
            _break(wrong, kind, first, last, rng)
            faults.append(Fault(first, last, kind))
        wrong = np.round(wrong / quantum) * quantum
        out.append(Series(f"{name}_{seed}_faults", wrong, tuple(faults), quantum))
    return out


def _break(values: Floats, kind: str, first: int, last: int, rng: np.random.Generator) -> None:
    size = max(float(np.std(values[:500])), 1e-3) * rng.uniform(4, 8)
    part = values[first:last]
    match kind:
        case "spike":
            part += size * rng.choice([-1, 1])
        case "stuck":
            part[:] = part[0]
        case "dropout":
            part[:] = 0.0
        case "noise":
            part += rng.normal(0, size, len(part))
        case "shift":
            part += size
        case "drift":
            part += np.linspace(0, 2 * size, len(part))
        case _:
            raise ValueError(kind)
