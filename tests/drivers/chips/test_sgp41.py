"""The SGP41's driver: never conditioned for too long, indices as the algorithm has them, memory."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips import sgp41
from drivers.chips._gas_index import GasIndex
from drivers.chips._saved_state import pack_state
from drivers.chips.sgp41 import CONDITION, MEASURE, Sgp41, decode, encode_request
from drivers.sim import sgp41 as sim
from drivers.sim.i2c import Nack
from edge.core import Bad, BusError, Condition, ConfigError, DataError, Reason, Sample, Stateful
from tests.kit.air import Now, SensorRig
from tests.kit.vectors import vectors

WARM = Bad(Reason.WARMUP)


def air(at: float) -> dict[str, float]:
    """Something happens in it, so that an index has something to say."""
    return {"voc_ticks": 30000 - 40 * (at % 37), "nox_ticks": 16000 + 25 * (at % 23)}


class Sgp41Rig(SensorRig[sim.Sgp41, Sgp41]):
    """`poll` is one read a second."""

    def __init__(self) -> None:
        pytest.importorskip("sensirion_gas_index_algorithm")
        now = Now()
        chip = sim.Sgp41(lambda at: air(int(at)), clock=now, powered_s=1)
        super().__init__(now, 0x59, chip, Sgp41)

    async def poll(self, times: int = 1) -> tuple[Sample, ...]:
        found: tuple[Sample, ...] = ()
        for _ in range(times):
            self.now.s = float(int(self.now.s) + 1)
            found = await self.driver.read()
        return found


async def test_first_it_is_conditioned_then_ticks_come_and_after_45_s_indices() -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    assert rig.driver.identity == str(0x1234567)
    seen = [await rig.poll() for _ in range(60)]
    assert all(voc == WARM for voc, *_ in seen[:45])
    assert isinstance(seen[46][0], int)
    assert all(nox == WARM for _, nox, *_ in seen[:55])  # whose 45 s begin later
    assert isinstance(seen[56][1], int)
    assert [found[3] for found in seen[:10]] == [WARM] * 10
    assert all(isinstance(found[3], int) for found in seen[10:])
    assert all(isinstance(found[2], int) for found in seen)
    assert rig.driver.health == {}
    assert not rig.chip.damaged


async def test_the_indices_are_those_of_the_algorithm() -> None:
    rig = Sgp41Rig()
    voc, nox = GasIndex("voc"), GasIndex("nox")
    await rig.driver.open()
    for _ in range(200):
        found = await rig.poll()
        want = [voc.feed(int(str(found[2])))]
        want.append(0 if found[3] == WARM else nox.feed(int(str(found[3]))))
        assert found[:2] == tuple(index or WARM for index in want)
    assert found[0] not in (1, WARM)


async def test_however_often_it_is_opened_it_is_not_conditioned_for_more_than_it_bears() -> None:
    rig = Sgp41Rig()
    for turn in range(60):
        if turn % 7 == 0:
            await rig.driver.open()
        if turn % 11 == 5:
            rig.chip.nacks = 1
            with pytest.raises(BusError):
                await rig.poll()
        await rig.poll()
    assert not rig.chip.damaged


async def test_an_opening_that_cannot_stop_the_conditioning_fails() -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    await rig.poll(3)
    rig.chip.nacks = 1
    with pytest.raises(BusError):
        await rig.driver.open()
    await rig.driver.open()
    await rig.poll(20)
    assert not rig.chip.damaged


async def test_closing_lets_it_cool_down_and_a_dead_one_is_closed_in_peace() -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    await rig.poll(12)
    assert rig.chip.hot
    await rig.driver.close()
    assert not rig.chip.hot
    rig.chip.power(False)
    await rig.driver.close()


async def test_a_lost_second_repeats_the_index_and_a_damaged_word_is_bad() -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    await rig.poll(60)
    rig.chip.damage = sim.flip_bit(26)
    found = await rig.poll()
    assert found[1] == found[3] == Bad(Reason.CRC)
    assert isinstance(found[0], int)
    assert isinstance(found[2], int)
    rig.chip.damage = None
    assert all(isinstance(sample, int) for sample in await rig.poll())


async def test_what_it_has_learnt_survives_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sgp41, "LEARNT_READS", 600)
    rig = Sgp41Rig()
    keeping: Stateful = rig.driver
    await rig.driver.open()
    await rig.poll(599)
    assert keeping.snapshot() == b""
    await rig.poll()
    kept = keeping.snapshot()
    assert 0 < len(kept) < 100

    before = await rig.poll()
    rig.driver = Sgp41(rig.bus)
    rig.driver.restore(kept, 60.0)
    await rig.driver.open()
    restored = await rig.poll(60)
    assert rig.driver.snapshot()  # at once: it has learnt before

    fresh = Sgp41(rig.bus)
    rig.driver = fresh
    await rig.driver.open()
    anew = await rig.poll(60)
    assert fresh.snapshot() == b""
    assert restored[0] != anew[0]
    assert isinstance(before[0], int)


@pytest.mark.parametrize(
    ("kept", "age_s"),
    [
        (pack_state("19088743", b"\0\0\x27\x10\0\0\0\x31"), 601.0),
        (pack_state("19088743", b"\0\0\x27\x10\0\0\0\x31"), -1.0),
        (pack_state("1", b"\0\0\x27\x10\0\0\0\x31"), 1.0),
        (pack_state("19088743", b"\0\0\x27\x10\0\0\0"), 1.0),
        (pack_state("19088743", b"\x7f\0\x27\x10\0\0\0\x31"), 1.0),
        (pack_state("19088743", b"\0\0\x27\x10\xff\0\0\x31"), 1.0),
        (b"\xff" * 5000, 1.0),
    ],
)
async def test_what_cannot_be_used_is_not(kept: bytes, age_s: float) -> None:
    rig = Sgp41Rig()
    rig.driver.restore(kept, age_s)
    await rig.driver.open()
    assert rig.driver.identity == "19088743"
    await rig.poll(50)
    assert rig.driver.snapshot() == b""


async def test_another_sensor_begins_anew() -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    await rig.poll(60)
    rig.chip.serial = 8
    await rig.driver.open()
    assert rig.driver.identity == "8"
    assert (await rig.poll())[0] == WARM
    assert set(rig.driver.health) == {Condition.WARMUP}


def test_without_the_algorithm_a_configuration_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sensirion_gas_index_algorithm.voc_algorithm", None)
    with pytest.raises(ConfigError, match="pip install sensirion-gas-index-algorithm"):
        Sgp41(None)  # type: ignore[arg-type]


@given(st.binary(max_size=12), st.booleans())
def test_hostile_bytes_are_a_data_error_or_samples_in_range(frame: bytes, first: bool) -> None:
    try:
        found = decode(frame, first)
    except DataError:
        return
    assert all(isinstance(s, Bad) or 1 <= s <= 64999 for s in found)  # type: ignore[operator]


def test_the_published_vectors() -> None:
    found = {v["id"]: v for v in vectors("sgp41-")}
    assert encode_request(CONDITION, 50, 25).hex() == found["sgp41-conditioning"]["raw_hex"]
    assert encode_request(MEASURE, 45, 10).hex() == found["sgp41-measure-compensated"]["raw_hex"]
    read = found["sgp41-read"]
    assert decode(bytes.fromhex(read["raw_hex"])) == tuple(read["decoded"].values())


@pytest.mark.parametrize("pace_s", [0.6, 1.0, 4.2, 60.0])
async def test_however_slow_a_neighbour_makes_the_polls_it_is_not_conditioned_for_long(
    pace_s: float,
) -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    for _ in range(30):
        rig.now.s += pace_s
        await rig.driver.read()
        assert rig.chip._conditioned_at is None  # whatever comes now, or never comes
    assert not rig.chip.damaged


async def test_a_conditioning_that_gives_nothing_is_ended_all_the_same() -> None:
    rig = Sgp41Rig()
    await rig.driver.open()
    answers = iter(range(9))

    def once(answer: bytes) -> bytes:
        if not next(answers):
            raise Nack
        return answer

    rig.chip.damage = once
    with pytest.raises(BusError):
        await rig.poll()
    assert rig.chip.hot
    assert rig.chip._conditioned_at is None


@pytest.mark.parametrize(("failed", "reported"), [(0, ""), (1, "0x1"), (3, "0x3"), (0xF0, "")])
async def test_it_tests_itself_when_it_is_opened(failed: int, reported: str) -> None:
    rig = Sgp41Rig()
    rig.chip.failed = failed
    await rig.driver.open()
    assert reported in rig.driver.health.get(Condition.SELF_TEST, "")
    assert (Condition.SELF_TEST in rig.driver.health) == bool(reported)
    await rig.poll(60)
    assert not rig.chip.damaged
    rig.chip.failed = 0  # another one
    await rig.driver.open()
    assert Condition.SELF_TEST not in rig.driver.health
