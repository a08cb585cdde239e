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


def write(
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


def _lists(tensors: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    # nine digits give every float32 back exactly
    return {
        name: [[float(f"{v:.9g}") for v in row] for row in np.asarray(tensor)]
        for name, tensor in tensors.items()
    }


def _json(path: Path, value: Any, indent: int | None) -> None:
    path.write_text(json.dumps(value, indent=indent) + "\n", encoding="utf-8")
