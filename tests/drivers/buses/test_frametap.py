"""Each kind of bus writes down what goes over its wire while somebody looks, and no longer."""

import time
from pathlib import Path

import pytest

from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus import ModbusRtu, ModbusTcp
from drivers.buses.serial_port import SerialPort
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter import MeterLine, MeterServer, MeterTcp
from drivers.sim.sen55 import Sen55
from edge.core import BusError
from edge.core.frametap import ASKED_NS, FrameTap
from tests.kit.serialport import FarEnd, waiting

VALUES = {
    "pm1_0": 1.0, "pm2_5": 1.0, "pm4_0": 1.0, "pm10": 1.0, "humidity": 50.0, "temperature": 20.0,
    "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
QUESTION = bytes.fromhex("010400000002 71cb")


def units() -> dict[int, MeterServer]:
    return {1: MeterServer("sdm120", {"voltage_l1": 230.5, "frequency": 50.0})}


async def test_modbus_rtu_question_and_answer_are_two_frames() -> None:
    line = MeterLine(units(), baud=38_400).start()
    bus = ModbusRtu(waiting(line)(line.path, 38_400), timeout_s=1.0, link_delay_s=0.3)
    bus.tap = tap = FrameTap(time.monotonic_ns())
    try:
        found = await bus.read_registers(1, 4, 0, 2)
    finally:
        bus.close()
        line.stop()
    out, answer = tap.frames()
    assert (out.way, out.data) == ("out", QUESTION)
    assert answer.way == "in"
    assert answer.data[3:7] == found


async def test_modbus_tcp_question_and_answer_are_two_frames() -> None:
    server = MeterTcp(units()).start()
    bus = ModbusTcp(server.host, server.port, 10.0)
    bus.tap = tap = FrameTap(time.monotonic_ns())
    try:
        found = await bus.read_registers(1, 4, 0, 2)
    finally:
        bus.close()
        server.stop()
    out, answer = tap.frames()
    assert (out.way, answer.way) == ("out", "in")
    assert out.data.endswith(QUESTION[:6])
    assert answer.data.endswith(found)


async def test_a_serial_line_that_talks_by_itself_is_heard() -> None:
    far = FarEnd()
    port = SerialPort(far.path, 9600)
    port.tap = tap = FrameTap(time.monotonic_ns())
    try:
        port.open()
        far.say(b"telegram!")
        await port.frame(lambda data: (data, len(data)) if b"!" in data else (None, 0), 10.0)
    finally:
        port.close()
        far.close()
    assert [(each.way, each.data) for each in tap.frames()] == [("in", b"telegram!")]


async def test_i2c_has_each_message_with_its_address_and_says_who_did_not_answer(
    tmp_path: Path,
) -> None:
    server = I2cServer(I2cKernel({0x69: Sen55(VALUES, powered_s=86_400)}), tmp_path / "i2c.sock")
    server.start()
    bus = SmbusI2c(f"sim:{tmp_path}/i2c.sock")
    bus.tap = tap = FrameTap(time.monotonic_ns())
    try:
        await bus.transfer(0x69, b"\xd0\x33", read=9, wait_s=0.05)  # its serial number
        with pytest.raises(BusError):
            await bus.transfer(0x40, b"\x00")
    finally:
        bus.close()
        server.stop()
    asked, answer, nobody = tap.frames()
    assert (asked.way, asked.data, asked.note) == ("out", b"\xd0\x33", "0x69")
    assert (answer.way, answer.size, answer.note) == ("in", 9, "0x69")
    assert nobody.way == "error"
    assert nobody.note.startswith("0x40: ")


async def test_a_bus_forgets_its_tap_when_nobody_asks_any_more(tmp_path: Path) -> None:
    server = MeterTcp(units()).start()
    bus = ModbusTcp(server.host, server.port, 10.0)
    bus.tap = tap = FrameTap(time.monotonic_ns() - 2 * ASKED_NS)
    try:
        await bus.read_registers(1, 4, 0, 2)
    finally:
        bus.close()
        server.stop()
    assert bus.tap is None
    assert tap.frames() == []
