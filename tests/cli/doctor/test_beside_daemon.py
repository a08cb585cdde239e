"""`kerbstone doctor` beside the daemon: it is asked, and no wire is touched."""

import errno
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from drivers.buses.host import look_up_node
from drivers.buses.i2c import SmbusI2c
from drivers.buses.serial_wire import SerialWire
from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.meter import UnitFault
from drivers.sim.meter_rtu import MeterRtu
from edge.config import SerialBus
from edge.config import Site as SiteConfig
from edge.control.protocol import UnknownVerbError
from edge.diagnose import passivechecks
from edge.diagnose.daemonuser import DaemonUser
from edge.diagnose.filechecks import bus_right_results
from tests.cli.doctor.cabinet import AIR, LOOPS, METERS, ROOT, Site, reported, sht4x
from tests.kit.command import Command


def test_a_running_daemon_is_asked_and_no_wire_is_touched(
    kerbstone: Command, wired: Site, air: I2cKernel, meters: MeterRtu, chip: SimChip,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    air.chips = {0x44: sht4x()}
    meters.units[12].fault = UnitFault("silent")
    file = wired(AIR, LOOPS, METERS, words=(meters.port,))
    command = [sys.executable, "-m", "edge.cli.main", "run", str(file)]
    daemon = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    for wire in (SerialWire, SmbusI2c):
        monkeypatch.setattr(wire, "open" if wire is SerialWire else "transfer", _touched)
    try:
        end = time.monotonic() + 60
        while True:
            assert time.monotonic() < end
            time.sleep(0.1)
            if not (tmp_path / "run" / "control.sock").exists():
                continue
            said = kerbstone("doctor", "--config", file, "--json")
            if "no answer" in reported(said, "shop") and len(json.loads(said.out)["fine"]) == 3:
                break
        words = kerbstone("doctor", "--config", file)
    finally:
        daemon.terminate()
        daemon.wait(60)
    assert words.code == said.code == 1
    assert words.lines[0] == "as the daemon reports; nothing was sent on the wires"
    assert "ok       device_answers hut/hut_air" in words.out
    assert "ok       gpio_lines loops/north_1" in words.out
    assert "can be heard" in reported(said, "shop")
    assert reported(said, "main") == ""


def _touched(*_: object, **__: object) -> None:
    raise AssertionError("a wire was touched")


STATUS: dict[str, Any] = {
    "devices": {
        "hut_air": {"reads": 3, "missed": 9, "state": "ok", "health": {"heater": "it is broken"}}
    },
    "problems": {"line lead": "line lead of x is held by y: stop that program"},
    "issues": [
        {
            "kind": "too_busy", "about": "", "severity": "fault",
            "cause": "The gateway dropped 2 internal messages.", "remedy": "Read less often.",
        },
        {
            "kind": "loop_fault", "about": "north_1 lead swapped", "severity": "fault",
            "cause": "north_1: lead and trail are exchanged.", "remedy": "Exchange the inputs.",
        },
    ],
}  # fmt: skip


def test_what_the_daemon_knows_is_told(
    kerbstone: Command, wired: Site, chip: SimChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: STATUS)
    file = wired(AIR, LOOPS, METERS, words=("/dev/ttyNOTHERE",))
    said = kerbstone("doctor", "--config", file, "--json")
    assert said.code == 1
    assert "warning: it is broken" in reported(said, "hut_air")
    assert "the bus is too slow for every_s = 1: 9 readings left out" in reported(said, "hut_air")
    assert "held by y | stop that program" in reported(said, "north_1")
    assert "the running daemon does not know this device" in reported(said, "main")
    assert "/dev/ttyNOTHERE is not there" in reported(said, "")
    assert "dropped 2 internal messages. | Read less often" in reported(said, "")
    assert "lead and trail are exchanged | Exchange the inputs" in reported(said, "north_1")
    rows = json.loads(said.out)["checks"]
    wrong, well = (
        {(row["id"], row["about"].rpartition("/")[2].partition(" ")[0]) for row in rows
         if row["outcome"] in outcomes}
        for outcomes in (("fault", "warning"), ("ok",))
    )  # fmt: skip
    assert ("lane_verdict", "north_1") in wrong
    assert not wrong & well, "nothing contradicts itself"
    assert "dropped" not in kerbstone("doctor", "hut", "--config", file).out


def holds(monkeypatch: pytest.MonkeyPatch, **device: Any) -> None:
    """A daemon whose sensor answers, and what it holds of it."""
    status = {"devices": {"hut_air": {"reads": 9, "missed": 0, "state": "ok"}}}
    held = {"name": "hut_air", "age_s": 0.4, "unsettled": None, "unsettled_age_s": None, **device}
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: status)
    monkeypatch.setattr("edge.diagnose.livesource.ask_daemon", lambda *_: {"devices": [held]})


def reading(point: str, value: float | None, quality: str = "good") -> dict[str, Any]:
    return {"point": point, "value": value, "unit": "1", "quality": quality}


