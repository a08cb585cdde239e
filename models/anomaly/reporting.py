"""Says what a model is worth: on what it was tuned on, on what it was not, when all is well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.anomaly import anomalyrunner, faultscores, nab
from models.anomaly.labelledseries import NAB_TUNED, TRAIN, Series, generate_series, sound_weeks


def print_scores(name: str, t: faultscores.FaultTally) -> None:
    kinds = ", ".join(f"{k} {a}/{b}" for k, (a, b) in sorted(t.kinds.items()))
    delay = float(np.median(t.delays)) if t.delays else float("nan")
    print(
        f"| {name} | {t.f1:.2f} | {t.found}/{t.faults} | {t.wrong_per_1000:.2f} | {delay:.0f} "
        f"| {kinds} |"
    )


def false_alarms(session: Any) -> dict[str, float]:
    """Alarms per series and day in sound series of one-minute windows, after the first day.

    `courses`: a day's course and quiet nights, the hour known. `generated`: noise, waves, counts.
    Of seeds that nothing was trained or tuned on.
    """
    minutes = 1440
    groups = {
        "courses": [s for seed in (11, 12) for s in sound_weeks(seed, minutes)],
        "generated": [s for seed in range(11, 31) for s in generate_series(seed) if not s.faults],
    }
    out = {}
    for name, series in groups.items():
        alarms = days = 0.0
        for s, (onset, level) in zip(
            series, anomalyrunner.run_series(session, series), strict=True
        ):
            alarms += float((faultscores.alarm_samples(onset, level) >= minutes).sum())
            days += len(s.values) / minutes - 1
        out[name] = round(alarms / days, 3)
    return out


def print_report(model: bytes, real: Sequence[Series], files: Sequence[nab.NabFile]) -> None:
    """What was tuned on beside what was not."""
    session = anomalyrunner.make_session(model)
    for name, series in {
        "tuned on": [s for s in real if s.name in TRAIN],
        "held out": [s for s in real if s.name not in TRAIN],
        "generated, seed 3": generate_series(3),
    }.items():
        tally = faultscores.FaultTally()
        for s, (onset, level) in zip(
            series, anomalyrunner.run_series(session, series), strict=True
        ):
            faultscores.add_series(tally, s, faultscores.alarm_samples(onset, level))
        print_scores(name, tally)
    scores = [
        np.round(onset, 3)
        for onset, _ in anomalyrunner.run_series(session, [f.series for f in files])
    ]
    halves = {
        "tuned on": [i for i, f in enumerate(files) if f.series.name in NAB_TUNED],
        "other half": [i for i, f in enumerate(files) if f.series.name not in NAB_TUNED],
        "realTraffic": [i for i, f in enumerate(files) if f.series.name.startswith("realTraffic")],
        "all": list(range(len(files))),
    }
    threshold, _ = nab.best_threshold(files, scores)
    for name, places in halves.items():
        some = [files[i] for i in places]
        cells = [
            nab.normalised_score(some, [nab.detections_at(limit, scores[i]) for i in places])
            for limit in (threshold, faultscores.ON)
        ]
        own = nab.best_threshold(some, [scores[i] for i in places])
        print(
            f"NAB {name}: {cells[0]:.1f} at {threshold:g} (best of all files), "
            f"{own[1]:.1f} at {own[0]:g} (best of these), {cells[1]:.1f} at {faultscores.ON:g}"
        )
