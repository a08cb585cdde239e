"""The SEN55's driver against the simulated module: starting, settling, faults, coming back."""

import pytest

from drivers.chips._saved_state import pack_state
from drivers.chips.sen55 import DRIVER, Sen55, decode
from drivers.sim import sen55 as sim
from edge.core import (
    Bad,
    BusError,
    Condition,
    Polled,
    Reason,
    Sample,
    SelfReporting,
    Stateful,
    UncertainValue,
)
from tests.kit.air import Now, SensorRig
from tests.kit.vectors import vector

VALUES = {
    "pm1_0": 5.2,
    "pm2_5": 9.5,
    "pm4_0": 12.6,
    "pm10": 13.3,
    "humidity": 45.53,
    "temperature": -3.205,
    "voc_index": 103.0,
    "nox_index": 1.0,
}
KEYS = [point.key for point in Sen55.points]
MASS = KEYS[:4]


class Sen55Rig(SensorRig[sim.Sen55, Sen55]):
    """`poll` is one read a second."""

    def __init__(self, settle_reads: int = 30, **options: object) -> None:
        now = Now()
        chip = sim.Sen55(VALUES, clock=now, powered_s=3600, **options)  # type: ignore[arg-type]
        super().__init__(now, 0x69, chip, lambda bus: Sen55(bus, settle_reads))
        self.due = now.s

    async def poll(self, times: int = 1) -> dict[str, Sample]:
        found: dict[str, Sample] = {}
        for _ in range(times):
            self.due = max(self.due + 1.0, self.now.s)
            self.now.s = self.due
            found = await self.read()
        return found


async def test_values_are_those_of_the_module_to_the_wires_resolution() -> None:
    rig = Sen55Rig(settle_reads=0)
    device: Polled = rig.driver
    await device.open()
    found = await rig.poll()
    assert found == pytest.approx(VALUES, abs=1e-9)
    assert DRIVER is Sen55


async def test_particles_are_in_doubt_for_thirty_samples_and_the_rest_is_not() -> None:
    rig = Sen55Rig()
    await rig.driver.open()
    for _ in range(30):
        found = await rig.poll()
        assert found["pm2_5"] == UncertainValue(9.5, Reason.WARMUP)
        assert found["temperature"] == -3.205
    assert (await rig.poll())["pm2_5"] == 9.5


async def test_before_the_first_sample_nothing_is_there_and_later_it_is_stale() -> None:
    rig = Sen55Rig()
    await rig.driver.open()
    assert set(await rig.driver.read()) == {Bad(Reason.WARMUP)}
    await rig.poll()
    assert set(await rig.driver.read()) == {Bad(Reason.STALE)}  # long before a second is over


async def test_after_power_on_the_indices_still_learn() -> None:
    rig = Sen55Rig()
    rig.chip.power(False)
    rig.chip.power(True)
    rig.now.s += 0.2
    await rig.driver.open()
    found = await rig.poll(5)
    assert found["voc_index"] == found["nox_index"] == Bad(Reason.WARMUP)
    found = await rig.poll(41)
    assert found["voc_index"] == 103.0
    assert found["nox_index"] == 1.0


async def test_a_poll_a_second_misses_nothing_while_the_clocks_drift() -> None:
    rig = Sen55Rig(settle_reads=0)
    await rig.driver.open()
    await rig.poll()
    stale = 0
    for i in range(300):
        rig.now.s = rig.due = 1003.0 + 0.9995 * i  # ours is fast: its samples come later and later
        stale += (await rig.driver.read())[0] == Bad(Reason.STALE)
    assert stale <= 1  # it made one sample less than we asked for


@pytest.mark.parametrize("lenient", [False, True])
async def test_a_module_that_lost_power_is_started_again_by_open(lenient: bool) -> None:
    rig = Sen55Rig(settle_reads=2, lenient=lenient)
    await rig.driver.open()
    assert (await rig.poll(3))["pm10"] == 13.3
    rig.chip.power(False)
    with pytest.raises(BusError):
        await rig.poll()
    rig.chip.power(True)
    rig.now.s += 2
    await rig.reopen()
    assert (await rig.poll(2))["pm10"] == UncertainValue(13.3, Reason.WARMUP)


