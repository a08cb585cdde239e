"""Scores the bundle that ships, as it ships, on simulated days, beside two plain rules.

    python -m models.congestion.evaluate --data DIR [--bundle models/congestion]

The graph runs window by window through onnxruntime, all stations of one length in a batch, each
station as an approach of its own. Beside it: occupancy above 30 % of the last minute, the usual
fixed rule; and occupancy averaged over lanes and two minutes with one threshold for all positions,
chosen on the very data that it is scored on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion.data import Floats, Station, load, windows
from models.congestion.events import Tally, lately, starts, tally, total
from models.congestion.formula import POSITIONS

PERIODS_S: Final = (5, 20, 60)
Scores = dict[tuple[str, str], Tally]


def model_scores(bundle: Path, stations: Sequence[Station], period_s: int) -> Scores:
    """What the shipped graph reaches, station by station."""
    import onnxruntime

    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    runtime: Any = onnxruntime  # it has no types of its own
    session = runtime.InferenceSession(
        str(bundle / manifest["file"]), providers=["CPUExecutionProvider"]
    )
    flags = manifest["flags"]
    scores: Scores = {}
    for _, group in groupby(sorted(stations, key=lambda s: s.hours), key=lambda s: s.hours):
        rows = list(group)
        x, present = _inputs(rows, period_s)
        state = np.tile(np.asarray(manifest["state"]["start"], np.float32), (len(rows), 1))
        dt = np.full((len(rows), 1), period_s, np.float32)
        p = np.empty((x.shape[0], len(rows)), np.float32)
        for i, window in enumerate(x):
            feed = {"x": window, "present": present, "dt": dt, "state": state}
            answer, _known, state = session.run(None, feed)
            p[i] = answer[:, 0]
        for j, station in enumerate(rows):
            level = np.round(p[:, j], 3)
            at = starts(level, lately(level, period_s), flags["on"], flags["off"])
            scores[station.scenario, station.name] = tally((at + 1.0) * period_s, station)
    return scores


def _inputs(rows: Sequence[Station], period_s: int) -> tuple[NDArray[Any], NDArray[Any]]:
    series = [windows(s.occupancy, period_s) for s in rows]
    count, length = len(POSITIONS), series[0].shape[1]
    x = np.zeros((length, len(rows), 3 * count), np.float32)
    present = np.zeros((len(rows), count), np.float32)
    for j, (station, occupancy) in enumerate(zip(rows, series, strict=True)):
        k = POSITIONS.index(station.position)
        present[j, k] = 1.0
        x[:, j, k] = occupancy.mean(axis=0)
        x[:, j, count + k] = occupancy.max(axis=0)
        x[:, j, 2 * count + k] = occupancy.min(axis=0)
    return x, present


def plain_scores(
    stations: Sequence[Station], period_s: int, tau_s: float, threshold: float
) -> Scores:
    """Mean occupancy of the lanes, smoothed, against one threshold."""
    share = 1 - np.exp(-period_s / tau_s)
    scores: Scores = {}
    for station in stations:
        level = _smooth(windows(station.occupancy, period_s).mean(axis=0), share)
        at = starts(level, lately(level, period_s), threshold, 0.9 * threshold)
        scores[station.scenario, station.name] = tally((at + 1.0) * period_s, station)
    return scores


def _smooth(series: Floats, share: float) -> Floats:
    out, state = np.empty_like(series), 0.0
    for i, value in enumerate(series):
        state += share * (value - state)
        out[i] = state
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    stations = load(args.data)
    print("| position | rule | period | F1 | recall | false / station-day | median delay |")
    print("|---|---|---|---|---|---|---|")
    for period in PERIODS_S:
        _print("model", period, stations, model_scores(args.bundle, stations, period))
    fixed = plain_scores(stations, 60, 1.0, 0.30)
    _print("fixed, over 30 %", 60, stations, fixed)
    options = [plain_scores(stations, 60, 120.0, t / 100) for t in range(20, 70, 4)]
    one = max(options, key=lambda scores: total(scores.values()).f1)
    _print("one threshold for all", 60, stations, one)


def _print(name: str, period: int, stations: Sequence[Station], scores: Scores) -> None:
    picks: list[tuple[str, Callable[[Station], bool]]] = [
        (position, lambda s, position=position: s.position == position)  # type: ignore[misc]
        for position in POSITIONS
    ]
    for label, mine in [*picks, ("all", lambda _: True)]:
        t = total(scores[s.scenario, s.name] for s in stations if mine(s))
        print(
            f"| {label} | {name} | {period} s | {t.f1:.2f} | {t.recall:.2f} | "
            f"{t.wrong_a_day:.2f} | {t.delay_s:.0f} s |"
        )


if __name__ == "__main__":
    main()
