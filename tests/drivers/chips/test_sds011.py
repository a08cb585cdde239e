"""The SDS011: woken, set only where it differs, at rest without a fault, missed when it is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import drivers
from drivers.chips.sds011 import (
    COMMAND_SIZE,
    SIZE,
    VALUES,
    Sds011,
    decode,
    encode_command,
    explain,
    framer_for,
    is_whole,
)
from drivers.sim.sds011 import Sds011 as Sensor
from edge.core import Bad, BusError, Condition, DataError, Reason, SelfReporting, UncertainValue
from tests.drivers.serialsim import SimSerial
from tests.kit.air import Now
from tests.kit.vectors import frame, vector

GOOD = bytes.fromhex("aac07b00c80158d975ab")
AIR = {"pm2_5": 12.3, "pm10": 45.6}
STALE = (Bad(Reason.STALE),) * 2


def wired(sensor: Sensor, now: Now, **options: object) -> tuple[Sds011, SimSerial]:
    line = SimSerial(sensor, now)
    return Sds011(line, **options), line  # type: ignore[arg-type]


async def rests(device: Sds011, now: Now, every_s: float = 0.0) -> None:
    """Read it until it is missed."""
    while True:
        now.s += every_s
        assert await device.read() == STALE


@given(st.binary(max_size=200), st.integers(1, 40))
def test_whatever_comes_before_it_a_frame_is_found(rubbish: bytes, step: int) -> None:
    stream, buffer, found = rubbish + GOOD + GOOD, b"", []
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        while True:
            one, done = framer_for(VALUES)(buffer)
            assert 0 <= done <= len(buffer)
            found += [one] if one else []
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) < SIZE
    assert GOOD in found


@given(st.binary(max_size=24))
def test_rubbish_is_a_data_error(data: bytes) -> None:
    for taken in (decode, lambda one: explain([one])):
        with pytest.raises(DataError):
            taken(data)


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_whatever_it_says_stays_within_the_range(pm2_5: int, pm10: int) -> None:
    body = pm2_5.to_bytes(2, "little") + pm10.to_bytes(2, "little") + b"\x58\xd9"
    found = decode(VALUES + body + bytes([sum(body) & 0xFF, 0xAB]))
    want = [count / 10 if count <= 9999 else Bad(Reason.RANGE) for count in (pm2_5, pm10)]
    assert list(found) == (want if pm2_5 or pm10 else [Bad(Reason.WARMUP)] * 2)


@pytest.mark.parametrize("name", ["sds011-captured-1", "sds011-captured-2"])
def test_captured_frames_mean_what_others_made_of_them(name: str) -> None:
    want = vector(name)["decoded"]
    found = explain([frame(name)])
    assert found == {"pm2_5": want["pm2_5_ugm3"], "pm10": want["pm10_ugm3"]}


def test_commands_are_those_of_others() -> None:
    for name, said in {
        "active": encode_command(2, 1, 0),
        "query-mode": encode_command(2, 1, 1),
        "query": encode_command(4),
        "sleep": encode_command(6, 1, 0),
        "wake": encode_command(6, 1, 1),
        "firmware": encode_command(7),
    }.items():
        assert frame(f"sds011-cmd-{name}") == said
        assert len(said) == COMMAND_SIZE
        assert is_whole(said)
        assert explain([said, GOOD])["pm2_5"] == 12.3
    with pytest.raises(DataError):
        explain([encode_command(4)])


@pytest.mark.parametrize("mode", ["query", "active"])
async def test_it_is_woken_set_once_and_settles(mode: str) -> None:
    now = Now()
    sensor = Sensor(AIR, clock=now)
    sensor.asleep = True
    sensor.query, sensor.period_min = mode == "active", 5  # as somebody else left it
    sensor._since = now.s - 10
    device, _ = wired(sensor, now, mode=mode, settle_reads=2)
    assert isinstance(device, SelfReporting)
    await device.open()
    assert not sensor.asleep
    assert (sensor.query, sensor.period_min, sensor.writes) == (mode == "query", 0, 2)
    assert device.identity == "58d9"
    seen = []
    for _ in range(4):
        now.s += 3
        seen.append((await device.read())[0])
    doubt = UncertainValue(12.3, Reason.WARMUP)
    assert seen == (
        [Bad(Reason.WARMUP), doubt, doubt, 12.3] if mode == "query" else [doubt, doubt, 12.3, 12.3]
    )  # its zeros came before we asked
    assert device.health == {}
    await device.close()
    assert sensor.asleep
    await device.open()
    assert sensor.writes == 2, "its memory wears: nothing is written that is set already"
    assert Condition.WARMUP in device.health


@pytest.mark.parametrize("mode", ["query", "active"])
@pytest.mark.parametrize("talks_asleep", [False, True])
async def test_with_a_period_it_rests_without_a_fault_and_is_missed_after_one_and_a_half(
    mode: str, talks_asleep: bool
) -> None:
    now = Now()
    sensor = Sensor(AIR, clock=now, zeros=0, talks_asleep=talks_asleep)
    device, _ = wired(sensor, now, mode=mode, work_min=5)
    await device.open()
    assert sensor.period_min == 5
    seen: list[object] = []
    began_s = now.s
    while now.s < began_s + 900 or seen[-1] == STALE:
        now.s += 2
        seen.append(await device.read())
    assert {STALE, (12.3, 45.6)} >= set(seen)
    fresh = sum(found != STALE for found in seen)
    if mode == "active":
        assert fresh == 4, "one report for each half a minute of work"
    else:
        assert fresh == len(seen) if talks_asleep else 30 <= fresh <= 3 * 15 + 1
    assert device.health == {}
    await device.close()
    assert sensor.writes == 2 - (mode == "active"), "it is left to its period"
    sensor.silent = True
    began_s = now.s
    with pytest.raises(BusError):
        await rests(device, now, 2)
    rest_s = now.s - began_s
    if mode == "active" or not talks_asleep:  # its rest is known: half a period more
        assert 390 < rest_s < 480
    else:
        assert rest_s > 390
    with pytest.raises(BusError):
        await device.read()
    sensor.silent = False
    sensor._since, sensor._reported = now.s, -1  # it works now
    now.s += 40 if mode == "active" else 0
    assert await device.read() == (12.3, 45.6)
    assert device.health == {}


async def test_one_that_never_was_heard_is_missed_too() -> None:
    now = Now()
    sensor = Sensor(AIR, clock=now, zeros=0)
    sensor.silent = True
    device, _ = wired(sensor, now, work_min=1)
    await device.open()  # it may be at rest
    began_s = now.s
    with pytest.raises(BusError):
        await rests(device, now)
    assert 60 < now.s - began_s < 160


async def test_another_one_is_told_apart_and_set_as_the_first() -> None:
    now = Now()
    device, line = wired(Sensor(AIR, clock=now, zeros=0), now, work_min=1)
    await device.open()
    assert await device.read() == (12.3, 45.6)
    assert device.identity == "58d9"
    line.unplugged = True
    with pytest.raises(BusError):
        await rests(device, now)
    line.unplugged = False
    other = Sensor(AIR, clock=now, zeros=0, device_id="0bad")
    line.plug(other)
    assert await device.read() == (12.3, 45.6)
    assert device.identity == "0bad"
    assert other.query
    assert other.period_min == 1


async def test_one_that_does_not_confirm_says_so_and_is_read() -> None:
    now = Now()
    sensor = Sensor(AIR, clock=now, zeros=0)
    sensor.fault = "deaf"
    device, _ = wired(sensor, now, mode="active", settle_reads=0)
    await device.open()
    assert await device.read() == (12.3, 45.6)
    assert "reporting mode" in device.health[Condition.SETTINGS]
    assert "working period" in device.health[Condition.SETTINGS]
    sensor.fault = ""
    await device.open()
    await device.read()
    assert device.health == {}


@pytest.mark.parametrize("mode", ["query", "active"])
async def test_each_fault_is_seen_and_it_recovers(mode: str) -> None:
    now = Now()
    sensor = Sensor(AIR, clock=now, zeros=0)
    device, _ = wired(sensor, now, mode=mode, settle_reads=0)
    await device.open()
    for fault in ("half", "sum", "garbage", "zeros"):
        now.s += 1.2
        await device.read()  # what had piled up
        sensor.faults.append(fault)
        if fault == "zeros":
            assert await device.read() == (Bad(Reason.WARMUP),) * 2
        elif fault == "garbage" or mode == "active":
            assert await device.read() == (12.3, 45.6)  # passed over; the next comes by itself
        else:
            with pytest.raises(DataError):
                await device.read()
        now.s += 3
        assert await device.read() == (12.3, 45.6), fault
        assert not sensor.faults
    sensor.silent = True
    with pytest.raises(BusError):
        await device.read()
    with pytest.raises(BusError):
        await device.open()
    sensor.silent = False
    await device.open()
    assert await device.read() == (12.3, 45.6)


async def test_closing_never_fails_and_a_sensor_that_was_never_read_is_left_alone() -> None:
    now = Now()
    sensor = Sensor(AIR, clock=now, zeros=0)
    device, line = wired(sensor, now)
    await device.close()
    await device.open()
    await device.close()
    assert not sensor.asleep
    await device.open()
    await device.read()
    line.unplugged = True
    await device.close()
    await device.close()


def test_it_is_not_asked_more_often_than_it_likes() -> None:
    assert drivers.spec("sds011").every_s == 3.0
