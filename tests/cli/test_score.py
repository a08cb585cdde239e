"""`kerbstone score SERIES.csv`: its interface; what it finds is tested with the models."""

import contextlib
import csv
import io
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.cli.main import main
from tests.kit.bundles import proven_once
from tests.kit.command import Command
from tests.long import examples

ROOT = Path(__file__).parents[2]
HEADER = "timestamp,value,state,onset"
ODD = [
    "x,",
    "x,nan",
    "x,warm",
    "x,1,2",
    "",
    '"Nov 25, 2026",12',
    '"two\nlines",12',
    'a "b",12',
    "x,1e9",
    "ä,12",
]


@pytest.fixture(autouse=True, scope="module")
def proven() -> Iterator[None]:
    with proven_once():
        yield


def series(count: int, seed: int = 7) -> list[str]:
    rng = random.Random(seed)
    rows = [
        f"2026-11-25 {i // 60:02}:{i % 60:02}:00,{12 + rng.gauss(0, 0.8):.3f}" for i in range(count)
    ]
    rows[count // 2] = f"2026-11-25 {count // 2 // 60:02}:{count // 2 % 60:02}:00,80"
    return rows


def written(path: Path, rows: list[str]) -> Path:
    path.write_text("timestamp,value\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_a_row_in_is_a_row_out_with_two_scores_between_0_and_1(
    kerbstone: Command, tmp_path: Path
) -> None:
    rows = series(240)
    said = kerbstone("score", written(tmp_path / "s.csv", rows))
    assert (said.code, said.err) == (0, "")
    assert said.lines[0] == HEADER
    assert [line.rsplit(",", 2)[0] for line in said.lines[1:]] == rows
    scores = [(float(a), float(b)) for *_, a, b in csv.reader(said.lines[1:])]
    assert all(0 <= state <= 1 and 0 <= onset <= 1 for state, onset in scores)
    assert max(range(240), key=lambda n: scores[n][1]) == 120


@pytest.mark.long
def test_row_n_is_the_same_whatever_follows(kerbstone: Command, tmp_path: Path) -> None:
    rows = series(200)
    whole = kerbstone("score", written(tmp_path / "s.csv", rows)).lines
    for count in (1, 2, 99, 100, 101, 199):
        other = [*rows[:count], *series(200, seed=8)[count:]]
        assert (
            kerbstone("score", written(tmp_path / "t.csv", other)).lines[: count + 1]
            == whole[: count + 1]
        )
        assert (
            kerbstone("score", written(tmp_path / "t.csv", rows[:count])).lines
            == whole[: count + 1]
        )


def scored(path: Path, data: bytes) -> list[str]:
    """The command itself, in this process; nothing of it lasts to the next example."""
    path.write_bytes(data)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        main(["score", str(path)])
    return out.getvalue().splitlines(keepends=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("score")


@settings(max_examples=examples(20), deadline=None)
@given(
    odd=st.lists(st.tuples(st.integers(0, 119), st.sampled_from(ODD)), max_size=8),
    ends=st.sampled_from(["\n", "\r\n"]),
    cut=st.integers(0, 4000),
)
def test_a_cut_at_any_byte_changes_no_row_before_it(
    folder: Path, odd: list[tuple[int, str]], ends: str, cut: int
) -> None:
    """Of the last row nothing is promised: a number that is cut may be another number, and a cell
    in quotes may go on in the line that is not there."""
    rows = series(120)
    for at, text in odd:
        rows[at] = text
    data = "".join(f"{row}{ends}" for row in ["timestamp,value", *rows]).encode()
    kept = data[: cut % (len(data) + 1)]
    lines = kept.count(b"\n")
    whole, short, full = (
        scored(folder / "s.csv", part) for part in (data, kept, kept[: kept.rfind(b"\n") + 1])
    )
    count = max(0, len(full) - 1)
    assert count >= lines - 1 - 2 * len(odd)
    assert short[:count] == full[:count] == whole[:count]


def test_a_gap_gets_its_rows_and_no_flag(kerbstone: Command, tmp_path: Path) -> None:
    rows = series(200)
    for n in range(150, 170):
        rows[n] = rows[n].split(",")[0] + ","
    said = kerbstone("score", written(tmp_path / "s.csv", rows))
    assert said.code == 0
    assert len(said.lines) == 201
    onsets = [float(line.split(",")[3]) for line in said.lines[1:]]
    assert onsets[150:170] == [0.0] * 20


def test_wrong_rows_are_named_and_the_others_scored(kerbstone: Command, tmp_path: Path) -> None:
    rows = series(60)
    good = kerbstone("score", written(tmp_path / "s.csv", rows)).lines
    bad = [*rows[:10], "2026-11-25,warm", *rows[10:20], "x,1,2", *rows[20:], "y,inf"]
    said = kerbstone("score", written(tmp_path / "t.csv", bad))
    assert said.code == 1
    assert said.lines == good
    assert [f":{n}:" in said.err for n in (12, 23, 64)] == [True] * 3


@pytest.mark.parametrize(
    "text", ["", "time,value\n1,2\n", "timestamp;value\n1;2\n", "timestamp,value,x\n1,2,3\n"]
)
def test_another_header_is_exit_2(kerbstone: Command, tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    said = kerbstone("score", path)
    assert (said.code, said.out) == (2, "")
    assert "timestamp,value" in said.err


@pytest.mark.parametrize("name", ["none.csv", "folder"])
def test_a_file_that_cannot_be_read_is_exit_2(
    kerbstone: Command, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    said = kerbstone("score", tmp_path / name)
    assert (said.code, said.out) == (2, "")
    assert name in said.err


def test_a_header_alone_gives_a_header_alone(kerbstone: Command, tmp_path: Path) -> None:
    said = kerbstone("score", written(tmp_path / "s.csv", []))
    assert (said.code, said.lines) == (0, [HEADER])


def test_a_timestamp_with_a_comma_stays_one_cell(kerbstone: Command, tmp_path: Path) -> None:
    said = kerbstone("score", written(tmp_path / "s.csv", ['"Nov 25, 2026",1', '"a ""b""",2']))
    assert said.code == 0
    found = list(csv.reader(io.StringIO(said.out)))
    assert [row[0] for row in found] == ["timestamp", "Nov 25, 2026", 'a "b"']
    assert {len(row) for row in found} == {4}


def test_it_is_one_pass_and_reads_a_pipe() -> None:
    rows = "timestamp,value\n" + "".join(f"{row}\n" for row in series(30))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "edge.cli.main", "score", "-"],
        input=rows, cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 31
