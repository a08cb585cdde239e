"""Runs the graph in onnxruntime at a desk, as it runs on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from models.loopfault.playedstreets import PlayedStreet, Rows


class GraphRunner:
    """A graph of the model, given by its bytes."""

    def __init__(self, data: bytes) -> None:
        runtime: Any = onnxruntime  # it has no types of its own
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session: Any = runtime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )

    def answer(self, p: PlayedStreet) -> Rows:
        """[slots, loops, classes]."""
        flat = p.rows.reshape(-1, p.rows.shape[2])
        (out,) = self._session.run(["p"], {"x": flat})
        return np.asarray(out, np.float32).reshape(*p.rows.shape[:2], -1)
