"""Has NAB's own code score a detector: results in its format, its optimiser, its scorer.

The repository numenta/NAB is given as a folder and never part of this project. Its code needs
pandas: `python` is an interpreter that has it.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly import nabdriver

DETECTOR: Final = "kerbstone"
TRAFFIC: Final = "realTraffic/"
Scores = Mapping[str, NDArray[Any]]  # file as in NAB's labels: a score 0..1 for each row


@dataclass(frozen=True, slots=True)
class OfficialScores:
    """NAB scores by NAB's own code, standard profile: 0 says nothing, 100 is perfect."""

    optimised: float  # with the threshold that its optimiser finds on these very files
    threshold: float
    frozen: float | None  # with the threshold that was given


def official_scores(
    repo: Path,
    scores: Scores,
    *,
    threshold: float | None = None,
    only: str = "",
    python: str = sys.executable,
) -> OfficialScores:
    """Score these files, or those whose name begins with `only`, normalised over them alone.

    Raises RuntimeError with what NAB's code said when it fails.
    """
    labels: dict[str, Any] = json.loads(
        (repo / "labels" / "combined_windows.json").read_text(encoding="utf-8")
    )
    names = [name for name in labels if name.startswith(only) and name in scores]
    if not names:
        raise RuntimeError(f"none of the files is in {repo / 'labels'}")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name in names:
            _result(repo, work, DETECTOR, name, scores[name])
            _result(repo, work, "null", name, np.full(len(scores[name]), 0.5))
        windows = json.dumps({name: labels[name] for name in names})
        (work / "windows.json").write_text(windows, encoding="utf-8")
        profiles = json.loads((repo / "config" / "profiles.json").read_text(encoding="utf-8"))
        standard = json.dumps({"standard": profiles["standard"]})
        (work / "profiles.json").write_text(standard, encoding="utf-8")
        words = [python, nabdriver.__file__, str(repo.resolve()), DETECTOR]
        words += [] if threshold is None else [repr(threshold)]
        done = subprocess.run(words, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"NAB's code failed: {done.stderr.strip().splitlines()[-1:]}")
    result = json.loads(done.stdout)
    return OfficialScores(result["optimised"], result["threshold"], result.get("frozen"))


def _result(repo: Path, work: Path, detector: str, name: str, scores: NDArray[Any]) -> None:
    """One result file as NAB's detectors write it."""
    source = repo / "data" / name
    path = work / "results" / detector / Path(name).parent / f"{detector}_{source.name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    if len(rows) != len(scores):
        raise RuntimeError(f"{name}: {len(scores)} scores for {len(rows)} rows")
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["timestamp", "value", "anomaly_score", "label"])
        out.writerows([*row[:2], repr(float(s)), 0] for row, s in zip(rows, scores, strict=True))


def published_scores(repo: Path, only: str = "") -> dict[str, float]:
    """What NAB's repository holds of other detectors, each with its threshold for all files.

    Normalised over the files whose name begins with `only`, as NAB normalises over all.
    """
    labels: Mapping[str, Sequence[Any]] = json.loads(
        (repo / "labels" / "combined_windows.json").read_text(encoding="utf-8")
    )
    count = sum(len(windows) for name, windows in labels.items() if name.startswith(only))
    out = {}
    for path in sorted((repo / "results").glob("*/*_standard_scores.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["File"].startswith(only)]
        total = sum(float(row["Score"]) for row in rows if row["File"])
        out[path.parent.name] = 100 * (total + count) / (2 * count)
    return out