@pytest.mark.parametrize(
    ("device", "line"),
    [
        (
            {"readings": [reading("temperature", 20.0), reading("humidity", 40.0)]},
            "ok       device_values hut/hut_air",
        ),
        (
            {"readings": [reading("temperature", 20.0), reading("humidity", None, "bad:fault")]},
            "warning  device_values hut/hut_air (site.toml:18): 1 of 2 points have no value "
            "(fault): humidity",
        ),
        (
            {"readings": [], "age_s": None, "unsettled": "range", "unsettled_age_s": 60.0},
            "fault    device_values hut/hut_air (site.toml:18): 2 of 2 points have no value "
            "(range): temperature, humidity",
        ),
        (
            {"readings": [], "age_s": None, "unsettled": "warmup", "unsettled_age_s": 60.0},
            "note     device_values hut/hut_air (site.toml:18): 2 of 2 points have no value "
            "(warmup): temperature, humidity",
        ),
    ],
)
def test_the_values_that_the_daemon_holds_are_judged_as_those_on_the_wires(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch, device: Any, line: str
) -> None:
    holds(monkeypatch, **device)
    said = kerbstone("doctor", "--check", "device_values", "--config", wired(AIR))
    assert line in said.lines
    assert sum("device_values" in each for each in said.lines) == 1, "one line for one thing"


def test_a_note_stands_below_what_is_wrong_and_no_ok_beside_it(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {
        "warmup": "it warms up after the start; wait",
        "heater": "its small heater is broken; replace it",
    }
    status = {"devices": {"hut_air": {"reads": 9, "missed": 0, "state": "ok", "health": words}}}
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: status)
    asked = ("doctor", "--check", "device_reports", "--config", wired(AIR))
    lines = kerbstone(*asked).lines
    assert lines[1:] == [
        "warning  device_reports hut/hut_air (site.toml:18): its small heater is broken",
        "         replace it",
        "         also: it warms up after the start: wait",
    ]
    [row] = json.loads(kerbstone(*asked, "--json").out)["checks"]
    assert (row["outcome"], row["cause"]) == ("warning", "its small heater is broken")
    del words["heater"]
    assert kerbstone(*asked).lines[1:] == [
        "note     device_reports hut/hut_air (site.toml:18): it warms up after the start",
        "         wait",
    ]
    [row] = json.loads(kerbstone(*asked, "--json").out)["checks"]
    assert (row["outcome"], row["cause"]) == ("ok", "it warms up after the start")


STUCK = "/dev/i2c-1 is stuck: a device holds SCL or SDA low; switch the sensors off and on"


@pytest.mark.parametrize("listed", [True, False])
def test_a_bus_that_is_held_low_is_named_once_with_its_devices(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """Whether or not the gateway has its issue by now."""
    device = {"reads": 9, "missed": 0, "state": "silent", "text": STUCK}
    issue = {
        "kind": "bus_fails", "about": "bus hut", "severity": "fault",
        "cause": "bus hut: it is stuck: no values of hut_air, roof_air.",
        "remedy": "Switch the sensors off and on. `kerbstone doctor hut` says more.",
    }  # fmt: skip
    status = {
        "devices": {"hut_air": device, "roof_air": device},
        "issues": [issue] if listed else [],
    }
    monkeypatch.setattr("edge.cli.doctor.ask_daemon", lambda *_: status)
    roof = '[device.roof_air]\ndriver = "sht4x"\nbus = "hut"\naddress = 0x45\n'
    said = kerbstone("doctor", "--check", "wires", "--config", wired(AIR, roof))
    assert said.lines[1:] == [
        "fault    bus_line hut (site.toml:15): /dev/i2c-1 is stuck: a device holds SCL or SDA low: "
        "no values of hut_air, roof_air",
        "         switch the sensors off and on",
        *(
            f"note     device_answers hut/{name} (site.toml:{line}): it cannot answer until the "
            "fault of bus hut is cleared"
            for name, line in (("hut_air", 18), ("roof_air", 21))
        ),
        "ok       bus_port hut",
    ]
    one = kerbstone("doctor", "hut_air", "--config", wired(AIR, roof))
    assert ("bus_line hut" in one.out) is listed, "alone nobody knows of the others"


def test_values_of_a_daemon_that_does_not_tell_them_are_not_checked(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(*_: object) -> None:
        raise UnknownVerbError("Unknown command")

    holds(monkeypatch)
    monkeypatch.setattr("edge.diagnose.livesource.ask_daemon", older)
    asked = ("doctor", "--check", "device_values", "--config", wired(AIR), "--json")
    [row] = json.loads(kerbstone(*asked).out)["checks"]
    assert (row["about"], row["outcome"]) == ("hut/hut_air", "not checked")
    assert "restart it" in row["cause"]


def test_the_console_and_the_group_of_the_daemon_s_user_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyAMA0"
    port.touch()
    port.chmod(0o660)
    mine = port.stat()
    shut = DaemonUser("kerbstone", mine.st_uid + 1, frozenset({mine.st_gid + 1}))
    let_in = DaemonUser("kerbstone", mine.st_uid + 1, frozenset({mine.st_gid}))
    bus = SerialBus(port=str(port))
    site = SiteConfig(None, None, buses={"hut": bus})  # type: ignore[arg-type]  # nothing else is asked
    assert [one.outcome for one in bus_right_results(site, ["hut"], let_in)] == ["ok"]
    [wrong] = bus_right_results(site, ["hut"], shut)
    assert wrong.outcome == "fault"
    assert f"kerbstone is not in the group {look_up_node(str(port)).group}" in wrong.cause
    console = str(port).removeprefix("/dev/")  # temporary files may lie in /dev/shm
    monkeypatch.setattr(passivechecks, "kernel_consoles", lambda cmdline: [console])
    [found] = passivechecks.check_beside_daemon(bus)
    assert "the kernel writes its messages to" in found.sentence


def test_a_daemon_that_cannot_be_asked_is_not_reachable(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("edge.cli.doctor.ask_daemon", shut)
    assert kerbstone("doctor", "--config", wired(AIR)).code == 3
