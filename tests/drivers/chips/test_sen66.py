"""What a SEN66 has beyond a SEN55: CO2, altitude, its own status bits, a state it keeps itself."""

import pytest

from drivers.chips._saved_state import pack_state
from drivers.chips.sen66 import WEEK_READS, Sen66, decode
from drivers.sim import sen66 as sim
from drivers.sim._sensirion import with_checksums
from edge.core import Bad, BusError, Condition, Reason, Sample, UncertainValue
from tests.kit.air import Now, SensorRig
from tests.kit.vectors import vector

KEYS = [point.key for point in Sen66.points]
VALUES = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.53,
    "temperature": -3.205, "voc_index": 103.0, "nox_index": 1.0, "co2": 431.0,
}  # fmt: skip


class Sen66Rig(SensorRig[sim.Sen66, Sen66]):
    """`poll` is one read a second."""

    def __init__(
        self,
        settle_reads: int = 0,
        altitude_m: int = 0,
        powered_s: float = 3600,
        clean_reads: int = WEEK_READS,
    ) -> None:
        now = Now()
        chip = sim.Sen66(VALUES, clock=now, powered_s=powered_s)
        super().__init__(
            now, 0x6B, chip, lambda bus: Sen66(bus, settle_reads, altitude_m, clean_reads)
        )

    async def poll(self, times: int = 1) -> dict[str, Sample]:
        found: dict[str, Sample] = {}
        for _ in range(times):
            self.now.s = float(int(self.now.s + 1)) + 0.3  # its first sample takes 1.1 s
            found = await self.read()
        return found


async def test_values_are_those_of_the_module_to_the_wires_resolution() -> None:
    rig = Sen66Rig()
    await rig.driver.open()
    assert await rig.poll(3) == pytest.approx(VALUES, abs=1e-9)
    assert rig.driver.identity == "SIMULATED"


async def test_after_power_on_gases_come_one_after_the_other() -> None:
    rig = Sen66Rig(settle_reads=2, powered_s=0.2)
    await rig.driver.open()
    found = await rig.poll(2)
    assert found["pm10"] == UncertainValue(13.3, Reason.WARMUP)
    assert found["humidity"] == 45.53
    assert {found[k] for k in ("co2", "voc_index", "nox_index")} == {Bad(Reason.WARMUP)}
    found = await rig.poll(10)
    assert (found["co2"], found["nox_index"]) == (431.0, 1.0)
    assert found["voc_index"] == Bad(Reason.WARMUP)
    assert (await rig.poll(36))["voc_index"] == 103.0


async def test_its_altitude_is_told_at_each_start_since_it_forgets_it() -> None:
    rig = Sen66Rig(altitude_m=1500)
    await rig.driver.open()
    assert rig.chip.altitude_m == 1500
    await rig.poll(3)
    rig.chip.power(False)
    rig.chip.power(True)
    rig.now.s += 1
    await rig.driver.close()
    await rig.driver.open()
    assert rig.chip.altitude_m == 1500


@pytest.mark.parametrize(
    ("bit", "condition", "bad", "doubt"),
    [
        (4, Condition.FAN, {"pm1_0", "pm2_5", "pm4_0", "pm10"}, set()),
        (6, Condition.SENSOR, {"humidity", "temperature"}, {"voc_index", "nox_index", "co2"}),
        (7, Condition.SENSOR, {"voc_index", "nox_index"}, set()),
        (9, Condition.SENSOR, {"co2"}, set()),
        (11, Condition.SENSOR, {"pm1_0", "pm2_5", "pm4_0", "pm10"}, set()),
    ],
)
async def test_each_status_bit_spoils_its_own_and_names_the_part(
    bit: int, condition: Condition, bad: set[str], doubt: set[str]
) -> None:
    rig = Sen66Rig()
    await rig.driver.open()
    await rig.poll(2)
    rig.chip.errors.add(bit)
    found = await rig.poll(12)
    assert {k for k, s in found.items() if s == Bad(Reason.FAULT)} == bad
    assert {k for k, s in found.items() if s == UncertainValue(VALUES[k], Reason.FAULT)} == doubt
    assert set(rig.driver.health) == {condition}
    rig.chip.errors.clear()
    assert await rig.poll(24) == pytest.approx(VALUES, abs=1e-9)
    assert rig.driver.health == {}


async def test_the_state_of_its_voc_algorithm_is_given_back_after_a_power_cut() -> None:
    rig = Sen66Rig()
    rig.driver.restore(pack_state("SIMULATED", (12_000).to_bytes(8)), 30.0)
    await rig.driver.open()
    assert rig.chip.learnt_s >= 12_000
    other = Sen66Rig()
    other.driver.restore(pack_state("ANOTHER", (12_000).to_bytes(8)), 30.0)
    await other.driver.open()
    assert other.chip.learnt_s < 1


