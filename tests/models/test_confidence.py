"""Intervals are drawn by whole scenarios, and are the same whenever they are drawn."""

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import evaluate
from models.confidence import bootstrap_interval


def mean(parts: Sequence[float]) -> float:
    return sum(parts) / len(parts)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_the_score_is_that_of_all_parts_and_the_limits_lie_in_their_range(
    parts: list[float],
) -> None:
    result = bootstrap_interval(parts, mean, draws=50)
    assert result.value == mean(parts)
    if len(parts) == 1:
        assert math.isnan(result.low)
        return
    assert min(parts) - 1e-6 <= result.low <= result.high <= max(parts) + 1e-6
    assert result == bootstrap_interval(parts, mean, draws=50)


def test_it_is_as_wide_as_statistics_say() -> None:
    parts = np.random.default_rng(1).normal(10, 2, 400).tolist()
    result = bootstrap_interval(parts, mean)
    assert (result.high - result.low) / 2 == pytest.approx(1.96 * 2 / 20, rel=0.15)
    wider = bootstrap_interval(parts[:100], mean)
    assert wider.high - wider.low > 1.5 * (result.high - result.low)


def test_a_scenario_stays_whole() -> None:
    # two scenarios of a hundred events each: there are three outcomes, however many events
    seen = set[float]()

    def share(parts: Sequence[list[int]]) -> float:
        all_of = [event for part in parts for event in part]
        seen.add(mean(all_of))
        return mean(all_of)

    result = bootstrap_interval([[1] * 100, [0] * 100], share, draws=200)
    assert seen == {0.0, 0.5, 1.0}
    assert (result.low, result.high) == (0.0, 1.0)


def test_another_seed_is_another_interval_and_no_parts_are_an_error() -> None:
    parts = [1.0, 2.0, 5.0, 9.0, 12.0]
    assert bootstrap_interval(parts, mean, draws=20) != bootstrap_interval(
        parts, mean, draws=20, seed=1
    )
    with pytest.raises(ValueError, match="nothing was scored"):
        bootstrap_interval([], mean)


def test_draws_without_a_score_are_left_out() -> None:
    result = bootstrap_interval(
        [math.nan, 1.0], lambda p: mean([v for v in p if v == v] or [math.nan])
    )
    assert (result.low, result.high) == (1.0, 1.0)
    result = bootstrap_interval([math.nan, math.nan], mean)
    assert math.isnan(result.low)
    assert result.shown() == "nan"


def test_how_it_is_shown() -> None:
    result = bootstrap_interval([0.0, 1.0], mean)
    assert result.shown() == "0.50 (0.00 to 1.00)"
    assert bootstrap_interval([0.25], mean).shown(3) == "0.250"


def test_what_is_not_given_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate.main([]) == 1
    said = capsys.readouterr().out
    assert "# anomaly\nleft out: no --data\n" in said
    for name in (*evaluate.MODELS, *evaluate.RULES):
        assert f"# {name}\nleft out: " in said


def test_each_model_is_asked_for_its_tables_with_its_own_bundle(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def tables(args: argparse.Namespace) -> Iterator[str]:
        yield f"{args.bundle.name}, {args.data.name}, {args.quick}"

    (tmp_path / "labelled_faults").mkdir()
    monkeypatch.setattr("models.anomaly.evaluate.tables", tables)
    assert evaluate.main(["--models", "anomaly", "--data", str(tmp_path), "--quick"]) == 0
    assert capsys.readouterr().out == f"\n# anomaly\nanomaly, {tmp_path.name}, True\n"


def test_a_model_whose_libraries_are_not_here_is_left_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="sklearn")

    monkeypatch.setattr(evaluate, "import_module", missing)
    assert evaluate.main(["--models", "anomaly", "--data", str(tmp_path)]) == 1
    assert "left out: sklearn is not there" in capsys.readouterr().out
