"""`kerbstone sim site.toml`: the whole cabinet of a site, and faults from another terminal."""

import json
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from edge.control.protocol import VerbError, ask_daemon
from tests.kit.command import Command, CommandResult
from tests.kit.simulatedsite import KERBSTONE, ROOT, SECONDS, RunningSim
from tests.kit.waiting import wait_until

EXAMPLE = ROOT / "deploy" / "cabinet.example.toml"
LONG_S = 100.0  # a gateway asks one that was silent less often, and more briefly


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[RunningSim]:
    """The example of a cabinet, played in a folder that was empty."""
    (tmp_path / "site.toml").write_bytes(EXAMPLE.read_bytes())
    running = RunningSim(tmp_path, "site.toml")
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


def read(sim: RunningSim, device: str) -> CommandResult:
    return sim.command("read", device, "--config", sim.file, "--json")


def is_read(sim: RunningSim, device: str) -> None:
    """It has a value, soon: the kernel gives the number of a pseudo-terminal that is gone to the
    next who wants one, and somebody else's program may still look for its meter there."""
    wait_until(lambda: read(sim, device).code == 0, f"{device} is not read")


def doctor(sim: RunningSim) -> CommandResult:
    """What it says of the wires: no broker is here."""
    return sim.command("doctor", "--check", "wires", "--config", "desk/site.toml")


