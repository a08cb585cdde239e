"""A bundle proves itself at load, and every answer is looked at."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge.infer.bundlemanifest import ModelError
from edge.infer.modelsession import ModelSession
from models import BUNDLES
from tests.infer.street import copied

BOTH = pytest.mark.parametrize("name", ["congestion", "anomaly"])


def _edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _replace(folder: Path, model: onnx.ModelProto) -> None:
    """Put another graph in the bundle, with its right checksum."""
    import hashlib

    data = model.SerializeToString()
    (folder / "congestion.onnx").write_bytes(data)
    _edit(folder, sha256=hashlib.sha256(data).hexdigest())


def _congestion() -> onnx.ModelProto:
    return onnx.load(str(BUNDLES / "congestion" / "congestion.onnx"))


@BOTH
def test_the_shipped_bundle_reproduces_its_golden_cases(name: str) -> None:
    session = ModelSession(BUNDLES / name)
    assert session.manifest.name == name
    assert len(json.loads((BUNDLES / name / "golden.json").read_text())["cases"]) >= 3


@BOTH
def test_the_shipped_graph_is_old_enough_for_old_runtimes(name: str) -> None:
    model = onnx.load(str(BUNDLES / name / f"{name}.onnx"))
    assert (model.ir_version, model.opset_import[0].version) == (8, 17)
    onnx.checker.check_model(model, full_check=True)


def test_a_damaged_model_is_refused_by_its_checksum(tmp_path: Path) -> None:
    folder = copied(tmp_path) / "anomaly"
    path = folder / "anomaly.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="checksum"):
        ModelSession(folder)


def test_bytes_that_are_no_model_are_refused_although_the_checksum_is_right(
    tmp_path: Path,
) -> None:
    import hashlib

    folder = copied(tmp_path) / "congestion"
    (folder / "congestion.onnx").write_bytes(b"not a model")
    _edit(folder, sha256=hashlib.sha256(b"not a model").hexdigest())
    with pytest.raises(ModelError, match="refuses"):
        ModelSession(folder)


@pytest.mark.parametrize("file", ["manifest.json", "golden.json", "congestion.onnx"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    folder = copied(tmp_path) / "congestion"
    (folder / file).unlink()
    with pytest.raises(ModelError, match=file):
        ModelSession(folder)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": 1}', '{"cases": 3}', '{"cases": []}'])
@pytest.mark.parametrize("file", ["manifest.json", "golden.json"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, file: str, text: str) -> None:
    folder = copied(tmp_path) / "congestion"
    (folder / file).write_text(text)
    with pytest.raises(ModelError, match=file):
        ModelSession(folder)


def test_a_model_that_gives_other_answers_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path) / "congestion"
    golden = json.loads((folder / "golden.json").read_text())
    golden["cases"][0]["outputs"]["p"][0][0] += 0.005
    (folder / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(ModelError, match="gives another p"):
        ModelSession(folder)


def test_a_model_that_is_too_slow_at_load_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path) / "congestion"
    ticks = iter(range(0, 10**12, 60_000_000))  # every look at the clock is 60 ms later
    with pytest.raises(ModelError, match=r"took 60\.0 ms, 50 are allowed"):
        ModelSession(folder, timer=lambda: next(ticks))


@pytest.mark.parametrize(
    ("value", "says"),
    [(float("nan"), "p is not a number"), (1.5, "p is above 1"), (-0.5, "p is below 0")],
)
def test_an_answer_that_cannot_be_is_refused(tmp_path: Path, value: float, says: str) -> None:
    folder = copied(tmp_path) / "congestion"
    model = _congestion()
    node = next(n for n in model.graph.node if n.output[0] == "p")
    model.graph.initializer.append(
        numpy_helper.from_array(np.asarray(value, np.float32), "spoiler")
    )
    first = node.input[0]
    node.input[0] = "spoilt"
    model.graph.node.insert(
        list(model.graph.node).index(node),
        helper.make_node("Add", [_zeroed(model, first), "spoiler"], ["spoilt"]),
    )
    _replace(folder, model)
    with pytest.raises(ModelError, match=says):
        ModelSession(folder)


def _zeroed(model: onnx.ModelProto, name: str) -> str:
    """A tensor of the same shape, all zero."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(0.0, np.float32), "nought"))
    at = next(i for i, n in enumerate(model.graph.node) if n.output[0] == "p")
    model.graph.node.insert(at, helper.make_node("Mul", [name, "nought"], ["zeroed"]))
    return "zeroed"


def test_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    folder = copied(tmp_path) / "congestion"
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["outputs"]["p"]["width"] = 2
    _edit(folder, outputs=manifest["outputs"])
    with pytest.raises(ModelError, match="shape"):
        ModelSession(folder)


def test_a_feed_of_another_shape_is_an_error_of_the_model(tmp_path: Path) -> None:
    session = ModelSession(BUNDLES / "congestion")
    with pytest.raises(ModelError, match="congestion"):
        session.run({"x": session.tensor([[1.0]])})


def test_without_onnxruntime_the_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelError, match="onnxruntime is not installed"):
        ModelSession(BUNDLES / "congestion")


@BOTH
def test_a_batch_gives_what_each_row_gives_alone(name: str) -> None:
    session = ModelSession(BUNDLES / name)
    case = json.loads((BUNDLES / name / "golden.json").read_text())["cases"][-1]
    feed = {key: session.tensor(case["inputs"][key]) for key in session.manifest.inputs}
    together = session.run(feed)
    for row in range(len(feed["x"])):
        alone = session.run({key: value[row : row + 1] for key, value in feed.items()})
        for one, all_ in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], all_[row], rtol=1e-5, atol=1e-6)


def test_a_snapshot_of_another_width_or_of_no_numbers_is_refused() -> None:
    session = ModelSession(BUNDLES / "congestion")
    with pytest.raises(ModelError, match=r"is not rows of \d+"):
        session.revived(b"123")
    with pytest.raises(ModelError, match="not a number"):
        session.revived(np.full(len(session.manifest.start), np.nan, "<f4").tobytes())
