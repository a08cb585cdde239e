"""Scanning Modbus units: each table's meter is known, others are told, collisions are seen."""

import contextlib
import socket
import threading
from typing import Any

import pytest

import drivers
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_port import SerialPort
from drivers.scan import meters
from drivers.scan.found import Findings, Pace
from drivers.sim import simrunner
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.meter_server import MeterServer, UnitFault
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.typical import typical
from edge.cabinet.simrequest import sim_request
from edge.core import BusError
from tests.drivers.scan.played import no_tick

TABLES = sorted(name for name in drivers.names() if drivers.spec(name).wiring == "modbus")
TWINS = {"umg96rm": "janitza_b23", "em24_e1": "em340", "sdm230": "sdm120"}  # the same registers


@pytest.mark.parametrize("name", TABLES)
async def test_a_meter_is_known_by_its_registers(name: str) -> None:
    with simrunner.run_sim(sim_request(drivers.spec(name), {}), "tcp") as found:
        bus = ModbusTcp(found.bus["host"], found.bus["port"], 1.0)
        reported = await meters.identify_unit(bus, 1)
        bus.close()
    assert reported is not None
    assert name in (reported.driver, *reported.also)
    assert reported.driver in (name, TWINS.get(name)), reported


async def test_a_model_that_stands_in_its_registers_is_not_doubted() -> None:
    points = drivers.build("em24_e1", None, {"unit": 1}).points  # type: ignore[union-attr]
    slave = MeterServer("em24_e1", typical(points))
    plain = slave.image

    def image(function: int) -> Any:
        return {**plain(function), 0x000B: (0, (1650).to_bytes(2))}

    slave.image = image  # type: ignore[method-assign]
    server = MeterTcp({1: slave}).start()
    bus = ModbusTcp(server.host, server.port, 1.0)
    reported = await meters.identify_unit(bus, 1)
    bus.close()
    server.stop()
    assert reported is not None
    assert (reported.driver, reported.also) == ("em24_e1", ())


async def test_a_unit_that_no_table_fits_is_told_and_a_damaged_answer_too() -> None:
    rows = {key: {"address": at, "type": "u16"} for key, at in (("level", 0), ("other", 9))}
    table = {"function": 3, "words": "big", "max_registers": 10, "points": rows}
    units = {number: MeterServer(table, {"level": 5.0}) for number in (2, 3)}
    units[2].fault = UnitFault("crc")
    findings = Findings()
    with MeterRtu(units) as line:
        bus = ModbusRtu(SerialPort(line.port, 115_200), 0.1)
        pace = Pace(units=(1, 2, 3))
        assert await meters.scan_units(bus, "9600 8N1", pace, findings, no_tick)
        bus.close()
    damaged, stranger = findings.unknown
    assert "two devices with one address" in damaged
    assert stranger.startswith("unit 3 answers at 9600 8N1, and no meter that this program knows")
    assert not findings.devices


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x03\x02\x00\x07\xf8\x46"]
)
async def test_a_server_that_is_no_modbus_ends_its_place_with_one_sentence(said: bytes) -> None:
    questions = 0

    def serve(listener: socket.socket) -> None:
        nonlocal questions
        with contextlib.suppress(OSError):
            while True:
                link, _ = listener.accept()
                with link:
                    while link.recv(64):
                        questions += 1
                        link.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        bus = ModbusTcp("127.0.0.1", listener.getsockname()[1], 0.3)
        findings = Findings()
        with pytest.raises(BusError, match="answers, but not in Modbus TCP"):
            await meters.scan_units(bus, "", Pace(), findings, no_tick)
        bus.close()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
    assert questions == 1
    assert not findings.unknown


async def test_one_damaged_answer_among_good_ones_does_not_end_a_converter() -> None:
    slaves = {
        unit: MeterServer("sdm120", {"voltage_l1": 230.0, "frequency": 50.0}) for unit in (1, 2)
    }
    slaves[2].fault = UnitFault("crc")
    server = MeterTcp(slaves).start()
    bus = ModbusTcp(server.host, server.port, 1.0)
    findings = Findings()
    assert await meters.scan_units(bus, "", Pace(units=(1, 2)), findings, no_tick)
    bus.close()
    server.stop()
    (text,) = findings.unknown
    assert text.startswith("unit 2: ")
    assert "two devices" not in text


async def test_a_unit_that_falls_silent_is_left_alone() -> None:
    slave = MeterServer("sdm120", {"voltage_l1": 230.0, "frequency": 50.0})
    slave.fault = UnitFault("silent")
    with MeterRtu({1: slave}) as line:
        bus = ModbusRtu(SerialPort(line.port, 115_200), 0.02)
        assert await meters.identify_unit(bus, 1) is None
        assert line.asked <= meters.SILENCES
        bus.close()


async def test_three_phases_with_hardly_a_load_are_three_phases() -> None:
    idle = {f"voltage_l{phase}": 230.0 for phase in (1, 2, 3)}
    slave = MeterServer("sdm630", {**idle, "frequency": 50.0, "current_l1": 0.4, "power": 90.0})
    with MeterRtu({1: slave}) as line:
        bus = ModbusRtu(SerialPort(line.port, 115_200), 0.2)
        found = await meters.identify_unit(bus, 1)
        bus.close()
    assert found is not None
    assert found.driver == "sdm630"
