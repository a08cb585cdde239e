"""A replay knows only the past: a file that is cut anywhere says the same of what came before."""

import contextlib
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.cli.main import main
from edge.core import Contact, Draft
from edge.gateway import replaying
from edge.process.engine import Engine
from tests.kit.bundles import proven_once
from tests.kit.command import SITE
from tests.long import examples

MORE: Final = """
[bay.bakery]
kind = "loading"
bus = "loops"
line = "e"
active = "high"
min_stay_s = 1.0
max_stay_min = 0.1
[device.door]
driver = "contact"
bus = "loops"
line = "f"
active = "high"
[device.green]
driver = "contact"
bus = "loops"
line = "g"
active = "high"
phase = { approach = "north", colour = "green" }
"""
LINES: Final = "abcdefg"
PERIOD_S: Final = 5
HEADER: Final = "t_ms,line,level\n"
BAD: Final = ["", "7,a", "7,a,on", "9000,a,1,1", "8000,zz,1", "9000,b,10", "9000,ä,1"]


class ReplayResult(NamedTuple):
    code: int
    records: list[str]
    err: str


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("replay")
    text = SITE.format(period_s=PERIOD_S, models="false", more="") + MORE
    (path / "site.toml").write_text(text)
    return path


@pytest.fixture(autouse=True, scope="module")
def proven() -> Iterator[None]:
    with proven_once():
        yield


