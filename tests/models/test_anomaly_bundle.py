"""What the anomaly bundle is held to: its golden cases, and drift against its reference."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import to_builtins

from edge.infer.bundlemanifest import read_manifest
from edge.infer.drift import HOURS, LARGE_PSI, DriftMonitor
from models import BUNDLES
from models.anomaly import anomalyrunner, goldencases
from models.anomaly.labelledseries import Series, sound_weeks
from models.anomaly.layout import WIDTHS, start_state

BUNDLE = BUNDLES / "anomaly"
MINUTE = 60_000_000_000
TWO_DAYS = 2 * HOURS * 60  # minutes


def test_a_network_is_written_where_there_was_no_folder(tmp_path: Path) -> None:
    net = anomalyrunner.read_net(BUNDLE)
    anomalyrunner.write_net(tmp_path / "new", net)
    for (a, b), (c, d) in zip(net, anomalyrunner.read_net(tmp_path / "new"), strict=True):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_a_golden_case_is_of_a_state_that_is_a_week_old() -> None:
    cases = json.loads((BUNDLE / "golden.json").read_text(encoding="utf-8"))["cases"]
    place = list(WIDTHS).index("n")
    assert place == 0
    seen = [case["inputs"]["state"][0][place] for case in cases]
    assert seen == [at - 1 for at in goldencases.TAKEN]
    assert seen[-1] >= 7 * 1440 - 1


def _watched(series: list[Series], until: int) -> dict[str, object]:
    """What drift says after a day of minutes, beginning after the first day."""
    drift = DriftMonitor(read_manifest(BUNDLE))
    quantum = np.asarray([[s.quantum] for s in series], np.float32)
    values = np.stack([s.values for s in series], axis=1).astype(np.float32)[:, :, None]
    session = anomalyrunner.make_session((BUNDLE / "anomaly.onnx").read_bytes())
    fixed, times = (np.asarray(row, np.float32) for row in start_state())
    state, one = fixed + values[0] * times, np.ones_like(values[0])
    for t in range(1, until):
        hour = np.full_like(one, t // 60 % 24)
        feed = {"x": values[t], "present": one, "quantum": quantum, "hour": hour, "state": state}
        answer = session.run(None, feed)
        state = answer[3]
        drift.see(t * MINUTE, feed, answer)
    measured: dict[str, object] = to_builtins(drift.measured())
    return measured


@pytest.mark.long
def test_sound_series_of_another_site_are_no_drift() -> None:
    sound = _watched(sound_weeks(13, 1440), TWO_DAYS)
    assert isinstance(sound["psi"], float)
    assert sound["psi"] < LARGE_PSI


@pytest.mark.long
def test_series_that_stand_still_are_drift() -> None:
    """`test_drift` sees to it each time, with other series."""
    still = [replace(s, values=np.where(np.arange(len(s.values)) < 1440, s.values, s.values[1440]))
             for s in sound_weeks(13, 1440)]  # fmt: skip
    frozen = _watched(still, TWO_DAYS)
    assert isinstance(frozen["psi"], float)
    assert frozen["psi"] > LARGE_PSI
    assert "differ from the training data" in str(frozen["text"])
