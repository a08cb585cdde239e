"""`kerbstone import`: a log becomes a site and edges that `kerbstone replay` takes as they are."""

import errno
import json
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

import drivers
from edge.config import load_site
from edge.recordings.edgefile import EdgeFileWriter
from tests.kit.command import Command

LOGS = Path(__file__).parents[1] / "recordings" / "logs"
HIRES, ROLES = LOGS / "hires.csv", LOGS / "detectors.csv"


def records(out: str, stream: str = "traffic") -> list[dict[str, Any]]:
    return [r for r in map(json.loads, out.splitlines()) if r["stream"] == stream]


def replayed(kerbstone: Command, folder: Path, name: str) -> list[dict[str, Any]]:
    said = kerbstone("replay", "--config", folder / f"{name}.toml",
                     "--edges", folder / f"{name}.csv.gz")  # fmt: skip
    assert (said.code, said.err) == (0, "")
    return records(said.out)


def test_a_log_is_imported_and_replayed(kerbstone: Command, tmp_path: Path) -> None:
    said = kerbstone("import", HIRES, "--roles", ROLES, "--out", tmp_path)
    assert said.code == 1  # some rows are wrong
    site = load_site(tmp_path / "7.toml", drivers.catalogue())
    assert {name: (lane.approach, lane.position) for name, lane in site.lanes.items()} == {
        "d2": ("p2", "advance"), "d3": ("p2", "mid"), "d4": ("p2", "stop"),
        "d8": ("p2", "stop"), "d9": ("p5", "stop"),
    }  # fmt: skip
    assert site.lanes["d9"].role == "turn"
    assert list(site.signals) == ["p2"]
    windows = replayed(kerbstone, tmp_path, "7")
    volumes = {name: [r["volume"] for r in windows if r["source"] == name] for name in site.lanes}
    assert volumes["d2"][:1] == [3]  # one of them by an end that is missing
    assert volumes["d3"][:1] == [2]
    assert windows[0]["lost_edges"] == 1


def test_the_green_of_a_phase_is_that_of_its_lanes(kerbstone: Command, tmp_path: Path) -> None:
    kerbstone("import", HIRES, "--roles", ROLES, "--out", tmp_path, "--gap-min", "0")
    first = replayed(kerbstone, tmp_path, "7")[0]
    assert (first["source"], first["signal"]["green_us"]) == ("d2", 19_000_000)


def test_a_gap_in_the_log_is_not_watched_and_no_silence(kerbstone: Command, tmp_path: Path) -> None:
    kerbstone("import", HIRES, "--roles", ROLES, "--out", tmp_path)
    mine = [r for r in replayed(kerbstone, tmp_path, "7") if r["source"] == "d8"]
    assert [r["volume"] for r in mine] == [0, *[None] * 19, 0]
    assert [r["health"] for r in mine[1:20]] == ["unobserved"] * 19
    assert [r["covered_s"] for r in mine[1:20]] == [0.0] * 19


def test_each_command_that_is_named_can_be_run(kerbstone: Command, tmp_path: Path) -> None:
    folder = tmp_path / "a day"
    said = kerbstone("import", HIRES, "--out", folder, "--zone", "Europe/Berlin")
    commands = [line.strip() for line in said.lines if "kerbstone replay" in line]
    assert len(commands) == 2
    for command in commands:
        assert "--start 2026-11-30T06:" in command
        replay = kerbstone(*shlex.split(command)[1:])
        assert (replay.code, replay.err) == (0, "")
    assert (folder / "7.html").read_text().startswith("<!")


def test_what_was_left_out_is_said_with_reason_place_and_count(
    kerbstone: Command, tmp_path: Path
) -> None:
    said = kerbstone("import", HIRES, "--roles", ROLES, "--out", tmp_path)
    assert "left out: 1 rows without a time that can be read (first: hires.csv, row 25" in said.err
    assert "1 double rows" in said.out
    assert "1 begins without an end before them" in said.out
    assert "the loop card said something 2 times" in said.out
    assert "nothing was logged of D8" in said.out
    assert (tmp_path / "7.card.csv").read_text() == (
        "t_ms,line,said\n30000,D3,shorted_loop\n36800,D3,restored\n"
    )
    assert not (tmp_path / "12.card.csv").exists()


def test_without_a_table_each_detector_is_alone_and_the_draft_says_what_to_do(
    kerbstone: Command, tmp_path: Path
) -> None:
    said = kerbstone("import", HIRES, "--out", tmp_path)
    assert "--roles" in said.out
    text = (tmp_path / "7.toml").read_text()
    assert "Give lanes that lie beside each other one approach" in text
    site = load_site(tmp_path / "7.toml", drivers.catalogue())
    assert {lane.approach for lane in site.lanes.values()} == {"d2", "d3", "d4", "d9"}


def test_a_draft_that_was_completed_by_hand_is_kept(kerbstone: Command, tmp_path: Path) -> None:
    kerbstone("import", HIRES, "--out", tmp_path)
    mine = tmp_path / "7.toml"
    mine.write_text(mine.read_text() + "# mine\n")
    said = kerbstone("import", HIRES, "--out", tmp_path)
    assert "7.toml was there and is kept" in said.out
    assert mine.read_text().endswith("# mine\n")


