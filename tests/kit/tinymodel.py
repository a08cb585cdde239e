"""A bundle of a few nodes, so that tests of what surrounds models wait for no training.

An example:

    folder = tiny(tmp_path / "bundle")
    session = ModelSession(folder)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from models import bundle
from models.graph import IR, OPSET, GraphOps, NumpyOps

__all__ = ["IR", "OPSET", "feed", "tiny"]


def _step(o: Any, x: Any, present: Any, state: Any, scale: float) -> tuple[Any, Any, Any]:
    away = x - state
    onset = o.clip(o.abs(away) / np.float32(scale), 0.0, 1.0) * present
    return onset, onset, state + np.float32(0.1) * away * present


def tiny(
    folder: Path, *, version: str = "1.0.0", scale: float = 20.0, wide: int = 1, **about: Any
) -> Path:
    """Onset is how far `x` is from its running mean; `wide` columns of a further input `spare`."""
    name = str(about.pop("name", "anomaly"))
    graph = GraphOps()
    x, present = graph.input("x", ["n", 1]), graph.input("present", ["n", 1])
    spare, state = graph.input("spare", ["n", wide]), graph.input("state", ["n", 1])
    onset, level, after = _step(graph, x, present, state, scale)
    onset = onset + graph.columns(spare, 0, 1) * np.float32(0.0)
    graph.output("onset", onset, ["n", 1])
    graph.output("level", level, ["n", 1])
    graph.output("state_out", after, ["n", 1])
    cases = []
    for value in (1.0, 9.0, 40.0):
        inputs = feed(value, 2.0, wide=wide) | {"state": np.ones((2, 1), np.float32)}
        reported = _step(NumpyOps(), inputs["x"], inputs["present"], inputs["state"], scale)
        cases.append((inputs, dict(zip(("onset", "level", "state_out"), reported, strict=True))))
    said: dict[str, Any] = {
        "name": name,
        "version": version,
        "inputs": {"x": 1, "present": 1, "spare": wide, "state": 1},
        "outputs": {
            "onset": {"width": 1, "low": 0.0, "high": 1.0},
            "level": {"width": 1, "low": 0.0, "high": 1.0},
            "state_out": {"width": 1},
        },
        "state": {"start": [0.0], "times_first": [1.0]},
        "tolerance": 0.002,
        "budget_ms": 50.0,
        "flags": {"on": 0.5, "off": 0.25},
        "training": {"script": "tests/kit/tinymodel.py", "series": ["none"]},
        **about,
    }
    bundle.write_bundle(folder, graph.model(name, version), said, cases)
    return folder


def feed(*values: float | None, wide: int = 1) -> dict[str, Any]:
    """A row for each value; None is missing. Without the state."""
    return {
        "x": np.asarray([[v or 0.0] for v in values], np.float32),
        "present": np.asarray([[float(v is not None)] for v in values], np.float32),
        "spare": np.zeros((len(values), wide), np.float32),
    }
