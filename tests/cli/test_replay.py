"""`kerbstone replay`: recorded edges, the same code as live, the same bytes each time."""

import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.kit.command import Command, CommandResult, MakeSite

ROOT = Path(__file__).parents[2]
OTHER = ROOT / ".venv-3.13" / "bin" / "python"
REPLAY = ("-m", "edge.cli.main", "replay")
DAYS_S = 4 * 86_400

# 10 m/s over loops of 2 m that are 4 m apart: 400 ms between them; 4.5 m of vehicle and 2 m of
# loop take 650 ms. Then 20 m/s and 3 m: 200 ms, and 250 ms.
TWO_VEHICLES = [
    (1000, "a", 1), (1400, "b", 1), (1650, "a", 0), (2050, "b", 0),
    (10_000, "a", 1), (10_200, "b", 1), (10_250, "a", 0), (10_450, "b", 0),
]  # fmt: skip
Row = tuple[float | str, str, int | str]


def written(path: Path, rows: Iterable[Row]) -> Path:
    text = "t_ms,line,level\n" + "".join(f"{t},{line},{level}\n" for t, line, level in rows)
    path.write_text(text, encoding="utf-8")
    return path


def traffic(t_ms: float = 0, count: int = 40) -> list[Row]:
    """Vehicles on both lanes and pulses, for a while."""
    rows: list[Row] = []
    for i in range(count):
        at = t_ms + 2000.5 * i
        rows += [(at, "a", 1), (at + 400, "b", 1), (at + 650.125, "a", 0), (at + 1050, "b", 0)]
        rows += [(at + 100.25, "c", 0), (at + 800, "c", 1), (at + 300, "d", 1), (at + 340, "d", 0)]
    return sorted(rows, key=lambda row: float(row[0]))


def records(said: CommandResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.lines]


def of(said: CommandResult, source: str) -> list[dict[str, Any]]:
    return [r for r in records(said) if r.get("source") == source and r["stream"] != "event"]