async def test_a_module_that_forgot_its_mode_unseen_is_stale_until_it_is_opened_again() -> None:
    rig = Sen55Rig(lenient=True)
    await rig.driver.open()
    await rig.poll(3)
    rig.chip.power(False)
    rig.chip.power(True)
    assert set((await rig.poll()).values()) == {Bad(Reason.STALE)}
    await rig.reopen()
    assert isinstance((await rig.poll(2))["pm1_0"], UncertainValue)


async def test_a_disturbance_does_not_make_it_warm_up_again() -> None:
    rig = Sen55Rig(settle_reads=5)
    await rig.driver.open()
    await rig.poll(6)
    rig.chip.nacks = 1
    with pytest.raises(BusError):
        await rig.poll()
    rig.bus.commands()
    await rig.reopen()
    assert rig.bus.commands() == [
        "0021",
        "0202",
        "d033",
    ]  # no stop; it refused the start, and answered
    assert (await rig.poll())["pm2_5"] == 9.5


async def test_a_module_that_measures_already_is_taken_over() -> None:
    rig = Sen55Rig()
    await rig.driver.open()
    await rig.poll()
    other = Sen55(rig.bus, settle_reads=0)
    await other.open()
    rig.now.s += 1
    assert (await other.read())[1] == 9.5


async def test_closing_stops_it_and_opening_right_after_works() -> None:
    rig = Sen55Rig(settle_reads=0)
    await rig.driver.open()
    await rig.poll(2)
    assert rig.chip.measuring
    await rig.driver.close()
    assert not rig.chip.measuring
    await rig.driver.close()
    await rig.driver.open()
    assert (await rig.poll(2))["pm2_5"] == 9.5


@pytest.mark.parametrize("lenient", [False, True])
async def test_who_polls_in_haste_and_reopens_when_nothing_comes_still_gets_values(
    lenient: bool,
) -> None:
    rig = Sen55Rig(lenient=lenient)
    found = []
    for i in range(40):
        if i % 3 == 0:
            await rig.reopen()
        rig.now.s += 0.2
        found.append((await rig.driver.read())[1])
        if isinstance(found[-1], UncertainValue):
            break
    assert found[-1] == UncertainValue(9.5, Reason.WARMUP)


async def test_a_fan_that_stands_still_spoils_the_particles_until_it_turns_again() -> None:
    rig = Sen55Rig(settle_reads=0)
    await rig.driver.open()
    await rig.poll(2)
    rig.chip.errors.add(4)
    found = await rig.poll(10)
    assert [found[key] for key in MASS] == [Bad(Reason.FAULT)] * 4
    assert found["humidity"] == 45.53
    assert (await rig.poll(10))["pm2_5"] == Bad(Reason.FAULT)  # cleared, and found again
    rig.chip.errors.clear()
    assert (await rig.poll(20))["pm2_5"] == 9.5


async def test_a_part_that_gives_nothing_any_more_is_asked_why_at_once() -> None:
    rig = Sen55Rig(settle_reads=0)
    await rig.driver.open()
    await rig.poll(2)
    rig.chip.values = {k: v for k, v in VALUES.items() if k not in ("humidity", "temperature")}
    assert (await rig.poll())["humidity"] == Bad(Reason.STALE)
    rig.chip.errors.add(6)
    found = await rig.poll()
    assert found["humidity"] == found["temperature"] == Bad(Reason.FAULT)
    assert found["voc_index"] == UncertainValue(
        103.0, Reason.FAULT
    )  # it is corrected with the humidity
    assert found["pm2_5"] == 9.5


async def test_a_flipped_bit_spoils_one_point_only() -> None:
    rig = Sen55Rig(settle_reads=0)
    await rig.driver.open()
    await rig.poll()
    answers = iter([b for b in (0, 1)])
    # the answer to data-ready is whole, the measured values are not
    rig.chip.damage = lambda answer: answer if next(answers) == 0 else sim.flip_bit(30)(answer)
    found = await rig.poll()
    assert found["pm2_5"] == Bad(Reason.CRC)
    assert {k: v for k, v in found.items() if k != "pm2_5"} == pytest.approx(
        {k: v for k, v in VALUES.items() if k != "pm2_5"}
    )


