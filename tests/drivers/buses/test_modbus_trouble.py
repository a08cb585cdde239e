"""A line with something wrong on it: what the errors of readings and a diagnosis say."""

import struct
import termios
from collections.abc import Iterator

import pytest

from drivers.buses import serial_wire
from drivers.buses.modbus import ModbusRtu, ModbusTcp
from drivers.buses.modbus.diagnose import diagnose
from drivers.buses.modbus.frame import append_crc
from drivers.buses.modbus.modbustrouble import KnownUnits, damaged, no_answer, noise
from drivers.buses.serial_port import SerialPort
from drivers.buses.serial_trouble import UartCounters
from drivers.sim.meter import MeterLine, MeterServer, MeterTcp, UnitFault
from drivers.sim.meter_line import WHOLE_S
from edge.core import BusError, DataError, Reason
from tests.drivers.buses.virtual_wire import TURNAROUND_NS, VirtualWire
from tests.kit.serialport import FarEnd, HearingPort, waiting

BAUD = 38_400
LISTEN_S = 0.02


def asks(*units: int) -> dict[str, tuple[int, int, int, int]]:
    return {f"m{unit}": (unit, 4, 0, 2) for unit in units}


@pytest.fixture
def line() -> Iterator[MeterLine]:
    slaves = {u: MeterServer("sdm120", {"voltage_l1": 230.5, "frequency": 50}) for u in (1, 2, 3)}
    started = MeterLine(slaves, baud=BAUD, step_s=WHOLE_S).start()
    yield started
    started.stop()


@pytest.fixture
def bus(line: MeterLine) -> Iterator[ModbusRtu]:
    master = ModbusRtu(waiting(line)(line.path, BAUD), timeout_s=0.05, link_delay_s=0.1)
    yield master
    master.close()


async def trouble(bus: ModbusRtu, unit: int) -> str:
    with pytest.raises((BusError, DataError)) as caught:
        await bus.read_registers(unit, 4, 0, 2)
    return str(caught.value)


# --- what a failed reading says -------------------------------------------------------------------


async def test_silence_says_what_the_neighbours_prove(line: MeterLine, bus: ModbusRtu) -> None:
    assert (
        "no device on this line has answered so far; check that A and B are not swapped"
        in await trouble(bus, 9)
    )
    await bus.read_registers(1, 4, 0, 2)
    assert "unit 1 on this line can be heard; check its address" in await trouble(bus, 8)
    await bus.read_registers(2, 4, 0, 2)
    assert "units 1, 2 on this line can be heard" in await trouble(bus, 7)
    line.units[1].fault = UnitFault("silent")
    assert "it has answered before; check its supply" in await trouble(bus, 1)


async def test_the_kernel_s_console_is_said_first(
    line: MeterLine, bus: ModbusRtu, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = line.path.removeprefix("/dev/")
    monkeypatch.setattr(serial_wire, "kernel_consoles", lambda cmdline: [console])
    assert "the kernel writes its messages" in await trouble(bus, 9)


async def test_damage_that_stays_is_no_accident(line: MeterLine, bus: ModbusRtu) -> None:
    await bus.read_registers(1, 4, 0, 2)
    line.units[2].fault = UnitFault("crc")
    said = [await trouble(bus, 2) for _ in range(3)]
    assert not any("in a row" in text for text in said[:2])
    assert said[0].endswith("; check shield, terminator, and cables beside power lines")
    assert "3 in a row, while unit 1 can be understood; check that no other device has" in said[2]
    line.units[2].fault = None
    await bus.read_registers(2, 4, 0, 2)
    line.units[2].fault = UnitFault("crc", times=1)
    assert "in a row" not in await trouble(bus, 2)


def answer(volts: float, unit: int = 5) -> bytes:
    return append_crc(bytes((unit, 4, 4)) + struct.pack(">f", volts))


def twins(asked: bytes) -> bytes:
    """Two meters with one address, that speak at once."""
    return answer(230.0, asked[0]) + answer(111.0, asked[0])


class Twins(VirtualWire):
    """Unit 5 is two of them, one `after_s` slower than the other; the wires are one each way."""

    def __init__(self, after_s: float) -> None:
        units = {unit: MeterServer("sdm120", {"voltage_l1": 230.0}) for unit in (5, 6)}
        super().__init__(units, 115_200)
        self.after_ns, self.both_ways, self.two = int(after_s * 1e9), True, True

    def write(self, data: bytes) -> int:
        end_ns = super().write(data)
        if data[0] == 5 and self.two:
            self.say(end_ns + TURNAROUND_NS + 9 * self.char_ns + self.after_ns, answer(111.0))
        return end_ns


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.004])
async def test_two_meters_with_one_address_give_no_value_and_are_said(after_s: float) -> None:
    """The second answer comes at once, or while the neighbour is being asked."""
    wire = Twins(after_s)
    bus = ModbusRtu(wire, timeout_s=0.1, clock=wire)

    async def asked(unit: int) -> bytes:
        return await bus.read_registers(unit, 4, 0, 2)

    for _ in range(2):  # one second answer proves nothing: it may be a late one
        assert await asked(5) == struct.pack(">f", 230.0)
        assert await asked(6) == struct.pack(">f", 230.0)
    with pytest.raises(DataError, match=r"two devices answer as unit 5.*another address") as caught:
        await asked(5)
    assert caught.value.reason is Reason.CRC
    assert await asked(6) == struct.pack(">f", 230.0)
    wire.two = False  # one of them has another address now
    with pytest.raises(DataError):
        await asked(5)
    assert await asked(6) == struct.pack(">f", 230.0)
    assert await asked(5) == struct.pack(">f", 230.0)


