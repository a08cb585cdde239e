"""What is told of models, their drift and candidates is what is declared."""

from pathlib import Path
from typing import Any

import msgspec
from msgspec import to_builtins

from edge.infer.modelguard import ModelGuard
from edge.infer.shadow import ModelComparison, ModelFlags, Shadow
from edge.wire.contract.models import Candidate, Model
from models import BUNDLES


def test_a_rule_a_model_and_its_drift(tmp_path: Path) -> None:
    without = ModelGuard("congestion", tmp_path)
    without.load()
    assert msgspec.convert(to_builtins(without.status()), Model).answers == "rule"
    live = ModelGuard("anomaly", BUNDLES / "anomaly", hurry=False)
    live.load()
    assert msgspec.convert(to_builtins(live.status()), Model).answers == "model"


def test_a_candidate_that_was_dropped(tmp_path: Path) -> None:
    shadow = Shadow("anomaly", tmp_path / "none")
    assert not shadow.load()
    reported = msgspec.convert(to_builtins(shadow.report()), Candidate)
    assert reported.dropped
    assert reported.samples == 0


def test_a_candidate_that_was_compared(tmp_path: Path) -> None:
    shadow = Shadow("anomaly", tmp_path)
    compared = shadow._compared = ModelComparison((0.5, 0.3), (0.9, 0.3))
    compared.row(0, "hut.pm2_5", ModelFlags(0.8, 0.8), ModelFlags(0.6, 0.6), 60.0)
    reported: dict[str, Any] = to_builtins(shadow.report())
    found = msgspec.convert(reported, Candidate)
    assert (found.samples, found.agree, found.on_live) == (1, 0, 1)
    assert found.last[0].live == "on"
    assert reported.keys() == set(Candidate.__struct_encode_fields__), "each field of it"