@pytest.mark.parametrize("name", ["sen66-read", "sen66-read-unknown"])
def test_decode_agrees_with_the_published_vectors(name: str) -> None:
    found = vector(name)
    reported = decode(bytes.fromhex(found["raw_hex"]))
    if "all" in found["decoded"]:
        assert set(reported) == {Bad(Reason.WARMUP)}
    else:
        assert reported == tuple(found["decoded"].values())


@pytest.mark.parametrize(
    ("ppm", "want"),
    [(0, Bad(Reason.WARMUP)), (1, Bad(Reason.RANGE)), (249, Bad(Reason.RANGE)), (250, 250)],
)
def test_no_air_has_so_little_co2(ppm: int, want: object) -> None:
    assert decode(with_checksums(b"\0\x10" * 8 + ppm.to_bytes(2)))[-1] == want


# --- its fan -------------------------------------------------------------------------------------


async def test_its_fan_is_cleaned_after_a_week_and_it_says_so_and_goes_on() -> None:
    rig = Sen66Rig(clean_reads=100)
    await rig.driver.open()
    await rig.poll(100)
    assert rig.driver.health == {}
    began = rig.now.s
    seen: list[Sample] = []
    while rig.driver.health or not seen:
        seen.append((await rig.poll())["co2"])
        if rig.chip.measuring:
            break
        assert "cleaned" in rig.driver.health[Condition.CLEANING]
    assert set(seen) == {Bad(Reason.STALE)}
    assert rig.now.s - began > 10
    assert [round(at - began) for at in rig.chip.cleanings] == [2]  # stopping takes a second
    assert (await rig.poll(3))["co2"] == 431.0
    await rig.poll(96)
    assert len(rig.chip.cleanings) == 1
    await rig.poll(3)
    assert len(rig.chip.cleanings) == 2


@pytest.mark.parametrize("pace_s", [0.05, 60.0])
async def test_however_fast_it_is_polled_its_fan_has_ten_seconds(pace_s: float) -> None:
    rig = Sen66Rig(clean_reads=3)
    await rig.driver.open()
    await rig.poll(3)
    began = 0.0
    while not rig.chip.cleanings or not rig.chip.measuring:
        rig.now.s += pace_s
        await rig.driver.read()
        began = began or rig.now.s
        if int(rig.now.s - began) % 16 == 15:  # as the poller does when nothing comes
            await rig.driver.close()
            await rig.driver.open()
    assert rig.now.s - rig.chip.cleanings[0] > 10


async def test_no_cleaning_where_none_is_wanted_or_taken() -> None:
    rig = Sen66Rig(clean_reads=0)
    await rig.driver.open()
    await rig.poll(50)
    assert rig.chip.cleanings == []
    rig = Sen66Rig(clean_reads=3)
    rig.chip.refuses_cleaning = True
    await rig.driver.open()
    await rig.poll(4)
    assert rig.chip.measuring
    assert Condition.CLEANING not in rig.driver.health
    assert (await rig.poll(3))["co2"] == 431.0


async def test_a_module_that_is_gone_while_its_fan_is_cleaned_is_silent() -> None:
    rig = Sen66Rig(clean_reads=30)
    await rig.driver.open()
    await rig.poll(32)
    assert Condition.CLEANING in rig.driver.health
    rig.chip.power(False)
    with pytest.raises(BusError):
        await rig.poll()
    await rig.driver.close()
    with pytest.raises(BusError):
        await rig.driver.open()
    rig.chip.power(True)
    rig.now.s += 2
    await rig.driver.open()
    await rig.poll(20)
    assert (await rig.poll(3))["co2"] == 431.0


async def test_its_dust_is_remembered_over_a_restart_however_long_it_was() -> None:
    rig = Sen66Rig(clean_reads=2 * 3600)
    await rig.driver.open()
    await rig.poll(3600)
    kept = rig.driver.snapshot()
    assert kept
    rig = Sen66Rig(clean_reads=2 * 3600)
    rig.driver.restore(kept, 1e6)
    await rig.driver.open()
    await rig.poll(3600)
    assert rig.chip.cleanings == []
    await rig.poll()
    assert len(rig.chip.cleanings) == 1


@pytest.mark.parametrize(
    "kept",
    [b"dust", b"dust \n", b"dust x\n", b"dust 99999\n", b"dust -1\nvoc 1\n", b"\n", b"\xff" * 99],
)
async def test_what_cannot_be_used_is_not(kept: bytes) -> None:
    rig = Sen66Rig(clean_reads=3600)
    rig.driver.restore(kept, 1.0)
    await rig.driver.open()
    await rig.poll(20)
    assert rig.chip.cleanings == []


async def test_what_it_has_learnt_is_worth_keeping_after_a_cleaning_too() -> None:
    rig = Sen66Rig(clean_reads=200)
    rig.driver.restore(b"dust 0\n" + pack_state("SIMULATED", (12_000).to_bytes(8)), 30.0)
    await rig.driver.open()
    await rig.poll(61)
    assert rig.driver.snapshot()
    await rig.poll(230)
    assert len(rig.chip.cleanings) == 1
    assert rig.chip.learnt_s > 12_000
    assert rig.driver.snapshot()
