"""How far inputs and answers are from training: measured over a day, in fixed memory."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.infer.bundlemanifest import (
    BundleManifest,
    ModelError,
    OutputSpec,
    ReferenceDistribution,
    read_manifest,
)
from edge.infer.drift import HOUR_NS, HOURS, LARGE_PSI, MIN_HOURS, DriftMonitor, psi
from edge.infer.modelguard import ModelGuard
from edge.wire.contract.models import Drift
from models import bundle
from tests.kit import tinymodel as made
from tests.kit.tinymodel import tiny

MINUTE = 60_000_000_000
COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=12).filter(any)


def model(*references: ReferenceDistribution) -> BundleManifest:
    return BundleManifest(
        "m", "1", "m.onnx", "", {"x": 2, "present": 2, "state": 1},
        (OutputSpec("p", 1, 0.0, 1.0), OutputSpec("state_out", 1, None, None)),
        (0.0,), (0.0,), 0.5, 0.3, 0.002, 50.0, reference=references,
    )  # fmt: skip


HALVES = ReferenceDistribution("x", 1, "speed", (0.0, 1.0), (0.25, 0.5, 0.25), ("present", 1))
SCORES = ReferenceDistribution("p", 0, "p of congestion", (0.5,), (0.9, 0.1))


def feed(values: list[float], present: list[float] | None = None) -> dict[str, Any]:
    column = np.asarray(values, np.float32)
    known = np.ones_like(column) if present is None else np.asarray(present, np.float32)
    return {
        "x": np.stack([np.zeros_like(column), column], axis=1),
        "present": np.stack([np.zeros_like(column), known], axis=1),
        "state": np.zeros((len(column), 1), np.float32),
    }


def out(values: list[float], p: float = 0.1) -> list[Any]:
    return [np.full((len(values), 1), p, np.float32), np.zeros((len(values), 1), np.float32)]


LIKE = [-1.0, 0.5, 0.6, 2.0]  # spread as HALVES says
UNLIKE = [2.0, 2.0, 2.0, 2.0]


def day(
    drift: DriftMonitor, values: list[float], p: float = 0.1, hours: int = HOURS, at: int = 0
) -> int:
    for minute in range(60 * hours):
        drift.see(at + minute * MINUTE, feed(values), out(values, p))
    return at + 60 * hours * MINUTE


def test_what_is_as_in_training_is_no_drift_and_what_is_not_is_named() -> None:
    drift = DriftMonitor(model(HALVES))
    now = day(drift, LIKE)
    assert drift.measured() == Drift(psi=0.0, column="speed", hours=HOURS, text="")
    day(drift, UNLIKE, at=now)
    reported = drift.measured()
    assert reported is not None
    assert (reported.psi or 0.0) > LARGE_PSI
    assert reported.text == "inputs differ from the training data; most in speed"


def test_answers_are_measured_too() -> None:
    drift = DriftMonitor(model(HALVES, SCORES))
    day(drift, LIKE, p=0.9)
    reported = drift.measured()
    assert reported is not None
    assert reported.column == "p of congestion"
    assert reported.text == "answers differ from the training data; most in p of congestion"


def test_nothing_is_said_before_a_day_is_nearly_full() -> None:
    drift = DriftMonitor(model(HALVES))
    now = day(drift, UNLIKE, hours=MIN_HOURS - 1)
    reported = drift.measured()
    assert reported is not None
    assert reported.psi is None
    assert reported.text == "not known yet: 19 of 20 hours have been seen"
    day(drift, UNLIKE, hours=1, at=now)
    assert drift.measured() != reported


def test_what_is_older_than_a_day_is_forgotten() -> None:
    drift = DriftMonitor(model(HALVES))
    now = day(drift, UNLIKE)
    day(drift, LIKE, at=now)
    reported = drift.measured()
    assert reported is not None
    assert reported.psi == 0.0


def test_a_night_without_power_is_empty_hours_and_not_old_ones() -> None:
    drift = DriftMonitor(model(HALVES))
    now = day(drift, UNLIKE)
    day(drift, LIKE, hours=1, at=now + 30 * HOUR_NS)
    reported = drift.measured()
    assert reported is not None
    assert reported.hours == 1


def test_rows_whose_mask_is_down_do_not_count() -> None:
    drift = DriftMonitor(model(HALVES))
    for minute in range(60 * HOURS):
        rows = [*LIKE, *UNLIKE]
        drift.see(minute * MINUTE, feed(rows, [1.0] * 4 + [0.0] * 4), out(rows))
    reported = drift.measured()
    assert reported is not None
    assert reported.psi == 0.0


def kept(drift: DriftMonitor) -> Any:
    return drift.snapshot()["hours"]


def test_short_windows_cost_and_count_one_look_a_minute() -> None:
    drift = DriftMonitor(model(HALVES))
    for second in range(0, 3600, 5):
        drift.see(second * 1_000_000_000, feed(LIKE), out(LIKE))
    (hour,) = kept(drift)
    assert 60 <= sum(hour[0]) / len(LIKE) <= 3600 / 55 + 1


def test_a_restart_goes_on_where_it_was() -> None:
    whole, first = DriftMonitor(model(HALVES)), DriftMonitor(model(HALVES))
    now = day(first, UNLIKE, hours=12)
    day(whole, UNLIKE, hours=12)
    second = DriftMonitor(model(HALVES))
    assert second.restore(json.loads(json.dumps(first.snapshot())))
    for one in (whole, second):
        day(one, LIKE, hours=12, at=now)
    assert whole.measured() == second.measured()
    assert not DriftMonitor(model(SCORES)).restore(first.snapshot())


def restarted(drift: DriftMonitor) -> DriftMonitor:
    again = DriftMonitor(model(HALVES))
    assert again.restore(json.loads(json.dumps(drift.snapshot())))
    return again


def hours_of(drift: DriftMonitor) -> int:
    reported = drift.measured()
    assert reported is not None
    return int(reported.hours)


def test_a_box_that_starts_anew_every_minute_has_seen_minutes_and_not_hours() -> None:
    drift = DriftMonitor(model(HALVES))
    for minute in range(90):
        drift.see(minute * MINUTE, feed(LIKE), out(LIKE))
        drift = restarted(drift)
    assert hours_of(drift) == 1
    assert len(kept(drift)) == 2
    assert sum(sum(hour[0]) for hour in kept(drift)) == 90 * len(LIKE)


@pytest.mark.parametrize("boot", [False, True])
def test_starts_do_not_push_a_day_out(boot: bool) -> None:
    drift = DriftMonitor(model(HALVES))
    now = day(drift, UNLIKE, hours=HOURS - 1)
    for minute in range(60):
        drift = restarted(drift)
        drift.see((0 if boot else now) + minute * MINUTE, feed(LIKE), out(LIKE))
    assert hours_of(drift) == HOURS
    assert sum(sum(hour[0]) for hour in kept(drift)) == 60 * HOURS * len(LIKE)


def test_a_model_that_is_asked_once_an_hour_has_not_been_watched_for_a_day() -> None:
    drift = DriftMonitor(model(HALVES))
    for hour in range(HOURS):
        drift.see(hour * HOUR_NS, feed(UNLIKE * 60), out(UNLIKE * 60))
    reported = drift.measured()
    assert reported is not None
    assert (reported.psi, reported.hours) == (None, 0)


def test_hours_in_which_no_row_counted_were_not_seen() -> None:
    drift = DriftMonitor(model(HALVES))
    now = day(drift, UNLIKE, hours=4)
    for minute in range(60 * (HOURS - 4)):
        drift.see(now + minute * MINUTE, feed(UNLIKE, [0.0] * 4), out(UNLIKE))
    assert hours_of(drift) == 4


def test_windows_of_a_quarter_of_an_hour_are_watched_all_the_time() -> None:
    drift = DriftMonitor(model(HALVES))
    for window in range(4 * HOURS):
        drift.see(window * 15 * MINUTE, feed(UNLIKE), out(UNLIKE))
    assert hours_of(drift) == HOURS


@pytest.mark.parametrize(
    "saved",
    [{}, {"v": 1, "hours": []}, {"v": 3, "hours": [], "seen_s": []}, {"v": 2, "hours": []},
     {"v": 2, "seen_s": []},
     {"v": 2, "hours": [[[-1, 0, 0]]], "seen_s": [1]}, {"v": 2, "hours": 3, "seen_s": []},
     {"v": 2, "hours": [[["a", 0, 0]]], "seen_s": [1]}, {"v": 2, "hours": [], "seen_s": [1]},
     {"v": 2, "hours": [[[1, 0, 0]]], "seen_s": [-1]},
     {"v": 2, "hours": [[[1, 0, 0]]], "seen_s": [1e9]}],
)  # fmt: skip
def test_what_is_no_snapshot_is_an_error(saved: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        DriftMonitor(model(HALVES)).restore(saved)


def test_the_memory_is_fixed() -> None:
    drift = DriftMonitor(model(HALVES, SCORES))
    now = day(drift, LIKE)
    size = len(json.dumps(drift.snapshot()))
    day(drift, LIKE, hours=100, at=now)
    assert len(kept(drift)) == HOURS
    assert len(json.dumps(drift.snapshot())) == pytest.approx(size, rel=0.05)


@given(COUNTS)
def test_psi_is_none_for_the_same_and_never_less(counts: list[int]) -> None:
    assert psi(counts, counts) == pytest.approx(0.0)
    assert psi(counts, [1] * len(counts)) >= 0
    assert psi(counts, [1] * len(counts)) == pytest.approx(psi([1] * len(counts), counts))


def test_psi_as_calculated_by_hand() -> None:
    # (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5)
    assert psi([7, 3], [5, 5]) == pytest.approx(0.2 * 0.3364722 + 0.2 * 0.5108256)


@given(
    st.lists(st.sampled_from([0.0, 0.0, 0.25, 0.5, 1.0, 3.5]), min_size=1, max_size=60),
    st.integers(2, 12),
)
def test_a_reference_made_for_a_manifest_fits_its_own_data(values: list[float], bins: int) -> None:
    column = np.asarray(values, np.float32)[:, None]
    (one,) = bundle.reference_distribution("x", column, ["x"], bins=bins)
    edges = np.asarray(one["edges"], np.float32)
    counts = np.bincount(edges.searchsorted(column[:, 0]), minlength=len(one["shares"]))
    assert psi(counts.tolist(), one["shares"]) == pytest.approx(0.0, abs=1e-6)
    assert sum(one["shares"]) == pytest.approx(1.0)
    assert len(one["edges"]) < bins


def test_rows_that_are_no_number_are_no_part_of_a_reference() -> None:
    columns = np.asarray([[1.0, np.nan], [2.0, 5.0], [3.0, np.nan]])
    one, two = bundle.reference_distribution(
        "x", columns, ["a", "b"], masks=[("present", 0), None], first=4
    )
    assert (one["mask"], one["column"], one["name"]) == (["present", 0], 4, "a")
    assert "mask" not in two
    assert (two["column"], two["edges"], two["shares"]) == (5, [5.0], [1.0, 0.0])


def test_a_reference_in_a_bundle_is_measured_by_its_guard(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "anomaly")
    path = folder / "manifest.json"
    raw = json.loads(path.read_text())
    raw["reference"] = bundle.reference_distribution(
        "onset", np.linspace(0, 1, 50)[:, None], ["onset"], masks=[("present", 0)]
    )
    path.write_text(json.dumps(raw))
    guard = ModelGuard("anomaly", folder)
    assert guard.load()
    assert guard.session is not None
    rows = {**made.feed(1.0), "state": guard.session.started([1.0])}
    for minute in range(60 * HOURS):
        assert guard.ask(minute * MINUTE, rows) is not None
    reported = guard.status().drift
    assert reported is not None
    assert reported.text == "answers differ from the training data; most in onset"
    after = ModelGuard("anomaly", folder)
    saved = guard.snapshot()
    assert saved is not None
    after.restore(saved)
    assert after.load()
    assert after.status().drift == guard.status().drift


@pytest.mark.parametrize(
    "change",
    [{"column": 5}, {"tensor": "z"}, {"edges": [1.0, 0.0]}, {"shares": [1.0]}, {"shares": [2, -1]},
     {"mask": ["present", 9]}, {"edges": ["a"]}],
)  # fmt: skip
def test_a_reference_that_cannot_be_is_no_manifest(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = tiny(tmp_path / "anomaly")
    path = folder / "manifest.json"
    one = {"tensor": "x", "column": 0, "name": "x", "edges": [0.5], "shares": [0.5, 0.5]}
    raw = json.loads(path.read_text())
    path.write_text(json.dumps({**raw, "reference": [one]}))
    assert read_manifest(folder).reference[0].edges == (0.5,)
    path.write_text(json.dumps({**raw, "reference": [{**one, **change}]}))
    with pytest.raises(ModelError, match="not a manifest"):
        read_manifest(folder)
