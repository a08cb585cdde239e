"""Scores recorded series sample by sample, with the model or its rule; and with two of them."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.infer.bundlemanifest import ModelError, read_manifest
from edge.infer.hourofday import hour_of
from edge.infer.modelsession import ModelSession
from edge.infer.robustz import ROBUST_Z, RobustZRule
from edge.infer.seriesfeatures import LARGEST
from edge.infer.shadow import ModelComparison, ModelFlags
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


Sample = tuple[str, float | None]  # timestamp as written, value; None is missing


@dataclass(frozen=True, slots=True)
class FlagDifference:
    """From this sample on the flags differ."""

    timestamp: str
    a: bool
    b: bool
    a_onset: float
    b_onset: float


@dataclass(frozen=True, slots=True)
class SeriesReport:
    """Of one series: counts as `ModelComparison` has them, and where the flags began to differ."""

    counts: dict[str, object]
    differs: list[FlagDifference]


def compare_series(a: Path, b: Path, samples: Iterable[Sample]) -> SeriesReport:
    """One pass with both, scored as `kerbstone score` does. Raises ModelError.

    All places where the flags begin to differ are listed, not only the last ones.
    """
    one, two = make_scorer(a), make_scorer(b)
    flags = [(m.on, m.off) for m in (read_manifest(a), read_manifest(b))]
    compared = ModelComparison(flags[0], flags[1])
    differs: list[FlagDifference] = []
    for at, (stamp, value) in enumerate(samples):
        (level_a, onset_a), (level_b, onset_b) = one.step(value), two.step(value)
        if value is None:
            continue
        ours, theirs = (
            ModelFlags(round(onset, 3), round(level, 3))  # as flags are decided
            for onset, level in ((onset_a, level_a), (onset_b, level_b))
        )
        compared.row(at, "", ours, theirs, 1.0)
        if compared.last and compared.last[-1].at_ns == at:
            last = compared.last[-1]
            differs.append(
                FlagDifference(stamp, last.live, last.candidate, last.live_up, last.candidate_up)
            )
    return SeriesReport(compared.report(), differs)


def make_scorer(bundle: Path) -> Scorer:
    """Scores by this bundle, whatever its folder is called. Raises ModelError if it cannot run."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "anomaly").symlink_to(bundle.resolve())
        scorer = Scorer(Path(folder))
    if scorer.why:
        raise ModelError(scorer.why)
    return scorer
