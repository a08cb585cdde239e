"""Writes the congestion model's bundle: the graph, what it says of itself, and golden cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import write_bundle
from models.congestion import formula
from models.congestion.congestionstate import COUNT, POSITIONS, WIDTH
from models.congestion.formula import OUTPUTS, STATE, FormulaParts
from models.congestion.treelearning import RowSample
from models.graph import NumpyOps
from models.trees import TreeEager, TreeGraph

NAME: Final = "congestion"
VERSION: Final = "2.3.0"
TOLERANCE: Final = 0.002
BUDGET_MS: Final = 50.0
BUDGET_MB: Final = 32.0  # by which loading may grow the process; measured: 14 to 17
BATCH: Final = 4  # approaches in a golden case
CASES: Final = 4
NUDGE: Final = 1e-5  # machines differ by less; a golden case must not depend on it
BINS: Final = 8  # of the histograms that tell whether a site is like the training

Feed = dict[str, NDArray[np.float32]]


def congestion_graph(parts: FormulaParts) -> Any:
    """The ONNX model."""
    g = TreeGraph()
    outputs = formula.congestion_step(
        g,
        g.input("x", ["n", WIDTH]),
        g.input("present", ["n", COUNT]),
        g.input("dt", ["n", 1]),
        g.input("state", ["n", STATE]),
        parts,
    )
    for name, width in OUTPUTS.items():
        g.output(name, outputs[name], ["n", width])
    return g.model(NAME, VERSION)


def run_numpy(
    parts: FormulaParts, inputs: Mapping[str, NDArray[np.float32]], o: NumpyOps | None = None
) -> Feed:
    """The same by numpy, with trees of its own."""
    outputs: Feed = formula.congestion_step(
        o or TreeEager(), inputs["x"], inputs["present"], inputs["dt"], inputs["state"], parts
    )
    return outputs


def export_bundle(
    parts: FormulaParts, folder: Path, training: Mapping[str, Any], samples: Sequence[RowSample]
) -> None:
    """Write the bundle into `folder`; golden cases come from the samples."""
    about = {
        "name": NAME,
        "version": VERSION,
        "inputs": {"x": WIDTH, "present": COUNT, "dt": 1, "state": STATE},
        "outputs": {name: _range(name, width) for name, width in OUTPUTS.items()},
        "state": {"start": formula.start_state(parts.rules)},
        "flags": {"on": 0.5, "off": 0.35},
        "tolerance": TOLERANCE,
        "budget_ms": BUDGET_MS,
        "budget_mb": BUDGET_MB,
        "positions": {
            name: asdict(rule) for name, rule in zip(POSITIONS, parts.rules, strict=True)
        },
        "speakers": {name: asdict(speaker) for name, speaker in parts.speakers.items()},
        "training": dict(training),
        "reference": reference_distributions(samples),
    }
    write_bundle(folder, congestion_graph(parts), about, golden_cases(parts, samples))


def _range(name: str, width: int) -> dict[str, Any]:
    bounds = {"slow": (-1.0, 3.0), "state_out": (None, None)}.get(name, (0.0, 1.0))
    return {"width": width, "low": bounds[0], "high": bounds[1]}


def golden_cases(parts: FormulaParts, samples: Sequence[RowSample]) -> list[tuple[Feed, Feed]]:
    """Slots of streets, after some slots before them, that no rounding error changes."""
    random = np.random.default_rng(3)
    cases: list[tuple[Feed, Feed]] = []
    for _ in range(400):
        chosen = random.choice(len(samples), BATCH, replace=False)
        rows = [samples[int(i)].row for i in chosen]
        length = min(len(row.dt_s) for row in rows)
        at = int(random.integers(length // 4, length - 40))
        inputs = _feed(
            rows, at, np.tile(np.asarray(formula.start_state(parts.rules), np.float32), (BATCH, 1))
        )
        for i in range(at, at + 40):
            inputs = _feed(rows, i, inputs["state"])
            outputs = run_numpy(parts, inputs)
            if i < at + 39:
                inputs["state"] = outputs["state_out"]
        if _steady(parts, inputs, outputs):
            cases.append((inputs, outputs))
        if len(cases) == CASES:
            return cases
    raise ValueError(f"only {len(cases)} slots that no rounding error changes")


def _feed(rows: Sequence[Any], at: int, state: NDArray[np.float32]) -> Feed:
    return {
        "x": np.stack([row.x[at] for row in rows]),
        "present": np.stack([row.present[at] for row in rows]),
        "dt": np.stack([row.dt_s[at : at + 1] for row in rows]),
        "state": state,
    }


def _steady(parts: FormulaParts, inputs: Feed, outputs: Feed) -> bool:
    for sign in (1.0, -1.0):
        nudged = dict(inputs)
        nudged["state"] = (inputs["state"] * np.float32(1 + sign * NUDGE)).astype(np.float32)
        nudged["x"] = (inputs["x"] * np.float32(1 + sign * NUDGE)).astype(np.float32)
        other = run_numpy(parts, nudged)
        for name in ("p", "p5", "p15", "level"):
            if np.abs(other[name] - outputs[name]).max() > TOLERANCE / 4:
                return False
    return True


def reference_distributions(samples: Sequence[RowSample]) -> list[dict[str, Any]]:
    """How occupancy of each position was spread in training, in slots with a believed loop."""
    out = []
    for k, position in enumerate(POSITIONS):
        found = np.concatenate([s.row.x[s.row.present[:, k] > 0, k] for s in samples])
        edges = sorted({round(float(e), 4) for e in np.quantile(found, np.arange(1, BINS) / BINS)})
        counts = np.bincount(np.searchsorted(np.asarray(edges, np.float32), found),
                             minlength=len(edges) + 1)  # fmt: skip
        shares = [round(float(share), 5) for share in counts / counts.sum()]
        out.append(
            {
                "tensor": "x", "column": k, "name": f"occupancy {position}", "edges": edges,
                "shares": shares, "mask": ["present", k],
            }
        )  # fmt: skip
    return out