def test_volumes_and_speeds_are_those_that_a_hand_calculates(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", TWO_VEHICLES)
    said = kerbstone("replay", "--config", site(), "--edges", edges, "--json")
    assert (said.code, said.err) == (0, "")
    (lane,) = of(said, "north_1")
    assert (lane["volume"], lane["covered_s"], lane["health"]) == (2, 60.0, "ok")
    assert lane["on_us"] == 900_000
    assert lane["occupancy"] == 0.015
    assert lane["speed"]["mean"] == 54.0  # (36 + 72) / 2
    assert lane["speed"]["harmonic"] == 48.0  # 2 / (1/36 + 1/72)
    assert (lane["speed"]["n"], lane["speed"]["sum"]) == (2, 1080)
    assert lane["length"]["mean"] == 3.75
    assert (lane["headway"]["sum"], lane["gap"]["sum"]) == (9000, 8350)
    assert lane["quality"] == {"good": 2}
    (single,) = of(said, "east_1")  # of which the file says nothing: that is no empty road
    assert (single["volume"], single["covered_s"], single["health"]) == (None, 0.0, "unobserved")


def test_the_header_of_a_record_is_that_of_a_replay(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", TWO_VEHICLES)
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    for record in records(said):
        assert (record["v"], record["gw"]) == (1, "replay")
        assert (record["epoch"], record["boot"], record["tq"]) == (0, 0, "none")
        assert record["from"] == "1970-01-01T00:00:00.000Z"
        assert record["to"] == "1970-01-01T00:01:00.000Z"
        assert record["mono"] == [0, 60_000_000]
        assert not {"backfilled", "redelivered"} & record.keys()


@pytest.mark.parametrize(
    ("start", "begin"),
    [
        ("2026-11-25T01:00:00Z", "2026-11-25T01:00:00.000Z"),
        ("2026-11-25T01:00:00+01:00", "2026-11-25T00:00:00.000Z"),
        ("2026-11-25T01:00:00.250", "2026-11-25T01:00:00.250Z"),
        ("2026-11-25", "2026-11-25T00:00:00.000Z"),
    ],
)
def test_start_is_the_wall_time_of_zero_and_changes_nothing_else(
    kerbstone: Command, site: MakeSite, tmp_path: Path, start: str, begin: str
) -> None:
    edges = written(tmp_path / "edges.csv", TWO_VEHICLES)
    plain = kerbstone("replay", "--config", site(), "--edges", edges)
    said = kerbstone("replay", "--config", site(), "--edges", edges, "--start", start)
    for record, other in zip(records(said), records(plain), strict=True):
        assert (record.pop("from"), record["tq"]) == (begin, "none")
        other.pop("from")
        assert record.pop("to") != other.pop("to")
        assert record == other


@pytest.mark.parametrize("start", ["yesterday", "2026-13-01", "", "12:00"])
def test_a_start_that_is_no_time_is_exit_2(
    kerbstone: Command, site: MakeSite, tmp_path: Path, start: str
) -> None:
    edges = written(tmp_path / "edges.csv", TWO_VEHICLES)
    said = kerbstone("replay", "--config", site(), "--edges", edges, f"--start={start}")
    assert said.code == 2
    assert said.out == ""
    assert "ISO 8601" in said.err


def test_decimals_are_kept_to_the_microsecond(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    rows = [("1000.123", "a", 1), ("1650.4561", "a", 0), ("7000000.000001", "a", 1),
            ("7000050.5004", "a", 0)]  # fmt: skip
    edges = written(tmp_path / "edges.csv", rows)
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    lanes = of(said, "north_1")
    assert lanes[0]["on_us"] == 650_333
    assert lanes[-1]["on_us"] == 50_500


def test_a_pulse_meter_and_a_loop_that_is_active_low_are_replayed_too(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    rows: list[Row] = [(3600 * i + 1800, "d", 1) for i in range(16)]
    rows += [(3600 * i + 1850, "d", 0) for i in range(16)]
    rows += [(5000, "c", 0), (8000, "c", 1)]
    edges = written(tmp_path / "edges.csv", sorted(rows))
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    (heat,) = of(said, "heat")
    assert heat["points"]["energy_import"]["delta"] == 0.016  # a pulse is a Wh
    assert heat["points"]["power"]["mean"] == pytest.approx(1000.0, rel=0.01)
    (lane,) = of(said, "east_1")
    assert (lane["volume"], lane["on_us"]) == (1, 3_000_000)


def test_records_come_in_order_and_are_numbered_from_one(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", traffic())
    found = records(kerbstone("replay", "--config", site(period_s=10), "--edges", edges))
    assert all(a["mono"][1] <= b["mono"][1] for a, b in pairwise(found))
    for stream in ("traffic", "energy"):
        numbers = [r["seq"] for r in found if r["stream"] == stream]
        assert numbers == list(range(1, len(numbers) + 1))
    for source in ("north_1", "east_1", "heat"):
        mine = [r["mono"] for r in found if r.get("source") == source and r["stream"] != "event"]
        assert mine[0][0] == 0
        assert all(a[1] == b[0] for a, b in pairwise(mine))
        assert len(mine) == 8  # 79 s of edges
    assert sum(r["volume"] for r in found if r.get("source") == "north_1") == 40
    assert sum(r["volume"] for r in found if r.get("source") == "east_1") == 40


def replayed(python: str | Path, config: Path, edges: Path, seed: str) -> bytes:
    words = ["-W", "error", *REPLAY, "--config", str(config), "--edges", str(edges)]
    done = subprocess.run(
        [python, *words], cwd=ROOT, capture_output=True, timeout=60, check=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )  # fmt: skip
    assert done.stderr == b""
    return done.stdout


def test_the_same_input_gives_the_same_bytes(site: MakeSite, tmp_path: Path) -> None:
    edges = written(tmp_path / "edges.csv", traffic())
    config = site(models=True, period_s=5)
    first = replayed(sys.executable, config, edges, "1")
    assert first == replayed(sys.executable, config, edges, "2")
    assert b"p_congested" in first


def test_another_python_gives_the_same_bytes(site: MakeSite, tmp_path: Path) -> None:
    if not OTHER.exists():
        pytest.skip("there is no second Python here")
    edges = written(tmp_path / "edges.csv", traffic())
    config = site(period_s=5)
    assert replayed(sys.executable, config, edges, "1") == replayed(OTHER, config, edges, "2")


def test_a_gzip_file_is_read_as_well(kerbstone: Command, site: MakeSite, tmp_path: Path) -> None:
    edges = written(tmp_path / "edges.csv", TWO_VEHICLES)
    packed = tmp_path / "edges.csv.gz"
    packed.write_bytes(gzip.compress(edges.read_bytes()))
    plain = kerbstone("replay", "--config", site(), "--edges", edges)
    assert kerbstone("replay", "--config", site(), "--edges", packed) == plain


def test_windows_line_ends_and_blanks_are_fine(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", TWO_VEHICLES)
    plain = kerbstone("replay", "--config", site(), "--edges", edges)
    text = edges.read_text().replace(",", " , ").replace("\n", "\r\n") + "\r\n"
    edges.write_bytes(text.encode())
    assert kerbstone("replay", "--config", site(), "--edges", edges) == plain


BAD_ROWS = [
    "1700,a", "1700,a,1,1", "x,a,1", "nan,a,1", "inf,a,1", "-5,a,1", "1700,a,2", "1700,a,", ",,",
    "1e999,a,1", "1700,a,on", '1700,"a,1', "1700,a\x00,1", "1700," + "a" * 200_000 + ",1",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_ROWS, ids=[f"{n}: {b[:12]!r}" for n, b in enumerate(BAD_ROWS)])
def test_a_row_that_is_wrong_is_named_and_the_others_count(
    kerbstone: Command, site: MakeSite, tmp_path: Path, bad: str
) -> None:
    good = [f"{t},{line},{level}" for t, line, level in TWO_VEHICLES]
    lines = ["t_ms,line,level", *good[:3], bad, *good[3:]]
    edges = tmp_path / "edges.csv"
    edges.write_text("".join(f"{line}\n" for line in lines))
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    assert said.code == 1
    assert "line 5" in said.err
    assert len(said.err) < 2000
    (lane,) = of(said, "north_1")
    assert (lane["volume"], lane["speed"]["mean"]) == (2, 54.0)


def test_a_line_that_the_site_has_not_is_named_with_those_it_has(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", [*TWO_VEHICLES, (11_000, "GPIO17", 1)])
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    assert said.code == 1
    assert "line 10" in said.err
    assert "GPIO17" in said.err
    assert "a, b, c, d" in said.err
    assert of(said, "north_1")[0]["volume"] == 2


def test_rows_that_are_not_sorted_are_named(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", [*TWO_VEHICLES, (500, "a", 1)])
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    assert said.code == 1
    assert "line 10" in said.err
    assert "sort" in said.err
    assert of(said, "north_1")[0]["volume"] == 2


def test_many_errors_do_not_fill_the_terminal(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    edges = written(tmp_path / "edges.csv", [("x", "a", 1)] * 5000)
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    assert said.code == 1
    assert len(said.err.splitlines()) < 50
    assert "4980 more" in said.err


@pytest.mark.parametrize(
    "text", ["", "t_ms,line\n", "time,line,level\n1,a,1\n", "1000,a,1\n", "\xff\xfe\n"]
)
def test_a_file_without_its_header_is_an_error(
    kerbstone: Command, site: MakeSite, tmp_path: Path, text: str
) -> None:
    edges = tmp_path / "edges.csv"
    edges.write_text(text, encoding="latin-1")
    said = kerbstone("replay", "--config", site(), "--edges", edges)
    assert said.code in (1, 2)
    assert str(edges) in said.err


def test_a_header_alone_is_an_empty_recording(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    said = kerbstone("replay", "--config", site(), "--edges", written(tmp_path / "e.csv", []))
    assert (said.code, said.err) == (0, "")
    assert sum(r["volume"] or 0 for r in records(said) if r["stream"] == "traffic") == 0


@pytest.mark.parametrize("name", ["none.csv", "none.csv.gz", "folder"])
def test_a_file_that_is_not_there_is_exit_2(
    kerbstone: Command, site: MakeSite, tmp_path: Path, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    said = kerbstone("replay", "--config", site(), "--edges", tmp_path / name)
    assert said.code == 2
    assert name in said.err
    assert said.out == ""


@pytest.mark.parametrize("damage", ["cut", "zeroed", "flipped", "trailer", "plain"])
def test_a_damaged_gzip_file_is_an_error_and_no_traceback(
    kerbstone: Command, site: MakeSite, tmp_path: Path, damage: str
) -> None:
    good = gzip.compress(written(tmp_path / "e.csv", traffic(count=400)).read_bytes())
    half = len(good) // 2
    path = tmp_path / "edges.csv.gz"
    path.write_bytes(
        {
            "cut": good[:half],
            "zeroed": good[:half] + bytes(40) + good[half + 40 :],
            "flipped": good[:half] + bytes(b ^ 0xFF for b in good[half : half + 40]) + good[half:],
            "trailer": good[:-8] + bytes(8),
            "plain": (tmp_path / "e.csv").read_bytes(),
        }[damage]
    )
    said = kerbstone("replay", "--config", site(), "--edges", path)
    assert said.code in (1, 2)
    assert "edges.csv.gz" in said.err


@pytest.mark.long
def test_empty_days_are_quick_and_every_window_is_there(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    later = [(DAYS_S * 1000 + t, line, level) for t, line, level in TWO_VEHICLES]
    edges = written(tmp_path / "edges.csv", [*TWO_VEHICLES, *later])
    config = site(period_s=900)
    begin = time.perf_counter()
    said = kerbstone("replay", "--config", config, "--edges", edges)
    took_s = time.perf_counter() - begin
    assert said.code == 0
    lane = of(said, "north_1")
    assert len(lane) == DAYS_S // 900 + 1
    assert [r["seq"] for r in lane if r["volume"]] != []
    assert sum(r["volume"] for r in lane) == 4
    assert lane[-1]["on_us"] == 900_000
    assert took_s < DAYS_S / 10_000, "not even ten thousand times faster than life"


@pytest.mark.parametrize("t_ms", ["1e18"])
def test_a_time_beyond_every_calendar_is_a_wrong_row_and_not_an_endless_run(
    site: MakeSite, tmp_path: Path, t_ms: str
) -> None:
    edges = written(tmp_path / "edges.csv", [*TWO_VEHICLES, (t_ms, "a", 1)])
    words = [*REPLAY, "--config", str(site()), "--edges", str(edges)]
    with (tmp_path / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdout=out, stderr=subprocess.PIPE
        )
        try:
            _, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            pytest.fail(f"still running after 20 s, {(tmp_path / 'out').stat().st_size} bytes")
    assert process.returncode == 1
    assert b"line 10" in err


def test_a_line_that_nobody_watches_is_unobserved_until_it_is_found_again(
    kerbstone: Command, site: MakeSite, tmp_path: Path
) -> None:
    rows: list[Row] = [
        (0, "a", "=0"), (0, "b", "=0"), (0, "c", "=1"), *TWO_VEHICLES[:4], (30_000, "a", "?"),
        (30_000, "b", "?"), (90_000, "a", "=0"), (90_000, "b", "=0"), (119_000, "c", 0),
        (119_500, "c", 1),
    ]  # fmt: skip
    said = kerbstone("replay", "--config", site(), "--edges", written(tmp_path / "edges.csv", rows))
    assert (said.code, said.err) == (0, "")
    assert [(r["covered_s"], r["volume"]) for r in of(said, "north_1")] == [(30.0, 1), (30.0, 0)]
    assert [r["covered_s"] for r in of(said, "east_1")] == [60.0, 60.0]
    assert sum(r["volume"] for r in of(said, "east_1")) == 1  # the line is low while it is occupied
