"""The master of a serial line against the simulated line, which keeps the time of a wire."""

import os
import select
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.buses.modbus import ModbusRtu
from drivers.buses.modbus.frame import append_crc
from drivers.buses.serial_port import SerialPort
from drivers.sim.meter import MeterLine, MeterServer, UnitFault
from drivers.sim.meter_line import WHOLE_S, encode_frame
from drivers.sim.meter_server import UnitReply
from drivers.sim.simpty import open_pty
from edge.core import BusError, DataError, Reason
from tests.drivers.buses.virtual_wire import VirtualWire
from tests.kit.serialport import FarEnd, waiting
from tests.long import examples

VOLTS = {1: 230.5, 2: 111.25, 3: 50.0}
BAUD = 38_400
LINK_DELAY_S = 1.0  # of the lines whose time is their own


def slaves() -> dict[int, MeterServer]:
    return {
        u: MeterServer("sdm120", {"voltage_l1": v, "frequency": v / 2}) for u, v in VOLTS.items()
    }


@pytest.fixture
def line() -> Iterator[MeterLine]:
    started = MeterLine(slaves(), baud=BAUD, step_s=WHOLE_S).start()
    yield started
    started.stop()


@pytest.fixture
def bus(line: MeterLine) -> Iterator[ModbusRtu]:
    master = ModbusRtu(waiting(line)(line.path, BAUD), timeout_s=0.15, link_delay_s=0.3)
    yield master
    master.close()


def virtual(baud: int = BAUD, *form: str | int) -> tuple[VirtualWire, ModbusRtu]:
    """A line whose time is its own: what takes how long is exact there."""
    wire = VirtualWire(slaves(), baud, *form)  # type: ignore[arg-type]
    return wire, ModbusRtu(wire, timeout_s=0.15, link_delay_s=LINK_DELAY_S, clock=wire)


def volts(data: bytes) -> float:
    return float(struct.unpack(">f", data)[0])


async def voltage(bus: ModbusRtu, unit: int) -> float:
    return volts(await bus.read_registers(unit, 4, 0, 2))


async def test_units_answer_in_turn(bus: ModbusRtu) -> None:
    assert [await voltage(bus, unit) for unit in (1, 2, 3, 1)] == [230.5, 111.25, 50.0, 230.5]


@pytest.mark.parametrize(
    ("baud", "parity", "stop"), [(9600, "N", 1), (19_200, "E", 1), (57_600, "N", 2)]
)
async def test_the_silence_between_frames_is_kept_and_nothing_beyond(
    baud: int,
    parity: str,
    stop: int,
) -> None:
    """Nothing beyond where time is the line's own, nothing less where it is the machine's."""
    line = MeterLine(slaves(), baud=baud, parity=parity, stop=stop, step_s=WHOLE_S).start()
    bus = ModbusRtu(waiting(line)(line.path, baud, parity, stop))
    wire, other = virtual(baud, parity, stop)
    silence_ns = 1_750_000 if baud > 19_200 else 3.5 * (9 + (parity != "N") + stop) / baud * 1e9
    for _ in range(4):
        for unit in VOLTS:
            await other.read_registers(unit, 4, 0, 2)
    assert (wire.requests, wire.early, wire.collisions) == (12, 0, 0)
    assert wire.gaps_ns == pytest.approx([silence_ns] * 11, abs=4)  # whole nanoseconds
    for _ in range(4):
        for unit in VOLTS:
            await bus.read_registers(unit, 4, 0, 2)
    bus.close()
    line.stop()
    assert (line.requests, line.early, line.damaged, line.collisions) == (12, 0, 0, 0)
    assert min(line.gaps_ns) >= silence_ns - 2


def test_the_simulated_line_does_not_hear_who_keeps_no_silence() -> None:
    line = MeterLine(slaves(), baud=300).start()
    port = SerialPort(line.path, 300)
    port.open()
    asked = append_crc(bytes.fromhex("0104 0000 0002"))
    for _ in range(10):  # what stops this thread for 117 ms keeps the silence for it
        got = b""
        port.write(asked)  # at once, and not after the silence
        while len(got) < 9 and not line.early:
            got += port.read(time.monotonic_ns() + 10**8)
        if line.early:
            break
    assert line.early == 1
    assert line.requests >= 1
    assert port.read(time.monotonic_ns() + 10**8) == b""
    port.close()
    line.stop()


