"""`kerbstone doctor`: what is wrong in a cabinet is said, and what to do."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.buses.host import node
from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.frame import seal
from drivers.buses.serial_wire import SerialWire
from drivers.sim.bme280 import Bme280
from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter import Fault
from drivers.sim.meter_slave import Slave
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.mhz19 import Mhz19
from drivers.sim.rtu import Rtu
from drivers.sim.sht4x import Sht4x
from edge.app import bedside, busmakers, doctoring, whynot
from edge.app.doctoring import Doctor
from edge.app.verdict import of_reading, parted
from edge.app.witness import first_question
from edge.config import Device, SerialBus
from edge.control.locks import BusLock
from edge.core import Bad, Point, Quantity, Reason, sweep
from tests.cli.conftest import Command, Said
from tests.drivers import waiting
from tests.drivers.buses.far import Far
from tests.drivers.waiting import Other

ROOT = Path(__file__).parents[2]
HEAD = """
[site]
id = "s"
gateway = "g"
[uplink]
url = "mqtt://127.0.0.1:1"
confirm = "broker"
[store]
dir = "{0}/store"
run_dir = "{0}/run"
[models]
congestion = false
anomaly = false
"""
AIR = """
[bus.hut]
kind = "i2c"
path = "sim:{0}/i2c"
[device.hut_air]
driver = "sht4x"
bus = "hut"
"""
LOOPS = """
[bus.loops]
kind = "gpio"
chip = "sim:{0}/gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
active = "high"
bias = "none"
"""
PLACES = """
[bay.bakery]
kind = "loading"
bus = "loops"
line = "spare"
active = "high"
bias = "none"
[device.north_green]
driver = "contact"
bus = "loops"
line = "green"
active = "high"
bias = "none"
phase = {{ approach = "north", colour = "green" }}
"""
METERS = """
[bus.meters]
kind = "modbus-rtu"
port = "{1}"
timeout_s = 0.4
[device.main]
driver = "sdm120"
bus = "meters"
unit = 1
[device.shop]
driver = "sdm120"
bus = "meters"
unit = 12
"""
QUICK = METERS.replace("0.4", "0.05")  # for ports that know who is still to answer
VALUES = {"voltage": 230.0, "frequency": 50.0}
# somebody who has seen enough need not wait long for a step that does not end anyway
COMMAND = (
    "from edge.app import doctoring; doctoring.JOIN_S = 0.1; "
    "from edge.cli.main import main; raise SystemExit(main())"
)
Site = Callable[..., Path]


@pytest.fixture
def wired(tmp_path: Path) -> Site:
    """A site file of these parts; the lines of the file are in them, the folder and `words`."""

    def make(*parts: str, words: tuple[object, ...] = ()) -> Path:
        file = tmp_path / "site.toml"
        file.write_text("".join(parts).format(tmp_path, *words), encoding="utf-8")
        return file

    return lambda *parts, words=(): make(HEAD, *parts, words=words)


@pytest.fixture
def air(tmp_path: Path) -> Iterator[I2cKernel]:
    kernel = I2cKernel({})
    with I2cServer(kernel, tmp_path / "i2c"):
        yield kernel


@pytest.fixture
def meters(monkeypatch: pytest.MonkeyPatch) -> Iterator[Rtu]:
    with Rtu({1: Slave("sdm120", VALUES), 12: Slave("sdm120", VALUES)}) as line:
        unhurried(monkeypatch, line)
        yield line


def unhurried(monkeypatch: pytest.MonkeyPatch, other: Other) -> None:
    """Nobody is silent who has not had his turn yet: then a time-out may be short."""
    monkeypatch.setattr(waiting, "GRACE_NS", 50_000_000)
    port = waiting.waiting(other)
    for module in (busmakers, whynot):
        monkeypatch.setattr(module, "SerialPort", port)


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[SimChip]:
    made = SimChip(("lead", "spare", "green"), tmp_path / "gpio")
    made.start()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated devices answer at once, unless the machine is busy."""
    monkeypatch.setattr(doctoring, "LOOK_S", 0.01)
    monkeypatch.setattr(whynot, "QUIET_S", 0.05)
    monkeypatch.setattr(whynot, "LISTEN_S", (0.1, 0.1))
    monkeypatch.setattr(whynot, "ANSWER_S", 0.2)
    monkeypatch.setattr(whynot, "UNITS", (3, 7))


