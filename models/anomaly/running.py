"""Runs the graph over many series at once, sample by sample, as the gateway does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.anomaly import formula
from models.anomaly.formula import ODDITY, STATE, Params
from models.anomaly.series import Series
from models.graph import Graph


def graph(params: Params, version: str) -> Any:
    """The ONNX model for these parameters."""
    g, n = Graph(), "N"
    onset, level, oddity, state = formula.step(
        g,
        g.input("x", [n, 1]),
        g.input("present", [n, 1]),
        g.input("quantum", [n, 1]),
        g.input("state", [n, STATE]),
        params,
    )
    g.output("onset", onset, [n, 1])
    g.output("level", level, [n, 1])
    g.output("oddity", oddity, [n, len(ODDITY)])
    g.output("state_out", state, [n, STATE])
    return g.model("anomaly", version)


def session(model: bytes) -> Any:
    import onnxruntime

    runtime: Any = onnxruntime  # it has no types of its own
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(run_session: Any, series: Sequence[Series]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(onset, level) for every sample of every series; all series go through in one batch."""
    length = max(len(s.values) for s in series)
    x = np.full((length, len(series), 1), np.nan, np.float32)
    for i, s in enumerate(series):
        x[: len(s.values), i, 0] = s.values
    present = np.isfinite(x).astype(np.float32)
    x = np.nan_to_num(x)
    quantum = np.asarray([[s.quantum] for s in series], np.float32)
    fixed, times = (np.asarray(row, np.float32) for row in formula.start())
    state = np.tile(fixed, (len(series), 1))
    onset = np.zeros((length, len(series)), np.float32)
    level = np.zeros_like(onset)
    begun = np.zeros(len(series), bool)
    for t in range(length):
        here = present[t]
        new = ~begun & (here[:, 0] > 0)
        if new.any():
            state[new] = fixed + x[t][new] * times
            begun |= new
            here = here * ~new[:, None]
        answer = run_session.run(
            None, {"x": x[t], "present": here, "quantum": quantum, "state": state}
        )
        onset[t], level[t], state = answer[0][:, 0], answer[1][:, 0], answer[3]
    return [(onset[: len(s.values), i], level[: len(s.values), i]) for i, s in enumerate(series)]
