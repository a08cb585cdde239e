"""A model's batch through edge.infer, and through onnxruntime alone."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import pytest

from models import BUNDLES
from tests.bench.report import Report

pytestmark = pytest.mark.bench

ROWS = 64  # series of a box with everything on it
CALLS = 100
ROUNDS = 31


def us_of(call: Callable[[], object]) -> float:
    begin = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - begin) / 1e3 / CALLS


@pytest.mark.parametrize("name", ["congestion", "anomaly"])
def test_a_batch(name: str, report: Report) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    from edge.infer.session import Session

    session = Session(BUNDLES / name)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    bare: Any = onnxruntime.InferenceSession(
        str(BUNDLES / name / session.manifest.file), options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.manifest.outputs]
    feed = {one.name: session.tensor([[0.5] * one.shape[1]] * ROWS) for one in bare.get_inputs()}
    ours, alone = [], []
    for _ in range(ROUNDS):  # turn by turn: both meet the same machine
        ours.append(us_of(lambda: session.run(feed)))
        alone.append(us_of(lambda: bare.run(outputs, feed)))
    how = f"{ROWS} rows; median of {ROUNDS} x {CALLS} calls"
    report.add(f"inference, {name}", median(ours), median(alone), "us", "session.run", how)
