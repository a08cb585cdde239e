"""A list of registers becomes a table: of a list of our own, and of all published ones."""

from pathlib import Path

import pytest

from drivers.meters import convert
from drivers.meters.register_map import load_register_map, parse_register_map
from edge.core import Condition, PointKind, Quantity
from tests.drivers.meters.facts import FILES, LISTS, facts

LIST = """
[meter]
vendor = "Acme"
model = 'M1 "mini"'
phases = 3
sources = ["the maker's sheet", "a library"]

[serial]
baud = 19200
parity = "E"
stop = 1

[modbus]
read_functions = [4, 3]
word_order = "lsw_first"
max_registers_per_request = 20
"""
ROW = """
[[{section}]]
quantity = "{name}"
address = {at}
type = "{type}"
scale = {scale}
unit = "{unit}"
"""


def row(name: str, at: int, type_: str, scale: float, unit: str, section: str = "register") -> str:
    return ROW.format(section=section, name=name, at=at, type=type_, scale=scale, unit=unit)


DOCUMENT = LIST + "".join(
    (
        row("voltage_l1", 0, "uint16", 0.1, "V"),
        row("voltage_l13", 1, "uint16", 0.1, "V"),
        row("current_l1", 2, "int32", 0.001, "A") + 'ratio = "ct"\n',
        row("active_power_total", 4, "int32", 1, "W") + 'ratio = "pt*ct"\n',
        row("power_factor_total", 6, "int16", 0.001, "1"),
        row("phase_sequence", 7, "int16", 1, ""),
        row("energy_import_total", 8, "float32", 0.001, "kWh"),
        row("energy_sum_l1", 10, "uint64", 1, "kWh"),
        row("voltage_thd_l1", 14, "float32", 1, "%"),
        row("pt_ratio", 100, "uint16", 1, "", "config_register"),
        row("ct_ratio", 101, "uint16", 1, "", "config_register"),
        row("serial_number", 102, "uint32", 1, "", "config_register"),
        row("baud_code", 110, "uint16", 1, "", "config_register"),
    )
)
DRAFT = """\
# Acme M1 "mini"
# Source: the maker's sheet; a library

maker = "Acme"
model = "M1 \\"mini\\""
function = 4
words = "little"
max_registers = 20
line = "19200 8E1"
identity = { address = 0x0066, type = "u32", function = 3 }

[ratios]
pt = { address = 0x0064, type = "u16", function = 3, low = 1, high = 10000 }
ct = { address = 0x0065, type = "u16", function = 3, low = 1, high = 10000 }

[conditions]
phases = { address = 0x0007, type = "i16", normal = 0, says = "the phases turn the wrong way round: L1, L3, L2" }

[points]
"""  # noqa: E501  a row is a line


def file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "list.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_list_becomes_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--volts", "300", "--amps", "10", "--kwh", "1000"]
    assert convert.main([file(tmp_path, DOCUMENT), *options]) == 0
    draft = capsys.readouterr().out
    assert draft.startswith(DRAFT)
    table = parse_register_map(draft, Path("m1.toml"))
    points = {register.point.key: register for register in table.registers}
    assert list(points) == [
        "voltage_l1", "voltage_l31", "current_l1", "power", "power_factor", "energy_import",
        "energy_total_l1", "voltage_thd_l1",
    ]  # fmt: skip
    assert [sign.condition for sign in table.signs] == [Condition.PHASES]
    assert (points["voltage_l31"].point.high, points["voltage_l1"].point.high) == (520, 300)
    assert (points["current_l1"].low, points["current_l1"].high) == (-10, 10)
    assert points["power"].times == ("pt", "ct")
    assert (points["power"].low, points["power"].high) == (-9000, 9000)
    assert points["power"].point.resolution == 1
    assert points["energy_import"].point.kind is PointKind.TOTAL
    assert (points["energy_import"].scale, points["energy_import"].point.high) == (0.001, 1000)
    assert points["voltage_thd_l1"].point.quantity is Quantity.DISTORTION


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('"lsw_first"', '"swapped"', "'swapped' is missing, or unknown"),
        ('"uint64"', '"bcd"', "'bcd' is missing, or unknown"),
        ('"kWh"', '"MWh"', "'MWh' is missing, or unknown"),
        ("[[register]]", "[[point]]", "'register' is missing"),
        ("[modbus]", "[modbus", "cannot be read"),
    ],
)
def test_what_it_does_not_know_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, says: str
) -> None:
    assert old in DOCUMENT
    assert convert.main([file(tmp_path, DOCUMENT.replace(old, new))]) == 2
    output = capsys.readouterr()
    assert says in output.err
    assert output.out == ""


def test_a_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert convert.main(["/nowhere/list.toml"]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_table_that_ships_is_what_the_converter_drafts_from_the_facts(name: str) -> None:
    """Names, places, types, factors, quantities and kinds; ranges are a person's affair."""
    draft = parse_register_map(
        convert.draft_table(facts(name), 300, 120, 9_999_999), Path(f"{name}.toml")
    )
    table = load_register_map(name)
    ours = {(cell.address, table.asks(cell)): cell for cell in table.cells}
    for cell in draft.cells:
        mine = ours[cell.address, draft.asks(cell)]
        assert mine.point.key == cell.point.key
        for what in ("type", "scale", "times"):
            assert getattr(mine, what) == getattr(cell, what), cell.point.key
        for what in ("quantity", "kind", "step"):
            assert getattr(mine.point, what) == getattr(cell.point, what), cell.point.key
    head = ("function", "words", "max_registers", "line")
    assert [getattr(table, key) for key in head] == [getattr(draft, key) for key in head]
    assert {sign.condition for sign in draft.signs} == {sign.condition for sign in table.signs}
    if draft.identity is not None:
        assert draft.identity == table.identity


def test_the_command_makes_a_draft_of_a_published_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert convert.main([str(LISTS / "eastron-sdm120.toml"), "--amps", "60"]) == 0
    assert parse_register_map(capsys.readouterr().out, Path("x.toml")).registers[1].point.high == 60
