"""Scores the bundle that ships, as it ships: labelled sensor faults, generated series, NAB.

    python -m models.anomaly.evaluate --data DIR [--nab DIR] [--bundle models/anomaly]

DIR holds real series with labelled faults. NAB is at github.com/numenta/NAB (folder `data` with
`labels` beside its groups). The published rule (robust z) is scored beside the model.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.infer.rules import RobustZRule
from models.anomaly import nab, running, scoring
from models.anomaly.series import TRAIN, Series, generated, labelled
from models.anomaly.train import show

Scores = list[tuple[NDArray[Any], NDArray[Any]]]


def by_rule(series: Sequence[Series]) -> Scores:
    """(onset, level) of every sample, by the rule that answers without a model."""
    out: Scores = []
    for s in series:
        rule, onset, level = RobustZRule(), np.zeros(len(s.values)), np.zeros(len(s.values))
        for i, value in enumerate(s.values):
            odd = rule.step(float(value), s.quantum)
            onset[i], level[i] = (odd.onset, odd.level) if odd else (0.0, rule.level)
        out.append((onset, level))
    return out


def tally(series: Sequence[Series], scores: Scores) -> scoring.Tally:
    out = scoring.Tally()
    for s, (onset, level) in zip(series, scores, strict=True):
        scoring.add(out, s, scoring.alarms(np.round(onset, 3), np.round(level, 3)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--nab", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    session = running.session((args.bundle / "anomaly.onnx").read_bytes())
    real = labelled(args.data)
    groups = {
        "tuned on": [s for s in real if s.name in TRAIN],
        "held out": [s for s in real if s.name not in TRAIN],
        "generated, seed 3 (held out)": generated(3),
    }
    print("| series | F1 | found | false / 1,000 | median delay | found by kind |")
    print("|---|---|---|---|---|---|")
    for name, series in groups.items():
        show(f"{name}: model", tally(series, running.run(session, series)))
        show(f"{name}: rule", tally(series, by_rule(series)))
    if args.nab is None:
        return
    files = nab.load(args.nab)
    series = [file.series for file in files]
    for name, scores in (("model", running.run(session, series)), ("rule", by_rule(series))):
        alarms = [scoring.alarms(np.round(onset, 3), np.round(level, 3)) for onset, level in scores]
        traffic = [i for i, f in enumerate(files) if f.series.name.startswith("realTraffic")]
        part = nab.normalised([files[i] for i in traffic], [alarms[i] for i in traffic])
        whole = nab.normalised(files, alarms)
        count = sum(len(a) for a in alarms)
        print(f"NAB {name}: {whole:.1f} ({len(files)} files, {count} alarms), traffic {part:.1f}")


if __name__ == "__main__":
    main()
