"""`kerbstone rig run`: what is wrong is said before anything starts; exit codes of runs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edge.rig.runfile import read_run
from tests.kit.broker import BINARY
from tests.kit.command import Command
from tests.rig.scenes import write_site

ROOT = Path(__file__).parents[2]
SCENARIO = """
[scenario]
name = "Ten seconds"
site = "site.toml"
duration_s = {duration}
settle_s = 30

[[vehicle]]
lane = "north_1"
at_s = 2
[[vehicle]]
lane = "north_1"
at_s = 6

[[fault]]
name = "meter_dies"
target = "main_meter"
kind = "silent"
at_s = 1
for_s = 5

[[expect]]
name = "Every vehicle is counted"
what = "volume"
source = "north_1"
{volume}

[[expect]]
name = "The meter did not answer"
what = "in_force"
fault = "meter_dies"

[[expect]]
name = "All arrives"
what = "complete"
"""
real = pytest.mark.skipif(
    not Path(BINARY).exists(), reason="mosquitto is not installed: apt-get install mosquitto"
)


def write(folder: Path, volume: str = "true = true", duration: float = 8.0) -> Path:
    write_site(folder)
    file = folder / "short.toml"
    file.write_text(SCENARIO.format(volume=volume, duration=duration), encoding="utf-8")
    return file


WRONG = [
    (["--box", "mqtt://127.0.0.1:1", "--broker", "mqtt://127.0.0.1:1"], 2, "leave --broker out"),
    (["--box", "box {sit} {broker}"], 2, "{sit} is no word of the rig; there are {broker}, {ca}"),
    (["--box", "'never closed"], 2, "--box"),
    (["--adapter", "nobody"], 2, "MODULE:FUNCTION"),
    (["--adapter", "none.toml"], 2, "none.toml"),
    (["--on", "meters"], 2, "BUS=PORT"),
    (["--on", "nothing=/dev/ttyS0"], 3, "no serial bus is called nothing"),
    (["--seed", "x"], 2, "whole number"),
    (["--layer", "moon"], 2, "invalid choice"),
    (["--broker", "mqtt://127.0.0.1:9"], 3, "no broker answers"),
    (["--box", "/no/such/box {site}"], 3, "cannot be started"),
    (["--out", "/proc/none"], 2, "--out"),
    (["--layer", "qemu"], 2, "the layer qemu needs --guest, a folder"),
    (["--layer", "qemu", "--guest", "/nowhere"], 2, "it has no vmlinuz"),
    (["--layer", "qemu", "--guest", "/nowhere", "--box", "x"], 2, "--box: the layer qemu runs"),
    (["--layer", "sim", "--guest", "/nowhere"], 2, "--guest: the layer sim runs"),
]


@pytest.mark.parametrize(("words", "code", "said"), WRONG)
def test_what_cannot_be_is_said(
    kerbstone: Command, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    if code == 3 and "box" in words[0] and not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    done = kerbstone("rig", "run", write(tmp_path), "--quiet", *words)
    assert done.code == code
    assert said in done.err


def test_a_scenario_that_is_wrong_is_not_run(kerbstone: Command, tmp_path: Path) -> None:
    done = kerbstone("rig", "run", write(tmp_path, duration=-1.0))
    assert done.code == 2
    assert "short.toml:5: scenario.duration_s" in done.err


def test_a_layer_that_cannot_do_a_fault_says_why(kerbstone: Command, tmp_path: Path) -> None:
    file = write(tmp_path)
    text = file.read_text(encoding="utf-8").replace('target = "main_meter"', 'target = "disk"')
    text = text.replace('kind = "silent"', 'kind = "slow_fsync"')
    file.write_text(text, encoding="utf-8")
    done = kerbstone("rig", "run", file)
    assert done.code == 2
    assert "cannot be run on pty, only on qemu" in done.err
    assert "meter_dies: the disk is this machine's" in done.err


def test_reports_of_another_run_are_not_left_where_this_one_could_not_be_run(
    kerbstone: Command, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("run.json", "report.html", "junit.xml"):
        (out / name).write_text("passed")
    words = ("--broker", "mqtt://127.0.0.1:9", "--out", out)
    done = kerbstone("rig", "run", write(tmp_path), "--quiet", *words)
    assert done.code == 3
    assert read_run(out / "run.json")[1].ending == "rig_failed"
    assert "no broker answers" in (out / "report.html").read_text(encoding="utf-8")
    junit = (out / "junit.xml").read_text(encoding="utf-8")
    assert 'failures="0" errors="4"' in junit


@real
@pytest.mark.scene
def test_a_run_passes_and_is_written(kerbstone: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = kerbstone("rig", "run", write(tmp_path), "--out", out, "--seed", 5)
    assert done.code == 0, done.out + done.err
    assert "passed" in done.out
    assert "meter_dies: main_meter silent" in done.err
    assert sorted(path.name for path in out.iterdir()) == [
        "box.log", "broker.log", "junit.xml", "report.html", "run.json",
    ]  # fmt: skip
    scenario, log = read_run(out / "run.json")
    assert scenario.about.name == "Ten seconds"
    assert (log.seed, log.layer, log.ending) == (5, "pty", "whole")
    again = kerbstone("rig", "report", out / "run.json")
    assert (again.code, again.out) == (0, done.out.rpartition(str(out))[0])


@real
@pytest.mark.scene
def test_a_wrong_count_fails(kerbstone: Command, tmp_path: Path) -> None:
    file = write(tmp_path, "equals = 5")
    done = kerbstone("rig", "run", file, "--layer", "sim", "--quiet")  # which is never late
    assert done.code == 1
    assert done.out.startswith("FAILED     Every vehicle is counted")
    assert done.err == ""


@real
@pytest.mark.scene
def test_ctrl_c_reports_what_there_is_and_leaves_nothing_running(tmp_path: Path) -> None:
    out, temporary = tmp_path / "out", Path(tempfile.mkdtemp(prefix="kr-"))  # sockets: short
    command = [sys.executable, "-m", "edge.cli.main", "rig", "run", str(write(tmp_path)), "--out"]
    with subprocess.Popen(
        [*command, str(out)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(temporary)}, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        while "meter_dies" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        said, more = process.communicate(timeout=120)
    assert process.returncode == 4, said + more
    log = json.loads((out / "run.json").read_text())
    assert log["ending"] == "broken_off"
    assert [each["name"] for each in log["faults"]] == ["meter_dies"]
    assert log["seen"]
    assert "not evaluated" in said
    temporary.rmdir()  # nothing is left in it
    running = [one for one in Path("/proc").glob("[0-9]*/cmdline") if _names(one, temporary)]
    assert not running


def _names(file: Path, folder: Path) -> bool:
    try:
        return str(folder).encode() in file.read_bytes()
    except OSError:
        return False


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None, reason="mosquitto-clients is missing")
@real
@pytest.mark.scene
def test_a_foreign_box_is_a_command_and_a_file(kerbstone: Command, tmp_path: Path) -> None:
    """It counts whatever closes the contact, and has nothing of ours but the wires."""
    box = tmp_path / "box.py"
    box.write_text(BOX)
    (tmp_path / "lab.toml").write_text(TABLE)
    file = write(tmp_path, "true = true")
    text = file.read_text(encoding="utf-8")
    kept = text[: text.index("[[fault]]")] + text[text.index("[[expect]]") :]
    kept = kept[: kept.index('[[expect]]\nname = "The meter')]
    file.write_text(kept, encoding="utf-8")
    site = tmp_path / "site.toml"
    whole = site.read_text(encoding="utf-8")
    site.write_text(whole[: whole.index("[bus.air]")], encoding="utf-8")
    out = tmp_path / "out"
    done = kerbstone(
        "rig", "run", file, "--box", f"{sys.executable} {box} {{site}} {{broker}}",
        "--adapter", tmp_path / "lab.toml", "--out", out,
    )  # fmt: skip
    _, log = read_run(out / "run.json")
    assert done.code == 0, done.out + done.err + (out / "box.log").read_text()
    assert 0 < log.clock_bound_s < 5
    assert str(box) in log.box


BOX = """
import json, socket, struct, subprocess, sys, time, tomllib
site = tomllib.load(open(sys.argv[1], "rb"))
port = sys.argv[2].rpartition(":")[2]
path = site["bus"]["loops"]["chip"].removeprefix("sim:")
wish = {"direction": "input", "bias": "up", "edges": "both", "debounce_ns": 0, "level": False}

