"""Runs the graph over many series at once, sample by sample, as the gateway does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.hourofday import hour_of
from models.anomaly import formula
from models.anomaly.formula import Net
from models.anomaly.labelledseries import Series
from models.anomaly.layout import FEATURES, MEASURES, ODDITY, STATE, Params, start_state
from models.graph import GraphOps

NET: Final = "net.json"  # the learned part as numbers, for whoever builds the graph again


def anomaly_graph(params: Params, net: Net, version: str, *, inner: bool = False) -> Any:
    """The ONNX model for these parameters; with `inner`, surprise and features are outputs too."""
    g, n = GraphOps(), "N"
    onset, level, oddity, known, seen, aside, state = formula.anomaly_step_in_full(
        g,
        g.input("x", [n, 1]),
        g.input("present", [n, 1]),
        g.input("quantum", [n, 1]),
        g.input("hour", [n, 1]),
        g.input("state", [n, STATE]),
        params,
        net,
    )
    g.output("onset", onset, [n, 1])
    g.output("level", level, [n, 1])
    g.output("oddity", oddity, [n, len(ODDITY)])
    g.output("state_out", state, [n, STATE])
    if inner:
        g.output("known", known, [n, len(MEASURES) - 1])
        g.output("features", seen, [n, FEATURES])
        g.output("aside", aside, [n, formula.ASIDE])
    return g.model("anomaly", version)


def read_params(folder: Path) -> Params:
    """The tuned numbers of the bundle in this folder."""
    raw = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["params"]
    numbers: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in raw.items()}
    return Params(**numbers)


def read_net(folder: Path) -> Net:
    """The learned part of the bundle in this folder."""
    layers = json.loads((folder / NET).read_text(encoding="utf-8"))["layers"]
    return [
        (np.asarray(one["weights"], np.float32), np.asarray(one["bias"], np.float32))
        for one in layers
    ]


def write_net(folder: Path, net: Net) -> None:
    """Nine digits give every float32 back exactly."""

    def row(values: Any) -> list[float]:
        return [float(f"{v:.9g}") for v in values]

    folder.mkdir(parents=True, exist_ok=True)
    layers = [{"weights": [row(r) for r in w], "bias": row(b)} for w, b in net]
    (folder / NET).write_text(json.dumps({"layers": layers}) + "\n", encoding="utf-8")


def empty_net() -> Net:
    """A learned part that has learnt nothing."""
    return [(np.zeros((FEATURES, 1), np.float32), np.zeros(1, np.float32))]


def make_session(model: bytes) -> Any:
    import onnxruntime

    runtime: Any = onnxruntime  # it has no types of its own
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run_series(
    run_session: Any, series: Sequence[Series]
) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(onset, level) for every sample of every series; all series go through in one batch."""
    length = max(len(s.values) for s in series)
    onset = np.zeros((length, len(series)), np.float32)
    level = np.zeros_like(onset)

    def keep(t: int, answer: Sequence[NDArray[Any]]) -> None:
        onset[t], level[t] = answer[0][:, 0], answer[1][:, 0]

    run_steps(run_session, series, keep)
    return [(onset[: len(s.values), i], level[: len(s.values), i]) for i, s in enumerate(series)]


def run_steps(
    run_session: Any, series: Sequence[Series], keep: Callable[[int, Sequence[NDArray[Any]]], None]
) -> None:
    """Step all series together; `keep` is given every step's number and answer."""
    length = max(len(s.values) for s in series)
    x = np.full((length, len(series), 1), np.nan, np.float32)
    hour = np.full((length, len(series), 1), -1, np.float32)
    for i, s in enumerate(series):
        x[: len(s.values), i, 0] = s.values
        if s.wall is not None:
            hour[: len(s.values), i, 0] = [hour_of(float(wall)) for wall in s.wall]
    present = np.isfinite(x).astype(np.float32)
    x = np.nan_to_num(x)
    quantum = np.asarray([[s.quantum] for s in series], np.float32)
    fixed, times = (np.asarray(row, np.float32) for row in start_state())
    state = np.tile(fixed, (len(series), 1))
    begun = np.zeros(len(series), bool)
    for t in range(length):
        here = present[t]
        new = ~begun & (here[:, 0] > 0)
        if new.any():
            state[new] = fixed + x[t][new] * times
            begun |= new
            here = here * ~new[:, None]
        inputs = {"x": x[t], "present": here, "quantum": quantum, "hour": hour[t], "state": state}
        answer = run_session.run(None, inputs)
        state = answer[3]
        keep(t, answer)
