"""What judging costs: a window through the judge against its model's batch through onnxruntime
alone, and the memory of all models. Times are CPU times: who else computes here does not count."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from statistics import median
from typing import Any

import pytest

from models import BUNDLES
from tests.bench.judging import bundles, judge_of, session_of, windows
from tests.bench.report import Report
from tests.kit.judging import judged
from tests.kit.process import ROOT, environment

pytestmark = pytest.mark.bench

ROWS = 64  # series of a box with everything on it
CALLS = 100
ROUNDS = 31
WARM = 20  # windows that a judge has seen before it is timed
MB_KIB = 1024


def us_of(call: Callable[[], object]) -> float:
    begin = time.process_time_ns()
    for _ in range(CALLS):
        call()
    return (time.process_time_ns() - begin) / 1e3 / CALLS


def bare_of(name: str, file: str) -> Any:
    """The model without anything of ours, with one thread as ours."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    path = str(BUNDLES / name / file)
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", bundles())
def test_a_batch(name: str, report: Report) -> None:
    pytest.importorskip("onnxruntime")
    from edge.infer.modelsession import ModelSession

    session = ModelSession(BUNDLES / name)
    bare = bare_of(name, session.manifest.file)
    outputs = [output.name for output in session.manifest.outputs]
    (case, *_) = json.loads((BUNDLES / name / "golden.json").read_text())["cases"]
    inputs = {key: session.tensor((rows * ROWS)[:ROWS]) for key, rows in case["inputs"].items()}
    ours, alone = [], []
    for _ in range(ROUNDS):  # turn by turn: both meet the same machine
        ours.append(us_of(lambda: session.run(inputs)))
        alone.append(us_of(lambda: bare.run(outputs, inputs)))
    how = f"{ROWS} rows; median of {ROUNDS} x {CALLS} calls"
    report.add(f"inference, {name}", median(ours), median(alone), "us", "session.run", how)


@pytest.mark.parametrize("rows", [1, ROWS])
@pytest.mark.parametrize("name", bundles())
def test_a_window(name: str, rows: int, report: Report) -> None:
    """From drafts to verdict, with features, checks and flags; the model once, for all rows."""
    judge = judge_of(name, rows)
    session = session_of(judge, name)
    if session is None:
        pytest.skip(f"the judge does not ask {name} yet")
    bare = bare_of(name, session.manifest.file)
    outputs = [output.name for output in session.manifest.outputs]
    feeds: list[Any] = []
    asked = session.run

    def run(inputs: Any) -> Any:
        feeds.append(inputs)
        return asked(inputs)

    source = windows(name, rows, WARM + ROUNDS * CALLS + 1)
    for window in islice(source, WARM):
        judged(judge, *window)
    setattr(session, "run", run)  # noqa: B010 - what the model is given, for its peer
    judged(judge, *next(source))
    setattr(session, "run", asked)  # noqa: B010
    assert len(feeds) == 1, "one call of the model for each window"
    assert {len(tensor) for tensor in feeds[0].values()} == {rows}
    ours, alone = [], []
    for _ in range(ROUNDS):
        some = iter([*islice(source, CALLS)])
        ours.append(us_of(lambda: judged(judge, *next(some))) / rows)  # noqa: B023 - used at once
        alone.append(us_of(lambda: bare.run(outputs, feeds[0])) / rows)
    assert session.took_ms > 0
    what = "series" if name == "anomaly" else "site"
    how = f"{rows} in a batch, a window of 30 s; median of {ROUNDS} x {CALLS}"
    report.add(f"judging, {name}, a {what} and step, {rows}", median(ours), median(alone), "us",
               "session.run", how)  # fmt: skip


def test_the_memory_of_all_models(report: Report) -> None:
    pytest.importorskip("onnxruntime")
    sizes = {}
    for loaded in ("yes", "no"):
        command = [sys.executable, "-m", "tests.bench.loaded", loaded]
        result = [
            int(subprocess.run(command, cwd=ROOT, env=environment(), check=True, text=True,
                               capture_output=True, timeout=120).stdout)
            for _ in range(3)
        ]  # fmt: skip
        sizes[loaded] = median(result) / MB_KIB
    how = f"VmRSS of a judge with {', '.join(bundles())}; the rest is onnxruntime and numpy"
    report.add("memory with all models", sizes["yes"], sizes["no"], "MiB", "rules alone", how)
    assert sizes["yes"] > sizes["no"]
