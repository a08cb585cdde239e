"""Runs two anomaly bundles over recorded series and says where their flags differ."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge.infer.bundlemanifest import ModelError, read_manifest
from edge.infer.scorer import Scorer
from edge.infer.shadow import ModelComparison, ModelFlags

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
