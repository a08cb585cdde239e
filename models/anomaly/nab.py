"""Scores alarms as the Numenta Anomaly Benchmark does (standard profile), from its data and labels.

The threshold is frozen in the bundle; nothing is optimised on NAB. A detection is a sample at which
the flag goes on. Formulas: Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms",
2015, and numenta/NAB `nab/sweeper.py`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly.series import Series

WRONG: Final = 0.11  # weight of a false alarm in the standard profile
PROBATION: Final = 0.15  # of the file, at most of 5,000 rows: nothing counts there


@dataclass(frozen=True)
class File:
    """One file: its values, and its windows as rows (first, last)."""

    series: Series
    windows: tuple[tuple[int, int], ...]


def load(folder: Path) -> list[File]:
    """All scored files: `labels/combined_windows.json` names them."""
    labels: Mapping[str, Sequence[Sequence[str]]] = json.loads(
        (folder / "labels" / "combined_windows.json").read_text(encoding="utf-8")
    )
    out = []
    for name, windows in labels.items():
        with (folder / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        stamps = [row[0] for row in rows]
        # labels have microseconds, files have none; as text both sort by time
        spans = []
        for begin, end in windows:
            inside = [i for i, s in enumerate(stamps) if begin[:19] <= s <= end[:19]]
            spans.append((inside[0], inside[-1]))
        values = np.asarray([float(row[1]) for row in rows])
        out.append(File(Series(name, values, ()), tuple(spans)))
    return out


def _sigmoid(x: float) -> float:
    return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1


def raw(file: File, alarms: NDArray[Any]) -> float:
    """The file's raw score: +1 for a window found early, -1 for one missed, false alarms less."""
    probation = math.floor(PROBATION * min(len(file.series.values), 5000))
    score = 0.0
    found: dict[int, float] = {}
    for at in (int(a) for a in alarms if a >= probation):
        inside = next((i for i, (a, b) in enumerate(file.windows) if a <= at <= b), None)
        if inside is not None:
            begin, end = file.windows[inside]
            worth = _sigmoid(-(end - at + 1) / (end - begin + 1)) / _sigmoid(-1.0)
            found[inside] = max(found.get(inside, 0.0), worth)
            continue
        before = [(a, b) for a, b in file.windows if b < at]
        if before:
            begin, end = before[-1]
            score += WRONG * _sigmoid((at - end) / max(end - begin, 1))
        else:
            score -= WRONG
    return score + sum(found.values()) - (len(file.windows) - len(found))


def normalised(files: Sequence[File], alarms: Sequence[NDArray[Any]]) -> float:
    """0 for a detector that says nothing, 100 for a perfect one."""
    count = sum(len(file.windows) for file in files)
    total = sum(raw(file, at) for file, at in zip(files, alarms, strict=True))
    return 100 * (total + count) / (2 * count)
