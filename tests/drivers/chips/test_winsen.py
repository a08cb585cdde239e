"""Winsen's sensors: nine bytes and a sum; told what to do, and told again after they lost power."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import mhz19, zh03b
from drivers.chips._winsen import READ, SIZE, answer_framer, encode_command, parse_answer
from drivers.chips.mhz19 import Mhz19
from drivers.chips.zh03b import Zh03b
from drivers.sim._winsen import encode_frame
from drivers.sim.mhz19 import Mhz19 as Co2Sensor
from drivers.sim.zh03b import Zh03b as DustSensor
from edge.core import Bad, BusError, Condition, DataError, Reason, SelfReporting, UncertainValue
from tests.drivers.serialsim import SimSerial
from tests.kit.air import Now
from tests.kit.vectors import frame, vector

GOOD = bytes.fromhex("ff86008500960065fa")
DUST = {"pm1_0": 101, "pm2_5": 133, "pm10": 150}
FOUND = (101.0, 133.0, 150.0)
ZEROS = (Bad(Reason.WARMUP),) * 3
GASES = {"co2": 636, "inner_temperature": 26}


@given(st.binary(max_size=200), st.integers(1, 40))
def test_whatever_comes_before_it_an_answer_is_found(rubbish: bytes, step: int) -> None:
    stream, buffer, found = rubbish + GOOD + GOOD, b"", []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        while True:
            one, done = answer_framer(READ)(buffer)
            assert 0 <= done <= len(buffer)
            found += [one] if one else []
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) < SIZE
    assert GOOD in found


@given(st.binary(max_size=32))
def test_rubbish_is_a_data_error(data: bytes) -> None:
    for chip in (zh03b, mhz19):
        with pytest.raises(DataError):
            chip.decode(data)
        with pytest.raises(DataError):
            chip.explain([data])


@given(st.binary(min_size=6, max_size=6))
def test_whatever_a_whole_answer_says_stays_within_the_ranges(held: bytes) -> None:
    reported = encode_frame(bytes([READ]) + held)
    assert parse_answer(reported, READ) == held
    for chip, points in ((zh03b, zh03b.POINTS), (mhz19, mhz19.POINTS)):
        for point, sample in zip(points, chip.decode(reported), strict=True):
            assert isinstance(sample, Bad) or point.low <= sample <= point.high


def test_every_flipped_bit_is_noticed() -> None:
    for bit in range(8 * SIZE):
        wrong = bytearray(GOOD)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            parse_answer(bytes(wrong), READ)


def test_commands_are_those_of_others() -> None:
    assert frame("zh03-cmd-qa") == zh03b.ASKED
    assert frame("zh03-cmd-read") == zh03b.ASK == encode_command(READ)
    assert zh03b.explain([zh03b.ASKED, zh03b.ASK, GOOD])["pm2_5"] == 133
    with pytest.raises(DataError):
        zh03b.explain([zh03b.ASK])


def test_answers_mean_what_others_made_of_them() -> None:
    words = vector("zh0xx-test")["decoded"]["words_be"]
    reported = zh03b.explain([frame("zh0xx-test")])
    assert [reported["pm2_5"], reported["pm10"], reported["pm1_0"]] == words
    assert mhz19.explain([frame("mhz19b-500")])["co2"] == 500
    assert mhz19.explain([frame("mhz19b-500")])["inner_temperature"] == Bad(Reason.RANGE)
    want = vector("mhz19b-captured")["decoded"]
    assert mhz19.explain([frame("mhz19b-captured")]) == {
        "co2": want["co2_ppm"], "inner_temperature": want["temperature_c"],
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["upload", "asked"])
async def test_the_dust_sensor_is_woken_settles_and_is_put_to_sleep(mode: str) -> None:
    now = Now()
    sensor = DustSensor(DUST, clock=now)
    sensor.asleep, sensor.asked = True, mode == "upload"  # as somebody else left it
    device = Zh03b(SimSerial(sensor, now), mode=mode, settle_reads=2)  # type: ignore[arg-type]
    assert isinstance(device, SelfReporting)
    await device.open()
    assert (sensor.asleep, sensor.asked) == (False, mode == "asked")
    seen = []
    for _ in range(5):
        now.s += 0.5
        seen.append((await device.read())[0])
    settled = seen.index(101.0)
    assert seen[settled - 2 : settled] == [UncertainValue(101, Reason.WARMUP)] * 2
    assert seen[0] == Bad(Reason.WARMUP)
    assert device.health == {}
    await device.close()
    assert sensor.asleep
    await device.open()
    assert Condition.WARMUP in device.health


@pytest.mark.parametrize("mode", ["upload", "asked"])
async def test_the_dust_sensor_is_told_its_mode_again_when_it_lost_power(mode: str) -> None:
    now = Now()
    sensor = DustSensor(DUST, clock=now, zeros=0)
    device = Zh03b(SimSerial(sensor, now), mode=mode, settle_reads=0)  # type: ignore[arg-type]
    await device.open()
    assert await device.read() == FOUND
    sensor.power_cycle()
    sensor.silent = True
    for _ in range(2):
        with pytest.raises(BusError):
            await device.read()
    sensor.silent = False
    assert await device.read() == FOUND
    sensor.power_cycle()  # so quickly that nobody saw it, and asked it does not answer
    if mode == "asked":
        with pytest.raises((BusError, DataError)):
            await device.read()
    assert await device.read() == FOUND
    assert sensor.asked is (mode == "asked")


@pytest.mark.parametrize("mode", ["upload", "asked"])
async def test_each_fault_of_the_dust_sensor_is_seen_and_it_recovers(mode: str) -> None:
    now = Now()
    sensor = DustSensor(DUST, clock=now, zeros=0)
    device = Zh03b(SimSerial(sensor, now), mode=mode, settle_reads=0)  # type: ignore[arg-type]
    await device.open()
    for fault in ("half", "sum", "garbage", "zeros"):
        now.s += 1.1
        await device.read()
        sensor.faults.append(fault)
        if fault == "zeros":
            assert await device.read() == ZEROS
        elif fault == "garbage" or (fault == "half" and mode == "upload"):
            assert await device.read() == FOUND  # passed over
        else:
            with pytest.raises(DataError):
                await device.read()
        assert await device.read() == FOUND, fault
        assert not sensor.faults
    sensor.fault = "deaf"  # it confirms nothing
    await device.close()
    await device.open()
    assert await device.read() == FOUND
    with pytest.raises(BusError):
        await _unplugged(device).open()


def _unplugged(device: Zh03b) -> Zh03b:
    assert isinstance(device.bus, SimSerial)
    device.bus.unplugged = True
    return device


async def test_the_gas_sensor_settles_and_begins_anew_after_silence_and_zeros() -> None:
    now = Now()
    sensor = Co2Sensor(GASES, powered_s=3600, clock=now)
    device = Mhz19(SimSerial(sensor, now), settle_reads=2)
    assert isinstance(device, SelfReporting)
    await device.open()
    doubt = UncertainValue(636, Reason.WARMUP)
    assert [await device.read() for _ in range(3)] == [(doubt, 26), (doubt, 26), (636, 26)]
    assert device.health == {}
    sensor.fault = "silent"
    with pytest.raises(BusError):
        await device.read()
    assert Condition.WARMUP in device.health
    sensor.fault = ""
    assert (await device.read())[0] == doubt
    sensor.power_cycle()
    assert await device.read() == (Bad(Reason.WARMUP),) * 2
    now.s += 5
    assert await device.read() == (UncertainValue(410, Reason.WARMUP), 26)
    await device.close()


@pytest.mark.parametrize(("wanted", "after"), [("keep", True), ("on", True), ("off", False)])
async def test_the_gas_sensor_is_told_whether_to_calibrate_itself(wanted: str, after: bool) -> None:
    now = Now()
    sensor = Co2Sensor(GASES, powered_s=3600, clock=now)
    line = SimSerial(sensor, now)
    device = Mhz19(line, settle_reads=0, self_calibration=wanted)  # type: ignore[arg-type]
    await device.open()
    assert sensor.self_calibrating is after
    assert await device.read() == (636, 26), "what confirms it is no answer to the next question"
    assert len(line.written) == 1 + (wanted != "keep")
    sensor.power_cycle()
    await device.open()
    assert sensor.self_calibrating is after


async def test_each_fault_of_the_gas_sensor_is_seen_and_it_recovers() -> None:
    now = Now()
    sensor = Co2Sensor(GASES, powered_s=3600, clock=now)
    device = Mhz19(SimSerial(sensor, now), settle_reads=0)
    sensor.late_s = mhz19.ANSWER_S + 0.1
    for fault in ("silent", "late", "half", "sum", "garbage"):
        sensor.faults.append(fault)
        if fault == "garbage":
            assert await device.read() == (636, 26)
        else:
            with pytest.raises(BusError if fault in ("silent", "late") else DataError):
                await device.read()
        now.s += 0.5  # the late answer comes before the next question
        assert await device.read() == (636, 26), fault


def test_what_it_sends_by_itself_is_laid_out_as_a_plantower_frame() -> None:
    body = b"\x42\x4d\x00\x14" + struct.pack(">9H", 9, 9, 9, 101, 133, 150, 0, 0, 0)
    reported = body + sum(body).to_bytes(2)
    assert tuple(zh03b.explain([reported]).values()) == FOUND
    assert tuple(zh03b.explain([reported, GOOD]).values()) == FOUND


@pytest.mark.parametrize(
    ("ppm", "want"),
    [(0, Bad(Reason.WARMUP)), (249, Bad(Reason.RANGE)), (250, 250.0)],
)
def test_no_air_has_so_little_co2(ppm: int, want: object) -> None:
    reported = mhz19.decode(encode_frame(bytes((0x86,)) + ppm.to_bytes(2) + b"\x40"))
    assert reported == (want, 24.0)
