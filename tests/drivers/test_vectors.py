"""Every published vector of a device goes through what `kerbstone decode` uses, or is what we send.

They stand in `tests/vectors`; a new one there that nobody has looked at fails here.
Those of Modbus have a test of their own: `tests/drivers/meters/test_vectors.py`.
"""

import pytest

import drivers
from drivers.chips._gas_index import GasIndex
from edge.core import Bad, DataError, Reason, crc8
from tests.drivers import bench
from tests.drivers.calculated_vectors import CALCULATED
from tests.drivers.heard_vectors import HEARD, Talk, Values
from tests.drivers.sent_vectors import SAID, UNSAID, DriverRun, written
from tests.kit.vectors import everything, frame, vector, vectors

HERE = {"sensirion-crc8-beef", "nox-index-constant", "voc-index-blackout"}  # at the end
# judgements on traffic, no devices: tests/infer/test_loops_published.py
JUDGED = ("tls-plaus-", "pems-", "iris-")


def data(said: str) -> bytes:
    return frame(said) if "-" in said else bytes.fromhex(said)


def explained(talk: Talk, one: bytes) -> Values:
    said = [*map(data, talk.before), one, *map(data, talk.after)]
    return {key: sample for key, (sample, _) in drivers.explain(talk.driver, said).items()}


def test_every_vector_is_looked_at() -> None:
    known = {each["id"] for each in everything() if each["group"] != "modbus"}
    judged = {each["id"] for each in vectors(*JUDGED)}
    parts: list[set[str]] = [set(HEARD), set(SAID), set(UNSAID), set(CALCULATED), HERE, judged]
    assert known == set.union(*parts)
    assert sum(map(len, parts)) == len(known), "each once"
    reported = {each["id"]: each.get("direction") for each in everything()}
    assert {reported[name] for name in HEARD} == {"rx"}
    assert {reported[name] for name in (*SAID, *UNSAID)} == {"tx"}


@pytest.mark.parametrize("name", HEARD)
def test_what_is_heard_means_what_others_made_of_it(name: str) -> None:
    talk, known = HEARD[name], vector(name)
    if talk.refused:
        with pytest.raises(DataError) as caught:
            explained(talk, frame(name))
        assert caught.value.reason is talk.refused
        return
    found, want = explained(talk, frame(name)), talk.means(known["decoded"]) | talk.besides
    assert want
    rel = known.get("float_tolerance", 1e-6)
    for key, sample in want.items():
        same = sample if isinstance(sample, Bad) else pytest.approx(sample, rel=rel, abs=talk.abs)
        assert found[key] == same, key
    if known["decoded"].get("all_zero") or "all" in known["decoded"]:
        assert set(found.values()) == {Bad(Reason.WARMUP)}


def test_a_driver_that_reads_what_was_captured_says_so() -> None:
    captured = {each["id"] for each in everything() if each["provenance"] == "captured"}
    heard = {HEARD[name].driver for name in captured & set(HEARD)}
    assert len(heard) >= 6
    assert {bench.trace(driver).get("level") for driver in heard} == {"recorded"}


@pytest.mark.parametrize("name", [name for name in HEARD if name != "iec62056-ident"])
def test_a_damaged_one_has_no_other_values(name: str) -> None:
    talk, good = HEARD[name], frame(name)
    whole = {} if talk.refused else explained(talk, good)
    for at in range(0, len(good), 1 + len(good) // 64):
        damaged = good[:at] + bytes([good[at] ^ 0x04]) + good[at + 1 :]
        try:
            found = explained(talk, damaged)
        except DataError:
            continue
        differing = {key for key in found if found[key] != whole.get(key)}
        assert {found[key] for key in differing} <= {Bad(Reason.CRC)}, at


@pytest.mark.parametrize("name", SAID)
async def test_what_is_sent_is_what_others_send(name: str) -> None:
    want = frame(name)
    for run in SAID[name]:
        assert want.lstrip(b"\xfe") in await written(run), run  # FE only wakes a meter


@pytest.mark.parametrize("name", UNSAID)
async def test_what_is_never_sent_is_passed_over(name: str) -> None:
    driver, _ = UNSAID[name]
    runs = {run for each in SAID.values() for run in each if run.driver == driver}
    for run in runs or {DriverRun(driver)}:
        assert frame(name) not in await written(run)
    good = bench.build(driver, bench.cases(driver)[0])[1].frames()
    assert drivers.explain(driver, [frame(name), *good]) == drivers.explain(driver, good)


@pytest.mark.parametrize("name", CALCULATED)
def test_what_is_calculated_from_its_numbers_is_what_others_calculated(name: str) -> None:
    known = vector(name)
    CALCULATED[name](known.get("inputs", {}), known.get("expected") or known["decoded"])


def test_the_checksum_of_sensirion() -> None:
    known = vector("sensirion-crc8-beef")
    reported, want = known["inputs"]["bytes_hex"], known["expected"]["crc_hex"]
    assert crc8(bytes.fromhex(reported)) == int(want, 16)


def test_the_gas_index_of_steady_air() -> None:
    pytest.importorskip("sensirion_gas_index_algorithm")
    voc, nox = GasIndex("voc"), GasIndex("nox")
    want = vector("voc-index-blackout")["expected"]
    reported = [voc.feed(30_000) for _ in range(120)]
    assert reported.index(next(filter(None, reported))) == want["zero_outputs_at_start"]
    assert reported[-1] == want["index_after_120"]
    want = vector("nox-index-constant")["expected"]
    assert [nox.feed(1337) for _ in range(201)][-1] == want["last_index"]
