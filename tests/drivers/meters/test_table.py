import tomllib
from pathlib import Path

import pytest

from drivers.meters.register_map import load, parse, tables
from edge.core import ConfigError, Kind, Quantity

GOOD = """
maker = "Acme"
model = "M1"
function = 3
words = "little"
max_registers = 50
[points]
voltage = { address = 0, type = "i32", quantity = "voltage", low = 0, high = 300, scale = 0.1 }
[points.energy]
address = 10
type = "u64"
quantity = "energy"
low = 0
high = 1e9
kind = "total"
resolution = 0.01
"""
HERE = Path("/etc/kerbstone/meters/acme.toml")


def test_a_table_gives_points_with_their_kind_and_resolution() -> None:
    table = parse(GOOD, HERE)
    voltage, energy = (register.point for register in table.registers)
    assert (table.name, table.function, table.words, table.max_registers) == (
        "acme",
        3,
        "little",
        50,
    )
    assert (voltage.quantity, voltage.kind, voltage.step) == (Quantity.VOLTAGE, Kind.GAUGE, 0.01)
    assert (energy.kind, energy.step, energy.high) == (Kind.TOTAL, 0.01, 1e9)
    assert [register.words for register in table.registers] == [2, 4]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('type = "i32"', 'type = "i33"', "voltage: type must be one of u16, i16, u32"),
        ('type = "i32"', 'type = "i33"', "did you mean 'i32'?"),
        ('quantity = "voltage"', 'quantity = "volt"', "did you mean 'voltage'?"),
        ("address = 0,", "", "voltage: address must be 0..0xfffe"),
        ("address = 0,", "address = 65535,", "voltage: address must be 0..0xfffe"),
        ("address = 10", "address = 1", "energy: its address 0x0001 lies inside voltage"),
        ("low = 0, high = 300", "low = 300, high = 0", "voltage: low must be below high"),
        ("low = 0, high = 300", "high = 300", "low must be a finite number in the unit"),
        ("high = 300", "high = inf", "voltage: high must be a finite number"),
        ("scale = 0.1", "scale = 0", "scale must not be 0"),
        ("scale = 0.1", "scale = true", "scale must be a finite number"),
        ("scale = 0.1", "scael = 0.1", "scael is not known here; did you mean 'scale'?"),
        ('kind = "total"', "", 'energy: kind is missing: "total" for a register'),
        ('kind = "total"', 'kind = "sum"', "kind must be one of gauge, total, not 'sum'"),
        ("resolution = 0.01", "resolution = -1", "resolution must be above 0"),
        ("function = 3", "function = 6", "function must be 3 (holding registers) or 4"),
        ("function = 3", "", "function must be 3"),
        ('words = "little"', 'words = "swapped"', 'words must be "big" (high word first)'),
        ("max_registers = 50", "max_registers = 126", "max_registers must be 1..125"),
        ("max_registers = 50", "max_registers = 3", "energy: needs 4 registers"),
        ('maker = "Acme"', "", "maker must be a name"),
        ('maker = "Acme"', 'maker = "Acme"\nbaud = 9600', "baud is not known here"),
        ("voltage = {", '"Voltage 1" = {', "a key is lower case letters"),
        ("voltage = {", "voltage = 5\nother = {", "voltage: must be a row"),
        ("[points]", "[point]", "point is not known here; did you mean 'points'?"),
        ("[points]", "[points", "not TOML"),
    ],
)
def test_a_mistake_names_file_point_and_what_is_right(old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        parse(GOOD.replace(old, new), HERE)
    assert str(HERE) in str(caught.value)
    assert says in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace("function = 3", "function = 9").replace("high = 300", "high = -1")
    with pytest.raises(ConfigError) as caught:
        parse(text, HERE)
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_meter_is_a_config_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'sdm999'.*sdm120, sdm630"):
        load("sdm999")


def test_every_table_that_ships_loads_and_marks_its_energies_as_totals() -> None:
    assert {"sdm120", "sdm630"} <= set(tables())
    for name in ("sdm120", "sdm630"):
        table = load(name)
        assert table.name == name
        for register in table.registers:
            energy = "energy" in register.point.key
            assert (register.point.kind is Kind.TOTAL) == energy


def test_addresses_agree_with_the_collected_facts() -> None:
    facts = Path(__file__).parents[3] / "../shared/facts/meters"
    if not facts.is_dir():
        pytest.skip("the collection of facts is not beside this checkout")
    for name, file in (("sdm120", "eastron-sdm120"), ("sdm630", "eastron-sdm630-v2")):
        doc = tomllib.loads((facts / f"{file}.toml").read_text("utf-8"))
        table = load(name)
        told = {row["address"]: row["unit"] for row in doc["register"]}
        units = {r.address: r.point.quantity.unit for r in table.registers}
        assert units == {at: "/" if unit == "1" else unit for at, unit in told.items()}
        assert table.max_registers == doc["modbus"]["max_registers_per_request"]
        assert [table.function] == doc["modbus"]["read_functions"]
