"""Every collected vector of a device goes through what `kerbstone decode` uses, or is what we send.

The vectors stay in the collection of facts; a new one there that nobody has looked at fails here.
Those of Modbus have a test of their own: `tests/drivers/meters/test_vectors.py`.
"""

import ast
from pathlib import Path

import pytest

import drivers
from drivers.chips._gas_index import GasIndex
from edge.core import Bad, DataError, Reason, crc8
from tests.drivers import bench
from tests.drivers.heard import HEARD, Talk, Values
from tests.drivers.sent import SAID, UNSAID, Run, written
from tests.drivers.vectors import everything, frame, vector

ROOT = Path(__file__).parents[2]

# -- no measured values: given to the project's own functions in the tests that are named ----------

CHIPS, PROCESS = "tests/drivers/chips/", "tests/process/"
PASSAGE = PROCESS + "test_passage.py"
CALCULATED = {  # vector -> file, test, and by which word it names the vector if not by all of it
    **{f"aan803-no2a4-{name}": (PROCESS + "test_aan803.py", "the_collected_vectors", "aan803")
       for name in ("alg1", *(f"nT-{t}" for t in ("-30", "-40", "25", "27.5", "50", "60")))},
    "aan803-ox-minus-no2": (PROCESS + "test_aan803.py", "the_collected_vectors", "aan803"),
    **{name: (CHIPS + "test_bme280.py", "the_collected_vectors", "") for name in (
        "bme280-h4h5-packing", "bme280-pimoroni-calibration", "bmp280-datasheet-example",
    )},
    **{f"ads1115-conv-{name}": (CHIPS + "test_ads1115.py", "the_collected_vectors", "fsr_v")
       for name in ("0b00-4.096", "8000-4.096", "ffff-0.256")},
    "shdlc-byte-stuffing": (CHIPS + "test_sps30_uart.py", "frames_are_those_of_others", ""),
    **{f"s0-{name}": (PROCESS + "test_pulses.py", "the_time_between_pulses_is_power", "")
       for name in ("1000-3.6", "10000-0.36", "2000-1.8")},
    **{f"trap-{name}": (PASSAGE, "a_vehicle_at_constant_speed", "")
       for name in ("car-120", "car-50", "moto-50", "truck-80")},
    **{f"speed-pair-{name}": (PASSAGE, "the_rules_of_iris", "")
       for name in ("ok", "duration-mismatch", "spacing-too-small")},
    "trap-accelerating": (PASSAGE, "leading_and_trailing_edges_are_averaged", ""),
    "trap-wrong-way": (PASSAGE, "what_no_single_vehicle_can_have_done_is_no_passage", ""),
    "interval-straddle": (PROCESS + "test_lane.py", "a_presence_is_split_at_the_border_and_the"
                          "_vehicle_counts_where_it_rises", ""),
    "space-mean-speed": (PROCESS + "test_histogram.py", "time_mean_and_space_mean_differ", ""),
}  # fmt: skip
HERE = {"sensirion-crc8-beef", "nox-index-constant", "voc-index-blackout"}  # at the end
ABSENT = {
    "hpma115c0-captured": "no driver reads a Honeywell HPMA115C0",
    "voc-index-series": "its 600 samples are in Sensirion's repository, not in the collection",
}
# no devices: indices and formats of platforms, judgements on traffic, estimates of one loop
LATER = (
    "aqi-", "eaqi-", "nowcast-", "ppb-", "ppm-", "hj212-", "sm4-", "senml-", "sparkplug-",
    "hcm-", "tls-plaus-", "pems-", "iris-", "ntcip-", "occ-to-density", "single-loop-",
)  # fmt: skip


def data(said: str) -> bytes:
    return frame(said) if "-" in said else bytes.fromhex(said)


def explained(talk: Talk, one: bytes) -> Values:
    said = [*map(data, talk.before), one, *map(data, talk.after)]
    return {key: sample for key, (sample, _) in drivers.explain(talk.driver, said).items()}


def test_every_vector_is_looked_at() -> None:
    known = {each["id"] for each in everything() if each["group"] != "modbus"}
    later = {name for name in known if name.startswith(LATER)}
    parts: list[set[str]] = [set(HEARD), set(SAID), set(UNSAID), set(CALCULATED), HERE]
    parts += [set(ABSENT), later]
    assert known == set.union(*parts)
    assert sum(map(len, parts)) == len(known), "each once"
    assert all(any(name.startswith(prefix) for name in later) for prefix in LATER)
    told = {each["id"]: each.get("direction") for each in everything()}
    assert {told[name] for name in HEARD} == {"rx"}
    assert {told[name] for name in (*SAID, *UNSAID)} == {"tx"}
    assert "hpma115c0" not in drivers.names()


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
    for run in runs or {Run(driver)}:
        assert frame(name) not in await written(run)
    good = bench.build(driver, bench.cases(driver)[0])[1].frames()
    assert drivers.explain(driver, [frame(name), *good]) == drivers.explain(driver, good)


@pytest.mark.parametrize("name", CALCULATED)
def test_what_is_calculated_has_the_test_that_is_named(name: str) -> None:
    path, test, word = CALCULATED[name]
    text = (ROOT / path).read_text(encoding="utf-8")
    (found,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == f"test_{test}"
    )
    first = min([found.lineno, *(each.lineno for each in found.decorator_list)])
    assert (word or name) in "\n".join(text.splitlines()[first - 1 : found.end_lineno])


def test_the_checksum_of_sensirion() -> None:
    known = vector("sensirion-crc8-beef")
    told, want = known["inputs"]["bytes_hex"], known["expected"]["crc_hex"]
    assert crc8(bytes.fromhex(told)) == int(want, 16)


def test_the_gas_index_of_steady_air() -> None:
    pytest.importorskip("sensirion_gas_index_algorithm")
    voc, nox = GasIndex("voc"), GasIndex("nox")
    want = vector("voc-index-blackout")["expected"]
    told = [voc.feed(30_000) for _ in range(120)]
    assert told.index(next(filter(None, told))) == want["zero_outputs_at_start"]
    assert told[-1] == want["index_after_120"]
    want = vector("nox-index-constant")["expected"]
    assert [nox.feed(1337) for _ in range(201)][-1] == want["last_index"]