async def test_a_silent_unit_costs_one_time_out_and_then_less() -> None:
    wire, bus = virtual()
    took = []
    for _ in range(2):
        start = wire.monotonic()
        with pytest.raises(BusError, match=r"unit 9: no answer within 0\.15 s") as caught:
            await voltage(bus, 9)
        took.append(wire.monotonic() - start)
        wire.sleep(LINK_DELAY_S)
        assert caught.value.reason is Reason.SILENT
    assert 0.15 <= took[0] < 0.16
    assert 0.1 <= took[1] < 0.11
    assert await voltage(bus, 1) == 230.5


@pytest.mark.parametrize("kind", ["crc", "cut"])
async def test_a_damaged_answer_is_a_data_error_and_the_next_one_counts(
    line: MeterLine, bus: ModbusRtu, kind: str
) -> None:
    line.units[1].fault = UnitFault(kind, times=1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="unit 1: damaged answer") as caught:
        await voltage(bus, 1)
    assert caught.value.reason is Reason.CRC
    assert await voltage(bus, 1) == 230.5


@pytest.mark.parametrize(
    ("code", "reason"), [(6, Reason.BUSY), (2, Reason.ADDRESS), (4, Reason.FAULT)]
)
async def test_a_refusal_is_a_data_error_with_its_reason(
    line: MeterLine, bus: ModbusRtu, code: int, reason: Reason
) -> None:
    line.units[1].fault = UnitFault("exception", times=1, code=code)
    with pytest.raises(DataError) as caught:
        await voltage(bus, 1)
    assert caught.value.reason is reason
    assert await voltage(bus, 1) == 230.5


async def test_garbage_before_the_answer_is_passed_over(line: MeterLine, bus: ModbusRtu) -> None:
    line.units[1].fault = UnitFault("noise", noise=b"\x00\xff\x01\x04\x10")
    assert await voltage(bus, 1) == 230.5
    foreign = encode_frame(UnitReply(2, bytes.fromhex("04 04 42000000")))
    line.units[1].fault = UnitFault("noise", noise=foreign)
    assert await voltage(bus, 1) == 230.5


async def test_a_foreign_answer_is_silence_of_ours(line: MeterLine, bus: ModbusRtu) -> None:
    line.units[1].fault = UnitFault("foreign", times=1)
    with pytest.raises(BusError, match=r"unit 2 answered instead; raise timeout_s"):
        await voltage(bus, 1)
    assert await voltage(bus, 2) == 111.25


async def test_a_late_answer_is_not_taken_for_that_of_a_neighbour() -> None:
    wire, bus = virtual()
    wire.units[1].fault = UnitFault("late", times=1, seconds=0.2)
    with pytest.raises(BusError):
        await voltage(bus, 1)
    lost = 0
    for unit in (2, 3, 2, 3, 2, 3):
        try:
            assert await voltage(bus, unit) == VOLTS[unit]
        except (BusError, DataError):
            lost += 1
    assert lost == wire.collisions  # it spoke into the request, as on a real line
    assert await voltage(bus, 1) == 230.5


@pytest.mark.parametrize("late_s", [0.145, 0.16, 0.2, 0.24, 0.25, 0.29])
async def test_a_unit_that_is_always_late_never_shifts_the_dialogue(
    late_s: float,
) -> None:
    """The same length, the same unit, another register: only time tells the answers apart."""
    wire, bus = virtual()
    wire.units[1].fault = UnitFault("late", seconds=late_s)
    for address in (0, 0x46, 0, 0x46):
        with pytest.raises(BusError):
            await bus.read_registers(1, 4, address, 2)
    wire.units[1].fault = None
    wire.sleep(LINK_DELAY_S)  # its registers never change: what came may have been told twice
    assert volts(await bus.read_registers(1, 4, 0x46, 2)) == 115.25


async def test_a_burst_out_of_the_blue_is_drained(line: MeterLine, bus: ModbusRtu) -> None:
    assert await voltage(bus, 1) == 230.5
    line.send(
        encode_frame(UnitReply(1, bytes.fromhex("04 04 44000000")))
    )  # looks just like an answer
    assert select.select([bus.port._fd], [], [], 10.0)[0]
    assert await voltage(bus, 1) == 230.5


