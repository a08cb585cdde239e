"""`kerbstone sim`: every driver's counterpart runs alone, and the real driver reads it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import drivers
from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_port import SerialPort
from drivers.chips import iec62056
from drivers.meters.register_map import list_maps
from drivers.sim import simrunner
from drivers.sim._responder import Responder
from drivers.sim.i2c import Nack
from edge.cabinet.simrequest import sim_request
from edge.cli.sim import site_tables
from edge.core import Bad, Reason, Sample, UncertainValue
from tests.kit.command import Command
from tests.kit.serialport import waiting

POLLED = [name for name in drivers.names() if drivers.spec(name).wiring != "gpio"]
FAST = 115_200  # a pseudo-terminal has no speed; what a port waits between frames goes by it
SLOW = ("iec62056",)  # it looks at the speed that the other side has set
UNTOLD = ("canoga", "sgp41")  # what it measures is not what the driver makes of it
READS = 12
BRIEF = {"sgp41": {"condition_reads": 1}}  # each takes half a second, whatever the clock says
NOT_YET = {Reason.WARMUP, Reason.STALE}
CALM = NOT_YET | {Reason.ADDRESS}  # no fault: not yet, or not in this device


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated devices that would take minutes see their time fly."""
    for names, more in (
        (("scd41", "mhz19", "sps30_uart", "sen55", "sen66", "sps30"), {"clock": _flying}),
        (("pms3003", "pms5003", "pms5003t", "pms7003"), {"every_s": 0.02}),
        (("sml", "dsmr", "iec62056_push"), {"every_s": 0.02}),
        (("sds011", "zh03b"), {"every_s": 0.1}),
        (("iec62056",), {"reaction_s": 0.0, "follows_s": 20.0}),
    ):
        for name in names:
            monkeypatch.setitem(simrunner.MORE, name, more)


class HurriedI2c(SmbusI2c):
    """For a chip whose time flies: what it needs is over sooner, if by less than its clock says."""

    async def transfer(
        self, address: int, write: bytes = b"", read: int = 0, wait_s: float = 0.0
    ) -> bytes:
        return await super().transfer(address, write, read, wait_s / 10)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Responder]:
    """Those who wait to be asked and run. A port that knows them lets them hear to the end before
    it changes its speed: the driver need not wait for that, too."""
    found: list[Responder] = []
    start = Responder.start

    def started(self: Responder, fd: int = -1) -> None:
        found.append(self)
        start(self, fd)

    monkeypatch.setattr(Responder, "start", started)
    monkeypatch.setattr(iec62056, "ACK_S", 0.01)
    return found


def _flying() -> float:
    return 30.0 * time.monotonic()


@pytest.mark.parametrize("name", POLLED)
async def test_every_driver_reads_its_counterpart(
    name: str, tmp_path: Path, played: list[Responder]
) -> None:
    spec = drivers.spec(name)
    wish = sim_request(spec, {})
    on = {"i2c": f"i2c:{tmp_path}/bus", "serial": "pty", "modbus": "pty"}[spec.wiring]
    with simrunner.run_sim(wish, on) as found:
        bus = _bus(found.bus, name, waiting(played[0]) if played else SerialPort)
        try:
            options = {k: v for k, v in found.options.items() if k in spec.options}
            device: Any = drivers.build(name, bus, {**options, **BRIEF.get(name, {})})
            samples = await _settled(device, 3 if name in BRIEF else READS)
        finally:
            bus.close()
    wrong = {
        p.key: s
        for p, s in zip(device.points, samples, strict=True)
        if isinstance(s, Bad) and s.reason not in CALM
    }
    assert not wrong
    good = {
        p.key: s.value if isinstance(s, UncertainValue) else s
        for p, s in zip(device.points, samples, strict=True)
        if not isinstance(s, Bad)
    }
    reported = simrunner.measured_values(wish)
    same = [
        k
        for k in good
        if k in reported and good[k] == pytest.approx(reported[k], rel=0.02, abs=0.6)
    ]
    assert same or name in UNTOLD
    assert len(good) >= len(device.points) / 3


