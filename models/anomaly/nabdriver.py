"""Calls the scorer of a checked-out numenta/NAB; runs under an interpreter that has pandas.

    cd WORK && python nabdriver.py REPO DETECTOR [THRESHOLD]

WORK holds `windows.json`, `profiles.json` and `results/`. Prints one JSON object. Nothing of NAB's
files is changed; where they need an older pandas, they are helped along here.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any


def _labels(self: Any) -> None:
    """As `CorpusLabel.getLabels`, which writes through `.values`: pandas 3 forbids it."""
    pandas = import_module("pandas")
    self.labels = {}
    for name, data in self.corpus.dataFiles.items():
        if name not in self.windows:
            continue
        stamps = data.data["timestamp"]
        inside = pandas.Series(0, index=stamps.index)
        for begin, end in self.windows[name]:
            inside[(stamps >= begin) & (stamps <= end)] = 1
        self.labels[name] = pandas.DataFrame({"timestamp": stamps, "label": inside})


def run(repo: Path, detector: str, frozen: float | None) -> dict[str, float]:
    """Optimise, score and normalise; and once more with the frozen threshold."""
    sys.path.insert(0, str(repo))
    import_module("nab.labeler").CorpusLabel.getLabels = _labels
    work = Path.cwd()
    runner = import_module("nab.runner").Runner(
        dataDir=str(repo / "data"),
        resultsDir=str(work / "results"),
        labelPath="windows.json",  # no folder in it: NAB looks for the word `raw` in this path
        profilesPath="profiles.json",
        thresholdPath="thresholds.json",
        numCPUs=1,
    )
    try:
        runner.initialize()
        found = runner.optimize([detector, "null"])
        out = {"threshold": float(found[detector]["standard"]["threshold"])}
        out["optimised"] = _scored(runner, detector, found)
        if frozen is not None:
            found[detector]["standard"]["threshold"] = frozen
            out["frozen"] = _scored(runner, detector, found)
    finally:
        runner.pool.terminate()
        runner.pool.join()
    return out


def _scored(runner: Any, detector: str, thresholds: Any) -> float:
    runner.score(["null", detector], thresholds)
    runner.normalize()
    final = json.loads(Path("results/final_results.json").read_text(encoding="utf-8"))
    return float(final[detector]["standard"])


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):
        told = run(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]) if sys.argv[3:] else None)
    print(json.dumps(told))
