"""The matrix is whole, its tests exist, and the document is what it says."""

from typing import Any

import pytest

from tests.faults.matrix import ROOT, FaultRow, exists, functions, known_to_fail, matrix, node_ids
from tests.faults.report import Result, document, judged, table
from tests.faults.run import DOCUMENT, Outcomes

ROW = FaultRow(
    1, "f", "e", "i", ("tests/a.py::test_x", "tests/a.py::test_y"), ("tests/a.py::test_z",)
)
X, Y, Z = (*ROW.tests, *ROW.slow)


def test_the_rows_are_numbered_in_order() -> None:
    assert [row.number for row in matrix()] == list(range(1, len(matrix()) + 1))


@pytest.mark.parametrize("row", matrix(), ids=lambda row: str(row.number))
def test_a_row_has_tests_that_exist_or_a_reason(row: FaultRow) -> None:
    names = row.shown_by(short=False)
    assert all((row.fault, row.expected, row.injection))
    assert names or row.not_here
    assert [name for name in names if not exists(name)] == []
    assert len(set(names)) == len(names)


def test_every_test_of_this_folder_is_in_the_matrix() -> None:
    for path in sorted((ROOT / "tests" / "faults").glob("test_*.py")):
        if path.name == "test_matrix.py":
            continue
        names = {f"{path.relative_to(ROOT)}::{name}" for name in functions(path)}
        assert names - set(node_ids(short=False)) == set()


def test_what_is_known_to_fail_is_said() -> None:
    """Whoever mends it takes the mark away, and the document follows."""
    marked = [name for name in node_ids(short=False) if known_to_fail(name)]
    assert document(matrix()).count("known to fail") == len(marked)
    assert not known_to_fail("tests/faults/test_matrix.py::test_the_document_is_as_generated")


def test_a_test_that_does_not_exist_is_noticed() -> None:
    assert not exists("tests/faults/test_matrix.py::test_of_nobody")
    assert not exists("tests/faults/test_of_nobody.py::test_x")


def test_the_document_is_as_generated() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(matrix()), (
        "docs/faults.md is stale: python -m tests.faults.run --write"
    )


def test_a_row_is_as_good_as_its_worst_test() -> None:
    passed, failed = Result("passed"), Result("failed")
    skipped = Result("skipped", "no kernel")
    assert judged(ROW, {X: passed, Y: passed}, short=True) == ("passed", "")
    assert judged(ROW, {X: passed, Y: failed}, short=True) == ("FAILED", "y: failed")
    assert judged(ROW, {X: passed}, short=True) == ("FAILED", "y: not run")
    found = judged(ROW, {X: passed, Y: passed, Z: skipped}, short=False)
    assert found == ("passed", "z: no kernel")
    assert judged(ROW, {X: skipped, Y: skipped}, short=True)[0] == "skipped"
    known = Result("skipped", "known to fail: a bug")
    assert judged(ROW, {X: passed, Y: known}, short=True) == ("in part", "y: known to fail: a bug")
    assert judged(FaultRow(1, "f", "e", "i", not_here="no"), {}, short=True) == (
        "not injected", "not here: no",
    )  # fmt: skip


def test_parameters_count_together() -> None:
    outcomes = Outcomes()
    for name, outcome in (("a", "passed"), ("b", "failed"), ("c", "passed")):
        outcomes.add(f"tests/x.py::test_x[{name}]", outcome, "")  # type: ignore[arg-type]
    outcomes.add("tests/x.py::test_y[1]", "passed", "")
    outcomes.add("tests/x.py::test_y[2]", "skipped", "no right")
    assert outcomes.results["tests/x.py::test_x"].outcome == "failed"
    assert outcomes.results["tests/x.py::test_y"].outcome == "passed"


def test_reports_of_pytest_become_outcomes() -> None:
    outcomes, place = Outcomes(), ("x.py", 1, "x")
    skipped = ("x.py", 1, "Skipped: no right")
    for name, when, outcome, why in (
        ("x", "setup", "passed", None), ("x", "call", "passed", None),
        ("y", "setup", "skipped", skipped),
        ("z", "setup", "failed", "no broker"), ("z", "teardown", "passed", None),
        ("w", "setup", "passed", None),
    ):  # fmt: skip
        made: Any = (f"tests/a.py::test_{name}", place, {}, outcome, why, when)
        outcomes.pytest_runtest_logreport(pytest.TestReport(*made))
    known = pytest.TestReport("tests/a.py::test_k", place, {}, "skipped", None, "call")
    known.wasxfail = "a bug"
    outcomes.pytest_runtest_logreport(known)
    assert outcomes.results.pop("tests/a.py::test_k") == Result("skipped", "known to fail: a bug")
    assert outcomes.results == {
        "tests/a.py::test_x": Result("passed"),
        "tests/a.py::test_y": Result("skipped", "no right"),
        "tests/a.py::test_z": Result("failed"),
    }


def test_the_table_has_an_outcome_for_each_row() -> None:
    """Of tests that were not run nothing is claimed."""
    lines = table(matrix(), {}, short=False).splitlines()
    heads = [text for text in lines if text[:2].strip()]
    injected = sum(bool(row.shown_by(short=False)) for row in matrix())
    assert len(heads) == len(matrix())
    assert sum("FAILED" in text for text in heads) == injected
    assert sum("not injected" in text for text in heads) == len(matrix()) - injected == 2
