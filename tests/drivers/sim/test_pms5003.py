"""The simulated PMS5003 on its pseudo-terminal, read by the real port and driver."""

import os
import select
from collections.abc import Iterator

import pytest

from drivers.buses.serial_port import SerialPort
from drivers.chips.pms5003 import Pms5003 as Driver
from drivers.sim.pms5003 import Pms5003
from edge.core import Bad, BusError, DataError, Reason, Sample, UncertainValue

VALUES = {
    "pm1_0": 5,
    "pm2_5": 8,
    "pm10": 11,
    "n0_3": 12.3,
    "n0_5": 4.1,
    "n1_0": 0.72,
    "n2_5": 0.09,
    "n5_0": 0.03,
    "n10": 0.01,
}
SETTLED = tuple(float(value) for value in VALUES.values())


@pytest.fixture
def sensor() -> Iterator[Pms5003]:
    made = Pms5003(VALUES, zeros=0)
    made.silent = True  # it talks when a test lets it
    with made:
        yield made


@pytest.fixture
def port(sensor: Pms5003) -> Iterator[SerialPort]:
    made = SerialPort(sensor.port)
    made.open()
    yield made
    made.close()


async def reported(sensor: Pms5003, device: Driver) -> tuple[Sample, ...]:
    """What is read of its next frame."""
    sensor.send(sensor.speak())
    return await device.read()


async def test_what_it_holds_is_what_is_read(sensor: Pms5003, port: SerialPort) -> None:
    device = Driver(port, settle_reads=0)
    await device.open()
    assert await reported(sensor, device) == pytest.approx(SETTLED)
    sensor.bias["pm2_5"] = 90
    assert (await reported(sensor, device))[1] == 98
    sensor.error = 3
    assert (await reported(sensor, device))[1] == UncertainValue(98, Reason.FAULT)


async def test_after_power_on_it_sends_zeros(sensor: Pms5003, port: SerialPort) -> None:
    device = Driver(port, settle_reads=0)
    assert (await reported(sensor, device))[0] == 5
    sensor.zeros = 1000
    sensor.power_cycle()
    assert set(await reported(sensor, device)) == {Bad(Reason.WARMUP)}


async def test_spoiled_frames_are_skipped_or_refused_and_the_next_is_read(
    sensor: Pms5003, port: SerialPort
) -> None:
    device = Driver(port, settle_reads=0)
    await reported(sensor, device)
    for fault in ("half", "garbage", "sum", "garbage", "half"):
        sensor.faults.append(fault)
        sensor.send(sensor.speak())
        if fault == "sum":
            with pytest.raises(DataError) as caught:
                await device.read()
            assert caught.value.reason is Reason.CRC
        else:
            if fault == "half":
                sensor.send(sensor.speak())
            assert await device.read() == pytest.approx(SETTLED)
        assert not sensor.faults
        assert await reported(sensor, device) == pytest.approx(SETTLED)


async def test_silence_is_a_bus_error_and_it_comes_back(
    sensor: Pms5003, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Driver(port, settle_reads=0)
    await reported(sensor, device)
    with monkeypatch.context() as hurried:
        hurried.setattr("drivers.chips._plantower.SILENT_S", 0.2)
        with pytest.raises(BusError):
            await device.read()
    assert await reported(sensor, device) == pytest.approx(SETTLED)


def test_it_obeys_its_commands(sensor: Pms5003) -> None:
    sensor.silent = False
    fd = os.open(sensor.port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(fd, bytes.fromhex("424de100000170"))  # passive: speaks when asked
        assert _until(fd, bytes.fromhex("424d0004e1000174"[:12]))
        os.write(fd, b"\x00" + bytes.fromhex("424de200000171"))
        assert _until(fd, b"\x42\x4d\x00\x1c")
        os.write(fd, bytes.fromhex("424de400000173"))  # sleep
        assert _until(fd, bytes.fromhex("424d0004e400"))
        assert sensor.asleep
        os.write(fd, bytes.fromhex("424de400010174"))
        assert _until(fd, bytes.fromhex("424d0004e401"))
        assert not sensor.asleep
    finally:
        os.close(fd)


def _until(fd: int, wanted: bytes) -> bool:
    """Read until these bytes came."""
    seen = b""
    while wanted not in seen:
        if not select.select([fd], [], [], 20.0)[0]:
            return False
        seen += os.read(fd, 256)
    return True
