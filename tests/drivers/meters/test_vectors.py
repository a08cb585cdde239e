"""Every published frame of Modbus goes through what `kerbstone decode` uses, and means the same.

They stand in `tests/vectors/modbus`; a new one there that nobody has looked at fails here.
"""

from typing import Any

import pytest

import drivers
from drivers.buses.modbus.frame import append_crc, read_request
from drivers.meters.convert import our_quantity
from edge.core import Bad, DataError, Reason, Sample, UncertainValue
from tests.drivers.meters.facts import FILES, vectors

TABLES = {file: name for name, file in FILES.items()}
ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)
# answers without their question: the meter, and what was asked
ALONE: dict[str, tuple[str, tuple[int, int, int, int], dict[str, float | Bad]]] = {
    "abb-not-available-u32": ("b23", (1, 3, 0x5B00, 2), {"voltage_l1": ADDRESS}),
    "iem-nan": ("iem3000", (1, 3, 0x0BB7, 2), {"current_l1": ADDRESS}),
    "sdm-resp-v1": ("sdm120", (1, 4, 0x0000, 2), {"voltage_l1": 230.2}),
    "sdm-resp-v1-230": ("sdm120", (1, 4, 0x0000, 2), {"voltage_l1": 230.0}),
    "modbus-exception-1": ("sdm120", (1, 4, 0x0000, 2), {"voltage_l1": Bad(Reason.FAULT)}),
    "modbus-exception-3": ("sdm120", (1, 4, 0x0000, 2), {"voltage_l1": Bad(Reason.FAULT)}),
    "modbus-exception-4": ("sdm120", (1, 4, 0x0000, 2), {"voltage_l1": Bad(Reason.FAULT)}),
    "modbus-exception-6": ("sdm120", (1, 4, 0x0000, 2), {"voltage_l1": Bad(Reason.BUSY)}),
    "pzem-all": ("pzem004t", (1, 4, 0x0000, 10), {
        "voltage_l1": 225.7, "current_l1": 0.108, "power": 24.4, "energy_import": 0.038,
        "frequency": 50.0, "power_factor": 1.0,
    }),
}  # fmt: skip
# what sets a device, or reads its settings: never asked, and not explained
OTHERS = {
    "sdm-holding-demand-req", "sdm-holding-demand-resp", "sdm-holding-resp",
    "sdm-write-demand-period", "pzem-reset-energy", "modbus-spec-style-fc03",
}  # fmt: skip
APART = {"acrel-ptct-example", "cg-overflow", "sunspec-marker", "sunspec-203-block"}


@pytest.fixture
def frames() -> dict[str, bytes]:
    return {name: bytes.fromhex(one["raw_hex"]) for name, one in vectors().items()}


def explained(name: str, *conversation: bytes) -> dict[str, Sample]:
    return {key: sample for key, (sample, _) in drivers.explain(name, list(conversation)).items()}


def value(sample: Sample) -> Any:
    return sample.value if isinstance(sample, UncertainValue) else sample


def questions(doc: dict[str, dict[str, Any]]) -> set[str]:
    return {key for key, one in doc.items() if "count" in one["decoded"]}


def answers(doc: dict[str, dict[str, Any]]) -> set[str]:
    return {key for key, one in doc.items() if "request_id" in one or "meter" in one}


def test_every_frame_is_looked_at() -> None:
    doc = vectors()
    seen = questions(doc) | answers(doc) | set(ALONE) | OTHERS | APART
    assert set(doc) == seen
    assert len(doc) > 45


def test_our_questions_are_those_of_others(frames: dict[str, bytes]) -> None:
    doc = vectors()
    for key in questions(doc):
        reported = doc[key]["decoded"]
        asked = read_request(
            reported.get("address", 1), reported["function"], reported["start"], reported["count"]
        )
        assert append_crc(asked) == frames[key], key


def test_answers_mean_what_is_published(frames: dict[str, bytes]) -> None:
    doc, seen = vectors(), 0
    for key in answers(doc):
        one = doc[key]
        if "request_id" in one and one["request_id"] in frames:
            asked = frames[one["request_id"]]
        else:  # the question is not there, but told
            start = int(one["request_id"].rpartition("-")[2], 16)
            asked = append_crc(read_request(1, frames[key][1], start, frames[key][2] // 2))
        found = explained(TABLES[one["meter"]], asked, frames[key])
        for theirs, want in one["decoded"].items():
            assert value(found[our_quantity(theirs)]) == pytest.approx(want, rel=1e-6), (
                key,
                theirs,
            )
            seen += 1
    assert seen > 40


def test_answers_without_their_question(frames: dict[str, bytes]) -> None:
    for key, (name, asked, want) in ALONE.items():
        found = explained(name, append_crc(read_request(*asked)), frames[key])
        for point, sample in want.items():
            assert found[point] == (
                sample if isinstance(sample, Bad) else pytest.approx(sample, rel=1e-6)
            ), key


def test_what_sets_a_device_is_no_reading_of_it(frames: dict[str, bytes]) -> None:
    answer = frames["sdm-resp-v1"]
    for key in OTHERS:
        with pytest.raises(DataError) as caught:
            explained("sdm630", frames[key], answer)
        assert "is no request" in str(caught.value) or "no point there" in str(caught.value), key
    with pytest.raises(DataError, match="no point there"):
        explained("sdm630", frames["sdm-holding-demand-req"], frames["sdm-holding-demand-resp"])


def test_the_ratios_of_an_acrel(frames: dict[str, bytes]) -> None:
    reported = [
        append_crc(read_request(1, 3, 0x008D, 2)), frames["acrel-ptct-example"],
        append_crc(read_request(1, 3, 0x0061, 6)), frames["acrel-dtsd1352-adl400-resp-0061"],
        frames["acrel-dtsd1352-adl400-req-0164"], frames["acrel-dtsd1352-adl400-resp-0164"],
        frames["acrel-dtsd1352-adl400-req-0000"], frames["acrel-dtsd1352-adl400-resp-0000"],
    ]  # fmt: skip
    found = explained("adl400", *reported)
    assert (found["voltage_l1"], found["current_l1"]) == (220.1, 49.2)
    assert (found["power_l1"], found["energy_total"]) == (10_800, 26_172.8)


@pytest.mark.parametrize("name", ["em24", "em24_e1", "em340", "em111"])
def test_a_carlo_gavazzi_that_ran_over(frames: dict[str, bytes], name: str) -> None:
    data = frames["cg-overflow"][3:-2]  # they answer function 3 as 4; we ask with 3
    answer = append_crc(bytes((1, 3, len(data))) + data)
    asked = append_crc(read_request(1, 3, 0x0000, 2))
    assert explained(name, asked, answer) == {"voltage_l1": RANGE}


def test_a_sunspec_meter(frames: dict[str, bytes]) -> None:
    found = explained(
        "sunspec",
        append_crc(read_request(1, 3, 40_000, 2)),
        frames["sunspec-marker"],
        append_crc(read_request(1, 3, 40_002, 107)),
        frames["sunspec-203-block"],
    )
    names = {"A": "current_sum", "PhV": "voltage_avg", "Hz": "frequency", "W": "power",
             "VA": "apparent_power", "VAR": "reactive_power", "PF": "power_factor"}  # fmt: skip
    reported = vectors()["sunspec-203-block"]["decoded"]
    for theirs, key in names.items():
        want = reported[theirs]
        assert found[key] == (ADDRESS if want is None else pytest.approx(want)), theirs
    assert found["energy_export"] == reported["TotWhExp"] / 1000
    assert found["energy_import"] == reported["TotWhImp"] / 1000