def test_a_good_answer_after_a_damaged_one_is_not_two_devices() -> None:
    """What was damaged is said once more, as converters do, and then the answer to the next."""
    known = KnownUnits()
    for _ in range(9):
        known.judge()
        known.hurt(5)
        known.judge()
        known.good(5)
        known.stray([5])
        known.judge()
        assert not known.twins(5)
    for _ in range(2):  # nothing was damaged: two are there
        known.good(5)
        known.stray([5])
        known.judge()
    assert known.twins(5)


def test_the_sentences_follow_what_the_uart_counted() -> None:
    at = ("/dev/ttyUSB0", "9600 8N1")
    assert "wrong parity" in noise(*at, UartCounters(10, parity=5))
    assert "set the device" in noise(*at, UartCounters(10, framing=5))
    assert "can be read at 9600 8N1; set the meters" in noise(*at, UartCounters(10))
    assert "wrong parity" in damaged(5, 1, *at, UartCounters(10, parity=5), KnownUnits())
    assert "fit the termination" in damaged(5, 3, *at, UartCounters(10), KnownUnits())


def test_many_neighbours_are_not_all_named() -> None:
    assert "units 1, 2, 3, 4, 5, 6, 7, 8 ... on" in no_answer(
        99, "9600 8N1", KnownUnits(answered=set(range(1, 40)))
    )


async def test_silence_behind_a_converter_says_what_the_neighbours_prove() -> None:
    units = {u: MeterServer("sdm120", {"voltage_l1": 230.5, "frequency": 50}) for u in (1, 2)}
    server = MeterTcp(units).start()
    bus = ModbusTcp(server.host, server.port)

    async def why(unit: int) -> str:
        bus.response_timeout.timeout_s = 0.05
        with pytest.raises(BusError) as caught:
            await bus.read_registers(unit, 4, 0, 2)
        bus.response_timeout.timeout_s = 20.0
        return str(caught.value)

    units[2].fault = UnitFault("silent")
    assert "the connection stands, but no unit behind it has answered so far" in await why(2)
    await bus.read_registers(1, 4, 0, 2)
    assert "unit 1 there can be heard; check its address" in await why(2)
    units[1].fault = UnitFault("silent")
    assert "it has answered before" in await why(1)
    bus.close()
    server.stop()


# --- a diagnosis ----------------------------------------------------------------------------------


async def said(bus: ModbusRtu, *units: int, **more: tuple[str, ...] | tuple[int, ...]) -> str:
    found = await diagnose(bus, asks(*units), LISTEN_S, **more)  # type: ignore[arg-type]
    assert not bus.port.is_open
    return "\n".join(f"{one.severity}: {one}" for one in found)


async def test_a_line_that_is_well_is_a_note_for_each(line: MeterLine, bus: ModbusRtu) -> None:
    assert await said(bus, 1, 2) == "note: m1 answers\nnote: m2 answers"
    assert line.damaged == line.early == 0


async def test_a_wrong_address_is_found_where_the_meter_is(bus: ModbusRtu) -> None:
    text = await said(bus, 1, 5, addresses=(1, 4, 3, 2))
    assert "note: m1 answers" in text
    assert "no device answers as unit 5, but one answers as unit 3" in text
    assert "set unit = 3 for m5, or give the meter the address 5" in text
    assert "check its address" in await said(bus, 1, 5, addresses=(9,))


async def test_wrong_settings_are_found_by_asking_at_others(far: FarEnd) -> None:
    """A meter at 2400 baud does not understand another speed, and keeps silent."""

    def reply(asked: bytes) -> bytes:
        right = termios.tcgetattr(far.slave)[4] == termios.B2400
        return answer(230.0, asked[0]) if right else b""

    far.answer(reply)
    bus = ModbusRtu(waiting(far)(far.path, 9600), timeout_s=0.05)
    text = await said(bus, 5, search=("19200 8N1", "2400 8E1"))
    assert "the device speaks 2400 8E1, and the configuration says 9600 8N1" in text


async def test_swapped_wires_are_guessed_when_nobody_says_anything(far: FarEnd) -> None:
    bus = ModbusRtu(waiting(far)(far.path, 9600), timeout_s=0.03)
    text = await said(bus, 5, 6, search=("2400 8N1",))
    assert text.count("fault: ") == 2
    assert "that A and B are not swapped" in text


async def test_swapped_wires_that_hold_the_line_low_are_heard(far: FarEnd) -> None:
    far.answer(lambda asked: bytes(len(asked)))
    bus = ModbusRtu(waiting(far)(far.path, 9600), timeout_s=0.03)
    text = await said(bus, 5)
    assert "only noise (00 00 00 00" in text
    assert "A and B are not swapped" in text


async def test_two_meters_with_one_address_are_found(far: FarEnd) -> None:
    far.answer(twins)
    bus = ModbusRtu(waiting(far)(far.path, 115_200), timeout_s=0.1)
    assert "two devices answer as unit 5" in await said(bus, 5)


async def test_another_master_is_heard_before_anybody_is_asked(far: FarEnd) -> None:
    far.keep_saying(lambda: append_crc(bytes.fromhex("010400000002")), 0.005)
    bus = ModbusRtu(HearingPort(far.path, 300), timeout_s=0.03)
    assert "nobody asked for" in await said(bus, 5)


async def test_a_port_that_is_not_there_is_all_that_is_said() -> None:
    bus = ModbusRtu(SerialPort("/dev/serial/by-id/usb-none"))
    [found] = await diagnose(bus, asks(1))
    assert "is not there; plug the adapter in" in str(found)