async def test_a_meter_is_read_over_tcp() -> None:
    wish = sim_request(drivers.spec("sdm630"), {"voltage_l1": 241.0}, address="7")
    with simrunner.run_sim(wish, "tcp") as found:
        bus = _bus(found.bus, "sdm630")
        device: Any = drivers.build("sdm630", bus, dict(found.options))
        samples = await device.read()
        bus.close()
    keys = [p.key for p in device.points]
    assert samples[keys.index("voltage_l1")] == pytest.approx(241.0)


def test_it_runs_on_a_port_until_it_is_told_to_end(tmp_path: Path) -> None:
    """On one end of a cable, here a pair of pseudo-terminals, as on a real adapter."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "edge.cli.main", "sim", "mhz19"]
    command += ["--on", os.ttyname(theirs), "--value", "co2=700", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        reported = json.loads(process.stdout.readline())
        assert reported["at"] == os.ttyname(theirs)
        os.write(ours, bytes.fromhex("ff0186000000000079"))
        answer = b""
        while len(answer) < 9:
            answer += os.read(ours, 9)
        assert answer[:2] == b"\xff\x86"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    os.close(ours)
    os.close(theirs)


def test_it_lists_its_faults_and_refuses_others(kerbstone: Command) -> None:
    assert "first_byte" in kerbstone("sim", "canoga", "--faults").lines
    said = kerbstone("sim", "sht4x", "--on", "i2c", "--fault", "crcc")
    assert said.code == 2
    assert "choose from silent, crc" in said.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nothing", "--on", "pty"), "no driver is called 'nothing'"),
        (("sht4x",), "give the place of the device with --on: i2c"),
        (("sht4x", "--on", "pty"), "does not fit a device wired by i2c"),
        (("sht4x", "--on", "/dev/i2c-1"), "a computer cannot play the device"),
        (("sdm120", "--on", "tcp:x"), "write tcp:HOST:PORT"),
        (("sdm120", "--on", "pty", "--value", "voltage=3"), "has no point 'voltage'"),
        (("sdm120", "--on", "pty", "--value", "voltage_l1"), "write it as"),
        (("sdm120", "--on", "pty", "--address", "248"), "a Modbus unit is 1 to 247"),
        (("sdm120", "--on", "pty", "--line", "fast"), "is not of the form 9600 8N1"),
        (("mhz19", "--on", "pty", "--address", "2"), "mhz19 has no address"),
        (("sdm120", "--on", "pty", "--line", "9600 5N1"), "7 or 8 bits"),
        (("sdm120", "--on", "pty", "--line", "9600 8X1"), "parity N, E or O"),
        (("sdm120", "--on", "pty", "--line", "9600 8N3"), "1 or 2 stop bits"),
        (("sdm120", "--on", "pty", "--line", "0 8N1"), "a port has 300, 600"),
        (("sdm120", "--on", "pty", "--line", "9600 7E1"), "Modbus has 8 bits"),
        (("sdm120", "--on", "tcp:0.0.0.0:99999"), "a TCP port is 1 to 65535"),
        (("sdm120", "--on", "tcp:0.0.0.0:²"), "write tcp:HOST:PORT"),
        (("pms5003", "--on", "pty", "--value", "pm2_5=nan"), "a finite number"),
        (("pms5003", "--on", "pty", "--value", "pm2_5=inf"), "a finite number"),
        (("mbus", "--on", "pty", "--value", "power=1e30"), "power=1e+30 cannot be sent"),
        (("sml", "--on", "pty", "--value", "energy_import=-5"), "cannot be sent"),
        (("sdm120", "--on", "pty", "--value", "voltage_l1=1e300"), "cannot be sent"),
        (("dlt645", "--on", "pty", "--value", "voltage_l1=5000"), "cannot be sent"),
        (("dlms", "--on", "pty", "--value", "voltage_l1=-1"), "cannot be sent"),
        (("iec62056", "--on", "pty", "--value", "voltage_l1=5000"), "cannot be sent"),
        (("dsmr", "--on", "pty", "--value", "voltage_l1=5000"), "cannot be sent"),
        (("canoga", "--on", "pty", "--address", "99"), "0 to 15 (slot) or 128"),
        (("mbus", "--on", "pty", "--address", "300"), "mbus has 0 to 250"),
        (("dlt645", "--on", "pty", "--address", "abc"), "the 12 digits"),
        (("sht4x", "--on", "i2c", "--address", "0x50"), "sht4x has 0x44 to 0x46"),
        (("sen66", "--on", "i2c", "--address", "0x50"), "sen66 is always at 0x6b"),
        (("sen66", "--on", "i2c", "--address", "x"), "write a number"),
        (("s0", "--on", "gpio", "--address", "17"), "such as GPIO17"),
    ],
)
def test_wrong_wishes_say_what_would_be_right(
    kerbstone: Command, words: tuple[str, ...], text: str
) -> None:
    said = kerbstone("sim", *words)
    assert said.code == 2
    assert text in said.err


def test_a_port_that_is_not_there_is_wrong_use(kerbstone: Command) -> None:
    said = kerbstone("sim", "mhz19", "--on", "/dev/ttyNOTHERE")
    assert said.code == 2
    assert said.err == (
        "kerbstone sim: /dev/ttyNOTHERE is not there: plug the adapter in, or give another place "
        "with --on\n"
    )


@pytest.mark.parametrize("name", POLLED)
def test_what_it_cannot_tell_is_refused_and_nothing_else_falls(name: str, tmp_path: Path) -> None:
    """Whatever is not refused at the start must not be the end of a thread later."""
    spec = drivers.spec(name)
    reported = simrunner.measured_values(sim_request(spec, {}))
    for key in list(reported)[:3] + list(reported)[-1:]:
        for value in (1e300, -1e300, 1e9, -1.0, 0.0):
            on = f"i2c:{tmp_path}/bus" if spec.wiring == "i2c" else "pty"
            try:
                wish = sim_request(spec, {key: value})
                simrunner.check_request(wish, on)
            except ValueError as error:
                assert key in str(error)  # noqa: PT017
                continue
            if spec.wiring == "i2c":
                chip = import_module(f"drivers.sim.{name}").CHIP(simrunner.measured_values(wish))
                with contextlib.suppress(Nack):
                    chip.read(2)


def test_a_device_that_falls_ends_the_command(
    kerbstone: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def speak(self: object) -> bytes:
        raise RuntimeError("no more words")

    monkeypatch.setattr("drivers.sim.pms5003.Pms5003.speak", speak)
    said = kerbstone("sim", "pms5003", "--on", "pty")
    assert said.code == 3
    assert "the simulated pms5003 has failed: RuntimeError: no more words" in said.err


@pytest.mark.parametrize("name", drivers.names())
def test_what_it_prints_is_in_order(kerbstone: Command, tmp_path: Path, name: str) -> None:
    spec = drivers.spec(name)
    kind = {"modbus": "tcp", "serial": "pty", "gpio": f"gpio:{tmp_path}/x"}
    wish = sim_request(spec, {})
    with simrunner.run_sim(wish, kind.get(spec.wiring, f"i2c:{tmp_path}/x")) as found:
        text = site_tables(spec, found, wish.line)
    site = tmp_path / "site.toml"
    head = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\nconfirm = "broker"\n'
    site.write_text(head + text, encoding="utf-8")
    checked = kerbstone("check", site)
    assert checked.code == 0, checked.err


def test_a_second_gas_meter_is_a_point_of_the_configuration_that_is_printed(
    kerbstone: Command, tmp_path: Path
) -> None:
    spec = drivers.spec("dsmr")
    wish = sim_request(spec, {"gas_volume_2": 12.5})
    with simrunner.run_sim(wish, "pty") as found:
        text = site_tables(spec, found, wish.line)
    assert 'gas = ["S00300000000", "S00300000003"]' in text
    site = tmp_path / "site.toml"
    head = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\nconfirm = "broker"\n'
    for more, code, says in (
        ("", 0, "gas_volume_2"),
        ('points = ["gas_volume_2"]\n', 0, '["gas_volume_2"]'),
        ('points = ["gas_volume_3"]\n', 2, "did you mean 'gas_volume_2'?"),
    ):
        site.write_text(head + text + more, encoding="utf-8")
        checked = kerbstone("check", site, "--json")
        assert checked.code == code, checked.err
        assert says in json.dumps(json.loads(checked.out))


def test_read_says_what_a_device_says_of_itself(kerbstone: Command, tmp_path: Path) -> None:
    """A P1 port with two gas meters: while nobody has named them, and then."""
    spec = drivers.spec("dsmr")
    wish = sim_request(spec, {"gas_volume": 734.607, "gas_volume_2": 12.5})
    site = tmp_path / "site.toml"
    head = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\nconfirm = "broker"\n'
    store = f'[store]\ndir = "{tmp_path}/store"\nrun_dir = "{tmp_path}/run"\n'
    with simrunner.run_sim(wish, "pty") as found:
        text = site_tables(spec, found, wish.line)
        site.write_text(head + store + text.replace("\ngas = ", "\n# gas = "), encoding="utf-8")
        plain = kerbstone("read", "dsmr", "--config", site)
        reported = json.loads(kerbstone("read", "dsmr", "--config", site, "--json").out)
        site.write_text(head + store + text, encoding="utf-8")
        named = json.loads(kerbstone("read", "dsmr", "--config", site, "--json").out)
    assert "settings: 2 gas meters are behind this port" in plain.out
    assert "S00300000000" in reported["health"]["settings"]
    values = {row["point"]: row for row in reported["readings"]}
    assert (values["gas_volume"]["value"], values["gas_volume"]["quality"]) == (
        None, "bad:contradicted"
    )  # fmt: skip
    values = {row["point"]: row for row in named["readings"]}
    assert "health" not in named
    assert values["gas_volume"]["value"] == 734.607
    assert values["gas_volume_2"]["value"] == 12.5


def test_a_second_bus_has_a_name_of_its_own(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for wiring, name in (("i2c", "sht4x"), ("gpio", "s0")):
        wish = sim_request(drivers.spec(name), {})
        with simrunner.run_sim(wish, wiring) as one, simrunner.run_sim(wish, wiring) as other:
            assert one.bus != other.bus
        (tmp_path / f"kerbstone-sim-{name}.sock").touch()  # somebody's file is not ours to take
        with simrunner.run_sim(wish, wiring) as one:
            assert one.bus == other.bus
    with simrunner.run_sim(sim_request(drivers.spec("sht4x"), {}), f"i2c:{tmp_path}/mine"):
        said = kerbstone("sim", "sht4x", "--on", f"i2c:{tmp_path}/mine")
    assert said.code == 2
    assert said.err == (
        f"kerbstone sim: {tmp_path}/mine is in use by another program or simulation: end that, or "
        "give another place with --on\n"
    )


@pytest.mark.parametrize("name", ["loop", "s0", "contact"])
def test_contacts_are_played_on_a_simulated_chip(name: str, tmp_path: Path) -> None:
    with simrunner.run_sim(sim_request(drivers.spec(name), {}), f"gpio:{tmp_path}/chip") as found:
        assert found.bus == {"kind": "gpio", "chip": f"sim:{tmp_path}/chip"}
        assert Path(f"{tmp_path}/chip").exists()


@pytest.mark.parametrize("name", POLLED)
def test_every_counterpart_runs_with_every_fault_that_it_names(name: str, tmp_path: Path) -> None:
    spec = drivers.spec(name)
    known = simrunner.list_faults(name, spec.wiring, name in list_maps())
    assert "silent" in known
    for fault in known:
        on = f"i2c:{tmp_path}/bus" if spec.wiring == "i2c" else "pty"
        with simrunner.run_sim(sim_request(spec, {}, fault), on):
            pass


def _bus(keys: Any, name: str, port: type[SerialPort] = SerialPort) -> Any:
    match keys["kind"]:
        case "i2c":
            flies = simrunner.MORE.get(name, {}).get("clock") is _flying
            return (HurriedI2c if flies else SmbusI2c)(keys["path"])
        case "modbus-tcp":
            return ModbusTcp(keys["host"], keys["port"])
        case "modbus-rtu":
            return ModbusRtu(SerialPort(keys["port"], FAST))
    baud = 300 if name in SLOW else FAST
    return port(keys["port"], baud)


async def _settled(device: Any, reads: int) -> tuple[Sample, ...]:
    """Read until it has something to tell."""
    await device.open()
    samples: tuple[Sample, ...] = ()
    for _ in range(reads):
        samples = await device.read()
        if not any(isinstance(s, Bad) and s.reason in NOT_YET for s in samples):
            break
        await asyncio.sleep(0.05)
    await device.close()
    return samples
