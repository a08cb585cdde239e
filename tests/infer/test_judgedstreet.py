"""The street that `make bench` lets the judge see makes it ask each model, once a window."""

import pytest

from tests.bench.judging import bundles, judge_of, session_of, windows
from tests.kit.judging import judged


@pytest.mark.parametrize("rows", [1, 5])
@pytest.mark.parametrize("name", bundles())
def test_each_model_is_asked_once_a_window_for_all_its_rows(
    name: str, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    judge = judge_of(name, rows)
    session = session_of(judge, name)
    asked, sizes = session.run, []

    def run(inputs: dict[str, object]) -> object:
        sizes.append({len(tensor) for tensor in inputs.values()})  # type: ignore[arg-type]
        return asked(inputs)

    monkeypatch.setattr(session, "run", run)
    for window in windows(name, rows, 4):
        judged(judge, *window)
    assert sizes == [{rows}] * 4
