"""Writes a bundle: the graph, its manifest with checksum, and golden cases that prove it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from models.graph import IR, OPSET


def write_bundle(
    folder: Path,
    model: onnx.ModelProto,
    about: Mapping[str, Any],
    cases: Sequence[tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]],
) -> None:
    """Write `{name}.onnx`, `manifest.json` and `golden.json` into `folder`.

    `cases` are (inputs, outputs) from the formula run by numpy: a golden case that the graph
    reproduces shows that the export is right, on this machine and on the device.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = model.SerializeToString(deterministic=True)
    name = str(about["name"])
    (folder / f"{name}.onnx").write_bytes(data)
    manifest = {
        "name": name,
        "version": about["version"],
        "file": f"{name}.onnx",
        "sha256": hashlib.sha256(data).hexdigest(),
        "opset": OPSET,
        "ir": IR,
        **{key: value for key, value in about.items() if key not in ("name", "version")},
    }
    _json(folder / "manifest.json", manifest, indent=2)
    golden = [{"inputs": _lists(inputs), "outputs": _lists(outputs)} for inputs, outputs in cases]
    _json(folder / "golden.json", {"cases": golden}, indent=None)


def reference_distribution(
    tensor: str,
    columns: NDArray[Any],
    names: Sequence[str],
    *,
    masks: Sequence[tuple[str, int] | None] | None = None,
    first: int = 0,
    bins: int = 10,
) -> list[dict[str, Any]]:
    """How these columns are spread: for the manifest's key `reference`, which drift is measured by.

    Rows x columns of what was trained on; NaN where a row does not count, which `masks` says at run
    time: tensor and column that is 1 in the rows that count. `first` is the tensor's column that
    the first one is. Bins are quantiles; fewer where many values are equal.
    """
    out = []
    for i, name in enumerate(names):
        values = np.asarray(columns[:, i], np.float32)
        values = values[np.isfinite(values)]
        inner = np.linspace(0, 1, bins + 1)[1:-1]
        edges = np.unique(np.quantile(values, inner, method="lower").astype(np.float32))
        counts = np.bincount(edges.searchsorted(values), minlength=len(edges) + 1)
        one: dict[str, Any] = {
            "tensor": tensor,
            "column": first + i,
            "name": name,
            "edges": [float(f"{edge:.9g}") for edge in edges],
            "shares": [round(float(share), 7) for share in counts / len(values)],
        }
        if masks is not None and (mask := masks[i]) is not None:
            one["mask"] = list(mask)
        out.append(one)
    return out


def _lists(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    # nine digits give every float32 back exactly
    return {
        name: [[float(f"{v:.9g}") for v in row] for row in np.asarray(tensor)]
        for name, tensor in tensors.items()
    }


def _json(path: Path, value: Any, indent: int | None) -> None:
    path.write_text(json.dumps(value, indent=indent) + "\n", encoding="utf-8")