def test_the_same_log_gives_the_same_bytes(kerbstone: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        kerbstone("import", HIRES, "--roles", ROLES, "--out", tmp_path / name)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_full_disk_leaves_what_was_imported_before_and_no_part(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kerbstone("import", HIRES, "--out", tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write, rows = EdgeFileWriter.write, iter(range(3))

    def full(self: EdgeFileWriter, t_ms: int, line: str, level: str) -> None:
        if next(rows, None) is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, t_ms, line, level)

    monkeypatch.setattr(EdgeFileWriter, "write", full)
    said = kerbstone("import", HIRES, "--out", tmp_path)
    assert said.code == 2
    assert "No space left" in said.err
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_only_one_signal_and_a_stretch_of_time(kerbstone: Command, tmp_path: Path) -> None:
    said = kerbstone("import", HIRES, "--out", tmp_path, "--signal", "7", "--to",
                     "2026-11-30T07:01:00", "--json")  # fmt: skip
    (found,) = json.loads(said.out)["sites"]
    assert (found["name"], found["actuations"], found["gaps"]) == ("7", 6, 0)


def test_logs_of_iris_are_imported(kerbstone: Command, tmp_path: Path) -> None:
    said = kerbstone("import", LOGS / "20261130" / "S17.vlog", "--out", tmp_path)
    assert said.code == 1
    site = load_site(tmp_path / "iris.toml", drivers.catalogue())
    assert [(lane.lead, lane.position) for lane in site.lanes.values()] == [("S17", "corridor")]
    windows = replayed(kerbstone, tmp_path, "iris")
    counted = [r["volume"] for r in windows if r["volume"] is not None]
    assert sum(counted) == 10
    gap = [r["health"] for r in windows if r["from"] >= "1970-01-01T07:30"][:20]
    assert set(gap) == {"unobserved"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv"], "cannot be read"),
        ([HIRES, "--zone", "Mars"], "Europe/Berlin"),
        ([HIRES, "--from", "yesterday"], "ISO 8601"),
        ([HIRES, "--gap-min", "-1"], "minutes"),
        ([HIRES, "--signal", "454"], "no event"),
        ([HIRES, LOGS / "20261130" / "S17.vlog"], "one kind"),
        ([ROLES], "EventId"),
        ([HIRES, "--roles", HIRES.parent / "20261130" / "S17.vlog"], "Parameter or Detector"),
    ],
)
def test_what_cannot_work_is_exit_2_and_says_what_to_do(
    kerbstone: Command, tmp_path: Path, words: list[object], said: str
) -> None:
    found = kerbstone("import", *words, "--out", tmp_path)
    assert found.code == 2
    assert said in found.err
    assert found.out == ""


def test_a_clock_that_was_not_set_is_no_log_of_many_years(
    kerbstone: Command, tmp_path: Path
) -> None:
    log = tmp_path / "1.csv"
    log.write_text("Time,Code,Param\n2001-01-01 00:00:00,82,1\n2026-11-30 07:00:00,81,1\n")
    said = kerbstone("import", log, "--out", tmp_path / "out")
    assert said.code == 2
    assert "--from and --to" in said.err
    said = kerbstone("import", log, "--out", tmp_path / "out", "--from", "2026-11-30")
    assert said.code == 0


@pytest.mark.parametrize(
    ("minutes", "dropped"),
    [([30, 70, 75, 100, 65, 110, 150], 0), ([30, 65, 70, 75, 100, 110, 150], 5)],
)
def test_the_hour_that_a_clock_showed_twice_is_kept_only_where_the_order_tells_which(
    kerbstone: Command, tmp_path: Path, minutes: list[int], dropped: int
) -> None:
    log = tmp_path / "1.csv"
    rows = (f"2026-11-01 {m // 60:02}:{m % 60:02}:00,82,1\n" for m in minutes)
    log.write_text("Time,Code,Param\n" + "".join(rows))
    zone = ("--zone", "America/Los_Angeles")
    said = kerbstone("import", log, "--out", tmp_path / "out", *zone, "--json", "--gap-min", "0")
    told = {each["text"]: each["times"] for each in json.loads(said.out)["remarks"]}
    assert sum(n for text, n in told.items() if "showed twice" in text) == dropped
    (site,) = json.loads(said.out)["sites"]
    assert site["actuations"] == len(minutes) - dropped


def test_a_log_of_which_nothing_can_be_read_says_why(kerbstone: Command, tmp_path: Path) -> None:
    log = tmp_path / "1.csv"
    log.write_text("Time,Code,Param\n1796022000,82,1\n1796022001,81,1\n")
    said = kerbstone("import", log, "--out", tmp_path / "out")
    assert said.code == 2
    assert "2 rows without a time that can be read (1.csv, row 2: '1796022000')" in said.err


def test_two_signals_that_would_be_one_file_are_refused(kerbstone: Command, tmp_path: Path) -> None:
    log = tmp_path / "1.csv"
    log.write_text("Time,Code,Param,Signal\n2026-11-30 07:00:00,82,1,A\n"
                   "2026-11-30 07:00:00,82,1,a\n")  # fmt: skip
    said = kerbstone("import", log, "--out", tmp_path / "out")
    assert said.code == 2
    assert "--signal" in said.err


def test_names_from_a_log_stay_in_the_folder(kerbstone: Command, tmp_path: Path) -> None:
    log = tmp_path / "1.csv"
    log.write_text('Time,Code,Param,Signal\n2026-11-30 07:00:00,82,1,"../../x\x1b[2J"\n')
    out = tmp_path / "out"
    said = kerbstone("import", log, "--out", out)
    assert said.code == 0
    assert sorted(path.name for path in out.iterdir()) == ["x_2j.csv.gz", "x_2j.toml"]
    assert "\x1b" not in said.out + (out / "x_2j.toml").read_text()
    load_site(out / "x_2j.toml", drivers.catalogue())


def test_nothing_is_left_of_the_sort(kerbstone: Command, tmp_path: Path) -> None:
    shutil.copy(HIRES, tmp_path / "log.csv")
    kerbstone("import", tmp_path / "log.csv", "--out", tmp_path / "out")
    assert not [p for p in (tmp_path / "out").iterdir() if p.is_dir()]
