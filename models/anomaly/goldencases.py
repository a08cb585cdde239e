"""What the bundle is held to: golden cases, and how its answers were spread in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.anomaly import anomalyrunner, formula
from models.anomaly.formula import Net
from models.anomaly.labelledseries import Floats, Series
from models.anomaly.layout import ODDITY, Params, start_state
from models.graph import NumpyOps

Tensors = dict[str, NDArray[Any]]

TAKEN: Final = (130, 140, 180, 10_080)  # steps; the last is after a week of minutes
MOST: Final = 2000  # samples of a series that count: a long one must not be all of training
FIRST: Final = 6000  # of its samples that they are drawn from
# Sites differ in how calm their series are: with narrow bins all sound ones were far from training.
# What shows with wide ones is a forecast that fails, series that stand still, a flood of surprise.
UPPER: Final = (0.9, 0.98)
WATCHED: Final = {
    "signed": (0.02, 0.1, 0.9, 0.98),
    "step": UPPER, "bump": UPPER, "learned": (0.99,),
}  # fmt: skip


def golden_cases(session: Any, params: Params, net: Net) -> list[tuple[Tensors, Tensors]]:
    """A calm moment, a spike, a stuck value, a gap, and after a week; hours known and not.

    The graph takes the state there, as it is faster; what a case is held to is the formula's.
    """
    rng = np.random.default_rng(3)
    cases: list[tuple[Tensors, Tensors]] = []
    fixed, times = (np.asarray(row, np.float32) for row in start_state())
    first = np.asarray([[10.0], [400.0], [50.0]], np.float32)
    state = fixed + first * times
    quantum = np.asarray([[0.1], [0.0], [0.01]], np.float32)
    for t in range(1, TAKEN[-1] + 1):
        now = first + rng.normal(0, 1, (3, 1)) * [[1], [9], [0.05]]
        if t == 140:
            now[0] += 40
        if 145 < t <= 180:
            now[1] = 400.0
        if t > 180:
            now += math.sin(t / 1440 * 2 * math.pi) * np.asarray([[5.0], [60.0], [0.5]])
        inputs = {
            "x": now.astype(np.float32),
            "present": np.asarray([[1.0], [1.0], [float(not 150 < t < 165)]], np.float32),
            "quantum": quantum,
            "hour": np.asarray([[float(t // 60 % 24)], [-1.0], [24.0]], np.float32),
            "state": state,
        }
        state = session.run(None, inputs)[3]
        if t in TAKEN:
            x, present, _, hour, before = inputs.values()
            values = formula.anomaly_step(
                NumpyOps(), x, present, quantum, hour, before, params, net
            )
            names = ("onset", "level", "oddity", "state_out")
            cases.append((inputs, dict(zip(names, values, strict=True))))
    return cases


def reference_distributions(session: Any, series: Sequence[Series]) -> list[dict[str, Any]]:
    """How answers were spread over samples that were there: for the guard's watch over drift.

    Answers, because the values themselves come in any unit.
    """
    series = [replace(s, values=s.values[:FIRST], wall=_first(s.wall)) for s in series]
    length = max(len(s.values) for s in series)
    outputs = np.zeros((length, len(series), len(WATCHED)), np.float32)
    columns = [ODDITY.index(name) for name in WATCHED]

    def keep(t: int, answer: Sequence[NDArray[Any]]) -> None:
        outputs[t] = answer[2][:, columns]

    anomalyrunner.run_steps(session, series, keep)
    parts = []
    for i, s in enumerate(series):
        there = np.flatnonzero(np.isfinite(s.values))[1:]  # the first is no step
        parts.append(outputs[there[:: max(1, len(there) // MOST)], i])
    rows = np.concatenate(parts)
    return [
        _reference(name, columns[k], rows[:, k], levels)
        for k, (name, levels) in enumerate(WATCHED.items())
    ]


def _first(wall: Floats | None) -> Floats | None:
    return None if wall is None else wall[:FIRST]


def _reference(
    name: str, column: int, values: NDArray[Any], levels: Sequence[float]
) -> dict[str, Any]:
    edges = sorted({float(f"{edge:.3g}") for edge in np.quantile(values, levels)})
    counts = np.bincount(
        np.asarray(edges, np.float32).searchsorted(values), minlength=len(edges) + 1
    )
    return {
        "tensor": "oddity",
        "column": column,
        "name": name,
        "edges": edges,
        "shares": [round(float(share), 5) for share in counts / len(values)],
        "mask": ["present", 0],
    }
