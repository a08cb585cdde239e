"""The meter models of SunSpec: a vector by hand, and where others have each point."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from drivers.chips import _sunspec
from edge.core import Bad, Condition, DataError, Reason, Sample
from tests.drivers.meters.facts import register_list

ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)
KEYS = [point.key for point in _sunspec.POINTS]

MODELS = (*range(201, 205), *range(211, 215))


def by_key(samples: tuple[Sample, ...]) -> dict[str, Sample]:
    return dict(zip(KEYS, samples, strict=True))


# -- a vector of our own, word by word -------------------------------------------------------------

WORDS = [0] * 106  # model 201: its length, and what is behind; offsets count from the identifier
WORDS[0] = 105
for at, word in {
    2: 1234, 3: 0x8000, 6: -2, 7: 2305, 8: 2301, 9: 0x8000, 15: -1, 16: 5001, 17: -2,
    18: -4321, 19: 0x8000, 22: 0, 23: 100, 27: 0x8000, 33: 95, 37: 0, 105: 0x0000, 106: 0x0024,
}.items():  # fmt: skip
    WORDS[at - 1] = word & 0xFFFF
WORDS[45:47] = [0x00BC, 0x614E]  # energy imported, 12345678 Wh
WORDS[53] = 0  # and its scale
BLOCK = struct.pack(">106H", *WORDS)


def test_a_vector_by_hand() -> None:
    found = by_key(_sunspec.decode(201, BLOCK))
    want = {
        "current_sum": 12.34, "current_l1": ADDRESS, "voltage_avg": 230.5, "voltage_l1": 230.1,
        "voltage_l2": ADDRESS, "frequency": 50.01, "power": -4321.0, "power_l1": ADDRESS,
        "apparent_power": ADDRESS,  # a value, and no scale for it
        "power_factor": 0.95, "energy_import": 12_345.678,
        "energy_export": 0.0,  # every meter has it: that is nothing yet
        "energy_import_l1": ADDRESS,  # a counter that need not be there
    }  # fmt: skip
    assert {key: found[key] for key in want} == want
    assert _sunspec.event_texts(BLOCK) == {
        Condition.POWER: "a phase has no voltage",
        Condition.OVERLOAD: "the current is above its limit",
    }


def test_primary_values_of_high_voltage_count() -> None:
    block = bytearray(BLOCK)
    block[2 * 14 : 2 * 15] = struct.pack(">h", 1)  # the scale of voltages
    assert by_key(_sunspec.decode(201, bytes(block)))["voltage_l1"] == 23_010.0


@pytest.mark.parametrize("scale", [11, -11, 32_767, -32_767])
def test_a_scale_that_cannot_be_is_no_value(scale: int) -> None:
    block = bytearray(BLOCK)
    block[2 * 5 : 2 * 6] = struct.pack(">h", scale)
    assert by_key(_sunspec.decode(201, bytes(block)))["current_sum"] == RANGE


@given(st.sampled_from(MODELS), st.binary(min_size=250, max_size=250))
def test_whatever_is_in_a_model_each_value_is_in_its_range_or_bad(model: int, body: bytes) -> None:
    length = _sunspec.LENGTHS[model]
    samples = _sunspec.decode(model, length.to_bytes(2, "big") + body[: 2 * length])
    for point, sample in zip(_sunspec.POINTS, samples, strict=True):
        assert isinstance(sample, Bad) or point.low <= sample <= point.high  # type: ignore[operator]


def test_a_block_of_another_length_is_damage() -> None:
    for block in (b"", BLOCK[:-1], BLOCK + b"\0\0"):
        with pytest.raises(DataError):
            _sunspec.decode(201, block)
    with pytest.raises(DataError) as caught:
        _sunspec.decode(201, bytes(2) + BLOCK[2:])
    assert caught.value.reason is Reason.ADDRESS


# -- against the official order, as others wrote it down -------------------------------------------


def name_of(theirs: str) -> str:
    """`TotWhImpPhA` as we call it."""
    stem = theirs
    phase = ""
    for ending, ours in {
        "phAB": "_l12", "phBC": "_l23", "phCA": "_l31", "phA": "_l1", "phB": "_l2", "phC": "_l3",
    }.items():  # fmt: skip
        if stem.lower().endswith(ending.lower()):
            stem, phase = stem[: -len(ending)], ours
            break
    if stem.startswith("TotVArh"):
        return f"reactive_energy_{stem[-2:].lower()}{phase}"
    kinds = {
        "A": "current" if phase else "current_sum", "PhV": "voltage" if phase else "voltage_avg",
        "PPV": "voltage" if phase else "voltage_ll_avg", "Hz": "frequency", "W": "power",
        "VA": "apparent_power", "VAR": "reactive_power", "PF": "power_factor",
        "TotWhExp": "energy_export", "TotWhImp": "energy_import",
        "TotVAhExp": "apparent_energy_export", "TotVAhImp": "apparent_energy_import",
    }  # fmt: skip
    return kinds[stem] + phase


@pytest.mark.parametrize(("file", "model"), [("int", 203), ("float", 213)])
def test_every_point_is_where_the_published_list_has_it(file: str, model: int) -> None:
    doc = register_list(f"sunspec-meter-{file}")
    kinds = {kind.name.lower(): kind for kind in ModbusClientMixin.DATATYPE}
    types = {"int16": "int16", "sunssf": "int16", "acc32": "uint32", "float32": "float32"}
    words, want = [0] * (2 + _sunspec.LENGTHS[model]), {}
    scales = {"Hz": -1, "PF": 0, "TotWh": 0, "TotVAh": 0, "TotVArh": 0, "V": -2}
    for place, point in enumerate(doc["point"]):
        name, at = point["name"], point["offset"]
        if name == "Evt":
            continue
        factor = 1.0
        if name.endswith("_SF"):
            raw: float = scales.get(name.removesuffix("_SF"), 0)
        else:
            energy, unit = "Tot" in name, point["unit"]
            raw = 500 + place if name == "Hz" else 40 + place % 50 if unit in ("PF", "Pct") else (
                1000 + 7 * place)  # fmt: skip
            if file == "float":
                raw = raw / 10 if name == "Hz" else raw / 100 if unit == "PF" else raw + 0.5
            else:
                factor = 10.0 ** scales.get(point["scale_factor"].removesuffix("_SF"), 0)
                factor *= 0.01 if unit == "Pct" else 1
            if name in ("Hz",) or "PhV" in name or "PPV" in name:
                raw = raw if name == "Hz" or file == "int" else raw / 4
            want[name_of(name)] = raw * factor * (0.001 if energy else 1)
        packed = ModbusClientMixin.convert_to_registers(raw, kinds[types[point["type"]]])
        words[at : at + len(packed)] = packed
    words[0:2] = [model, _sunspec.LENGTHS[model]]
    assert doc["modbus"]["model_ids"] == list(range(model - 2, model + 2))
    found = by_key(_sunspec.decode(model, struct.pack(f">{len(words)}H", *words)[2:]))
    assert set(want) == set(KEYS)
    assert {key: found[key] for key in want} == pytest.approx(want, rel=1e-6)
