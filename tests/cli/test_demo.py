"""`kerbstone demo` in a pipe: it shows what the city would receive, and leaves nothing behind.

`DEMO_S=60` shows the whole minute, with its incident and its fault.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

import drivers
from edge.config import Approach, Bay, load_site
from edge.demo.rundemo import CONFIG, _placed

ROOT = Path(__file__).parents[2]
SECONDS = 11  # two windows of 5 s: the first may be a short one
MINUTE = float(os.environ.get("DEMO_S", "0"))


@dataclass
class Shown:
    """What a demo said, and what was left of it."""

    code: int
    lines: list[str]
    err: str
    took_s: float
    left: list[str]  # processes of its session
    files: list[str]

    def having(self, *words: str) -> list[str]:
        return [line for line in self.lines if all(word in line for word in words)]


def demo(seconds: float, folder: Path) -> Shown:
    begin = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.cli.main", "demo", "--seconds", f"{seconds:g}"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "TMPDIR": str(folder)},
    )  # fmt: skip
    out, err = process.communicate(timeout=seconds + 40)
    took_s = time.monotonic() - begin
    return Shown(
        process.returncode, out.splitlines(), err, took_s, session(process.pid),
        # onnxruntime leaves a file of that name wherever it is imported
        [path.name for path in folder.iterdir() if path.name != ".ses"],
    )  # fmt: skip


def session(leader: int) -> list[str]:
    """The processes that still belong to this session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue  # it has just ended
        if int(text.rpartition(")")[2].split()[3]) == leader:
            found.append(text)
    return found


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return demo(SECONDS, tmp_path_factory.mktemp("demo"))


def test_it_ends_by_itself_with_exit_0(short: Shown) -> None:
    assert short.code == 0, short.err
    assert short.err == ""
    assert SECONDS <= short.took_s < SECONDS + 20


def test_vehicles_air_and_energy_are_shown_as_lines(short: Shown) -> None:
    assert short.having("demo-1 traffic/", "north_1", "vehicles"), short.lines
    assert short.having("demo-1 air/", "hut_air", "pm2_5")
    assert short.having("demo-1 energy/", "cabinet", "voltage_l1")
    assert short.having("period 5 s")
    assert not [line for line in short.lines if "\x1b" in line or "\r" in line]


def test_nothing_is_flagged_before_the_incident(short: Shown) -> None:
    assert not short.having(" event/", "Congestion on")
    assert not short.having(" event/", "anomaly on:")


def test_nothing_is_left_behind(short: Shown) -> None:
    assert short.left == []
    assert short.files == []


@pytest.mark.skipif(MINUTE < 60, reason="set DEMO_S=60")
def test_a_minute_shows_everything(tmp_path: Path) -> None:
    shown = demo(MINUTE, tmp_path)
    assert shown.code == 0, shown.err
    jam, odd = shown.having("Congestion on"), shown.having("anomaly on:")
    assert jam, shown.lines
    assert odd
    assert all("by the model" in line or "by the rule" in line for line in jam + odd)
    assert any("pm2_5 of hut_air" in line for line in odd), "the fault is in the fine dust"
    assert shown.having("vehicles")
    assert (shown.left, shown.files) == ([], [])


@pytest.mark.parametrize("words", [["--seconds", "soon"], ["--seconds"], ["now"]])
def test_wrong_use_is_exit_2(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "demo", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "usage: kerbstone " in done.stderr


def test_a_site_that_is_placed_keeps_all_else(tmp_path: Path) -> None:
    bay = Bay(bus="loops", line="GPIO5", kind="loading")
    site = replace(
        load_site(CONFIG, drivers.catalogue()),
        bays={"bakery": bay},
        ways={"north": Approach(downstream="east", distance_m=200.0)},
    )
    placed = _placed(site, tmp_path, 1)
    other = {
        each.name for each in fields(site) if getattr(site, each.name) != getattr(placed, each.name)
    }
    assert other == {"uplink", "store", "buses"}
