"""Writes the bundle: graph, manifest, golden cases, and how inputs are spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge.infer.loops.loopfeatures import FEATURES
from models import bundle
from models.loopfault.ensemble import TreeEnsemble, ensemble_graph
from models.loopfault.graphrunner import GraphRunner
from models.loopfault.playedstreets import CLASSES, PlayedStreet, Rows

VERSION: Final = "1.2.0"
NAME: Final = "loopfault"
ON: Final = 0.6
OFF: Final = 0.3
BUDGET_MS: Final = 20.0
BUDGET_MB: Final = 32.0  # by which loading may grow the process; measured: 14 to 17
WATCHED: Final = ("count_mid", "occupancy_mid", "near_mid", "ratio_mid", "length_slow", "idle")
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)


def reference_distributions(some: Sequence[tuple[PlayedStreet, Rows]]) -> list[dict[str, Any]]:
    """How some inputs and the answer are spread, for the guard's watch over drift."""
    rows = np.concatenate([p.rows.reshape(-1, p.rows.shape[2]) for p, _ in some])
    sound = np.concatenate([answer[..., 0].ravel() for _, answer in some])
    watched = [("x", FEATURES.index(name), name, rows[:, FEATURES.index(name)]) for name in WATCHED]
    watched.append(("p", 0, CLASSES[0], sound))
    out = []
    for tensor, column, name, values in watched:
        edges = sorted({float(f"{q:.4g}") for q in np.quantile(values, QUANTILES)})
        bins = np.searchsorted(edges, values, side="left")
        shares = np.bincount(bins, minlength=len(edges) + 1) / len(values)
        out.append(
            {
                "tensor": tensor,
                "column": column,
                "name": name,
                "edges": edges,
                "shares": [round(float(v), 4) for v in shares],
            }
        )
    return out


def golden_cases(
    some: Sequence[PlayedStreet], trees: TreeEnsemble
) -> list[tuple[dict[str, Rows], dict[str, Rows]]]:
    """Two rows of each kind and of sound loops, one batch, and one row alone."""
    rows = []
    for kind in range(len(CLASSES)):
        found = [(p, np.argwhere(p.kinds == kind)) for p in some]
        found = [(p, at) for p, at in found if len(at)]
        for p, at in found[:2]:
            slot, loop = at[len(at) // 2]
            rows.append(p.rows[slot, loop])
    x = np.stack(rows)
    return [({"x": part}, {"p": trees.probabilities(part)}) for part in (x, x[:1])]


def export_bundle(
    trees: TreeEnsemble, out: Path, some: Sequence[PlayedStreet], training: dict[str, Any]
) -> None:
    """Write the bundle."""
    model = ensemble_graph(trees, NAME, VERSION)
    run = GraphRunner(model.SerializeToString())
    about = {
        "name": NAME,
        "version": VERSION,
        "inputs": {"x": trees.width},
        "outputs": {"p": {"width": len(CLASSES), "low": 0.0, "high": 1.0}},
        "state": {"start": []},
        "tolerance": 0.002,
        "budget_ms": BUDGET_MS,
        "budget_mb": BUDGET_MB,
        "flags": {"on": ON, "off": OFF},
        "features": list(FEATURES),
        "classes": list(CLASSES),
        "reference": reference_distributions([(p, run.answer(p)) for p in some]),
        "training": training,
    }
    bundle.write_bundle(out, model, about, golden_cases(some, trees))
