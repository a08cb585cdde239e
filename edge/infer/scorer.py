"""Scores one series sample by sample, with the model or its rule; for recorded series."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from edge.infer.bundlemanifest import ModelError
from edge.infer.hourofday import hour_of
from edge.infer.modelsession import ModelSession
from edge.infer.robustz import ROBUST_Z, RobustZRule
from edge.infer.seriesfeatures import LARGEST
from models import BUNDLES


class Scorer:
    """What a sample scores depends on it and on those before it, never on a later one.

    `by` says who scores; `why` says why it is not the model, and is empty otherwise.
    """

    def __init__(self, bundles: Path | None = None) -> None:
        folder = (BUNDLES if bundles is None else bundles) / "anomaly"
        self._rule = RobustZRule()
        self._level = 0.0
        self._inputs: dict[str, Any] | None = None
        self.why = ""
        try:
            self._session: ModelSession | None = ModelSession(folder)
        except ModelError as error:
            self._session, self.by, self.why = None, ROBUST_Z, str(error)
        else:
            self.by = self._session.manifest.by

    def step(self, value: float | None, wall_s: float | None = None) -> tuple[float, float]:
        """(state, onset), both 0..1, of the next sample; None for a missing one.

        `wall_s` is when it was taken, in seconds since 1970, where that is known.

        Raises ModelError when the model answers what cannot be.
        """
        if value is None or not math.isfinite(value):
            self._count_gap()
            return self._level, 0.0
        value = max(-LARGEST, min(LARGEST, value))
        if self._session is None:
            odd = self._rule.step(value)
            assert odd is not None
            self._level = odd.level
            return odd.level, odd.onset
        if self._inputs is None:  # the first value is where the state begins, not a step
            self._inputs = {
                "x": self._session.column([value]),
                "present": self._session.column([1.0]),
                "quantum": self._session.column([0.0]),
                "hour": self._session.column([-1.0]),
                "state": self._session.started([value]),
            }
            return 0.0, 0.0
        self._inputs["x"][0, 0] = value
        self._inputs["hour"][0, 0] = hour_of(wall_s)
        onset, level, _oddity, state = self._session.run(self._inputs)
        self._inputs["state"] = state
        self._level = level.item()
        return self._level, onset.item()

    def _count_gap(self) -> None:
        """After a long gap the value before it says nothing about the next one."""
        if self._inputs is not None and self._session is not None:
            self._inputs["present"][0, 0] = 0.0
            self._inputs["state"] = self._session.run(self._inputs)[3]
            self._inputs["present"][0, 0] = 1.0