def start_gateway(sim: RunningSim) -> subprocess.Popen[str]:
    """It has its buses when it can be asked; until then nobody else may take one."""
    daemon = subprocess.Popen(
        [*KERBSTONE, "run", str(sim.file)], cwd=sim.folder, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    wait_until((sim.desk / "run" / "control.sock").exists, "the daemon does not start")
    return daemon


def end(daemon: subprocess.Popen[str]) -> None:
    """As a power cut does."""
    daemon.kill()
    daemon.communicate(timeout=SECONDS)


def answers(sim: RunningSim, device: str) -> bool:
    """Whether the running gateway reads it. Asked often: a command each time would be a load."""
    try:
        said = ask_daemon(sim.desk / "run", "read", device=device)
    except VerbError:
        return False
    return said is not None and any(row["value"] is not None for row in said["readings"])


def test_a_cabinet_is_checked_searched_read_and_examined(sim: RunningSim) -> None:
    checked = sim.command("check", "desk/site.toml")
    assert checked.code == 0, checked.err
    assert "5 buses, 7 devices" in checked.out
    searched = sim.command("scan", "--config", "desk/site.toml", "air", "meters", "grid", "heat")
    for device in ("sen55", "sht4x", "sdm630", "unit = 2", "sml", "mbus"):
        assert device in searched.out, searched
    for device in ("hut_air", "cabinet_climate", "main_meter", "lamp_meter", "utility", "warmth"):
        is_read(sim, device)
    examined = doctor(sim)
    assert examined.code == 0, examined.out
    assert "ok       gpio_lines contacts/north_2" in examined.out


def test_three_faults_are_found_by_the_doctor_and_mended(sim: RunningSim) -> None:
    for words in (("main_meter", "silent"), ("hut_air", "fan"), ("grid", "unplugged")):
        said = sim.command("sim", "fault", *words)
        assert said.code == 0, said.err
        assert f"has the fault {words[1]} now" in said.out
    listed = sim.command("sim", "fault", "--list")
    assert [line for line in listed.lines if "NOW" in line and "silent" in line.partition("NOW")[2]]
    found = doctor(sim)
    assert found.code == 1
    for place in ("meters/main_meter", "grid", "air/hut_air"):
        lines = [one for one in found.lines if place in one and not one.startswith("ok")]
        assert lines, found.out
    assert read(sim, "main_meter").code == 3
    is_read(sim, "lamp_meter")
    mended = sim.command("sim", "fault", "all", "none")
    assert sorted(line.split()[0] for line in mended.lines if line) == [
        "grid", "hut_air", "main_meter"
    ]  # fmt: skip
    again = doctor(sim)
    assert again.code == 0, again.out


def test_its_socket_is_its_owners_and_nothing_is_left_of_it_but_the_gateways_files(
    sim: RunningSim,
) -> None:
    assert stat.S_IMODE((sim.desk / "control.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE(sim.desk.stat().st_mode) == 0o700
    assert sim.end() == 0
    left = {path.name for path in sim.desk.iterdir() if not path.name.startswith(".")}
    assert left == {"site.toml", "store", "run", "lock"}
    gone = sim.command("sim", "fault", "main_meter", "silent")
    assert gone.code == 3
    assert "no simulation runs in desk" in gone.err


def test_what_a_killed_one_has_left_is_taken_over(sim: RunningSim) -> None:
    before = sim.says["buses"]
    sim.end(signal.SIGKILL)
    assert (sim.desk / "air.sock").exists()
    assert read(sim, "main_meter").code == 3
    sim.start()
    assert sim.says["buses"] == before
    for device in ("hut_air", "main_meter", "utility"):
        is_read(sim, device)
    assert sim.command("sim", "fault", "main_meter", "silent").code == 0


def test_two_run_beside_each_other_and_not_in_one_folder(sim: RunningSim) -> None:
    second = sim.command("sim", "site.toml")
    assert second.code == 2
    assert f"desk is in use by process {sim.process.pid}" in second.err
    other = RunningSim(sim.folder, "site.toml", "--desk", "other")
    try:
        is_read(other, "main_meter")
        is_read(sim, "main_meter")
        said = other.command("sim", "fault", "main_meter", "silent", "--desk", "other")
        assert said.code == 0
        assert read(other, "main_meter").code == 3
        is_read(sim, "main_meter")
    finally:
        other.end(signal.SIGKILL)


def test_a_gateway_runs_against_it_and_outlives_its_end(sim: RunningSim) -> None:
    """Counts vehicles, is asked while it runs, and reads on when a killed simulation is back."""
    daemon = start_gateway(sim)
    try:
        for device in ("main_meter", "utility", "cabinet_climate"):
            wait_until(partial(answers, sim, device), f"{device} is not read", LONG_S)
        assert "read by the daemon" in read(sim, "main_meter").out
        sim.end(signal.SIGKILL)
        wait_until(lambda: not answers(sim, "main_meter"), "it reads what is not there")
        sim.start()
        for device in ("main_meter", "utility", "cabinet_climate"):
            wait_until(partial(answers, sim, device), f"{device} is not back", LONG_S)
        assert sim.command("sim", "fault", "lamp_meter", "silent").code == 0
        wait_until(lambda: not answers(sim, "lamp_meter"), "the fault is not seen")
    finally:
        end(daemon)


def test_a_gateway_that_was_killed_finds_its_wires_free(sim: RunningSim) -> None:
    daemon = start_gateway(sim)
    try:
        wait_until(partial(answers, sim, "main_meter"), "it is not read", LONG_S)
    finally:
        end(daemon)
    (sim.desk / "run" / "control.sock").unlink()
    daemon = start_gateway(sim)
    try:
        wait_until(partial(answers, sim, "main_meter"), "it is not read again", LONG_S)
        words = ("doctor", "--check", "lane_edges", "--config", sim.file)
        wait_until(lambda: sim.command(*words).code == 0, "no vehicle is heard", LONG_S)
    finally:
        end(daemon)


def test_a_desks_file_that_was_changed_is_played_where_it_lies(sim: RunningSim) -> None:
    sim.end()
    text = sim.file.read_text(encoding="utf-8")
    sim.file.write_text(text.replace("[device.lamp_meter]", "[device.yard]"), encoding="utf-8")
    again = RunningSim(sim.folder, "desk/site.toml")
    try:
        is_read(again, "yard")
        assert again.file.read_text(encoding="utf-8").count("[device.yard]") == 1
    finally:
        again.end(signal.SIGKILL)


# --- what is refused ---------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_somebodys_own_file_is_never_written_over(here: Path, kerbstone: Command) -> None:
    (here / "site.toml").write_bytes(EXAMPLE.read_bytes())
    said = kerbstone("sim", "site.toml", "--desk", ".")
    assert said.code == 2
    assert "is somebody's own file" in said.err
    assert (here / "site.toml").read_bytes() == EXAMPLE.read_bytes()


def test_a_desks_file_that_names_hardware_is_not_played(here: Path, kerbstone: Command) -> None:
    (here / "d").mkdir()
    text = "# A desk file, made by kerbstone sim\n" + EXAMPLE.read_text(encoding="utf-8")
    (here / "d" / "site.toml").write_text(text, encoding="utf-8")
    said = kerbstone("sim", "d/site.toml")
    assert said.code == 2
    assert "bus.contacts: chip names hardware" in said.err


def test_a_wrong_file_is_told_as_check_tells_it(here: Path, kerbstone: Command) -> None:
    text = (
        EXAMPLE.read_text(encoding="utf-8")
        .replace("sen55", "sen56")
        .replace("unit = 2", "unit = 1")
    )
    (here / "site.toml").write_text(text, encoding="utf-8")
    said = kerbstone("sim", "site.toml")
    assert said.code == 2
    assert "no driver is called" in said.err
    assert "has unit 1 on meters already" in said.err
    assert not (here / "desk").exists()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("nothing.toml",), 2, "cannot be read"),
        (("site.toml", "--broker", "broker"), 2, "has no scheme"),
        (("site.toml", "--flow", "many"), 2, "write 600, day or day:900"),
        (("site.toml", "--flow", "9000"), 2, "0 to 2200 vehicles"),
        (("site.toml", "--on", "/dev/ttyUSB0"), 2, "write BUS=PORT"),
        (("site.toml", "--on", "meter=/dev/ttyUSB0"), 2, "choose from meters, grid, heat"),
        (("site.toml", "--on", "meters=/dev/ttyNOTHERE"), 2, "/dev/ttyNOTHERE"),
        (("site.toml", "--fault", "silent"), 2, "are for one device"),
        (("site.toml", "more"), 2, "'more' does not belong here"),
        (("site.toml", "--desk", "d" * 120), 2, "give a shorter folder"),
        (("fault",), 2, "write `sim fault TARGET FAULT`"),
        (("fault", "main_meter"), 2, "write `sim fault TARGET FAULT`"),
        (("fault", "--list"), 3, "no simulation runs in desk"),
        (("fault", "--list", "--desk", "elsewhere"), 3, "no simulation runs in elsewhere"),
    ],
)
def test_wrong_use_says_what_would_be_right(
    words: tuple[str, ...], code: int, says: str, here: Path, kerbstone: Command
) -> None:
    (here / "site.toml").write_bytes(EXAMPLE.read_bytes())
    said = kerbstone("sim", *words)
    assert said.code == code, said
    assert says in said.err


def test_the_faults_of_a_cabinet_are_listed_without_playing_it(
    here: Path, kerbstone: Command
) -> None:
    said = kerbstone("sim", EXAMPLE, "--faults")
    assert said.code == 0
    names = [line.split()[0] for line in said.lines if line]
    assert {"main_meter", "meters", "north_1", "north_1.trail", "north", "charger"} <= set(names)
    told = json.loads(kerbstone("sim", EXAMPLE, "--faults", "--json").out)
    by_name = {row["name"]: row for row in told["targets"]}
    assert "silent" in by_name["main_meter"]["faults"]
    assert by_name["north"]["faults"] == ["congestion", "empty", "dead_card"]
    assert list(here.iterdir()) == []
