"""The versions at the head of an ONNX file, read without the library."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from edge.infer.bundlecheck import read_onnx_versions
from models import BUNDLES

SHIPPED = sorted(BUNDLES.glob("*/*.onnx"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_graphs_are_read_as_the_library_reads_them(path: object) -> None:
    model = onnx.load(str(path))
    found = read_onnx_versions(model.SerializeToString())
    assert found == (model.ir_version, model.opset_import[0].version) == (8, 17)


@given(st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1), st.text(max_size=9))
def test_any_versions_and_other_domains(ir: int, opset: int, domain: str) -> None:
    graph = helper.make_graph([], "g", [], [])
    other = [helper.make_opsetid(f"x.{domain}", 3)]
    model = helper.make_model(graph, opset_imports=[*other, helper.make_opsetid("", opset), *other])
    model.ir_version = ir
    assert read_onnx_versions(model.SerializeToString()) == (ir, opset)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        found = read_onnx_versions(data)
    except ValueError:
        return
    assert all(value is None or value >= 0 for value in found)


def test_a_cut_file_is_refused() -> None:
    data = SHIPPED[0].read_bytes()
    with pytest.raises(ValueError, match="behind the file"):
        read_onnx_versions(data[: len(data) // 2])
