"""The compensation of Alphasense cells: numbers worked by hand, tables, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import ConfigError
from edge.process.aan803 import (
    GRID_CEL,
    TABLES,
    AlphasenseCell,
    coefficient,
    compensate,
    compensate_ozone,
    corrected_mv,
    without_no2,
)
from tests.kit.vectors import vector_file, vectors

NO2 = AlphasenseCell("NO2-A43F", 224, 226, 10, 5, 0.223)
NAMES = {"A4_NO2": "NO2-A43F", "A4_OX": "OX-A431", "B4_NO2": "NO2-B43F", "B4_OX": "OX-B431"}


def cell(kind: str, algorithm: int) -> AlphasenseCell:
    return AlphasenseCell(kind, 300, 290, 40, -20, 0.5, algorithm)


def test_the_published_example_of_an_no2_cell() -> None:
    assert corrected_mv(NO2, 0.260, 0.245, 25) == pytest.approx(0.85)
    assert compensate(NO2, 0.260, 0.245, 25) == pytest.approx(3.8117, abs=5e-5)


@pytest.mark.parametrize(
    ("cel", "want"), [(-40, 0.8), (-30, 0.8), (25, 1.85), (27.5, 1.875), (50, 3.6), (60, 3.6)]
)
def test_between_two_steps_it_is_a_line_and_beyond_the_ends_it_stays(
    cel: float, want: float
) -> None:
    assert coefficient(NO2, cel) == pytest.approx(want)


# 330 mV and 310 mV less the offsets of 300 and 290 are 30 and 20; zeros of 40 and -20; 20 Cel
@pytest.mark.parametrize(
    ("kind", "algorithm", "want"),
    [
        ("CO-A4", 1, 30 + 0.9 * 20),
        ("CO-B4", 2, 30 - 1.0 * (40 / -20) * 20),
        ("NO-A4", 3, 30 - (40 + 20) - 1.0 * 20),
        ("CO-A4", 4, 30 - 40 - 0),
        ("NO2-B43F", 1, 30 - 0.6 * 20),
    ],
)
def test_each_algorithm_by_hand(kind: str, algorithm: int, want: float) -> None:
    assert corrected_mv(cell(kind, algorithm), 0.330, 0.310, 20) == pytest.approx(want)
    assert compensate(cell(kind, algorithm), 0.330, 0.310, 20) == pytest.approx(want / 0.5)


def test_algorithm_4_takes_its_coefficient_as_millivolts() -> None:
    assert corrected_mv(cell("SO2-B4", 4), 0.330, 0.310, 40) == pytest.approx(30 - 40 - 140)


def test_no2_is_taken_from_an_ox_cell() -> None:
    assert without_no2(30.0, 0.334, 20.0, 0.3) == pytest.approx(71.8563, abs=5e-5)
    ox = AlphasenseCell("OX-A431", 227, 219, 0, 0, 0.334)
    same = without_no2(corrected_mv(ox, 0.270, 0.230, 20), 0.334, 20.0, 0.3)
    assert compensate_ozone(ox, 0.270, 0.230, 20, 20.0, 0.3) == same
    assert compensate_ozone(ox, 0.270, 0.230, 20, 0.0, 0.3) == compensate(ox, 0.270, 0.230, 20)


def test_the_first_table_is_taken_unless_another_is_named() -> None:
    assert [cell(kind, 0).by for kind in ("NO-B4", "OX-A431", "SO2-A4", "CO-B4")] == [2, 3, 4, 1]
    assert compensate(NO2, 0.26, 0.245, 25) == compensate(
        replace(NO2, algorithm=1), 0.26, 0.245, 25
    )
    assert compensate(NO2, 0.26, 0.245, 25) != compensate(
        replace(NO2, algorithm=3), 0.26, 0.245, 25
    )


@pytest.mark.parametrize("kind", TABLES)
def test_every_cell_has_two_algorithms_with_a_value_for_each_step(kind: str) -> None:
    assert len(TABLES[kind]) == 2
    for algorithm, table in TABLES[kind].items():
        assert 1 <= algorithm <= 4
        assert len(table) == len(GRID_CEL)
        for cel, want in zip(GRID_CEL, table, strict=True):
            assert coefficient(cell(kind, algorithm), cel) == pytest.approx(want)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ({"type": "NO2"}, "NO2-A43F"),
        ({"algorithm": 4}, "1 and 3"),
        ({"sensitivity_mv_ppb": 0.0}, "mV/ppb"),
        ({"sensitivity_mv_ppb": -0.2}, "mV/ppb"),
        ({"we_zero_mv": float("nan")}, "no number"),
        ({"type": "CO-B4", "algorithm": 2, "ae_zero_mv": 0}, "algorithm 1"),
    ],
)
def test_what_cannot_be_a_cell_is_refused_with_a_hint(change: dict[str, Any], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        replace(NO2, **change)


def test_what_is_no_temperature_has_no_coefficient() -> None:
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="no temperature"):
            coefficient(NO2, wrong)


@given(
    st.sampled_from([(kind, number) for kind, tables in TABLES.items() for number in tables]),
    st.floats(-80, 120),
    st.floats(0.001, 1000),
)
def test_more_gas_is_more_ppb_by_the_sensitivity(
    which: tuple[str, int], cel: float, more_mv: float
) -> None:
    one = cell(*which)
    table = TABLES[one.type][one.by]
    assert min(table) <= coefficient(one, cel) <= max(table)
    rise = compensate(one, 0.3 + more_mv / 1000, 0.3, cel) - compensate(one, 0.3, 0.3, cel)
    assert rise == pytest.approx(more_mv / 0.5, rel=1e-6, abs=1e-9)


def test_the_tables_are_those_of_the_application_note() -> None:
    note = vector_file("air/alphasense")["tables"]
    assert tuple(note["temperatures_c"]) == GRID_CEL
    assert len(note["cells"]) == len(TABLES)
    for key, found in note["cells"].items():
        ours = TABLES[NAMES.get(key, f"{key[3:]}-{key[:2]}")]
        for name, table in found.items():
            assert tuple(table) == tuple(ours[int(name.removeprefix("alg"))]), (key, name)


def test_the_published_vectors() -> None:
    found = vectors("aan803")
    assert len(found) == 8
    for vector in found:
        given, want = vector["inputs"], vector["expected"]
        match want:
            case {"nT": factor}:
                assert coefficient(NO2, given["temperature_c"]) == pytest.approx(factor)
            case {"o3_ppb": ppb}:
                ozone = without_no2(
                    given["OX_WEc_mV"], given["sens_o3_mV_per_ppb"], given["no2_ppb"],
                    given["no2_cross_sens_mV_per_ppb"],
                )  # fmt: skip
                assert ozone == pytest.approx(ppb, abs=5e-5)
            case {"WEc_mV": millivolts, "ppb": ppb}:
                one = AlphasenseCell(
                    "NO2-A43F", given["WEe_mV"], given["AEe_mV"], 0, 0, given["sens_mV_per_ppb"]
                )
                volts = given["WEu_mV"] / 1000, given["AEu_mV"] / 1000
                assert corrected_mv(one, *volts, given["T_c"]) == pytest.approx(millivolts)
                assert compensate(one, *volts, given["T_c"]) == pytest.approx(ppb, abs=5e-5)
            case _:
                raise AssertionError(vector["id"])
