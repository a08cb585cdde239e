"""The simulated DL/T 645 meter on its pseudo-terminal, and the package dlt645 as a peer of both."""

import select
from collections.abc import Iterator

import pytest

from drivers.buses.serial_port import SerialPort
from drivers.chips import _dlt645 as wire
from drivers.chips import dlt645 as chip
from drivers.chips.dlt645 import Dlt645 as Driver
from drivers.sim._responder import SharedLine
from drivers.sim.dlt645 import FAULTS, Dlt645
from edge.core import Bad, BusError, DataError, Reason
from tests.kit.serialport import PtyPair, waiting

FAST = 115200  # what a port waits between frames goes by its speed; a pty has none
ADDRESS = "202311250042"
WIRE_ORDER = "420025112320"  # the peer takes an address as its bytes follow each other
VALUES = {
    "energy_import": 1234.56,
    "energy_export": 0.78,
    "energy_combined": -1.0,
    **{f"voltage_l{n}": 230.1 + n for n in (1, 2, 3)},
    **{f"current_l{n}": -1.25 * n for n in (1, 2, 3)},
    **{f"{kind}power{part}": 851.2 for kind in ("", "reactive_", "apparent_")
       for part in ("", "_l1", "_l2", "_l3")},
    **{f"power_factor{part}": -0.95 for part in ("", "_l1", "_l2", "_l3")},
    "frequency": 49.98,
}  # fmt: skip


@pytest.fixture
def meter() -> Iterator[Dlt645]:
    with Dlt645(VALUES, ADDRESS, turnaround_s=0.0) as made:
        yield made


@pytest.fixture
def port(meter: Dlt645) -> Iterator[SerialPort]:
    made = waiting(meter)(meter.port, FAST, "E")
    yield made
    made.close()


async def test_what_it_holds_is_what_is_read(meter: Dlt645, port: SerialPort) -> None:
    for address in ("", ADDRESS):
        device = Driver(port, address)
        await device.open()
        found = dict(zip([p.key for p in device.points], await device.read(), strict=True))
        assert {k: found[k] for k in VALUES} == pytest.approx(VALUES)
        assert {s for k, s in found.items() if k not in VALUES} == {Bad(Reason.ADDRESS)}  # tariffs
        assert device.identity == ADDRESS


async def test_its_faults_are_seen_and_it_recovers(
    meter: Dlt645, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chip, "ANSWER_S", 0.05)
    meter.late_s = 3600.0
    device = Driver(port, ADDRESS)
    await device.open()
    good = await device.read()
    harmless = {"echo", "noise"}
    for fault in FAULTS:
        meter.faults.extend(["", fault])
        found = await device.read()
        assert found[0] == good[0]
        export = [p.key for p in device.points].index("energy_export")
        assert (found[export] == good[export]) is (fault in harmless), fault
        if fault == "late":  # its answer comes between two reads
            meter.hurry()
            assert select.select([port._fd], [], [], 20.0)[0]
        assert await device.read() == good
    meter.fault = "silent"
    with pytest.raises(BusError):
        await device.read()


async def test_two_on_one_line(meter: Dlt645) -> None:
    other = Dlt645({"energy_import": 5}, "000000000007", turnaround_s=0.0)
    with SharedLine([other, Dlt645(VALUES, ADDRESS, turnaround_s=0.0)]) as line:
        port = waiting(line)(line.port, FAST, "E")
        for address, energy in ((ADDRESS, 1234.56), ("000000000007", 5.0)):
            device = Driver(port, address)
            await device.open()
            assert (await device.read())[0] == energy
        port.close()


async def test_the_server_of_another_implementation_is_read() -> None:
    peer = pytest.importorskip("dlt645.service.serversvc.server_service")
    pair = PtyPair()
    server = peer.MeterServerService.new_rtu_server(pair.a, 8, 1, 2400, "N", 1.0)
    port = SerialPort(pair.b, FAST, "E")
    try:
        server.set_address(WIRE_ORDER)
        assert server.set_00(0x00010000, 1234.56)
        for n, volts in ((1, 230.1), (2, 231.5), (3, 229.9)):
            assert server.set_02(0x02010000 | n << 8, volts)
        assert server.set_02(0x02020100, -4.999)
        assert server.set_02(0x02030000, -0.8512)
        assert server.set_02(0x02800002, 49.98)
        assert server.start()
        device = Driver(port, ADDRESS)
        await device.open()
        found = dict(zip([p.key for p in device.points], await device.read(), strict=True))
        assert found["energy_import"] == 1234.56
        assert [found[f"voltage_l{n}"] for n in (1, 2, 3)] == [230.1, 231.5, 229.9]
        assert found["current_l1"] == -4.999
        assert found["power"] == -851.2
        assert found["frequency"] == 49.98
    finally:
        server.stop()
        port.close()
        pair.close()


def test_the_client_of_another_implementation_reads_it(meter: Dlt645) -> None:
    peer = pytest.importorskip("dlt645.service.clientsvc.client_service")
    client = peer.MeterClientService.new_rtu_client(meter.port, 2400, 8, 1, "N", 1.0)
    try:
        assert client.connect()
        client.set_address(WIRE_ORDER)
        assert client.read_00(0x00010000).value == 1234.56
        assert client.read_00(0x00000000).value == -1.0
        assert client.read_02(0x02010200).value == 232.1
        assert client.read_02(0x02020100).value == -1.25
        assert client.read_02(0x02030000).value == 0.8512
        assert client.read_02(0x02800002).value == 49.98
    finally:
        client.disconnect()


async def test_nothing_but_reads_is_answered(meter: Dlt645, port: SerialPort) -> None:
    write = wire.encode_frame(ADDRESS, 0x14, b"\x00" * 12)
    with pytest.raises(BusError):
        await port.frame(wire.next_frame, 0.03, write)
    spoilt = wire.encode_frame(ADDRESS, 0x11, b"\x00\x00\x01\x00")[:-2] + b"\x00\x16"
    with pytest.raises((BusError, DataError)):
        await port.frame(wire.next_frame, 0.03, spoilt)
    assert meter.asked == 0