async def test_the_fan_cleans_itself_and_says_so() -> None:
    rig = Sen55Rig(settle_reads=0)
    await rig.driver.open()
    await rig.poll(2)
    await rig.bus.transfer(0x69, b"\x56\x07", wait_s=0.02)
    found = await rig.poll(2)
    assert set(found.values()) == {Bad(Reason.STALE)}
    assert "is cleaning itself" in rig.driver.health[Condition.CLEANING]
    assert (await rig.poll(30))["pm2_5"] == 9.5
    assert rig.driver.health == {}


async def test_status_words_and_warm_up_become_health() -> None:
    rig = Sen55Rig(settle_reads=3)
    reported: SelfReporting = rig.driver
    assert reported.health == {}
    await rig.driver.open()
    assert reported.identity == "SIMULATED"
    await rig.poll(2)
    assert set(reported.health) == {Condition.WARMUP}
    rig.chip.errors |= {4, 5, 21}
    await rig.poll(12)
    assert set(reported.health) == {Condition.FAN, Condition.LASER}
    assert "stands still" in reported.health[Condition.FAN]
    assert "too slowly" in reported.health[Condition.FAN]
    rig.chip.errors.clear()
    await rig.poll(20)
    assert reported.health == {}


async def test_the_state_of_the_voc_algorithm_survives_a_restart() -> None:
    rig = Sen55Rig()
    keeping: Stateful = rig.driver
    await rig.driver.open()
    await rig.poll(60)
    assert keeping.snapshot() == b""  # not worth it yet
    await rig.poll(3 * 3600)
    kept = keeping.snapshot()
    await rig.driver.close()

    rig.driver = Sen55(rig.bus)
    rig.driver.restore(kept, 599.0)
    await rig.driver.open()
    assert rig.chip.learnt_s > 10_000
    await rig.poll(61)
    assert rig.driver.snapshot()  # at once: it has learnt before
    await rig.driver.close()

    rig.driver = Sen55(rig.bus)  # without it all begins anew
    await rig.driver.open()
    assert rig.chip.learnt_s < 1


@pytest.mark.parametrize(
    ("age_s", "serial", "spoil"),
    [(601.0, "SIMULATED", b""), (-1.0, "SIMULATED", b""), (5.0, "ANOTHER", b""),
     (5.0, "SIMULATED", b"more")],
)  # fmt: skip
async def test_a_state_that_is_old_or_of_another_module_is_not_used(
    age_s: float, serial: str, spoil: bytes
) -> None:
    rig = Sen55Rig(serial=serial)
    rig.driver.restore(pack_state("SIMULATED", (12_000).to_bytes(8)) + spoil, age_s)
    await rig.driver.open()
    await rig.poll(61)
    assert rig.chip.learnt_s < 100
    assert rig.driver.snapshot() == b""


@pytest.mark.parametrize("name", ["sen55-read", "sen55-read-negative-temp", "sen55-read-unknown"])
def test_decode_agrees_with_the_published_vectors(name: str) -> None:
    found = vector(name)
    reported = dict(zip(KEYS, decode(bytes.fromhex(found["raw_hex"])), strict=True))
    for theirs, want in found["decoded"].items():
        key = next(k for k in KEYS if theirs.startswith(k))
        assert reported[key] == (Bad(Reason.WARMUP) if want is None else want)


async def test_zeros_after_a_start_are_no_clean_air_and_later_they_are() -> None:
    rig = Sen55Rig(settle_reads=0, zeros=2)
    await rig.driver.open()
    for _ in range(2):
        found = await rig.poll()
        assert {found[key] for key in MASS} == {Bad(Reason.WARMUP)}
        assert found["temperature"] == -3.205
    assert (await rig.poll(8))["pm2_5"] == 9.5
    rig.chip.values = VALUES | dict.fromkeys(MASS, 0.0)  # it has rained for a day
    assert [(await rig.poll(2))[key] for key in MASS] == [0.0] * 4


async def test_clean_air_is_not_bad_for_ever_after_a_start() -> None:
    rig = Sen55Rig(settle_reads=8)
    rig.chip.values = VALUES | dict.fromkeys(MASS, 0.0)
    await rig.driver.open()
    assert (await rig.poll(8))["pm2_5"] == Bad(Reason.WARMUP)
    assert (await rig.poll())["pm2_5"] == 0.0
