"""The SPS30 on its UART: stuffed frames; started, woken, read when there is news, and stopped."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import _shdlc as wire
from drivers.chips import sps30_uart as chip
from drivers.chips._sensirion_module import STATUS_EVERY
from drivers.chips.sps30_uart import Sps30Uart, decode, explain
from drivers.sim.sps30_uart import KEYS
from drivers.sim.sps30_uart import Sps30Uart as Module
from edge.core import Bad, BusError, Condition, DataError, Reason, SelfReporting, UncertainValue
from tests.drivers.serialsim import SimSerial
from tests.kit.air import Now
from tests.kit.vectors import frame, vector

VALUES = dict(zip(KEYS, (1.5, 8.25, 10.125, 11.0, 12.75, 17.0, 17.5, 17.625, 17.75, 0.5),
                  strict=True))  # fmt: skip
SETTLED = tuple(VALUES.values())


def said(body: bytes) -> bytes:
    """As a module frames it."""
    return b"\x7e" + wire.byte_stuff(body + bytes([~sum(body) & 0xFF])) + b"\x7e"


def measured(*values: float) -> bytes:
    return said(bytes([0, 3, 0, 4 * len(values)]) + struct.pack(f">{len(values)}f", *values))


def wired(now: Now, **options: int) -> tuple[Sps30Uart, Module]:
    module = Module(VALUES, clock=now)
    return Sps30Uart(SimSerial(module, now), **options), module


@given(st.binary(max_size=250), st.integers(0, 255), st.integers(0, 127), st.booleans())
def test_what_is_framed_is_read_back(data: bytes, command: int, error: int, flag: bool) -> None:
    whole = said(bytes([0, command, error | 0x80 * flag, len(data)]) + data)
    assert wire.parse_response(whole) == (command, error, flag, data)
    assert not {0x7E, 0x11, 0x13} & set(whole[1:-1])
    assert len(whole) <= wire.LONGEST


@given(st.binary(max_size=120))
def test_rubbish_is_a_data_error(data: bytes) -> None:
    for taken in (decode, lambda one: explain([one])):
        with pytest.raises(DataError):
            taken(data)


@given(st.binary(max_size=1200), st.integers(1, 200))
def test_whatever_comes_before_it_an_answer_is_found(rubbish: bytes, step: int) -> None:
    good = measured(*SETTLED)
    stream, buffer, found = rubbish + good + good, b"", []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        while True:
            one, done = wire.response_framer(3)(buffer)
            assert 0 <= done <= len(buffer)
            found += [one] if one else []
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) <= wire.LONGEST
    assert good in found


@given(st.lists(st.floats(width=32), min_size=10, max_size=10))
def test_whatever_it_says_stays_within_the_ranges(values: list[float]) -> None:
    for point, sample in zip(Sps30Uart.points, decode(measured(*values)), strict=True):
        assert isinstance(sample, Bad) or point.low <= sample <= point.high  # type: ignore[operator]


def test_frames_are_those_of_others() -> None:
    assert frame("sps30-shdlc-read") == wire.encode_request(chip.READ)
    assert frame("sps30-shdlc-stop") == wire.encode_request(chip.STOP)
    assert wire.parse_response(frame("sps30-shdlc-ack")) == (0, 0, False, b"")
    assert wire.parse_response(frame("sps30-shdlc-not-allowed")).error == wire.NOT_ALLOWED
    assert (
        wire.parse_response(frame("shdlc-byte-stuffing")).data.hex()
        == (vector("shdlc-byte-stuffing")["decoded"]["data_hex"])
    )
    found = list(explain([frame("sps30-shdlc-read-42")]).values())
    assert found == [42.0] * 9 + [Bad(Reason.RANGE)]  # no particle that it can see is so large
    want = list(vector("sps30-shdlc-read-captured")["decoded"].values())
    found = list(explain([frame("sps30-shdlc-read-captured")]).values())
    assert found == pytest.approx(want, abs=6e-5)


def test_an_answer_of_another_length_or_with_an_error_has_no_values() -> None:
    with pytest.raises(DataError):
        decode(measured(*SETTLED[:9]))
    with pytest.raises(DataError, match="0x04"):
        decode(said(bytes([0, 3, 4, 0])))
    assert decode(said(bytes([0, 3, 0, 0]))) == (Bad(Reason.STALE),) * 10
    with pytest.raises(DataError):
        explain([wire.encode_request(chip.READ)])


async def test_it_is_started_settles_and_is_stopped() -> None:
    now = Now()
    device, module = wired(now, settle_reads=2)
    assert isinstance(device, SelfReporting)
    await device.open()
    assert module.measuring
    assert device.identity == module.serial
    assert await device.read() == (Bad(Reason.WARMUP),) * 10  # none measured yet
    seen = []
    for _ in range(3):
        now.s += 1
        seen.append((await device.read())[1])
    assert seen == [UncertainValue(8.25, Reason.WARMUP)] * 2 + [8.25]
    assert device.health == {}
    assert await device.read() == (Bad(Reason.STALE),) * 10
    await device.close()
    assert not module.measuring


async def test_one_that_measures_already_is_no_fault() -> None:
    now = Now()
    device, module = wired(now)
    module.measuring = True
    await device.open()
    now.s += 1
    assert (await device.read())[1] == UncertainValue(8.25, Reason.WARMUP)


async def test_one_that_sleeps_is_woken() -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    module.asleep = True
    await device.open()
    assert module.measuring
    now.s += 1
    assert await device.read() == SETTLED


async def test_one_that_lost_power_is_started_again() -> None:
    now = Now()
    device, module = wired(now, settle_reads=1)
    await device.open()
    for _ in range(2):
        now.s += 1
        await device.read()
    module.power_cycle()
    assert await device.read() == (Bad(Reason.WARMUP),) * 10
    assert module.measuring
    assert Condition.WARMUP in device.health
    now.s += 1
    assert (await device.read())[1] == UncertainValue(8.25, Reason.WARMUP)


@pytest.mark.parametrize(
    ("fault", "sample", "condition"),
    [
        ("fan", Bad(Reason.FAULT), Condition.FAN),
        ("laser", Bad(Reason.FAULT), Condition.LASER),
        ("speed", UncertainValue(8.25, Reason.FAULT), Condition.FAN),
    ],
)
async def test_its_status_register_is_its_health(
    fault: str, sample: object, condition: Condition
) -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    await device.open()
    now.s += 1
    assert await device.read() == SETTLED
    module.faults.append(fault)
    for _ in range(STATUS_EVERY):  # where its state byte does not speak of it
        now.s += 1
        found = await device.read()
        if condition in device.health:
            break
    assert found[1] == sample
    for _ in range(2 * STATUS_EVERY):  # it has passed
        now.s += 1
        found = await device.read()
    assert found == SETTLED
    assert device.health == {}


async def test_an_old_firmware_has_no_register() -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    module.firmware = (2, 0)
    await device.open()
    now.s += 1
    assert await device.read() == SETTLED
    assert device.health == {}


async def test_each_fault_of_the_line_is_seen_and_it_recovers() -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    await device.open()
    now.s += 1
    await device.read()
    for fault in ("silent", "late", "sum", "half", "garbage", "foreign"):
        now.s += 1.1
        module.faults.append(fault)
        if fault in ("garbage", "foreign"):
            assert await device.read() == SETTLED, fault
        else:
            with pytest.raises(BusError if fault in ("silent", "late") else DataError):
                await device.read()
        now.s += 1.1
        assert await device.read() == SETTLED, fault
    module.fault = "silent"
    with pytest.raises(BusError):
        await device.open()
    await device.close()
    await device.close()


async def test_one_that_does_not_even_refuse_the_register_gives_values_and_is_asked_once() -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    module.deaf.add(chip.STATUS)
    await device.open()
    for _ in range(3 * STATUS_EVERY):
        now.s += 1
        assert await device.read() == SETTLED
    line = device.bus
    assert isinstance(line, SimSerial)
    assert line.written.count(wire.encode_request(chip.STATUS, chip.CLEAR)) == 1
    module.faults.append("fan")  # of which its state byte speaks, and nothing else
    now.s += 1
    assert (await device.read())[1] == UncertainValue(8.25, Reason.FAULT)
    assert set(device.health) == {Condition.DEVICE}


async def test_a_damaged_register_costs_no_values_and_is_asked_for_again() -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    await device.open()
    module.faults += ["", "sum"]
    for left in (0, 0):
        now.s += 1
        assert await device.read() == SETTLED
        assert len(module.faults) == left
    line = device.bus
    assert isinstance(line, SimSerial)
    assert line.written.count(wire.encode_request(chip.STATUS, chip.CLEAR)) == 2


async def test_its_fan_cleaning_is_told_and_usual_silence_is_not() -> None:
    now = Now()
    device, _ = wired(now, settle_reads=0)
    await device.open()
    now.s += 0.9
    for _ in range(60):  # it is polled too fast
        now.s += 0.2
        await device.read()
        assert device.health == {}
    await device.bus.frame(wire.response_framer(0x56), 0.2, write=wire.encode_request(0x56))
    reported = set()
    for _ in range(9):
        now.s += 1
        assert set(await device.read()) == {Bad(Reason.STALE)}
        reported |= set(device.health)
    assert reported == {Condition.CLEANING}
    now.s += 2
    assert await device.read() == SETTLED
    assert device.health == {}


async def test_zeros_after_a_start_are_no_clean_air() -> None:
    now = Now()
    device, module = wired(now, settle_reads=0)
    module.zeros = 2
    await device.open()
    seen = []
    for _ in range(3):
        now.s += 1
        seen.append(await device.read())
    assert seen == [(Bad(Reason.WARMUP),) * 10] * 2 + [SETTLED]
