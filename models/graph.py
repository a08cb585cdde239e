"""Writes tensor formulas once, to be run by numpy or put down as an ONNX graph.

A formula is a function `step(o, ...)` over tensors; `o` is `NumpyOps` (numpy float32) or `GraphOps`
(collects nodes). Both know the same few operations, so what was tuned is what is shipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17  # old runtimes on the device refuse newer ones
IR: Final = 8

Array = NDArray[np.float32]
T = Any  # a numpy array or a Node: the formulas do not mind


class NumpyOps:
    """The operations on numpy arrays, all in float32 as the graph computes."""

    def const(self, value: Any) -> Any:
        return np.asarray(value, np.float32)

    def where(self, cond: T, yes: T, no: T) -> Any:
        return np.where(cond, np.asarray(yes, np.float32), np.asarray(no, np.float32))

    def maximum(self, a: T, b: T) -> Any:
        return np.maximum(a, np.asarray(b, np.float32))

    def minimum(self, a: T, b: T) -> Any:
        return np.minimum(a, np.asarray(b, np.float32))

    def clip(self, a: T, low: float, high: float) -> Any:
        return np.clip(a, np.float32(low), np.float32(high))

    def abs(self, a: T) -> Any:
        return np.abs(a)

    def exp(self, a: T) -> Any:
        return np.exp(a)

    def log(self, a: T) -> Any:
        return np.log(a)

    def sqrt(self, a: T) -> Any:
        return np.sqrt(a)

    def floor(self, a: T) -> Any:
        return np.floor(a)

    def sigmoid(self, a: T) -> Any:
        return 1 / (1 + np.exp(-a))

    def number(self, cond: T) -> Any:
        return np.asarray(cond, np.float32)

    def join(self, parts: Sequence[T]) -> Any:
        return np.concatenate(parts, axis=1)

    def columns(self, a: T, start: int, stop: int) -> Any:
        return np.asarray(a)[:, start:stop]

    def split(self, a: T, widths: Sequence[int]) -> list[Any]:
        edges = np.cumsum([0, *widths])
        return [np.asarray(a)[:, i:j] for i, j in pairwise(edges)]

    def total(self, a: T) -> Any:
        return np.asarray(a).sum(axis=1, keepdims=True)

    def highest(self, a: T) -> Any:
        return np.asarray(a).max(axis=1, keepdims=True)

    def matmul(self, a: T, b: T) -> Any:
        return np.matmul(a, b)

    def reshape(self, a: T, shape: Sequence[int]) -> Any:
        return np.reshape(a, shape)

    def turned(self, a: T) -> Any:
        return np.swapaxes(a, 1, 2)


class GraphNode:
    """A tensor of the graph to come; `+ - * / > < >= ==` put nodes down."""

    __hash__ = object.__hash__
    __array_ufunc__ = None  # so that `array + node` comes here

    def __init__(self, graph: GraphOps, name: str) -> None:
        self.graph, self.name = graph, name

    def __add__(self, other: T) -> GraphNode:
        return self.graph.put("Add", self, other)

    def __radd__(self, other: T) -> GraphNode:
        return self.graph.put("Add", other, self)

    def __sub__(self, other: T) -> GraphNode:
        return self.graph.put("Sub", self, other)

    def __rsub__(self, other: T) -> GraphNode:
        return self.graph.put("Sub", other, self)

    def __mul__(self, other: T) -> GraphNode:
        return self.graph.put("Mul", self, other)

    def __rmul__(self, other: T) -> GraphNode:
        return self.graph.put("Mul", other, self)

    def __truediv__(self, other: T) -> GraphNode:
        return self.graph.put("Div", self, other)

    def __rtruediv__(self, other: T) -> GraphNode:
        return self.graph.put("Div", other, self)

    def __neg__(self) -> GraphNode:
        return self.graph.put("Neg", self)

    def __gt__(self, other: T) -> GraphNode:
        return self.graph.put("Greater", self, other)

    def __lt__(self, other: T) -> GraphNode:
        return self.graph.put("Less", self, other)

    def __ge__(self, other: T) -> GraphNode:
        return self.graph.put("GreaterOrEqual", self, other)

    def __eq__(self, other: T) -> GraphNode:  # type: ignore[override]  # puts a node down, as `>` does
        return self.graph.put("Equal", self, other)


class GraphOps:
    """The same operations, put down as nodes; `model()` gives the checked ONNX model."""

    opsets: ClassVar[Mapping[str, int]] = {"": OPSET}

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._consts: dict[bytes, str] = {}
        self._inits: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._next = 0

    def input(self, name: str, shape: Sequence[int | str]) -> GraphNode:
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        return GraphNode(self, name)

    def output(self, name: str, value: GraphNode, shape: Sequence[int | str]) -> None:
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def _constant(self, array: NDArray[Any]) -> str:
        key = array.dtype.str.encode() + repr(array.shape).encode() + array.tobytes()
        name = self._consts.get(key)
        if name is None:
            name = self._consts[key] = f"c{len(self._consts)}"
            self._inits.append(numpy_helper.from_array(array, name))
        return name

    def _name(self, value: T) -> str:
        if isinstance(value, GraphNode):
            return value.name
        return self._constant(np.asarray(value, np.float32))

    def put(
        self, kind: str, *inputs: T, ints: Sequence[int] | None = None, **attrs: Any
    ) -> GraphNode:
        names = [self._name(value) for value in inputs]
        if ints is not None:
            names.append(self._constant(np.asarray(ints, np.int64)))
        self._next += 1
        out = f"t{self._next}"
        self._nodes.append(helper.make_node(kind, names, [out], **attrs))
        return GraphNode(self, out)

    def const(self, value: Any) -> Any:
        return np.asarray(value, np.float32)

    def where(self, cond: T, yes: T, no: T) -> GraphNode:
        return self.put("Where", cond, yes, no)

    def maximum(self, a: T, b: T) -> GraphNode:
        return self.put("Max", a, b)

    def minimum(self, a: T, b: T) -> GraphNode:
        return self.put("Min", a, b)

    def clip(self, a: T, low: float, high: float) -> GraphNode:
        return self.put("Clip", a, low, high)

    def abs(self, a: T) -> GraphNode:
        return self.put("Abs", a)

    def exp(self, a: T) -> GraphNode:
        return self.put("Exp", a)

    def log(self, a: T) -> GraphNode:
        return self.put("Log", a)

    def sqrt(self, a: T) -> GraphNode:
        return self.put("Sqrt", a)

    def floor(self, a: T) -> GraphNode:
        return self.put("Floor", a)

    def sigmoid(self, a: T) -> GraphNode:
        return self.put("Sigmoid", a)

    def number(self, cond: T) -> GraphNode:
        return self.put("Cast", cond, to=TensorProto.FLOAT)

    def join(self, parts: Sequence[T]) -> GraphNode:
        return self.put("Concat", *parts, axis=1)

    def columns(self, a: T, start: int, stop: int) -> GraphNode:
        names = [self._constant(np.asarray([v], np.int64)) for v in (start, stop, 1)]
        self._next += 1
        out = f"t{self._next}"
        self._nodes.append(helper.make_node("Slice", [a.name, *names], [out]))
        return GraphNode(self, out)

    def split(self, a: T, widths: Sequence[int]) -> list[GraphNode]:
        outs = [GraphNode(self, f"t{self._next + i + 1}") for i in range(len(widths))]
        self._next += len(widths)
        sizes = self._constant(np.asarray(widths, np.int64))
        names = [out.name for out in outs]
        self._nodes.append(helper.make_node("Split", [a.name, sizes], names, axis=1))
        return outs

    def total(self, a: T) -> GraphNode:
        return self.put("ReduceSum", a, ints=[1], keepdims=1)

    def highest(self, a: T) -> GraphNode:
        return self.put("ReduceMax", a, axes=[1], keepdims=1)

    def matmul(self, a: T, b: T) -> GraphNode:
        return self.put("MatMul", a, b)

    def reshape(self, a: T, shape: Sequence[int]) -> GraphNode:
        return self.put("Reshape", a, ints=shape)

    def turned(self, a: T) -> GraphNode:
        return self.put("Transpose", a, perm=[0, 2, 1])

    def model(self, name: str, version: str) -> onnx.ModelProto:
        """The finished model, checked. Its bytes depend on nothing but the formulas."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._inits)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(*each) for each in self.opsets.items()],
            ir_version=IR,
            producer_name="kerbstone",
            producer_version=version,
        )
        onnx.checker.check_model(model, full_check=True)
        return model
