"""OBIS codes in all their spellings, and what they mean."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.chips._crc16 import arc, kermit, x25
from drivers.chips._obis import Obis, from_bytes, parse_obis, serial_number
from drivers.chips._obis_registers import TariffRegisters
from drivers.chips._obis_values import (
    POINTS,
    ObisReading,
    convert,
    known_points,
    obis_meaning,
    obis_samples,
)
from drivers.meters.register_map import load_register_map
from edge.core import Bad, PointKind, Quantity, Reason, Sample, UncertainValue

IMPORT = Obis(1, 0, 1, 8, 0)
ADDRESS, RANGE = Bad(Reason.ADDRESS), Bad(Reason.RANGE)


@pytest.mark.parametrize(
    "text", ["1-0:1.8.0*255", "1-0:1.8.0", "1.8.0", "1.0.1.8.0.255", "0100010800FF", "1.8.0&255"]
)
def test_a_code_has_many_spellings(text: str) -> None:
    assert parse_obis(text) == IMPORT


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("C.1.0", (0, 0, 96, 1, 0, 255)),
        ("F.F", (0, 0, 97, 97, 0, 255)),
        ("1.8.0*03", (1, 0, 1, 8, 0, 3)),
        ("0-2:24.2.1", (0, 2, 24, 2, 1, 255)),
    ],
)
def test_letters_and_months_past_are_read(text: str, code: tuple[int, ...]) -> None:
    assert parse_obis(text) == code


@pytest.mark.parametrize("text", ["", "1", "1.8.0.", "256.8.0", "1-0:", "x.8.0", "1.8.0 ", "١.8.0"])
def test_what_is_no_code_is_none(text: str) -> None:
    assert parse_obis(text) is None


@given(st.text(max_size=24))
def test_any_text_is_a_code_or_none(text: str) -> None:
    code = parse_obis(text)
    assert code is None or all(0 <= group <= 255 for group in code)


@given(st.tuples(*[st.integers(0, 255)] * 6))
def test_a_code_is_written_as_it_is_read(groups: tuple[int, ...]) -> None:
    code = Obis(*groups)
    assert parse_obis(str(code)) == code
    assert from_bytes(bytes(code)) == code
    assert parse_obis(bytes(code).hex()) == code


def test_a_value_of_a_past_month_is_not_the_value_of_now() -> None:
    assert obis_meaning(IMPORT) is not None
    assert obis_meaning(IMPORT._replace(f=3)) is None
    assert obis_meaning(IMPORT._replace(a=7)) is None
    assert obis_meaning(Obis(1, 0, 1, 7, 255)) == obis_meaning(Obis(1, 0, 1, 7, 0))


def test_the_points_are_those_of_the_modbus_meters() -> None:
    modbus = {r.point.key: r.point for r in load_register_map("sdm630").registers}
    for key in POINTS.keys() & modbus.keys():
        assert POINTS[key].quantity is modbus[key].quantity
        assert POINTS[key].kind is modbus[key].kind
    expected = {"energy_import", "energy_export", "power", "power_l1", "voltage_l1", "current_l1"}
    assert expected <= POINTS.keys() & modbus.keys()


@pytest.mark.parametrize(
    ("key", "value", "unit", "want"),
    [
        ("energy_import", 1500, 30, 1.5),
        ("energy_import", Decimal("1.5"), "kWh", 1.5),
        ("energy_import", Decimal("0.0015"), "MWh", 1.5),
        ("energy_import", Decimal("1.5"), "", 1.5),
        ("power", Decimal("0.25"), "kW", 250.0),
        ("power", Decimal("523"), "", None),  # meters show W or kW
        ("reactive_power_l1", Decimal("0.1"), "", None),
        ("voltage_l1", 63_500, "", 63_500.0),
        ("power", -613, 27, -613.0),
        ("current_l1", 850, "mA", 0.85),
        ("reactive_energy_import", 3, "kVArh", 3.0),
        ("energy_import", 3, "kVArh", None),
        ("energy_import", 3, "m3", None),
        ("energy_import", 3, 99, None),
        ("energy_import", None, "kWh", None),
    ],
)
def test_a_value_is_converted_into_the_unit_of_its_point(
    key: str, value: Decimal | int | None, unit: str | int, want: float | None
) -> None:
    assert convert(ObisReading(IMPORT, value, unit), POINTS[key]) == want


def test_primary_values_of_high_voltage_count() -> None:
    reported = [
        ObisReading(Obis(1, 0, 32, 7, 0), 63_500, "V"),
        ObisReading(Obis(1, 0, 52, 7, 0), 200, "kV"),
    ]
    assert obis_samples(known_points("voltage_l1", "voltage_l2"), reported) == (63_500.0, RANGE)


def _power(*readings: tuple[str, str]) -> object:
    reported = [
        ObisReading(parse_obis(code) or IMPORT, Decimal(value), "W") for code, value in readings
    ]
    return obis_samples(known_points("power"), reported)[0]


def test_taken_and_given_power_become_one_number_with_a_sign() -> None:
    assert _power(("1.7.0", "0"), ("2.7.0", "750")) == -750
    assert _power(("1.7.0", "300"), ("2.7.0", "0")) == 300
    assert _power(("1.7.0", "-5")) == -5  # a meter that tells the whole under this code
    assert _power(("2.7.0", "5")) == -5
    assert _power(("1.7.0", "9"), ("16.7.0", "7")) == 7
    assert _power(("3.7.0", "9")) == ADDRESS
    bad = ObisReading(Obis(1, 0, 2, 7, 0), None)
    assert obis_samples(known_points("power"), [ObisReading(Obis(1, 0, 1, 7, 0), 1), bad]) == (
        RANGE,
    )


def test_the_first_of_two_values_counts_and_what_cannot_be_is_out_of_range() -> None:
    both = [ObisReading(IMPORT, 5, "kWh"), ObisReading(IMPORT, 6, "kWh")]
    assert obis_samples(known_points("energy_import", "energy_export"), both) == (5.0, ADDRESS)
    assert obis_samples(known_points("energy_import"), [ObisReading(IMPORT, -1, "kWh")]) == (RANGE,)


@given(
    st.lists(
        st.builds(
            ObisReading,
            st.sampled_from(
                [IMPORT, Obis(1, 0, 1, 7, 0), Obis(1, 0, 2, 7, 0), Obis(1, 0, 32, 7, 0)]
            ),
            st.none() | st.integers(-(2**63), 2**64) | st.decimals(allow_nan=True),
            st.sampled_from(["", "kWh", "W", "V", 27, 30, 35, 7, "?"]),
        ),
        max_size=6,
    )
)
def test_whatever_is_told_a_sample_is_in_range_or_bad(readings: list[ObisReading]) -> None:
    wanted = tuple(POINTS.values())
    for point, sample in zip(wanted, obis_samples(wanted, readings), strict=True):
        assert isinstance(sample, Bad) or point.low <= float(sample) <= point.high  # type: ignore[arg-type]


def test_tariffs_of_two_channels_are_no_sum() -> None:
    def total(*reported: tuple[int, int, int]) -> Sample:
        readings = (ObisReading(Obis(1, b, 1, 8, e), value, "kWh") for b, e, value in reported)
        return obis_samples(known_points("energy_import"), readings)[0]

    assert total((0, 1, 100), (0, 2, 200), (1, 1, 5), (1, 2, 6)) == 300.0
    assert total((0, 1, 100), (1, 2, 777)) == ADDRESS
    assert total((1, 1, 5), (0, 1, 100), (0, 2, 200)) == ADDRESS


def test_a_sum_of_tariffs_is_always_of_the_same_ones() -> None:
    registers = TariffRegisters()

    def total(*tariffs: int, meter: str = "1") -> Sample:
        readings = [ObisReading(Obis(1, 0, 1, 8, e), 100, "kWh") for e in tariffs]
        return registers.samples(meter, known_points("energy_import"), readings)[0]

    assert total(1, 2) == 200.0
    assert total(1, 2, 3) == UncertainValue(300.0, Reason.GAP)  # another register than before
    assert total(1, 2, 3) == 300.0
    assert total(1, 2) == total() == ADDRESS
    assert total(1, 2, 3) == 300.0
    assert total(0, 1, 2) == UncertainValue(100.0, Reason.GAP)  # it tells the whole after all
    assert total(0) == 100.0
    assert total(1, 2, 3) == ADDRESS
    assert total(255) == 100.0
    assert total(1, 2, meter="2") == 200.0  # another meter, with fewer


def test_totals_are_totals() -> None:
    assert POINTS["energy_import_t1"].kind is PointKind.TOTAL
    assert POINTS["power"].kind is PointKind.GAUGE
    assert POINTS["apparent_power"].quantity is Quantity.APPARENT_POWER


def test_a_serial_number_is_found_under_its_best_code() -> None:
    reported = {Obis(1, 0, 0, 0, 0): " 42 ", Obis(0, 0, 96, 1, 255): "7\x00é8"}
    assert serial_number(reported) == "78"
    assert serial_number({Obis(1, 0, 0, 0, 0): " 42 "}) == "42"
    assert serial_number({IMPORT: "42"}) == ""


def test_the_checksums_have_their_check_values() -> None:
    assert (arc(b"123456789"), x25(b"123456789"), kermit(b"123456789")) == (0xBB3D, 0x906E, 0x2189)