def ask(link, **question):
    link.send(json.dumps(question).encode())
    while (answer := link.recv(65536)) == b"!":
        pass
    return answer

links = {}
for lane in site["lane"].values():
    for line in (lane["lead"], lane["trail"]):
        link = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        link.connect(path)
        number = int(line.removeprefix("GPIO"))
        ask(link, do="request", line=number, consumer="lab", buffer=64, settings=wish)
        links[number] = link
began = time.time()
for n in range(1, 1000):
    time.sleep(2)
    rows = ask(links[17], do="read", max=100)[1:]
    closed = sum(not rising for _, _, _, rising in struct.iter_unpack("<QIIB", rows))
    ended = time.time()
    message = json.dumps({"begin": began, "end": ended, "n": n, "count": closed})
    began = ended
    subprocess.run(["mosquitto_pub", "-p", port, "-q", "1", "-t", "lab/north_1", "-m", message])
"""
TABLE = """
topics = ["lab/+"]
[[message]]
topic = "lab/+"
stream = "traffic"
from = "begin"
to = "end"
seq = "n"
fields = { volume = "count" }
"""


def test_a_scenario_passes_in_virtual_time_and_the_daemons_log_is_kept(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "edge.cli.main", "rig", "run", "edge/rig/library/meter_silent.toml",
         "--layer", "sim", "-q", "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr
    assert "passed (0 failed, 0 not evaluated, 10 passed)" in said.stdout
    assert said.stderr == ""
    assert read_run(tmp_path / "run.json")[1].layer == "sim"
    assert "issue device_fails main_meter" in (tmp_path / "box.log").read_text()


@pytest.mark.parametrize("word", ["--box", "--adapter", "--broker", "--on"])
def test_the_layer_sim_takes_no_other_box(kerbstone: Command, word: str) -> None:
    said = kerbstone("rig", "run", "edge/rig/library/incident.toml", "--layer", "sim", word, "x=y")
    assert (said.code, "layer sim runs the daemon of this installation" in said.err) == (2, True)
