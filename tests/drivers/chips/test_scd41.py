"""The SCD41's driver against the simulated sensor: its rhythm, who it is, and coming back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips.scd41 import Scd41, decode, explain
from drivers.sim import scd41 as sim
from drivers.sim._sensirion import with_checksums
from edge.core import Bad, BusError, Condition, DataError, Reason, Sample
from tests.kit.air import Now, SensorRig
from tests.kit.vectors import vectors

VALUES = {"co2": 612.0, "temperature": 21.25, "humidity": 44.0}
TICK = {"co2": 0.5, "temperature": 175 / 65535, "humidity": 100 / 65535}


class Scd41Rig(SensorRig[sim.Scd41, Scd41]):
    def __init__(self, **options: object) -> None:
        now = Now()
        chip = sim.Scd41(VALUES, clock=now, powered_s=3600)
        super().__init__(now, 0x62, chip, lambda bus: Scd41(bus, **options))  # type: ignore[arg-type]

    async def after(self, seconds: float) -> tuple[Sample, ...]:
        self.now.s += seconds
        return await self.driver.read()


def right(found: tuple[Sample, ...]) -> bool:
    named = zip(VALUES.items(), found, strict=True)
    return all(isinstance(s, float | int) and abs(s - v) <= TICK[k] for (k, v), s in named)


async def test_a_sample_each_five_seconds_and_nothing_between() -> None:
    rig = Scd41Rig()
    await rig.driver.open()
    assert set(await rig.after(1)) == {Bad(Reason.WARMUP)}
    assert set(rig.driver.health) == {Condition.WARMUP}
    assert right(await rig.after(4))
    assert rig.driver.health == {}
    assert set(await rig.after(1)) == {Bad(Reason.STALE)}
    assert right(await rig.after(4))


async def test_low_power_takes_thirty() -> None:
    rig = Scd41Rig(mode="low_power")
    await rig.driver.open()
    assert set(await rig.after(28)) == {Bad(Reason.WARMUP)}
    assert right(await rig.after(3))


async def test_it_is_told_its_altitude_before_it_starts_and_gives_its_number() -> None:
    rig = Scd41Rig(altitude_m=1500)
    await rig.driver.open()
    assert rig.chip.altitude_m == 1500
    assert rig.driver.identity == str(rig.chip.serial)
    assert rig.chip.measuring


async def test_one_that_measures_already_is_stopped_and_started_anew() -> None:
    rig = Scd41Rig()
    await rig.driver.open()
    other = Scd41(rig.bus, altitude_m=300)  # as after a crash
    await other.open()
    assert rig.chip.starts == 2
    assert (other.identity, rig.chip.altitude_m) == (str(rig.chip.serial), 300)
    rig.now.s += 5
    assert right(await other.read())


async def test_a_disturbance_does_not_start_it_anew() -> None:
    rig = Scd41Rig()
    await rig.driver.open()
    assert right(await rig.after(5))
    rig.chip.nacks = 1
    with pytest.raises(BusError):
        await rig.after(5)
    await rig.reopen()
    assert rig.chip.starts == 1
    assert right(await rig.after(0.1))
    assert rig.driver.identity == str(rig.chip.serial)


async def test_closing_stops_it_once_it_has_given_something() -> None:
    rig = Scd41Rig()
    await rig.driver.open()
    await rig.driver.close()
    assert rig.chip.measuring  # who polls in haste would never see a value else
    await rig.driver.open()
    assert rig.chip.starts == 1
    assert right(await rig.after(5))
    await rig.driver.close()
    assert not rig.chip.measuring


async def test_another_sensor_after_a_power_cut_is_another_one() -> None:
    rig = Scd41Rig()
    await rig.driver.open()
    assert right(await rig.after(5))
    rig.chip.power(False)
    with pytest.raises(BusError):
        await rig.after(5)
    rig.chip.serial = 7
    rig.chip.power(True)
    rig.now.s += 2
    await rig.reopen()
    assert rig.driver.identity == "7"
    assert right(await rig.after(5))


async def test_who_does_not_take_the_altitude_says_so() -> None:
    rig = Scd41Rig(altitude_m=800)

    def deaf(command: int, data: bytes, now: float) -> bool:
        return command != sim.ALTITUDE and sim.Scd41._does(rig.chip, command, data, now)

    rig.chip._does = deaf  # type: ignore[method-assign]
    await rig.driver.open()
    assert right(await rig.after(5))
    assert set(rig.driver.health) == {Condition.SETTINGS}


@given(st.binary(max_size=30))
def test_hostile_bytes_are_a_data_error_or_samples_in_range(frame: bytes) -> None:
    for data in (frame, frame[:9].ljust(9, b"\xac")):
        try:
            found = decode(data)
        except DataError:
            assert len(data) != 9
            continue
        for point, sample in zip(Scd41.points, found, strict=True):
            assert isinstance(sample, Bad) or point.low <= sample <= point.high  # type: ignore[operator]


def test_the_published_vectors() -> None:
    found = {v["id"]: v for v in vectors("scd4x-")}
    read = found["scd4x-read-measurement"]
    frame = bytes.fromhex(read["raw_hex"])
    assert decode(frame) == pytest.approx(tuple(read["decoded"].values()), abs=5e-4)
    ask, news = b"\xe4\xb8", bytes.fromhex(found["scd4x-data-ready-yes"]["raw_hex"])
    none = bytes.fromhex(found["scd4x-data-ready-no"]["raw_hex"])
    assert explain([ask, news, b"\xec\x05", frame])["co2"] == 500
    assert explain([ask, none])["co2"] == Bad(Reason.STALE)
    number = found["scd4x-serial"]
    spell = Scd41.profile.serial.spell
    data = bytes.fromhex(number["raw_hex"])
    assert spell(data[0:2] + data[3:5] + data[6:8]) == number["decoded"]["serial"]


@pytest.mark.parametrize(
    ("ppm", "want"),
    [(0, Bad(Reason.WARMUP)), (1, Bad(Reason.RANGE)), (249, Bad(Reason.RANGE)), (250, 250)],
)
def test_no_air_has_so_little_co2(ppm: int, want: object) -> None:
    reported = decode(with_checksums(ppm.to_bytes(2) + b"\x66\x67\x5e\xb9"))
    assert reported[0] == want
    assert reported[1] == pytest.approx(25.0, abs=0.01)
