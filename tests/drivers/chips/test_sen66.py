"""What a SEN66 has beyond a SEN55: CO2, altitude, its own status bits, a state it keeps itself."""

import json
from pathlib import Path

import pytest

from drivers.chips._kept import pack
from drivers.chips.sen66 import Sen66, decode
from drivers.sim import sen66 as sim
from edge.core import Bad, Condition, Doubt, Reason, Sample
from tests.drivers.simbus import Now, SimI2c

VECTORS = Path(__file__).parents[3] / "../shared/facts/vectors.json"
KEYS = [point.key for point in Sen66.points]
VALUES = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.53,
    "temperature": -3.205, "voc_index": 103.0, "nox_index": 1.0, "co2": 431.0,
}  # fmt: skip


class Rig:
    """A driver, its bus, its module; `poll` is one read a second."""

    def __init__(self, settle_reads: int = 0, altitude_m: int = 0, powered_s: float = 3600) -> None:
        self.now = Now()
        self.chip = sim.Sen66(VALUES, clock=self.now, powered_s=powered_s)
        self.bus = SimI2c(self.now, {0x6B: self.chip})
        self.driver = Sen66(self.bus, settle_reads, altitude_m)

    async def poll(self, times: int = 1) -> dict[str, Sample]:
        found: tuple[Sample, ...] = ()
        for _ in range(times):
            self.now.s = float(int(self.now.s + 1)) + 0.3  # its first sample takes 1.1 s
            found = await self.driver.read()
        return dict(zip(KEYS, found, strict=True))


async def test_values_are_those_of_the_module_to_the_wires_resolution() -> None:
    rig = Rig()
    await rig.driver.open()
    assert await rig.poll(3) == pytest.approx(VALUES, abs=1e-9)
    assert rig.driver.identity == "SIMULATED"


async def test_after_power_on_gases_come_one_after_the_other() -> None:
    rig = Rig(settle_reads=2, powered_s=0.2)
    await rig.driver.open()
    found = await rig.poll(2)
    assert found["pm10"] == Doubt(13.3, Reason.WARMUP)
    assert found["humidity"] == 45.53
    assert {found[k] for k in ("co2", "voc_index", "nox_index")} == {Bad(Reason.WARMUP)}
    found = await rig.poll(10)
    assert (found["co2"], found["nox_index"]) == (431.0, 1.0)
    assert found["voc_index"] == Bad(Reason.WARMUP)
    assert (await rig.poll(36))["voc_index"] == 103.0


async def test_its_altitude_is_told_at_each_start_since_it_forgets_it() -> None:
    rig = Rig(altitude_m=1500)
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
    rig = Rig()
    await rig.driver.open()
    await rig.poll(2)
    rig.chip.errors.add(bit)
    found = await rig.poll(12)
    assert {k for k, s in found.items() if s == Bad(Reason.FAULT)} == bad
    assert {k for k, s in found.items() if s == Doubt(VALUES[k], Reason.FAULT)} == doubt
    assert set(rig.driver.health) == {condition}
    rig.chip.errors.clear()
    assert await rig.poll(24) == pytest.approx(VALUES, abs=1e-9)
    assert rig.driver.health == {}


async def test_the_state_of_its_voc_algorithm_is_given_back_after_a_power_cut() -> None:
    rig = Rig()
    rig.driver.restore(pack("SIMULATED", (12_000).to_bytes(8)), 30.0)
    await rig.driver.open()
    assert rig.chip.learnt_s >= 12_000
    other = Rig()
    other.driver.restore(pack("ANOTHER", (12_000).to_bytes(8)), 30.0)
    await other.driver.open()
    assert other.chip.learnt_s < 1


@pytest.mark.parametrize("vector", ["sen66-read", "sen66-read-unknown"])
def test_decode_agrees_with_the_collected_vectors(vector: str) -> None:
    if not VECTORS.exists():
        pytest.skip("the collected vectors are not here")
    found = next(v for v in json.loads(VECTORS.read_text())["vectors"] if v["id"] == vector)
    told = decode(bytes.fromhex(found["raw_hex"]))
    if "all" in found["decoded"]:
        assert set(told) == {Bad(Reason.WARMUP)}
    else:
        assert told == tuple(found["decoded"].values())
