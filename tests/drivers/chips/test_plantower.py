"""Plantower's frames: found in any rubbish, never believed when damaged; zeros are no clean air."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import pms3003, pms5003, pms5003t, pms7003
from drivers.chips._plantower import Layout, ParticleSensor
from drivers.sim import pms3003 as sim3003
from drivers.sim import pms5003 as sim5003
from drivers.sim import pms5003t as sim5003t
from drivers.sim import pms7003 as sim7003
from drivers.sim._plantower import Plantower, WordLayout
from edge.core import Bad, BusError, Condition, DataError, Reason, SelfReporting, UncertainValue
from tests.drivers.serialsim import SimSerial
from tests.kit.air import Now
from tests.kit.vectors import frame, vector

MASSES = {"pm1_0": 5, "pm2_5": 8, "pm10": 11}
VALUES = {
    **MASSES, "n0_3": 12.3, "n0_5": 4.1, "n1_0": 0.72, "n2_5": 0.09, "n5_0": 0.03, "n10": 0.01,
    "temperature": -7.5, "humidity": 88.1,
}  # fmt: skip
LAYOUTS = [
    pytest.param(pms3003.LAYOUT, sim3003.FORM, id="pms3003"),
    pytest.param(pms5003.LAYOUT, sim5003.FORM, id="pms5003"),
    pytest.param(pms5003t.LAYOUT, sim5003t.FORM, id="pms5003t"),
]
KINDS = [
    pytest.param(pms3003.DRIVER, sim3003.DEVICE, id="pms3003"),
    pytest.param(pms5003.DRIVER, sim5003.DEVICE, id="pms5003"),
    pytest.param(pms5003t.DRIVER, sim5003t.DEVICE, id="pms5003t"),
    pytest.param(pms7003.DRIVER, sim7003.DEVICE, id="pms7003"),
]
layouts = pytest.mark.parametrize(("layout", "form"), LAYOUTS)
kinds = pytest.mark.parametrize(("driver", "device"), KINDS)


def drain(layout: Layout, data: bytes, step: int = 7) -> list[bytes]:
    """What a port makes of bytes that come a few at a time; never more than it may keep."""
    buffer, found = b"", []
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        while buffer:
            one, done = layout.cut(buffer)
            assert 0 <= done <= len(buffer)
            if one is not None:
                assert len(one) == layout.size
                assert done >= layout.size
                found.append(one)
            buffer = buffer[done:]
            if not done:
                break
        assert len(buffer) < layout.size
    return found


@layouts
def test_a_frame_is_found_between_rubbish(layout: Layout, form: WordLayout) -> None:
    good = form.frame(VALUES)
    assert drain(layout, b"\x00\xff" + good + b"BM\x00" + good + b"\x42") == [good, good]


@layouts
def test_half_a_frame_does_not_cost_the_next_one(layout: Layout, form: WordLayout) -> None:
    good = form.frame(VALUES)
    for count in range(1, layout.size):
        assert drain(layout, good[:count] + good)[-1] == good


@layouts
def test_the_answer_to_a_command_is_passed_over(layout: Layout, form: WordLayout) -> None:
    good = form.frame(VALUES)
    assert drain(layout, bytes.fromhex("424d0004e1010174") + good) == [good]


@layouts
@given(st.binary(max_size=300), st.integers(1, 64))
def test_whatever_comes_the_buffer_stays_small_and_a_frame_behind_it_is_found(
    layout: Layout, form: WordLayout, rubbish: bytes, step: int
) -> None:
    good = form.frame(VALUES)
    assert good in drain(layout, rubbish + good + good, step)


@layouts
@given(st.lists(st.integers(0, 4), max_size=40))
def test_beginnings_of_frames_do_not_confuse_it(
    layout: Layout, form: WordLayout, parts: list[int]
) -> None:
    good, head = form.frame(VALUES), layout.head
    parts_of = [head, head[:1], head[:3], b"\x00", good[:20]]
    assert drain(layout, b"".join(parts_of[i] for i in parts) + good + good)[-1] == good


@layouts
@given(st.binary(max_size=64))
def test_rubbish_is_a_data_error(layout: Layout, form: WordLayout, data: bytes) -> None:
    with pytest.raises(DataError):
        layout.decode(data)
    with pytest.raises(DataError):
        layout.explain([data])


@layouts
@given(st.binary(min_size=26, max_size=26))
def test_whatever_a_whole_frame_says_stays_within_the_points_ranges(
    layout: Layout, form: WordLayout, counts: bytes
) -> None:
    body = layout.head + counts[: layout.size - 6]
    found = layout.decode(body + sum(body).to_bytes(2))
    for point, sample in zip(layout.points, found, strict=True):
        value = sample.value if isinstance(sample, UncertainValue) else sample
        assert isinstance(value, Bad) or point.low <= float(value) <= point.high


@layouts
def test_every_flipped_bit_is_noticed(layout: Layout, form: WordLayout) -> None:
    good = form.frame(VALUES)
    for bit in range(len(good) * 8):
        wrong = bytearray(good)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DataError):
            layout.decode(bytes(wrong))


def test_the_frame_of_another_model_is_refused() -> None:
    """But that of a PMS5003T, which looks the same: there only the label helps."""
    with pytest.raises(DataError):
        pms5003.explain([sim3003.FORM.frame(MASSES)])
    with pytest.raises(DataError):
        pms3003.explain([sim5003.FORM.frame(VALUES)])
    assert pms5003.explain([sim5003t.FORM.frame(VALUES)])["n10"] == 8.81


@kinds
async def test_zeros_and_silence_begin_the_warm_up_anew(
    driver: type[ParticleSensor], device: type[Plantower]
) -> None:
    now = Now()
    sensor = device(VALUES, zeros=1, clock=now)
    made = driver(SimSerial(sensor, now), settle_reads=2)
    assert isinstance(made, SelfReporting)
    assert made.identity == ""
    await made.open()

    async def next_one() -> Any:
        now.s += sensor.every_s / 2  # so one frame is waiting, or the next is waited for
        return (await made.read())[0]

    doubt = UncertainValue(5, Reason.WARMUP)
    assert [await next_one() for _ in range(4)] == [Bad(Reason.WARMUP), doubt, doubt, 5]
    assert made.health == {}
    sensor.power_cycle()
    assert [await next_one() for _ in range(4)] == [Bad(Reason.WARMUP), doubt, doubt, 5]
    sensor.silent = True
    with pytest.raises(BusError):
        await next_one()
    assert Condition.WARMUP in made.health
    sensor.silent = False
    assert await next_one() == doubt


@kinds
async def test_each_fault_is_seen_and_it_recovers(
    driver: type[ParticleSensor], device: type[Plantower]
) -> None:
    now = Now()
    sensor = device(VALUES, zeros=0, clock=now)
    made = driver(SimSerial(sensor, now), settle_reads=0)
    good = await made.read()
    assert good == pytest.approx([VALUES[point.key] for point in driver.layout.points])
    for fault in set(sensor.faults_known) - {"silent"}:  # that has a test of its own
        sensor.faults.append(fault)
        if fault == "sum":
            with pytest.raises(DataError):
                await made.read()
        elif fault == "zeros":
            assert set(await made.read()) == {Bad(Reason.WARMUP)}
        elif fault == "error":
            assert (await made.read())[1] == UncertainValue(8, Reason.FAULT)
            assert Condition.DEVICE in made.health
        else:
            assert fault in ("half", "garbage")  # passed over
        assert await made.read() == good, fault
        assert not sensor.faults
        assert made.health == {}


async def test_its_temperature_waits_for_no_fan_and_tells_frost() -> None:
    now = Now()
    sensor = sim5003t.DEVICE({"temperature": -7.5, "humidity": 88.1}, zeros=1, clock=now)
    made = pms5003t.DRIVER(SimSerial(sensor, now))
    assert set(await made.read()) == {Bad(Reason.WARMUP)}
    assert await made.read() == (*(Bad(Reason.WARMUP),) * 7, -7.5, 88.1)


@pytest.mark.parametrize("name", ["pms5003-captured", "pms5003-captured-2"])
def test_captured_frames_mean_what_others_made_of_them(name: str) -> None:
    want, data = list(vector(name)["decoded"].values()), frame(name)
    assert drain(pms5003.LAYOUT, b"\x42" + data) == [data]
    found = tuple(pms7003.explain([data]).values())
    assert found == pytest.approx((*want[3:6], *(count / 100 for count in want[6:12])))


def test_a_captured_frame_of_the_one_with_temperature() -> None:
    want, found = vector("pms5003t-captured"), pms5003t.explain([frame("pms5003t-captured")])
    reported = list(want["decoded"].values())
    assert tuple(found.values()) == pytest.approx(
        (*reported[3:6], *(count / 100 for count in reported[6:10]), *reported[10:])
    )


def test_the_frame_of_the_old_one() -> None:
    want = vector("pms3003-test")["decoded"]
    found = pms3003.explain([frame("pms3003-test")])
    assert list(found.values()) == [want["pm1_atm"], want["pm2_5_atm"], want["pm10_atm"]]


@pytest.mark.parametrize("name", ["active", "passive", "read", "wake"])
def test_commands_among_the_frames_are_passed_over(name: str) -> None:
    good = sim5003.FORM.frame(VALUES)
    assert pms5003.explain([frame(f"pms-cmd-{name}"), good])["pm2_5"] == 8
    with pytest.raises(DataError):
        pms5003.explain([frame(f"pms-cmd-{name}")])


def test_a_sensor_that_starts_sends_zeros() -> None:
    assert set(pms5003.explain([frame("pms5003-warming-up")]).values()) == {Bad(Reason.WARMUP)}
