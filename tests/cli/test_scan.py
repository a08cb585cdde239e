"""`kerbstone scan`: a site's worth of simulated devices is found and told in order."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import drivers
from drivers.scan.found import Pace
from drivers.sim.i2c import I2cKernel
from drivers.sim.simpty import open_pty
from edge.cli.scan import RUN_DIR
from edge.config import load_site
from edge.control.buslock import BusLock
from edge.control.protocol import VerbError
from edge.diagnose import scanning
from edge.diagnose.scanning import Scan, make_scan_job
from edge.gateway import scantargets
from tests.drivers.scan import played
from tests.kit.command import Command, MakeSite

MODBUS = ("--timeout", "0.1", "--units", "1,5,7,9")
HEAD = """
[site]
id = "s"
gateway = "g"
[uplink]
url = "mqtt://localhost"
confirm = "broker"
"""


@pytest.fixture
def air(tmp_path: Path) -> Iterator[tuple[I2cKernel, str]]:
    with played.air(tmp_path) as made:
        yield made


def test_where_no_progress_is_shown_a_line_says_how_long_it_may_take(
    kerbstone: Command, air: tuple[I2cKernel, str]
) -> None:
    said = kerbstone("scan", air[1])
    assert re.match(r"kerbstone scan: 1 place, at most \d+ s\n", said.err)


def test_chips_are_known_by_id_number_or_registers(
    kerbstone: Command, air: tuple[I2cKernel, str], tmp_path: Path
) -> None:
    said = kerbstone("scan", air[1], "--json")
    assert said.code == 1  # for there is something that nobody knows
    reported = json.loads(said.out)
    (place,) = reported["places"]
    assert [device["driver"] for device in place["devices"]] == [
        "sht4x", "ads1115", "sgp41", "scd41", "sps30", "sen66", "bme280", "bme688"
    ]  # fmt: skip
    assert place["devices"][0]["serial"] == str(0xCAFE)
    assert place["unknown"] == ["0x50: a device answers, but this program does not know the chip"]
    assert "address = 0x77" in reported["toml"]
    _accepted(kerbstone, reported["toml"], tmp_path)
    assert all(len(data) <= 2 for _, kind, data in air[0].log if kind == "w"), "questions only"


def test_a_site_is_found_on_all_its_ports_at_once(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who talk, those who are asked, and a line of meters; all of it in one file."""
    monkeypatch.setattr(scanning, "LOOK_S", 0.01)
    _hurry(monkeypatch)
    with contextlib.ExitStack() as stack:
        names = ("pms5003", "sml", "mhz19", "dlt645")
        places = {name: stack.enter_context(played.on_a_port(name)) for name in names}
        places["line"] = stack.enter_context(
            played.on_a_line({1: "sdm630", 5: "em340", 9: "pzem004t"})
        )
        said = kerbstone("scan", *places.values(), "--json", "--listen", "0.3", *MODBUS)
    reported = json.loads(said.out)
    found = {
        one["place"]: [device["driver"] for device in one["devices"]] for one in reported["places"]
    }
    assert found == {
        **{places[name]: [name] for name in names},
        places["line"]: ["sdm630", "em340", "pzem004t"],
    }
    assert said.code == 0
    _accepted(kerbstone, reported["toml"], tmp_path)


def test_a_stuck_bus_ends_it_at_once(air: tuple[I2cKernel, str], kerbstone: Command) -> None:
    air[0].fault = errno.ETIMEDOUT
    said = kerbstone("scan", air[1])
    assert said.code == 3
    assert "is stuck" in said.out