def sht4x() -> Any:
    return Sht4x({"temperature": 20.0}, powered_s=9.0)


def told(said: Said, device: str) -> str:
    found = json.loads(said.out)["findings"]
    return "\n".join(
        f"{f['severity']}: {f['sentence']} | {f['remedy']}" for f in found if f["device"] == device
    )


# --- on the wires ---------------------------------------------------------------------------------


def test_a_site_that_is_well_is_fine(
    kerbstone: Command, wired: Site, air: I2cKernel, meters: Rtu, chip: SimChip
) -> None:
    air.chips = {0x44: sht4x()}
    file = wired(AIR, LOOPS, QUICK, words=(meters.port,))
    said = kerbstone("doctor", "--config", file)
    assert said.code == 0, said.out
    assert said.lines == [
        "through the wires, no daemon runs",
        "fine     hut", "fine     hut/hut_air", "fine     loops", "fine     loops/north_1",
        "fine     meters", "fine     meters/main", "fine     meters/shop",
    ]  # fmt: skip
    assert said.err == ""  # no progress where nobody sees it


def test_a_sensor_at_its_other_address_is_found_there(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.chips = {0x45: sht4x()}  # it acknowledges no bare read: a walk alone would not see it
    file = wired(AIR)
    said = kerbstone("doctor", "--config", file)
    assert said.code == 1
    line = file.read_text().splitlines().index("[device.hut_air]") + 1
    assert f"fault    hut/hut_air (site.toml:{line}): nobody answers at 0x44" in said.out
    assert "\n         set address = 0x45" in said.out


def test_another_chip_at_the_address_is_named(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.chips = {0x76: Bme280({"temperature": 20.0})}
    said = kerbstone(
        "doctor", "--config", wired(AIR.replace('"sht4x"', '"bme688"')), "--json", "hut"
    )
    assert said.code == 1
    assert "at 0x76" in told(said, "hut_air")
    assert 'set driver = "bme280"' in told(said, "hut_air")


def test_a_stuck_bus_is_said_once_and_its_devices_point_to_it(
    kerbstone: Command, wired: Site, air: I2cKernel
) -> None:
    air.fault = errno.ETIMEDOUT
    said = kerbstone("doctor", "--config", wired(AIR), "--json")
    assert said.code == 1
    assert "is stuck: a device holds SCL or SDA low" in told(said, "")
    assert told(said, "hut_air") == "note: it does not answer as long as this is so with hut | "


def test_a_meter_with_another_address_is_found_beside_its_neighbour(
    kerbstone: Command, wired: Site, meters: Rtu
) -> None:
    meters.units = {1: Slave("sdm120", VALUES), 7: Slave("sdm120", VALUES)}
    said = kerbstone("doctor", "--config", wired(QUICK, words=(meters.port,)), "--json")
    assert said.code == 1
    assert json.loads(said.out)["fine"] == ["main"]
    assert "nobody answers as unit 12, but somebody as unit 7" in told(said, "shop")
    assert told(said, "main") == ""


def test_a_meter_with_another_address_is_found_when_it_is_alone(
    kerbstone: Command, wired: Site, meters: Rtu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whynot, "factory_lines", lambda: ())  # a pseudo-terminal has no speed
    meters.units = {7: Slave("sdm120", VALUES)}
    alone = QUICK.partition("[device.shop]")[0]
    file = wired(alone, words=(meters.port,))
    said = kerbstone("doctor", "--config", file, "--json")
    assert said.code == 1
    assert "nobody answers as unit 1, but somebody as unit 7" in told(said, "main")
    assert "set unit = 7" in told(said, "main")
    meters.units = {}
    said = kerbstone("doctor", "--config", wired(QUICK, words=(meters.port,)))
    assert said.code == 1
    assert ": none of its devices answers as configured\n         look first at" in said.out
    assert said.out.count("nobody on this line has answered so far") == 2
    assert "fine" not in said.out


def test_a_silent_meter_beside_one_that_answers_is_no_fault_of_the_line(
    kerbstone: Command, wired: Site, meters: Rtu
) -> None:
    meters.units[12].fault = Fault("silent")
    file = wired(QUICK, words=(meters.port,))
    said = kerbstone("doctor", "--config", file, "--json")
    assert said.code == 1
    assert "fault: unit 12: no answer within" in told(said, "shop")
    assert "unit 1 on this line can be heard" in told(said, "shop")
    assert told(said, "main") + told(said, "") == ""
    assert kerbstone("doctor", "main", "--config", file).code == 0  # the other was not asked about


def test_a_meter_at_another_rate_is_found_by_asking(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whynot, "factory_lines", lambda: ("1200 8N1", "9600 8N1", "2400 8N1"))
    far = Far()

    def reply(asked: bytes) -> bytes:
        if termios.tcgetattr(far.slave)[4] != termios.B2400:
            return b""  # it does not understand another speed, and keeps silent
        count = int.from_bytes(asked[4:6])
        return seal(bytes((asked[0], asked[1], 2 * count)) + bytes(2 * count))

    far.answer(reply)
    unhurried(monkeypatch, far)
    said = kerbstone("doctor", "--config", wired(QUICK, words=(far.path,)), "--json")
    far.close()
    assert said.code == 1
    assert "the device speaks 2400 8N1, and the configuration says 9600 8N1" in told(said, "")
    assert "as long as this is so with meters" in told(said, "main")


def test_a_talker_at_another_rate_is_found_by_listening(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.chips._plantower.SILENT_S", 0.1)
    frame = bytes.fromhex("424d001c" + "0001" * 12 + "0000")
    frame += sum(frame).to_bytes(2)
    far = Far()

    def speak() -> bytes:
        right = termios.tcgetattr(far.slave)[4] == termios.B9600
        return frame if right else bytes.fromhex("f07e80f8")

    far.keep_saying(speak, 0.005)
    dust = '[bus.dust]\nkind = "serial"\nport = "{1}"\nbaud = 2400\n'
    dust += '[device.pm]\ndriver = "pms5003"\nbus = "dust"\n'
    said = kerbstone("doctor", "--config", wired(dust, words=(far.path,)), "--json")
    assert far.heard() == b""  # it was only listened to
    far.close()
    assert said.code == 1
    assert "the device speaks 9600 8N1, and the configuration says 2400 8N1" in told(said, "")


def test_a_device_that_waits_to_be_asked_is_asked_at_its_factory_rate(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.chips.mhz19.ANSWER_S", 0.1)
    far, sensor = Far(), Mhz19({"co2": 612.0}, powered_s=600.0)

    def reply(asked: bytes) -> bytes:
        right = termios.tcgetattr(far.slave)[4] == termios.B9600
        return b"".join(said for _, said in sensor.hear(asked)[1]) if right else b""

    far.answer(reply, 0.02)
    hall = '[bus.hall]\nkind = "serial"\nport = "{1}"\nbaud = 4800\n'
    hall += '[device.co2]\ndriver = "mhz19"\nbus = "hall"\n'
    said = kerbstone("doctor", "--config", wired(hall, words=(far.path,)), "--json")
    far.close()
    assert said.code == 1
    assert "the device speaks 9600 8N1, and the configuration says 4800 8N1" in told(said, "")
    assert "as long as this is so with hall" in told(said, "co2")


def test_a_port_that_is_not_there(kerbstone: Command, wired: Site) -> None:
    said = kerbstone("doctor", "--config", wired(METERS, words=("/dev/ttyNOTHERE",)))
    assert said.code == 1
    assert "/dev/ttyNOTHERE is not there\n         plug the adapter in" in said.out
    assert "nobody has asked it: see meters" in said.out


def test_a_converter_that_is_off_and_a_unit_behind_one_that_is_on(
    kerbstone: Command, wired: Site
) -> None:
    tcp = '[bus.net]\nkind = "modbus-tcp"\nhost = "127.0.0.1"\nport = {1}\ntimeout_s = 0.1\n'
    tcp += '[device.shop]\ndriver = "sdm120"\nbus = "net"\nunit = 12\n'
    server = MeterTcp({3: Slave("sdm120", VALUES)}).start()
    said = kerbstone("doctor", "--config", wired(tcp, words=(server.port,)), "--json")
    server.stop()
    assert "nobody answers as unit 12, but somebody as unit 3" in told(said, "shop")
    assert said.code == 1
    off = kerbstone("doctor", "--config", wired(tcp, words=(1,)), "--json")
    assert off.code == 1
    assert "cannot be reached" in told(off, "")


def test_a_line_that_somebody_holds_and_a_chip_that_is_not_there(
    kerbstone: Command, wired: Site, chip: SimChip
) -> None:
    file = wired(LOOPS.replace('"lead"', '"gone"'))
    said = kerbstone("doctor", "--config", file, "--json")
    assert said.code == 1
    assert "line gone" in told(said, "north_1")
    chip.close()
    said = kerbstone("doctor", "--config", file, "--json")
    assert "no simulator serves" in told(said, "")
    assert "nobody has asked it: see loops" in told(said, "north_1")


def test_a_bay_and_a_contact_of_a_signal_are_looked_at_too(
    kerbstone: Command, wired: Site, chip: SimChip
) -> None:
    said = kerbstone("doctor", "--config", wired(LOOPS, PLACES), "--json")
    assert (said.code, json.loads(said.out)["fine"]) == (0, ["north_green", "north_1", "bakery"])
    assert kerbstone("doctor", "bakery", "--config", wired(LOOPS, PLACES)).code == 0
    file = wired(LOOPS, PLACES.replace('"spare"', '"gone"'))
    said = kerbstone("doctor", "bakery", "--config", file, "--json")
    assert said.code == 1
    assert "line gone" in told(said, "bakery")
    [line] = {f["line"] for f in json.loads(said.out)["findings"] if f["device"] == "bakery"}
    assert file.read_text(encoding="utf-8").split("\n")[line - 1] == "[bay.bakery]"


def test_a_meter_that_refuses_is_another_kind_and_so_it_is_said(
    kerbstone: Command, wired: Site, meters: Rtu
) -> None:
    meters.units[12].fault = Fault("exception", code=2)
    said = kerbstone("doctor", "shop", "--config", wired(QUICK, words=(meters.port,)), "--json")
    assert said.code == 1
    assert "unit 12 refuses: " in told(said, "shop")
    assert "(exception 2)" in told(said, "shop")


@pytest.mark.parametrize(
    ("samples", "severity", "words"),
    [
        ((1.0, Bad(Reason.ADDRESS)), "warning", "1 of 2 points have no value (address): b"),
        ((Bad(Reason.FAULT), Bad(Reason.FAULT)), "fault", "2 of 2 points have no value (fault)"),
        ((Bad(Reason.STALE), Bad(Reason.STALE)), "note", "it has nothing yet"),
    ],
)
def test_points_without_a_value_are_named(
    samples: tuple[Any, ...], severity: str, words: str
) -> None:
    points = tuple(Point(key, Quantity.TEMPERATURE, low=-40, high=80) for key in "ab")
    polled: Any = SimpleNamespace(points=points)
    [found] = of_reading(polled, sweep("x", 0, samples))
    assert found.severity == severity
    assert words in str(found)


# --- use ------------------------------------------------------------------------------------------


def test_wrong_use_and_a_wrong_file_are_2(kerbstone: Command, wired: Site, tmp_path: Path) -> None:
    said = kerbstone("doctor", "shed", "--config", wired(AIR))
    assert said.code == 2
    assert "no bus, device, lane or bay is called 'shed'; there are hut, hut_air" in said.err
    assert kerbstone("doctor", "--config", tmp_path / "none.toml").code == 2


def test_a_bus_that_somebody_works_on_is_not_reached(
    kerbstone: Command, wired: Site, air: I2cKernel, tmp_path: Path
) -> None:
    file, lock = wired(AIR), BusLock(tmp_path / "run", "hut")
    assert lock.take()
    said = kerbstone("doctor", "--config", file, "--json")
    lock.release()
    assert said.code == 3
    assert json.loads(said.out)["not_reached"] == ["hut"]
    assert not air.log


def test_it_ends_in_time_with_what_it_has(
    kerbstone: Command, wired: Site, meters: Rtu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both meters were read in vain, and the search for the reason does not come to an end."""
    meters.units = {}
    searching, over, question = threading.Event(), threading.Event(), first_question

    async def endless(device: Device) -> Any:
        searching.set()
        assert over.wait(60)
        return await question(device)

    class Late(Doctor):
        """The time is over as soon as it searches."""

        @property
        def took_s(self) -> float:
            return 1.3 if searching.is_set() else 0.0

    monkeypatch.setattr("edge.cli.doctor.Doctor", lambda exams: Late(exams, 1.2))
    monkeypatch.setattr(whynot, "first_question", endless)
    monkeypatch.setattr(doctoring, "JOIN_S", 0.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    said = kerbstone("doctor", "--config", wired(QUICK, words=(meters.port,)))
    over.set()
    assert said.code == 1
    assert "no answer within 0.05 s" in said.out
    assert "0 of 1 buses, 0 s  meters: " in said.err  # progress, where somebody sees it
    assert "ended after 1.2 s; this is what was found so far" in said.err
    for looking in [each for each in threading.enumerate() if each.name == "meters"]:
        looking.join()  # it would open its port again, which is the next test's by then


def test_ctrl_c_gives_what_was_found_so_far(
    wired: Site, air: I2cKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it says itself that one bus is done: how long that takes is the machine's affair."""
    air.chips = {0x44: sht4x()}
    busy(air, monkeypatch)
    port, end = os.openpty()  # a port where nobody is: that takes long
    file = wired(AIR, METERS.replace("0.4", "30.0"), words=(os.ttyname(end),))
    os.close(end)  # who holds it open is a finding by itself
    screen, terminal = os.openpty()
    command = [sys.executable, "-c", COMMAND, "doctor", "--config", str(file)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=terminal, text=True
    ) as process:
        os.close(terminal)
        error = shown(screen, "1 of 2 buses")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=25)
    error += shown(screen, None)
    assert process.returncode == 130, f"\n{out}\n{error}"
    assert "fine     hut/hut_air" in out
    assert "found so far" in error
    os.close(port)
    os.close(screen)


def busy(air: I2cKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has other things to do: each answer takes a while."""
    real = air.transfer

    def late(messages: Any) -> Any:
        time.sleep(0.3)
        return real(messages)

    monkeypatch.setattr(air, "transfer", late)


def shown(screen: int, words: str | None) -> str:
    """What comes to a terminal until these words do, or until nobody holds it any more."""
    text = ""
    while words is None or words not in text:
        try:
            text += os.read(screen, 4096).decode()
        except OSError:  # EIO: its other end is closed
            assert words is None, f"it has ended:\n{text}"
            break
    return text


# --- beside the daemon ----------------------------------------------------------------------------


def test_a_running_daemon_is_asked_and_no_wire_is_touched(
    kerbstone: Command, wired: Site, air: I2cKernel, meters: Rtu, chip: SimChip,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    air.chips = {0x44: sht4x()}
    meters.units[12].fault = Fault("silent")
    file = wired(AIR, LOOPS, METERS, words=(meters.port,))
    command = [sys.executable, "-m", "edge.cli.main", "run", str(file)]
    daemon = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    for wire in (SerialWire, SmbusI2c):
        monkeypatch.setattr(wire, "open" if wire is SerialWire else "transfer", _touched)
    try:
        end = time.monotonic() + 20
        while True:
            assert time.monotonic() < end
            time.sleep(0.1)
            if not (tmp_path / "run" / "control.sock").exists():
                continue
            said = kerbstone("doctor", "--config", file, "--json")
            if "no answer" in told(said, "shop") and len(json.loads(said.out)["fine"]) == 3:
                break
        words = kerbstone("doctor", "--config", file)
    finally:
        daemon.terminate()
        daemon.wait(15)
    assert words.code == said.code == 1
    assert words.lines[0] == "through the daemon, no wire was touched"
    assert "fine     hut/hut_air" in words.out
    assert "fine     loops/north_1" in words.out
    assert "can be heard" in told(said, "shop")
    assert told(said, "main") == ""


def _touched(*_: object, **__: object) -> None:
    raise AssertionError("a wire was touched")


STATUS: dict[str, Any] = {
    "devices": {
        "hut_air": {"reads": 3, "missed": 9, "state": "ok", "health": {"heater": "it is broken"}}
    },
    "problems": {"line lead": "line lead of x is held by y: stop that program"},
    "dropped": 2,
}


def test_what_the_daemon_knows_is_told(
    kerbstone: Command, wired: Site, chip: SimChip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.cli.doctor.ask", lambda *_: STATUS)
    file = wired(AIR, LOOPS, METERS, words=("/dev/ttyNOTHERE",))
    said = kerbstone("doctor", "--config", file, "--json")
    assert said.code == 1
    assert "warning: it is broken" in told(said, "hut_air")
    assert "the bus is too slow for every_s = 1: 9 readings were left out" in told(said, "hut_air")
    assert "held by y | stop that program" in told(said, "north_1")
    assert "the running daemon does not know it" in told(said, "main")
    assert "/dev/ttyNOTHERE is not there" in told(said, "")
    assert "2 pieces of news were dropped" in told(said, "")
    assert "dropped" not in kerbstone("doctor", "hut", "--config", file).out


def test_the_console_and_the_group_of_the_daemon_s_user_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyAMA0"
    port.touch()
    port.chmod(0o660)
    mine = port.stat()
    shut = bedside.User("kerbstone", mine.st_uid + 1, frozenset({mine.st_gid + 1}))
    let_in = bedside.User("kerbstone", mine.st_uid + 1, frozenset({mine.st_gid}))
    assert let_in.shut_out(str(port)) == []
    [found] = shut.shut_out(str(port))
    assert f"kerbstone is not in the group {node(str(port)).group}" in found.sentence
    monkeypatch.setattr(bedside, "consoles", lambda cmdline: [str(port)])
    [found] = bedside.beside(SerialBus(port=str(port)), None)
    assert "the kernel writes its messages to" in found.sentence


def test_a_daemon_that_cannot_be_asked_is_not_reachable(
    kerbstone: Command, wired: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shut(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("edge.cli.doctor.ask", shut)
    assert kerbstone("doctor", "--config", wired(AIR)).code == 3


@pytest.mark.parametrize(
    ("text", "sentence", "remedy"),
    [
        ("/x: nothing came within 1 s: is it on", "/x: nothing came within 1 s", "is it on"),
        ("unit 5: exception 2", "unit 5: exception 2", ""),
        ("it is stuck: held low; switch it off", "it is stuck: held low", "switch it off"),
    ],
)
def test_a_driver_s_error_is_sentence_and_remedy(text: str, sentence: str, remedy: str) -> None:
    found = parted("fault", text)
    assert (found.sentence, found.remedy) == (sentence, remedy)


def test_the_page_for_technicians_quotes_what_is_said() -> None:
    """Each sentence of its table is in the code, but for the names and numbers in it."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("drivers/buses", "edge/app")
        for path in sorted((ROOT / folder).rglob("*.py"))
    )
    code = re.sub(r"""["']\s*(?:#.*)?\n\s*f?["']""", "", code)  # a sentence over several lines
    code = re.sub(r"\{[^{}]*\}", "...", code)
    page = (ROOT / "docs/doctor.md").read_text(encoding="utf-8")
    table = page.partition("|---|---|\n")[2].partition("\n\n")[0].splitlines()
    said = [row.split("|")[1].strip() for row in table if "**" not in row]
    assert len(said) > 25
    parts = [part for one in said for part in re.split(r"; |\.\.\.|\(\w+\)$", one)]
    missing = [p for part in parts if len(p := part.strip(" ,:")) > 3 and p not in code]
    assert missing == []
