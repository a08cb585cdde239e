"""Our own NAB scorer, and NAB's code where it is at hand (NAB_REPO, NAB_PYTHON with pandas)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.anomaly import nab, nabrepo
from models.anomaly.labelledseries import Series

REPO = Path(os.environ.get("NAB_REPO", "."))
PYTHON = os.environ.get("NAB_PYTHON", sys.executable)
STAMP = "2026-01-01 {:02}:{:02}:00"


def _has_nab() -> bool:
    if not (REPO / "nab" / "scorer.py").is_file():
        return False
    return subprocess.run([PYTHON, "-c", "import pandas"], capture_output=True).returncode == 0


with_nab = pytest.mark.skipif(not _has_nab(), reason="no NAB_REPO, or NAB_PYTHON has no pandas")


def file(length: int, *windows: tuple[int, int], name: str = "realTraffic/x.csv") -> nab.NabFile:
    return nab.NabFile(Series(name, np.zeros(length), ()), windows)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Three files in NAB's layout: one of them sound, one with a time that comes twice."""
    labels = {
        "realTraffic/a.csv": [[200, 259], [400, 430]],
        "realTweets/b.csv": [[150, 199]],
        "artificialNoAnomaly/c.csv": [],
    }
    said: dict[str, list[list[str]]] = {}
    for name, windows in labels.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        stamps = [STAMP.format(i // 60, i % 60) for i in range(600)]
        if "b.csv" in name:
            stamps[170] = stamps[169]
        rows = "".join(f"{stamp},{i % 7}\n" for i, stamp in enumerate(stamps))
        path.write_text("timestamp,value\n" + rows)
        said[name] = [[stamps[a] + ".000000", stamps[b] + ".000000"] for a, b in windows]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "combined_windows.json").write_text(json.dumps(said))
    if _has_nab():
        (tmp_path / "nab").symlink_to(REPO.resolve() / "nab")
        (tmp_path / "config").symlink_to(REPO.resolve() / "config")
    return tmp_path


def lot(files: list[nab.NabFile], seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {f.series.name: np.round(rng.random(len(f.series.values)) ** 9, 3) for f in files}


def test_windows_are_rows_from_and_to_the_labelled_times(corpus: Path) -> None:
    files = {f.series.name: f for f in nab.load_nab_files(corpus)}
    assert files["realTraffic/a.csv"].windows == ((200, 259), (400, 430))
    assert files["artificialNoAnomaly/c.csv"].windows == ()
    assert len(files["realTweets/b.csv"].series.values) == 600


def test_the_same_without_the_folder_data(corpus: Path) -> None:
    before = nab.load_nab_files(corpus)
    for path in list((corpus / "data").iterdir()):
        path.rename(corpus / path.name)
    (corpus / "data").rmdir()
    assert [f.windows for f in nab.load_nab_files(corpus)] == [f.windows for f in before]


@pytest.mark.parametrize(
    ("at", "adds"),
    [
        (200, 1.0),  # the first row of a window of 60
        (259, (2 / (1 + np.exp(-5 / 60)) - 1) / (2 / (1 + np.exp(-5)) - 1)),
        (260, 0.11 * (2 / (1 + np.exp(5 * 1 / 59)) - 1)),
        (259 + 59, 0.11 * (2 / (1 + np.exp(5)) - 1)),
        (259 + 3 * 59 + 1, -0.11),
        (100, -0.11),
    ],
)
def test_what_one_detection_adds_as_the_paper_has_it(at: int, adds: float) -> None:
    one = file(1000, (200, 259))
    _, _, worth = nab.detection_worths(one)
    assert worth[at] == pytest.approx(adds)
    # 150 rows are probation: a detection there is neither right nor wrong
    missed = -1.0 if not 200 <= at <= 259 else 0.0
    expected = missed + (adds if at >= 150 else 0.0)
    assert nab.raw_score(one, np.asarray([at])) == pytest.approx(expected)


@given(
    st.lists(st.floats(0, 1).map(lambda v: round(v, 1)), min_size=300, max_size=300),
    st.integers(50, 250),
    st.integers(2, 40),
)
def test_the_best_threshold_is_no_worse_than_any(values: list[float], at: int, width: int) -> None:
    one, scores = file(300, (at, at + width)), np.asarray(values)
    threshold, top = nab.best_threshold([one], [scores])
    assert nab.normalised_score([one], [nab.detections_at(threshold, scores)]) == pytest.approx(top)
    for level in (*np.unique(scores), 1.1):
        assert nab.normalised_score([one], [nab.detections_at(level, scores)]) <= top + 1e-9


def test_what_score_prints_is_read_back() -> None:
    onset, level = nab.parse_scores(
        ["timestamp,value,state,onset", "t,1,0.250,0.125", '"a, b",,0.2,0']
    )
    assert onset.tolist() == [0.125, 0.0]
    assert level.tolist() == [0.25, 0.2]
    with pytest.raises(ValueError, match="first line"):
        nab.parse_scores(["timestamp,value", "t,1"])


def test_published_results_are_normalised_over_the_files_that_are_asked_for(corpus: Path) -> None:
    path = corpus / "results" / "other" / "other_standard_scores.csv"
    path.parent.mkdir(parents=True)
    rows = [
        "Detector,Profile,File,Threshold,Score,TP,TN,FP,FN,Total_Count",
        "other,standard,realTraffic/a.csv,0.5,1.5,1,1,1,1,4",
        "other,standard,realTweets/b.csv,0.5,-1.0,1,1,1,1,4",
        "Totals,,,,0.5,2,2,2,2,8",
    ]
    path.write_text("\n".join(rows) + "\n")
    assert nabrepo.published_scores(corpus)["other"] == pytest.approx(100 * (0.5 + 3) / 6)
    assert nabrepo.published_scores(corpus, "realTraffic/")["other"] == pytest.approx(100 * 3.5 / 4)


def test_scores_that_do_not_fit_the_file_are_refused(corpus: Path) -> None:
    (corpus / "config").mkdir(exist_ok=True)
    with pytest.raises(RuntimeError, match="3 scores for 600 rows"):
        nabrepo.official_scores(corpus, {"realTraffic/a.csv": np.zeros(3)})
    with pytest.raises(RuntimeError, match="none of the files"):
        nabrepo.official_scores(corpus, {"x.csv": np.zeros(3)})


@with_nab
@pytest.mark.parametrize("only", ["", "realTraffic/"])
def test_ours_agrees_with_nabs_own_code(corpus: Path, only: str) -> None:
    files = nab.load_nab_files(corpus)
    scores = lot(files, seed=4)
    result = nabrepo.official_scores(corpus, scores, threshold=0.9, only=only, python=PYTHON)
    mine = [f for f in files if f.series.name.startswith(only)]
    values = [scores[f.series.name] for f in mine]
    assert result.frozen == pytest.approx(
        nab.normalised_score(mine, [nab.detections_at(0.9, v) for v in values]), abs=0.1
    )
    threshold, top = nab.best_threshold(mine, values)
    assert result.optimised == pytest.approx(top, abs=0.1)
    assert nab.normalised_score(
        mine, [nab.detections_at(result.threshold, v) for v in values]
    ) == pytest.approx(result.optimised, abs=0.1)
    assert threshold == pytest.approx(result.threshold)