async def test_a_port_that_is_not_there_is_a_bus_error(line: MeterLine) -> None:
    link = line.path + "-gone"
    bus = ModbusRtu(SerialPort(link, BAUD))
    with pytest.raises(BusError, match="is not there"):
        await voltage(bus, 1)


async def test_an_adapter_that_was_pulled_is_found_by_its_name_again(tmp_path: Path) -> None:
    """/dev/serial/by-id leads to another node after it: ttyUSB0 was still held, ttyUSB1 it is."""
    name = tmp_path / "usb-FTDI_USB-RS485_A50285BI-if00-port0"
    first = MeterLine(slaves(), baud=BAUD, link=name, step_s=WHOLE_S).start()
    bus = ModbusRtu(SerialPort(str(name), BAUD), timeout_s=10.0)
    assert await voltage(bus, 1) == 230.5
    held = os.open(first.path, os.O_RDWR | os.O_NOCTTY)  # somebody keeps the old number
    first.stop()
    with pytest.raises(BusError, match="vanished"):
        await voltage(bus, 1)
    with pytest.raises(BusError, match="is not there; plug the adapter in"):
        await voltage(bus, 1)
    second = MeterLine(slaves(), baud=BAUD, link=name, step_s=WHOLE_S).start()
    assert second.path != first.path
    assert await voltage(bus, 2) == 111.25
    bus.close()
    second.stop()
    os.close(held)


# --- bytes that no simulator of ours would send -------------------------------------------------


class Answering(FarEnd):
    """The far end answers each request with prepared bytes, at once."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared = b""
        self.answer(lambda asked: self.prepared)


@pytest.fixture(scope="module")
def peer() -> Iterator[tuple[Answering, Callable[[], ModbusRtu]]]:
    far = Answering()
    port = waiting(far)(far.path, 115_200)
    yield far, lambda: ModbusRtu(port, timeout_s=0.01)
    port.close()
    far.close()


GOOD = append_crc(bytes.fromhex("010404 43668000"))


@settings(
    max_examples=examples(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.binary(max_size=64),
        st.tuples(st.integers(0, 8 * len(GOOD) - 1), st.binary(max_size=6)).map(
            lambda t: t[1] + (int.from_bytes(GOOD, "big") ^ 1 << t[0]).to_bytes(len(GOOD), "big")
        ),
        st.integers(0, len(GOOD) - 1).map(lambda n: GOOD[:n]),
        st.binary(min_size=1, max_size=9).map(append_crc),
    )
)
async def test_whatever_comes_is_a_value_with_its_check_sum_or_one_of_two_errors(
    peer: tuple[Answering, Callable[[], ModbusRtu]], answer: bytes
) -> None:
    far, make = peer
    far.prepared = answer
    try:
        data = await make().read_registers(1, 4, 0, 2)
    except (BusError, DataError):
        return
    assert append_crc(b"\x01\x04\x04" + data) in answer


async def test_an_adapter_that_hears_itself_does_not_hide_silence(
    peer: tuple[Answering, Callable[[], ModbusRtu]],
) -> None:
    far, make = peer
    far.prepared = append_crc(bytes.fromhex("0104 0000 0002"))
    with pytest.raises(BusError):
        await make().read_registers(1, 4, 0, 2)
    far.prepared += GOOD
    assert volts(await make().read_registers(1, 4, 0, 2)) == 230.5


async def test_noise_alone_says_what_to_look_at(
    peer: tuple[Answering, Callable[[], ModbusRtu]],
) -> None:
    far, make = peer
    far.prepared = b"\xf0\x7e\x00"
    with pytest.raises(BusError, match=r"only noise.*; set the meters' baud rate") as caught:
        await make().read_registers(1, 4, 0, 2)
    assert caught.value.reason is Reason.CRC


async def test_a_line_that_is_never_quiet_is_a_bus_error() -> None:
    master, slave, name = open_pty()
    end = threading.Event()

    def talk() -> None:
        while not end.wait(0.0005):
            os.write(master, b"\x55\xaa")

    talker = threading.Thread(target=talk, daemon=True)
    talker.start()
    bus = ModbusRtu(SerialPort(name, 50))  # 700 ms of silence are never to be had
    with pytest.raises(BusError, match="never quiet"):
        await bus.read_registers(1, 4, 0, 2)
    end.set()
    talker.join()
    bus.close()
    os.close(slave)
    os.close(master)
