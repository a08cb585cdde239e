"""A boosted ensemble of decision trees, as numpy computes it and as an ONNX graph holds it.

`TreeEnsemble` is what training leaves: for each class a sum of leaf values, then softmax. The graph
is one TreeEnsembleRegressor (ai.onnx.ml 3) with a target for each class and a Softmax; it has no
label output, which would log a warning on every batched call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.graph import IR, OPSET

ML_OPSET: Final = 3
PRODUCER: Final = "kerbstone"


@dataclass(frozen=True)
class TreeEnsemble:
    """Nodes of all trees, one array entry each; `left` and `right` are -1 at leaves.

    A row goes left where its `column` is at most `limit`. `roots[i]` is the first node of tree i,
    `target[i]` the class that it adds to. `base` is what each class starts from.
    """

    column: NDArray[np.int64]
    limit: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: NDArray[np.float32]
    roots: NDArray[np.int64]
    target: NDArray[np.int64]
    base: NDArray[np.float32]
    width: int  # columns of a row

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, classes]: the sums, before softmax."""
        out = np.tile(self.base, (len(rows), 1)).astype(np.float32)
        every = np.arange(len(rows))
        for root, target in zip(self.roots, self.target, strict=True):
            at = np.full(len(rows), root)
            while True:
                inner = self.left[at] >= 0
                if not inner.any():
                    break
                goes = rows[every, self.column[at]] <= self.limit[at]
                at = np.where(inner, np.where(goes, self.left[at], self.right[at]), at)
            out[:, target] += self.value[at]
        return out

    def probabilities(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n, classes]."""
        scores = self.scores(rows)
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)

    def shifted(self, bias: Sequence[float]) -> TreeEnsemble:
        """The same with `bias` added to the log odds of each class."""
        return TreeEnsemble(
            self.column, self.limit, self.left, self.right, self.value, self.roots, self.target,
            (self.base + np.asarray(bias, np.float32)).astype(np.float32), self.width,
        )  # fmt: skip


def of_boosting(model: Any, classes: int) -> TreeEnsemble:
    """From a fitted HistGradientBoostingClassifier without categories or missing values.

    `classes` may be more than it has met: those keep a score that never wins.
    """
    columns: list[int] = []
    limits: list[float] = []
    lefts: list[int] = []
    rights: list[int] = []
    values: list[float] = []
    roots: list[int] = []
    targets: list[int] = []
    base = np.full(classes, -30.0, np.float32)
    known = [int(c) for c in model.classes_]
    base[known] = model._baseline_prediction.ravel()
    for stage in model._predictors:
        for place, predictor in enumerate(stage):
            first = len(columns)
            roots.append(first)
            targets.append(known[place])
            for node in predictor.nodes:
                leaf = bool(node["is_leaf"])
                columns.append(0 if leaf else int(node["feature_idx"]))
                limits.append(0.0 if leaf else _floor32(float(node["num_threshold"])))
                lefts.append(-1 if leaf else first + int(node["left"]))
                rights.append(-1 if leaf else first + int(node["right"]))
                values.append(float(node["value"]) if leaf else 0.0)
    return TreeEnsemble(
        np.array(columns), np.array(limits, np.float32), np.array(lefts), np.array(rights),
        np.array(values, np.float32), np.array(roots), np.array(targets), base,
        int(model.n_features_in_),
    )  # fmt: skip


def _floor32(limit: float) -> float:
    """The largest single-precision number that is not above it: x <= limit stays the same."""
    near = np.float32(limit)
    if float(near) > limit:
        near = np.nextafter(near, np.float32(-np.inf))
    return float(near)


def ensemble_graph(trees: TreeEnsemble, name: str, version: str) -> onnx.ModelProto:
    """The checked model: `x` [n, width] gives `p` [n, classes]."""
    owner = np.zeros(len(trees.column), np.int64)
    owner[trees.roots] = 1
    owner = np.cumsum(owner) - 1
    local = np.arange(len(owner)) - trees.roots[owner]
    leaf = trees.left < 0
    start = trees.roots[owner]
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["sums"],
        domain="ai.onnx.ml",
        n_targets=len(trees.base),
        nodes_treeids=owner.tolist(),
        nodes_nodeids=local.tolist(),
        nodes_featureids=trees.column.tolist(),
        nodes_values=trees.limit.tolist(),
        nodes_modes=["LEAF" if each else "BRANCH_LEQ" for each in leaf],
        nodes_truenodeids=np.where(leaf, 0, trees.left - start).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, trees.right - start).tolist(),
        target_treeids=owner[leaf].tolist(),
        target_nodeids=local[leaf].tolist(),
        target_ids=trees.target[owner[leaf]].tolist(),
        target_weights=trees.value[leaf].tolist(),
        post_transform="NONE",
        aggregate_function="SUM",
    )
    model = helper.make_model(
        helper.make_graph(
            [
                ensemble,
                helper.make_node("Add", ["sums", "base"], ["scores"]),
                helper.make_node("Softmax", ["scores"], ["p"], axis=1),
            ],
            name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", trees.width])],
            [helper.make_tensor_value_info("p", TensorProto.FLOAT, ["n", len(trees.base)])],
            [numpy_helper.from_array(trees.base.reshape(1, -1), "base")],
        ),
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
        ir_version=IR,
        producer_name=PRODUCER,
        producer_version=version,
    )
    onnx.checker.check_model(model, full_check=True)
    return model
