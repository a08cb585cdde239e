"""Scores alarms as the Numenta Anomaly Benchmark does (standard profile), from its data and labels.

A quick scorer of our own, for tuning and for tests; `nabrepo` has NAB's own code do it, and both
agree. Every row whose score reaches the threshold is a detection. Formulas: Lavin and Ahmad,
"Evaluating Real-time Anomaly Detection Algorithms", 2015, and numenta/NAB `nab/sweeper.py`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly.labelledseries import Series

WRONG: Final = 0.11  # weight of a false alarm in the standard profile
PROBATION: Final = 0.15  # of the file, at most of 5,000 rows: nothing counts there
HEADER: Final = ["timestamp", "value", "state", "onset"]


@dataclass(frozen=True)
class NabFile:
    """One file: its values, its windows as rows (first, last), and its timestamps as written."""

    series: Series
    windows: tuple[tuple[int, int], ...]
    stamps: tuple[str, ...] = ()


def load_nab_files(folder: Path) -> list[NabFile]:
    """All scored files: `labels/combined_windows.json` names them.

    `folder` is a checked-out NAB, or holds `labels` beside the groups of files.
    """
    labels: Mapping[str, Sequence[Sequence[str]]] = json.loads(
        (folder / "labels" / "combined_windows.json").read_text(encoding="utf-8")
    )
    data = folder / "data" if (folder / "data").is_dir() else folder
    out = []
    for name, windows in labels.items():
        with (data / name).open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        stamps = [row[0] for row in rows]
        # labels have microseconds, files have none; of a time that comes twice the first counts
        spans = tuple((stamps.index(a[:19]), stamps.index(b[:19])) for a, b in windows)
        values = np.asarray([float(row[1]) for row in rows])
        wall = np.asarray([datetime.fromisoformat(s + "+00:00").timestamp() for s in stamps])
        out.append(NabFile(Series(name, values, (), wall=wall), spans, tuple(stamps)))
    return out


def parse_scores(lines: Iterable[str]) -> tuple[NDArray[Any], NDArray[Any]]:
    """(onset, state) of every row, from what `kerbstone score FILE` prints.

    Raises ValueError when it is something else.
    """
    rows = csv.reader(lines)
    if next(rows, []) != HEADER:
        raise ValueError(f"the first line must be {','.join(HEADER)}")
    values = np.asarray([[float(row[3]), float(row[2])] for row in rows]).reshape(-1, 2)
    return values[:, 0], values[:, 1]


def _sigmoid(x: float) -> float:
    return -1.0 if x > 3 else 2 / (1 + math.exp(5 * x)) - 1


def detection_worths(file: NabFile) -> tuple[int, NDArray[np.intp], NDArray[np.float64]]:
    """(rows of probation, window of each row or -1, what a detection there adds)."""
    length = len(file.series.values)
    window, adds = np.full(length, -1), np.full(length, -WRONG)
    for place, (begin, end) in enumerate(file.windows):
        width = end - begin + 1
        behind = range(end + 1, length)
        adds[end + 1 :] = [WRONG * _sigmoid((at - end) / max(width - 1, 1)) for at in behind]
        window[begin : end + 1] = place
    for begin, end in file.windows:
        width = end - begin + 1
        full = _sigmoid(-1.0)
        adds[begin : end + 1] = [
            _sigmoid(-(end - at + 1) / width) / full for at in range(begin, end + 1)
        ]
    return math.floor(PROBATION * min(length, 5000)), window, adds


def raw_score(file: NabFile, alarms: NDArray[Any]) -> float:
    """The file's raw score: +1 for a window found early, -1 for one missed, false alarms less."""
    probation, window, adds = detection_worths(file)
    alarms = np.asarray(alarms, int)
    alarms = alarms[alarms >= probation]
    outside = alarms[window[alarms] < 0]
    score = float(adds[outside].sum())
    for place in range(len(file.windows)):
        inside = alarms[window[alarms] == place]
        score += float(adds[inside].max()) if len(inside) else -1.0
    return score


def false_detections(file: NabFile, alarms: NDArray[Any]) -> int:
    """How many of them are in no window, after probation."""
    probation, window, _ = detection_worths(file)
    alarms = np.asarray(alarms, int)
    return int((window[alarms[alarms >= probation]] < 0).sum())


def normalised_score(files: Sequence[NabFile], alarms: Sequence[NDArray[Any]]) -> float:
    """0 for a detector that says nothing, 100 for a perfect one."""
    return normalised_of_parts(
        [(raw_score(f, at), len(f.windows)) for f, at in zip(files, alarms, strict=True)]
    )


def normalised_of_parts(parts: Sequence[tuple[float, int]]) -> float:
    """The same from (raw score, windows) of each file."""
    count = sum(windows for _, windows in parts)
    return 100 * (sum(score for score, _ in parts) + count) / (2 * count) if count else math.nan


def detections_at(threshold: float, scores: NDArray[Any]) -> NDArray[np.intp]:
    """Rows that are detections."""
    return np.asarray(np.flatnonzero(scores >= threshold))


def best_threshold(files: Sequence[NabFile], scores: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """(threshold, score): the threshold that NAB's optimiser finds; 1.1 is to say nothing."""
    rows: list[tuple[float, float, tuple[int, int] | None]] = []
    for place, (file, values) in enumerate(zip(files, scores, strict=True)):
        probation, window, adds = detection_worths(file)
        for i in range(probation, len(values)):
            inside = (place, int(window[i])) if window[i] >= 0 else None
            rows.append((float(values[i]), float(adds[i]), inside))
    rows.sort(key=lambda row: -row[0])
    count = sum(len(file.windows) for file in files)
    found: dict[tuple[int, int], float] = {}
    total, top, threshold = -float(count), -float(count), 1.1
    for i, (score, more, inside) in enumerate(rows):
        if inside is None:
            total += more
        else:
            before = found.get(inside, -1.0)
            found[inside] = max(before, more)
            total += found[inside] - before
        if (i + 1 == len(rows) or rows[i + 1][0] != score) and total > top:
            top, threshold = total, score
    return threshold, 100 * (top + count) / (2 * count)
