import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.buses.modbus import ModbusRtu, ModbusTcp
from drivers.buses.modbus.frame import append_crc
from drivers.buses.serial_port import SerialPort
from drivers.chips.sunspec import SunSpec
from drivers.meters.register_map import ModbusDevice, load_register_map
from drivers.sim.meter import MeterLoad, MeterServer
from drivers.sim.meter_line import checksum

ROOT = Path(__file__).parents[3]


def test_both_sides_agree_on_a_published_frame_without_sharing_code() -> None:
    frame = bytes.fromhex("01040046000a91d8")
    assert frame[:-2] + checksum(frame[:-2]) == frame == append_crc(frame[:-2])


def test_a_meter_refuses_what_it_has_not() -> None:
    slave = MeterServer("sdm630", {}, serial=0x12345678, gaps="refuse")

    def read(function: int, address: int, count: int) -> bytes:
        pdu = bytes((function,)) + address.to_bytes(2, "big") + count.to_bytes(2, "big")
        reply = slave.answer(1, pdu)
        assert reply is not None
        return reply.pdu

    assert read(4, 0, 2) == bytes((4, 4, 0, 0, 0, 0))
    assert read(4, 0, 1) == bytes((0x84, 2))  # half a value
    assert read(4, 1, 2) == bytes((0x84, 2))
    assert read(4, 0x2A, 4) == bytes((0x84, 2))  # over a hole
    assert read(4, 0, 82) == bytes((0x84, 3))  # more than 80
    assert read(6, 0, 2) == bytes((0x86, 1))
    assert read(3, 0xFC00, 2) == bytes.fromhex("0304 12345678")
    slave.swap(7)
    assert read(3, 0xFC00, 2) == bytes.fromhex("0304 00000007")


def test_a_reset_sets_the_registers_back() -> None:
    now_s = [0.0]
    house = MeterLoad(1, clock=lambda: now_s[0])
    house.reset(kwh=1000.0)
    now_s[0] = 600.0
    before = house.values()
    assert before["energy_import"] > 1000.1
    house.reset()
    assert house.values()["energy_import"] == 0
    now_s[0] = 1200.0
    assert house.values()["energy_import"] == pytest.approx(
        before["energy_import"] - 1000, rel=0.02
    )


async def test_as_a_program_on_a_pseudo_terminal(tmp_path: Path) -> None:
    link, values = tmp_path / "meters", tmp_path / "values.json"
    values.write_text(json.dumps({"voltage_l1": 230.5, "energy_import": 99.25}))
    command = [sys.executable, "-m", "drivers.sim.meter", "--table", "sdm120", "--pty", "--link"]
    command += [str(link), "--baud", "38400", "--parity", "E", "--units", "2,4-5"]
    command += ["--values", str(values), "--fault", "4:silent"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sim:
        assert sim.stdout is not None
        ready = json.loads(sim.stdout.readline())
        assert ready == {
            "link": str(link)
        }  # the number alone is not opened: the mark is the link's
        assert os.path.realpath(link).startswith("/dev/pts/")
        bus = ModbusRtu(SerialPort(str(link), 38_400, "E"), timeout_s=5.0)
        meter = ModbusDevice(bus, load_register_map("sdm120"), 5)
        got = dict(zip((p.key for p in meter.points), await meter.read(), strict=True))
        assert (got["voltage_l1"], got["energy_import"]) == (230.5, 99.25)
        bus.close()
        sim.send_signal(signal.SIGTERM)
        held = json.loads(sim.stdout.readline())["held"]
        assert held["5"]["energy_import"] == 99.25
        assert sim.wait(60) == 0
    assert not link.exists()


async def test_as_a_program_at_an_endpoint() -> None:
    command = [sys.executable, "-m", "drivers.sim.meter", "--tcp", "127.0.0.1:0", "--kwh", "50"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sim:
        assert sim.stdout is not None
        ready = json.loads(sim.stdout.readline())
        bus = ModbusTcp(ready["host"], ready["port"], timeout_s=20.0)
        meter = ModbusDevice(bus, load_register_map("sdm630"), 1)
        got = dict(zip((p.key for p in meter.points), await meter.read(), strict=True))
        assert got["energy_import"] == pytest.approx(50, abs=0.1)
        bus.close()
        sim.send_signal(signal.SIGTERM)
        assert sim.wait(60) == 0


async def test_as_a_program_with_the_models_of_sunspec() -> None:
    command = [sys.executable, "-m", "drivers.sim.meter", "--tcp", "127.0.0.1:0"]
    command += ["--table", "sunspec", "--model", "213", "--units", "9", "--kwh", "50"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as sim:
        assert sim.stdout is not None
        ready = json.loads(sim.stdout.readline())
        bus = ModbusTcp(ready["host"], ready["port"], timeout_s=20.0)
        meter = SunSpec(bus, 9)
        await meter.open()
        got = dict(zip((p.key for p in meter.points), await meter.read(), strict=True))
        assert got["energy_import"] == pytest.approx(50, abs=0.1)
        assert meter.identity == "9"
        bus.close()
        sim.send_signal(signal.SIGTERM)
        assert sim.wait(60) == 0
