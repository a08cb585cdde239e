"""Trees: numpy and the graph give the same, also where a feature is exactly a threshold."""

import numpy as np
import pytest

from models.trees import Forest, Tree, TreeEager, TreeGraph, _tree

ort = pytest.importorskip("onnxruntime")

NODES = np.zeros(
    3,
    dtype=[
        ("value", np.float64), ("feature_idx", np.intp), ("num_threshold", np.float64),
        ("left", np.uint32), ("right", np.uint32), ("is_leaf", np.uint8),
    ],
)  # fmt: skip
NODES["is_leaf"] = [0, 1, 1]
NODES["left"], NODES["right"] = [1, 0, 0], [2, 0, 0]
NODES["value"] = [0.0, -1.0, 1.0]
NODES["feature_idx"] = [1, 0, 0]


def _stump(threshold: float) -> Tree:
    nodes = NODES.copy()
    nodes["num_threshold"][0] = threshold
    return _tree(nodes)


@pytest.mark.parametrize("threshold", [0.1, 0.3, 1 / 3, 0.7000000001, -0.1, 1e-30, 5.0])
def test_a_rounded_threshold_parts_single_precision_as_the_double_one_did(threshold: float) -> None:
    near = np.float32(threshold)
    around = [np.nextafter(near, np.float32(-9)), near, np.nextafter(near, np.float32(9))]
    x = np.asarray([[0.0, v] for v in around], np.float32)
    expected = np.where(x[:, 1].astype(np.float64) <= threshold, -1.0, 1.0)
    np.testing.assert_array_equal(_stump(threshold).run(x), expected)


def _random(rng: np.random.Generator, depth: int) -> Tree:
    count = 2 ** (depth + 1) - 1
    inner = np.arange(count) < 2**depth - 1
    return Tree(
        np.where(inner, rng.integers(0, 4, count), -1),
        rng.normal(size=count).round(1).astype(np.float32),
        np.where(inner, 2 * np.arange(count) + 1, 0),
        np.where(inner, 2 * np.arange(count) + 2, 0),
    )


def test_the_graph_gives_what_numpy_gives() -> None:
    rng = np.random.default_rng(1)
    forests = [Forest(tuple(_random(rng, 3) for _ in range(n)), 0.25 * n) for n in (7, 2)]
    x = rng.normal(size=(300, 4)).round(1).astype(np.float32)  # many on a threshold
    graph = TreeGraph()
    graph.output("y", graph.trees(graph.input("x", ["n", 4]), forests), ["n", 2])
    model = graph.model("trees", "1")
    session = ort.InferenceSession(model.SerializeToString())
    (answer,) = session.run(None, {"x": x})
    np.testing.assert_allclose(answer, TreeEager().trees(x, forests), rtol=0, atol=1e-5)
    assert len(np.unique(answer)) > 50
    assert {(o.domain, o.version) for o in model.opset_import} == {("", 17), ("ai.onnx.ml", 3)}


def test_a_fitted_model_is_read_as_it_answers() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    rng = np.random.default_rng(2)
    x = rng.normal(size=(800, 3)).round(1).astype(np.float32)
    y = x[:, 0] * x[:, 1] > 0
    fitted = ensemble.HistGradientBoostingClassifier(max_iter=12).fit(x, y)
    forest = Forest.of(fitted)
    np.testing.assert_allclose(forest.run(x)[:, 0], fitted.decision_function(x), atol=1e-5)
    with pytest.raises(ValueError, match="two classes"):
        Forest.of(
            ensemble.HistGradientBoostingClassifier(max_iter=2).fit(x, rng.integers(0, 3, 800))
        )