def replayed(folder: Path, edges: bytes, name: str = "edges.csv") -> ReplayResult:
    """The command itself, in this process."""
    (folder / name).write_bytes(edges)
    out, err = io.StringIO(), io.StringIO()
    words = ["replay", "--config", str(folder / "site.toml"), "--edges", str(folder / name)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return ReplayResult(code, out.getvalue().splitlines(), err.getvalue())


def ended(said: ReplayResult, until_us: int) -> list[str]:
    """What was told of windows that ended by then. A moment at the border is of the next one."""
    spans = [(line, *json.loads(line)["mono"]) for line in said.records]
    return [line for line, begin, end in spans if begin < until_us and end <= until_us]


def last_us(kept: bytes) -> int:
    """When the last whole row was, to the window in which it lies."""
    seen = 0.0
    for row in kept[: kept.rfind(b"\n") + 1].decode().splitlines()[1:]:
        cells = row.split(",")
        if len(cells) == 3 and cells[1] in LINES and cells[2] in ("0", "1"):
            seen = max(seen, float(cells[0]))
    return int(seen // (PERIOD_S * 1000)) * PERIOD_S * 1_000_000


@st.composite
def files(draw: st.DrawFn, *, bad: bool = True) -> bytes:
    """Levels that alternate on each line; some lines speak late, some were on at the start."""
    high = {line: draw(st.booleans()) for line in LINES}
    gaps = st.one_of(st.sampled_from([0, 1, 20, 400]), st.integers(0, 9000), st.just(2500))
    text, at = HEADER, draw(st.sampled_from([0, 0, 1, 700, 5000, 21_000]))
    rows_of = st.tuples(gaps, st.sampled_from(LINES))
    for gap, line in draw(st.lists(rows_of, min_size=3, max_size=30)):
        at += gap
        high[line] = not high[line]
        text += f"{at},{line},{int(high[line])}\n"
    if bad and draw(st.integers(0, 3)) == 0:
        rows = text.splitlines(keepends=True)
        rows.insert(draw(st.integers(1, len(rows))), draw(st.sampled_from(BAD)) + "\n")
        text = "".join(rows)
    return text.encode()


LATE: Final = f"{HEADER}1000,a,1\n1300,a,0\n7000,a,1\n7300,a,0\n12000,c,0\n12500,c,1\n".encode()


@settings(max_examples=examples(80), deadline=None)
@example(edges=LATE, cut=56)
@given(edges=files(), cut=st.integers(0, 2000))
def test_a_cut_at_any_byte_changes_no_record_before_it(
    folder: Path, edges: bytes, cut: int
) -> None:
    kept = edges[: cut % (len(edges) + 1)]
    whole, short = replayed(folder, edges), replayed(folder, kept)
    until_us = last_us(kept)
    assert ended(short, until_us) == ended(whole, until_us)
    if until_us:
        assert ended(short, until_us)


@settings(max_examples=examples(40), deadline=None)
@given(edges=files(bad=False), cut=st.integers(0, 2000))
def test_a_last_row_that_is_torn_is_an_error_and_no_edge(
    folder: Path, edges: bytes, cut: int
) -> None:
    kept = edges[: cut % (len(edges) + 1)]
    whole_rows = kept[: kept.rfind(b"\n") + 1]
    torn = kept[len(whole_rows) :].decode()
    said = replayed(folder, kept)
    if torn and torn not in edges.decode().splitlines():
        assert said.code == 1
        assert f"line {len(whole_rows.splitlines()) + 1}: " in said.err
        assert not whole_rows or said.records == replayed(folder, whole_rows).records
    elif whole_rows:  # a whole row counts without its line's end, too
        assert (said.code, said.err) == (0, "")
        assert said.records == replayed(folder, kept + b"\n").records


def lanes(said: ReplayResult, lane: str) -> list[dict[str, Any]]:
    return [r for r in map(json.loads, said.records) if r.get("lane") == lane]


def reported(said: ReplayResult, lane: str) -> list[tuple[Any, ...]]:
    return [(r["volume"], r["covered_s"], r["health"]) for r in lanes(said, lane)]


def test_nobody_has_heard_a_line_before_the_window_of_its_first_row(folder: Path) -> None:
    said = replayed(folder, LATE)
    assert reported(said, "north_1")[0] == (1, 5.0, "trail_unobserved")
    assert reported(said, "east_1") == [(None, 0.0, "unobserved")] * 2 + [(1, 5.0, "ok")]


def test_a_row_at_0_says_that_a_line_at_rest_was_watched_from_the_start(folder: Path) -> None:
    edges = LATE.decode().replace(HEADER, f"{HEADER}0,c,1\n0,f,0\n")  # c is active low
    said = replayed(folder, edges.encode())
    assert reported(said, "east_1") == [(0, 5.0, "ok")] * 2 + [(1, 5.0, "ok")]
    assert not [r for r in said.records if '"door"' in r]  # it is closed, as it was


def test_a_vehicle_that_comes_at_0_is_one(folder: Path) -> None:
    assert reported(replayed(folder, f"{HEADER}0,c,0\n600,c,1\n".encode()), "east_1") == [
        (1, 5.0, "ok")
    ]


def test_a_first_row_that_says_gone_tells_what_stood_there_in_its_window(folder: Path) -> None:
    said = replayed(folder, f"{HEADER}0,a,0\n8000,c,1\n8100,f,0\n".encode())
    first, second = lanes(said, "east_1")
    assert (first["on_us"], first["covered_s"]) == (None, 0.0)
    assert (second["on_us"], second["covered_s"], second["volume"]) == (3_000_000, 5.0, 0)
    doors = [r for r in map(json.loads, said.records) if r["source"] == "door"]
    assert [(r["state"], r["mono"][0]) for r in doors] == [("off", 8_100_000)]


def test_a_character_that_is_cut_in_two_spoils_its_own_row_only(folder: Path) -> None:
    whole = replayed(folder, LATE)
    said = replayed(folder, LATE + "13000,ä".encode()[:-1])
    assert said.code == 1
    assert f"line {len(LATE.splitlines()) + 1}: " in said.err
    assert said.records == whole.records


def test_rows_may_end_as_they_do_on_any_system(folder: Path) -> None:
    whole = replayed(folder, LATE)
    for end in (b"\r\n", b"\r"):
        assert replayed(folder, LATE.replace(b"\n", end)) == whole


def test_a_cut_gzip_file_says_nothing_at_all(folder: Path) -> None:
    packed = gzip.compress(LATE)
    said = replayed(folder, packed[:-9], "edges.csv.gz")
    assert (said.code, said.records) == (2, [])
    assert "edges.csv.gz" in said.err


def test_what_waits_is_bounded_though_each_line_is_opened_with_its_first_row(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    whole = replayed(folder, LATE)
    take = Engine.contacts

    def watched(self: Engine, batch: Sequence[Contact]) -> list[Draft]:
        sizes.append(len(batch))
        return take(self, batch)

    monkeypatch.setattr(Engine, "contacts", watched)
    monkeypatch.setattr(replaying, "BATCH_EDGES", 1)  # an opening and an edge step over it
    assert replayed(folder, LATE) == whole
    assert max(sizes) <= 2
