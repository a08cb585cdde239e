"""Tunes the occupancy rule per loop position on simulated days and writes the bundle.

    python -m models.congestion.train --data DIR --out models/congestion

DIR holds scenarios (`*/meta.json`, `*/passages.parquet`) from Eclipse SUMO. The search is a full
grid: no seed, the same data give the same bytes. `--cross` also prints what the same search
reaches on a scenario that it was not shown (leave one scenario out), for the card.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models import bundle
from models.congestion import formula
from models.congestion.data import Floats, Station, load, windows
from models.congestion.events import Tally, lately, starts, tally, total
from models.congestion.formula import AGGREGATES, POSITIONS, Rule
from models.graph import Eager, Graph

VERSION: Final = "1.0.0"
PERIODS_S: Final = (5, 60)  # the model must not mind the site's period: both count alike
TAUS_S: Final = (20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 300.0)
THRESHOLDS: Final = tuple(round(0.06 + 0.02 * i, 2) for i in range(46))
OFFS: Final = (0.9, 0.75)  # of the threshold: where the flag goes off
OFF_P: Final = 0.35  # the same, said as a probability: this fixes the slope
BUDGET_MS: Final = 50.0
PICK: Final[dict[str, Any]] = {"mean": np.mean, "highest": np.max, "lowest": np.min}


@dataclass(frozen=True)
class Trial:
    """One setting, and how it did at each station (all periods added up)."""

    rule: Rule
    tallies: dict[tuple[str, str], Tally]

    def worth(self, scenarios: Iterable[str]) -> float:
        """F1, less what slow answers cost, and false alarms beyond one in five station-days."""
        wanted = set(scenarios)
        t = total(tally for key, tally in self.tallies.items() if key[0] in wanted)
        late = float(np.mean(np.clip(t.delays, 0, 600))) if t.delays else 600.0
        return t.f1 - 0.1 * max(0.0, t.wrong_a_day - 0.2) - 0.0002 * max(0.0, late - 60)


def smooth(series: Floats, period_s: float) -> Floats:
    """[rows, windows] -> [taus, rows, windows], each smoothed with its time constant."""
    share = 1 - np.exp(-period_s / np.asarray(TAUS_S))[:, None]
    out = np.empty((len(TAUS_S), *series.shape))
    state = np.zeros((len(TAUS_S), len(series)))
    for i in range(series.shape[1]):
        state = state + share * (series[:, i] - state)
        out[:, :, i] = state
    return out


def slope(threshold: float, off: float) -> float:
    """So steep that p falls to OFF_P where the smoothed occupancy falls to off * threshold."""
    return float(np.log((1 - OFF_P) / OFF_P) / ((1 - off) * threshold))


def search(stations: Sequence[Station]) -> list[Trial]:
    """Every setting of the grid on the stations of one position."""
    settings = list(product(range(len(TAUS_S)), AGGREGATES, THRESHOLDS, OFFS))
    trials = [
        Trial(Rule(name, TAUS_S[tau], limit, slope(limit, off)), {})
        for tau, name, limit, off in settings
    ]
    for station, period in product(stations, PERIODS_S):
        occupancy = windows(station.occupancy, period)
        rows = np.stack([PICK[name](occupancy, axis=0) for name in AGGREGATES])
        smoothed = smooth(rows, period)
        recent = [[lately(row, period) for row in rows] for rows in smoothed]
        for trial, (tau, name, limit, off) in zip(trials, settings, strict=True):
            row = AGGREGATES.index(name)
            at = starts(smoothed[tau, row], recent[tau][row], limit, limit * off)
            key = (station.scenario, station.name)
            result = tally((at + 1.0) * period, station)
            trial.tallies[key] = trial.tallies.get(key, Tally()) + result
    return trials


def best(trials: Sequence[Trial], scenarios: Iterable[str]) -> Trial:
    """The setting whose neighbours in threshold are good too: a peak of one setting is chance."""
    wanted = list(scenarios)
    worth = np.asarray([trial.worth(wanted) for trial in trials])
    grid = worth.reshape(-1, len(THRESHOLDS), len(OFFS))
    wide = np.pad(grid, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return trials[int(np.argmax((wide[:, :-2] + grid + wide[:, 2:]).ravel()))]


def cross(trials: Sequence[Trial], scenarios: Sequence[str]) -> Tally:
    """Leave one scenario out: tuned on the others, scored on it."""
    parts = []
    for held in scenarios:
        chosen = best(trials, (s for s in scenarios if s != held))
        parts += [t for key, t in chosen.tallies.items() if key[0] == held]
    return total(parts)


def export(rules: Sequence[Rule], out: Path, about: dict[str, Any]) -> None:
    """The graph, its manifest and golden cases."""
    count, a = len(POSITIONS), "A"
    graph = Graph()
    p, known, state = formula.step(
        graph,
        graph.input("x", [a, 3 * count]),
        graph.input("present", [a, count]),
        graph.input("dt", [a, 1]),
        graph.input("state", [a, formula.STATE]),
        rules,
    )
    graph.output("p", p, [a, 1])
    graph.output("known", known, [a, 1])
    graph.output("state_out", state, [a, formula.STATE])
    manifest = {
        "name": "congestion",
        "version": VERSION,
        "inputs": {"x": 3 * count, "present": count, "dt": 1, "state": formula.STATE},
        "outputs": {
            "p": {"width": 1, "low": 0.0, "high": 1.0},
            "known": {"width": 1, "low": 0.0, "high": 1.0},
            "state_out": {"width": formula.STATE},
        },
        "state": {"start": formula.start()},
        "tolerance": 0.002,
        "budget_ms": BUDGET_MS,
        "positions": {
            name: {
                "aggregate": r.aggregate,
                "tau_s": r.tau_s,
                "threshold": r.threshold,
                "slope": round(r.slope, 4),
            }
            for name, r in zip(POSITIONS, rules, strict=True)
        },
        "flags": {"on": 0.5, "off": OFF_P},
        **about,
    }
    bundle.write(out, graph.model("congestion", VERSION), manifest, golden(rules))


def golden(rules: Sequence[Rule]) -> list[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]]:
    """Free, filling and full roads, each with some loops missing, at 5 s and at 60 s."""
    rng = np.random.default_rng(2)
    cases = []
    for level, period in ((0.1, 5.0), (0.5, 60.0), (0.9, 60.0)):
        count = len(POSITIONS)
        middle = rng.uniform(level * 0.8, min(1.0, level * 1.1), (5, count))
        x = np.concatenate([middle, np.minimum(1, middle * 1.1), middle * 0.9], axis=1)
        inputs: dict[str, NDArray[Any]] = {
            "x": x.astype(np.float32),
            "present": (rng.random((5, count)) < 0.6).astype(np.float32),
            "dt": np.full((5, 1), period, np.float32),
            "state": np.tile(np.asarray(formula.start(), np.float32), (5, 1)),
        }
        for _ in range(3):
            names = ("x", "present", "dt", "state")
            x_, present, dt, state = (inputs[n] for n in names)
            values = formula.step(Eager(), x_, present, dt, state, rules)
            outputs = dict(zip(("p", "known", "state_out"), values, strict=True))
            case = inputs
            inputs = {**inputs, "state": outputs["state_out"].astype(np.float32)}
        cases.append((case, outputs))
    return cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cross", action="store_true", help="score leave-one-scenario-out")
    args = parser.parse_args()
    stations = load(args.data)
    rules = []
    for position in POSITIONS:
        mine = [s for s in stations if s.position == position]
        scenarios = sorted({s.scenario for s in mine})
        trials = search(mine)
        chosen = best(trials, scenarios)
        rules.append(chosen.rule)
        print(position, chosen.rule, _row(total(chosen.tallies.values())))
        if args.cross:
            print("  left out:", _row(cross(trials, scenarios)))
    about = {
        "training": {
            "script": "models/congestion/train.py",
            "scenarios": sorted({s.scenario for s in stations}),
            "seed": None,
            "search": "full grid",
        }
    }
    export(rules, args.out, about)


def _row(t: Tally) -> str:
    return (
        f"F1 {t.f1:.3f} recall {t.recall:.3f} precision {t.precision:.3f} "
        f"false a station-day {t.wrong_a_day:.2f} median delay {t.delay_s:.0f} s "
        f"({t.events} events)"
    )


if __name__ == "__main__":
    main()
