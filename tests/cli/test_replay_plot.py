"""`kerbstone replay --plot`: a file beside the records, which stay as they are."""

import gzip
import io
import re
import sys
from pathlib import Path

import pytest

import edge.demo
from edge.cli import replay
from edge.cli.main import main
from tests.cli.test_replay import TWO_VEHICLES, traffic, written
from tests.kit.command import Command, MakeSite

DEMO = Path(edge.demo.__file__).parent / "trace.csv.gz"
SITE = Path(__file__).parents[2] / "deploy" / "demo.toml"


@pytest.mark.parametrize("ending", [".html", ".svg", ".HTML"])
def test_a_picture_is_written_and_the_records_stay_the_same(
    kerbstone: Command, site: MakeSite, tmp_path: Path, ending: str
) -> None:
    edges = written(tmp_path / "edges.csv", traffic())
    words = ("replay", "--config", site(period_s=10), "--edges", edges)
    plain = kerbstone(*words)
    out = tmp_path / f"out{ending}"
    assert kerbstone(*words, "--plot", out) == plain
    text = out.read_text(encoding="utf-8")
    assert all(name in text for name in ("approach north", "north_1", "approach east", "east_1"))
    assert "test: replay of edges.csv" in text
    quiet = kerbstone(*words, "--plot", tmp_path / f"quiet{ending}", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    assert (tmp_path / f"quiet{ending}").read_text(encoding="utf-8") == text


def test_the_demo_s_jam_is_in_it(kerbstone: Command, tmp_path: Path) -> None:
    out = tmp_path / "demo.html"
    said = kerbstone("replay", "--config", SITE, "--edges", DEMO, "--plot", out, "--quiet",
                     "--start", "2026-11-25T08:00:00Z")  # fmt: skip
    assert (said.code, said.err) == (0, "")
    text = out.read_text(encoding="utf-8")
    # 1910 s after the start, says the trace's own truth; mid-block loops wait two minutes
    assert re.search("2026-11-25 08:3[2-4]", text)
    assert "Congestion on north" in text
    assert len(text) < 200_000


@pytest.mark.parametrize("name", ["out.png", "out", "out.pdf"])
def test_another_ending_is_exit_2_at_once_and_says_which_there_are(
    kerbstone: Command, site: MakeSite, tmp_path: Path, name: str
) -> None:
    said = kerbstone(
        "replay", "--config", site(), "--edges", tmp_path / "none.csv", "--plot", tmp_path / name
    )
    assert (said.code, said.out) == (2, "")
    assert ".html or .svg" in said.err
    assert "none.csv" not in said.err


def test_a_folder_that_is_not_there_is_exit_2_and_names_the_picture(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges, out = written(tmp_path / "edges.csv", TWO_VEHICLES), tmp_path / "none" / "out.html"
    said = kerbstone("replay", "--config", site(), "--edges", edges, "--plot", out, "--quiet")
    assert said.code == 2
    assert str(out) in said.err
    assert str(edges) not in said.err


def test_what_could_be_read_of_a_spoilt_file_is_drawn(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", [*TWO_VEHICLES, ("x", "a", 1)])
    out = tmp_path / "out.svg"
    said = kerbstone("replay", "--config", site(), "--edges", edges, "--plot", out, "--quiet")
    assert said.code == 1
    assert "line 10" in said.err
    assert "north_1" in out.read_text(encoding="utf-8")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("screen", [True, False])
def test_progress_is_told_on_a_terminal_and_nowhere_else(
    site: MakeSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screen: bool
) -> None:
    path = tmp_path / "edges.csv.gz"
    plain = written(tmp_path / "edges.csv", traffic(count=700))
    path.write_bytes(gzip.compress(plain.read_bytes()))
    err = Terminal() if screen else io.StringIO()
    monkeypatch.setattr(replay, "PROGRESS_S", 0.0)
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert main(["replay", "--config", str(site()), "--edges", str(path)]) == 0
    if not screen:
        assert err.getvalue() == ""
        return
    reported = err.getvalue().split("\r\033[K")
    assert any(text.startswith("reading: ") for text in reported)
    assert any(re.match(r" *\d+%: [\d.]+ h replayed", text) for text in reported)
    assert reported[-1] == ""  # nothing is left of it
