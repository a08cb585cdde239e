"""The simulated IEC 62056-21 meter on its pseudo-terminal, where the speed is really changed."""

from collections.abc import Iterator

import pytest

from drivers.buses.serial_port import SerialPort
from drivers.chips import iec62056 as chip
from drivers.chips.iec62056 import Iec62056 as Driver
from drivers.sim.iec62056 import Iec62056
from edge.core import BusError, Condition, DataError
from tests.drivers.known import read
from tests.kit.serialport import waiting

VALUES = {
    "energy_import": 1234.567,
    "energy_import_t1": 1000.0,
    "energy_import_t2": 234.567,
    "power": -613.0,
    "voltage_l2": 229.8,
    "frequency": 50.01,
}


@pytest.fixture(autouse=True)
def _haste(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SIGN_ON_S", 20.0), ("REACTION_S", 0.0), ("ACK_S", 0.0)):
        monkeypatch.setattr(chip, name, seconds)
    monkeypatch.setattr(chip, "SILENT_S", 20.0)


@pytest.fixture
def meter() -> Iterator[Iec62056]:
    with Iec62056(VALUES, reaction_s=0.05, follows_s=20.0) as made:
        yield made


@pytest.fixture
def port(meter: Iec62056) -> Iterator[SerialPort]:
    made = waiting(meter)(meter.port, 300)
    yield made
    made.close()


async def test_it_is_read_at_its_own_speed_and_called_anew_at_300(
    meter: Iec62056, port: SerialPort
) -> None:
    device = Driver(port)
    for speed in ("5", "B"):
        meter.speed = speed
        assert await read(device) == pytest.approx(VALUES)
        assert meter.line_speed() == 300
    assert device.identity == meter.serial
    assert meter.calls == 2


async def test_a_meter_that_does_not_follow_is_noise_and_is_read_the_next_time(
    meter: Iec62056, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Driver(port)
    meter.faults.append("slow")
    monkeypatch.setattr(chip, "SILENT_S", 0.6)
    with pytest.raises((DataError, BusError)):
        await device.read()
    assert meter.line_speed() == 300
    monkeypatch.setattr(chip, "SILENT_S", 20.0)
    meter.faults.clear()
    meter.faults.append("error")
    assert await read(device) == pytest.approx(VALUES)
    assert Condition.DEVICE in device.health


async def test_it_hears_only_calls_that_are_for_it(
    meter: Iec62056, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chip, "SIGN_ON_S", 0.3)
    with pytest.raises(BusError):
        await Driver(port, address="1").read()
    assert meter.calls == 0


def test_a_fault_that_it_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault"):
        Iec62056(VALUES, fault="crc")
