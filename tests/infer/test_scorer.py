"""`kerbstone score`: one pass over a recorded series."""

import argparse
import random
import sys
from pathlib import Path

import pytest

from edge.cli import score
from tests.long import one_in


def _run(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    parser = argparse.ArgumentParser()
    score.register(parser.add_subparsers())
    args = parser.parse_args(["score", str(path)])
    code = args.run(args)
    out = capsys.readouterr()
    return code, out.out.splitlines(), out.err


def _series(path: Path, rows: list[str]) -> Path:
    path.write_text("timestamp,value\n" + "".join(f"{row}\n" for row in rows))
    return path


def _rows(count: int) -> list[str]:
    rng = random.Random(4)
    return [
        f"2026-01-01 00:{i // 60:02}:{i % 60:02},{10 + rng.gauss(0, 1):.2f}" for i in range(count)
    ]


@pytest.fixture(params=["model", "rule"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "rule":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    return str(request.param)


def test_every_row_is_scored(by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = _rows(300)
    rows[250] = "2026-01-01 00:04:10,95"
    code, out, err = _run(_series(tmp_path / "a.csv", rows), capsys)
    assert code == 0
    assert out[0] == "timestamp,value,state,onset"
    assert len(out) == 301
    assert [line.rsplit(",", 2)[0] for line in out[1:]] == rows
    scores = [(float(s), float(o)) for s, o in (line.split(",")[2:] for line in out[1:])]
    assert all(0 <= s <= 1 and 0 <= o <= 1 for s, o in scores)
    assert scores[250][1] >= 0.5
    assert all(onset < 0.5 for _, onset in scores[:250])
    assert scores[251][0] > scores[249][0]  # the state lasts longer than the onset
    assert ("the scores come from the rule robust z" in err) is (by == "rule")


@one_in(2)
def test_a_row_never_depends_on_a_later_one(
    by: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _rows(260)
    rows[100], rows[200] = "2026-01-01 00:01:40,", "2026-01-01 00:03:20,60"
    _, whole, _ = _run(_series(tmp_path / "a.csv", rows), capsys)
    for count in (1, 30, 150, 201, 259):
        _, part, _ = _run(_series(tmp_path / "b.csv", rows[:count]), capsys)
        assert part == whole[: count + 1]


@pytest.mark.parametrize("text", ["", "NaN", "nan", "null"])
def test_a_missing_value_is_no_error(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = _run(_series(tmp_path / "a.csv", [*_rows(3), f"t,{text}", "u,10"]), capsys)
    assert (code, err) == (0, "")
    assert out[4] == f"t,{text},0.000,0.000"


@pytest.mark.parametrize("cells", ["t,abc", "t", "t,1,2", "t,inf", "t,-inf", "t,1e999", "t,0x10"])
def test_a_line_that_cannot_be_read_is_named_and_never_a_number(
    cells: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = _series(tmp_path / "a.csv", ["s,1", cells, "u,2"])
    code, out, err = _run(path, capsys)
    assert code == 1
    assert [line.split(",")[0] for line in out] == ["timestamp", "s", "u"]
    assert f"{path}:3:" in err


def test_an_error_in_every_line_does_not_fill_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = _run(_series(tmp_path / "a.csv", ["t,x"] * 500), capsys)
    assert code == 1
    assert len(err.splitlines()) == 21
    assert "and 480 more" in err


@pytest.mark.parametrize("text", ["", "time;value\n1;2\n", "value,timestamp\n1,2\n"])
def test_another_header_is_wrong_use(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    code, out, err = _run(path, capsys)
    assert (code, out) == (2, [])
    assert "timestamp,value" in err


def test_a_file_that_is_not_there_is_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = _run(tmp_path / "none.csv", capsys)
    assert code == 2
    assert "none.csv" in err


def test_bytes_that_are_no_text_are_wrong_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"timestamp,value\n\xff\xfe,1\n")
    code, _, err = _run(path, capsys)
    assert code == 2
    assert "a.csv" in err