def test_noise_is_told_as_what_it_is(kerbstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _hurry(monkeypatch)
    ours, theirs, port = open_pty()
    end = threading.Event()

    def talk() -> None:
        while not end.wait(0.01):
            os.write(ours, b"\x9c\x03\xf1\x66\x81")

    thread = threading.Thread(target=talk)
    thread.start()
    said = kerbstone("scan", port, "--listen", "0.3", "--units", "1", "--baud", "9600")
    end.set()
    thread.join()
    assert said.code == 1
    assert "A and B are not swapped" in said.out
    os.close(ours)
    os.close(theirs)


def test_a_bus_of_the_running_daemon_is_left_to_it(
    kerbstone: Command, air: tuple[I2cKernel, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.toml"
    file.write_text(
        f'{HEAD}[store]\nrun_dir = "{tmp_path}"\n[bus.hut]\nkind = "i2c"\npath = "{air[1]}"\n'
        '[device.sht4x]\ndriver = "sht4x"\nbus = "hut"\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(
        "edge.cli.scan.ask_daemon", lambda at, _: {"uptime_s": 1} if at == tmp_path else None
    )
    said = kerbstone("scan", air[1], "--config", file)
    assert said.code == 3
    assert "the running daemon uses it (bus hut)" in said.out
    assert not air[0].log
    other = f"sim:{tmp_path}/nothing"
    assert "daemon" not in kerbstone("scan", other, "--config", file).out
    monkeypatch.setattr("edge.cli.scan.ask_daemon", lambda *_: None)
    lock = BusLock(tmp_path, "hut")
    assert lock.take()
    assert "bus hut is in use by process " in kerbstone("scan", air[1], "--config", file).out
    lock.release()
    said = kerbstone("scan", air[1], "--config", file)
    assert "[bus.i2c]" in said.out
    assert "[device.sht4x_2]" in said.out  # the site has one of this name


@pytest.mark.parametrize("file", ["none", "in disorder"])
def test_without_its_site_file_a_daemon_is_asked_what_it_works_on(
    kerbstone: Command,
    air: tuple[I2cKernel, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
) -> None:
    site = tmp_path / "site.toml"
    if file == "in disorder":
        site.write_text(f'[site]\nid = 7\n[store]\nrun_dir = "{tmp_path}"\n', encoding="utf-8")
    asked: list[Path] = []
    answers: list[object] = []

    def ask(folder: Path, verb: str) -> object:
        asked.append(folder)
        if isinstance(answers[-1], Exception):
            raise answers[-1]
        return answers[-1]

    monkeypatch.setattr("edge.cli.scan.ask_daemon", ask)
    for answer in (
        {"uptime_s": 1},  # an older one, which does not tell
        VerbError("not open to you"),
        {"buses": {"hut": air[1]}},
    ):
        answers.append(answer)
        said = kerbstone("scan", air[1], "--config", site)
        assert said.code == 3
        assert "daemon" in said.out
        assert not air[0].log
    assert "(bus hut)" in said.out
    assert {RUN_DIR, *([tmp_path] if file == "in disorder" else [])} == set(asked)
    answers.append({"buses": {"hut": "/dev/i2c-7"}})
    assert "[device.bme280]" in kerbstone("scan", air[1], "--config", site).out


def test_the_daemon_tells_where_its_buses_are(site: MakeSite) -> None:
    more = '[bus.net]\nkind = "modbus-tcp"\nhost = "10.0.0.7"\n[bus.hut]\nkind = "i2c"\n'
    more += '[device.m]\ndriver = "sdm120"\nbus = "net"\nunit = 1\n'
    more += '[device.a]\ndriver = "sht4x"\nbus = "hut"\n'
    reported = scantargets.site_targets(load_site(site(more=more), drivers.catalogue()))
    assert reported == {"loops": "/dev/gpiochip0", "net": "tcp:10.0.0.7:502", "hut": "/dev/i2c-1"}
    assert scantargets.bus_at(reported, "tcp:10.0.0.7") == "net"
    assert scantargets.bus_at(reported, "tcp:10.0.0.8") == ""
    assert scantargets.bus_at(reported, "/dev/../dev/i2c-1") == "hut"


def test_ctrl_c_gives_what_was_found_so_far(air: tuple[I2cKernel, str]) -> None:
    ours, theirs, port = open_pty()  # a port where nobody is: that takes long
    command = [sys.executable, "-m", "edge.cli.main", "scan", air[1], port]
    command += ["--listen", "0.1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not air[0].log or air[0].log[-1][0] < 0x77:
            time.sleep(0.01)
        os.read(ours, 1)  # the port is asked already
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"[device.bme280]" in out
    assert b"not searched to the end" in out
    assert b"found so far" in error
    os.close(ours)
    os.close(theirs)


def test_ctrl_c_says_of_no_place_that_nobody_is_there() -> None:
    """Python 3.11 takes a thread for ended whose wait was interrupted; the place is the first."""
    ours, theirs, port = open_pty()
    command = [sys.executable, "-m", "edge.cli.main", "scan", port, "--json"]
    with subprocess.Popen(
        [*command, "--listen", "0.1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        os.read(ours, 1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    (place,) = json.loads(out)["places"]
    assert (process.returncode, place["whole"], place["refused"]) == (130, False, "")
    os.close(ours)
    os.close(theirs)


def test_what_does_not_end_within_a_while_was_not_searched_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = threading.Event()

    async def stuck(*_: object) -> None:
        held.wait(20)

    monkeypatch.setattr(scanning, "JOIN_S", 0.05)
    monkeypatch.setattr(Scan, "_searched", stuck)
    found = Scan([make_scan_job("/dev/ttyX", Pace())], Pace())
    monkeypatch.setattr(scanning, "check_port", lambda *_: [])

    def interrupted() -> None:
        raise KeyboardInterrupt

    assert not found.run(interrupted)
    assert not found.jobs[0].whole
    held.set()


def test_progress_runs_from_none_to_all() -> None:
    found = Scan([make_scan_job("/dev/ttyX", Pace()), make_scan_job("tcp:a:1", Pace())], Pace())
    assert found.share == 0.0
    assert 20 < found.left_s < 120  # a minute or so
    found.jobs[0].begin("a", 0.0)
    found.jobs[0].finished = found.jobs[1].finished = True
    assert found.share == 1.0
    assert found.left_s == 0.0


def test_at_most_is_true_when_a_step_brings_others_or_takes_longer() -> None:
    one = make_scan_job("/dev/ttyX", Pace())
    planned_s = one.estimate_s
    one.begin("a", 1.0)
    one.begin("251 addresses", 66.0, 66.0)
    assert one.estimate_s == planned_s + 66.0
    one._since_s -= 70.0
    one.begin("b", 1.0)
    assert one.estimate_s == pytest.approx(planned_s + 70.0, abs=0.1)
    assert one.done_s == pytest.approx(71.0, abs=0.1)


def test_a_terminal_sees_how_far_it_is(
    kerbstone: Command, air: tuple[I2cKernel, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "LOOK_S", 0.01)
    assert "%" not in kerbstone("scan", air[1]).err
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    said = kerbstone("scan", air[1])
    assert "%, at most" in said.err
    assert said.err.endswith("\r\x1b[K")


def test_addresses_of_the_kernel_are_known(tmp_path: Path) -> None:
    for name in ("1-0068", "1-0069", "2-0040"):
        (tmp_path / name).mkdir()
    (tmp_path / "1-0068" / "driver").mkdir()
    assert list(scantargets.kernel_addresses("/dev/i2c-1", tmp_path)) == [0x68]
    assert not scantargets.kernel_addresses("sim:/x", tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("ttyUSB0",), ("tcp:",), ("tcp:a:0",), ("/dev/x", "--units", "0-3"),
        ("/dev/x", "--units", "9-3"), ("/dev/x", "--baud", "fast"),
        ("/dev/x", "--baud", "9600", "--parity", "Q"), ("/dev/x", "--listen", "900"),
        ("/dev/x", "--baud", "9601"),
    ],
)  # fmt: skip
def test_wrong_use_is_said(kerbstone: Command, words: tuple[str, ...]) -> None:
    said = kerbstone("scan", *words)
    assert said.code == 2
    assert said.err.startswith("kerbstone scan: ")


def test_a_port_that_is_not_there_is_not_reachable(kerbstone: Command) -> None:
    said = kerbstone("scan", "/dev/ttyNOTHERE")
    assert said.code == 3
    assert "is not there" in said.out


def test_an_endpoint_where_nobody_listens_is_not_reachable(kerbstone: Command) -> None:
    said = kerbstone("scan", "tcp:127.0.0.1:1")
    assert said.code == 3
    assert "cannot be reached" in said.out


def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated devices answer at once; nobody needs to be waited for as on a wire."""
    monkeypatch.setattr("edge.cli.scan.Pace", lambda **keys: Pace(**keys, patience=0.2))


def _accepted(kerbstone: Command, toml: str, folder: Path) -> None:
    file = folder / "found.toml"
    file.write_text(HEAD + toml, encoding="utf-8")
    said = kerbstone("check", file)
    assert said.code == 0, said.err + toml
