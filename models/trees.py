"""Boosted trees as part of a formula: run by numpy, or put down as one node of an ONNX graph.

    forest = Forest.of(gradient_boosting)          # scikit-learn's HistGradientBoosting...
    odds = o.trees(features, [forest, other])      # o is TreeEager or TreeGraph; [rows, forests]

Thresholds are rounded down to single precision, so that `x <= threshold` says the same of every
x in single precision as it did of the threshold in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from models.graph import GraphNode, GraphOps, NumpyOps

DOMAIN: Final = "ai.onnx.ml"
VERSION: Final = 3

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tree:
    """One tree, node 0 its root. `feature` is -1 at a leaf, whose answer is `value`.

    Elsewhere a row goes to `left` when its feature is at most `value`, else to `right`.
    """

    feature: Ints
    value: Floats
    left: Ints
    right: Ints

    def run(self, x: Floats) -> Floats:
        """The answers for rows [n, features]."""
        at = np.zeros(len(x), np.int64)
        rows = np.arange(len(x))
        while True:
            feature = self.feature[at]
            inner = feature >= 0
            if not inner.any():
                return self.value[at]
            goes = x[rows, np.maximum(feature, 0)] <= self.value[at]
            at = np.where(inner, np.where(goes, self.left[at], self.right[at]), at)


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees whose answers are added to `base`."""

    trees: tuple[Tree, ...]
    base: float

    @classmethod
    def of(cls, boosting: Any) -> Forest:
        """From a fitted HistGradientBoostingClassifier (two classes) or -Regressor of scikit-learn.

        Its answers are what `decision_function` or `predict` gives, for features without NaN.
        """
        stages = boosting._predictors
        if any(len(stage) != 1 for stage in stages):
            raise ValueError("more than two classes")
        base = float(np.ravel(boosting._baseline_prediction)[0])
        return cls(tuple(_tree(stage[0].nodes) for stage in stages), base)

    def run(self, x: Floats) -> Floats:
        """The sums for rows [n, features], as one column."""
        out = np.full(len(x), self.base, np.float32)
        for tree in self.trees:
            out += tree.run(x)
        return out[:, None]


def _tree(nodes: NDArray[Any]) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    if "is_categorical" in (nodes.dtype.names or ()) and nodes["is_categorical"].any():
        raise ValueError("a categorical split")
    limit = nodes["num_threshold"].astype(np.float64)
    rounded = limit.astype(np.float32)
    rounded = np.where(rounded > limit, np.nextafter(rounded, np.float32(-np.inf)), rounded)
    return Tree(
        np.where(leaf, -1, nodes["feature_idx"]).astype(np.int64),
        np.where(leaf, nodes["value"].astype(np.float32), rounded).astype(np.float32),
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
    )


class TreeEager(NumpyOps):
    """The operations on numpy arrays, and trees."""

    def trees(self, x: Any, forests: Sequence[Forest]) -> Any:
        """One column for each forest."""
        return np.concatenate([forest.run(np.asarray(x, np.float32)) for forest in forests], axis=1)


class TreeGraph(GraphOps):
    """The operations as nodes of a graph, and trees."""

    opsets: ClassVar[Mapping[str, int]] = {**GraphOps.opsets, DOMAIN: VERSION}

    def trees(self, x: Any, forests: Sequence[Forest]) -> GraphNode:
        """One column for each forest."""
        self._next += 1
        out = f"t{self._next}"
        node = helper.make_node(
            "TreeEnsembleRegressor",
            [self._name(x)],
            [out],
            domain=DOMAIN,
            n_targets=len(forests),
            base_values=[forest.base for forest in forests],
            **_attributes(forests),
        )
        self._nodes.append(node)
        return GraphNode(self, out)


def _attributes(forests: Sequence[Forest]) -> dict[str, Any]:
    out: dict[str, list[Any]] = {
        "nodes_treeids": [], "nodes_nodeids": [], "nodes_featureids": [], "nodes_values": [],
        "nodes_modes": [], "nodes_truenodeids": [], "nodes_falsenodeids": [],
        "target_treeids": [], "target_nodeids": [], "target_ids": [], "target_weights": [],
    }  # fmt: skip
    trees = [(target, tree) for target, forest in enumerate(forests) for tree in forest.trees]
    for i, (target, tree) in enumerate(trees):
        inner = tree.feature >= 0
        count = len(inner)
        leaves = np.flatnonzero(~inner)
        out["nodes_treeids"] += [i] * count
        out["nodes_nodeids"] += range(count)
        out["nodes_featureids"] += np.maximum(tree.feature, 0).tolist()
        out["nodes_values"] += np.where(inner, tree.value, 0.0).tolist()
        out["nodes_modes"] += ["BRANCH_LEQ" if branch else "LEAF" for branch in inner]
        out["nodes_truenodeids"] += np.where(inner, tree.left, 0).tolist()
        out["nodes_falsenodeids"] += np.where(inner, tree.right, 0).tolist()
        out["target_treeids"] += [i] * len(leaves)
        out["target_nodeids"] += leaves.tolist()
        out["target_ids"] += [target] * len(leaves)
        out["target_weights"] += tree.value[leaves].tolist()
    return out
