"""The tables that ship: each in order, and none against what others say."""

import pytest

import drivers
from drivers.meters import mapfile as reader
from drivers.meters.register_map import ModbusDevice, load_register_map
from drivers.meters.registermodel import ENERGIES
from edge.core import PointKind, Quantity
from tests.drivers.meters.facts import FILES, TYPES, WORDS, facts

NAMES = sorted(path.stem for path in reader.HERE.glob("*.toml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_table_that_ships_is_well_formed(name: str) -> None:
    table = load_register_map(name)
    assert table.name == name
    assert table.amps >= 0
    for register in table.registers:
        point = register.point
        assert (
            (point.kind is PointKind.TOTAL)
            == (point.quantity in ENERGIES)
            == ("energy" in point.key)
        )
        assert point.high < 1e18
        if register.type[0] != "f" and not register.times:  # a step is what the register can tell
            assert point.step >= 0.999 * register.scale
        if register.type[0] == "u":
            assert point.low >= 0
    power = next(r.point for r in table.registers if r.point.quantity is Quantity.POWER)
    assert power.high > 0
    volts = [r.point for r in table.registers if r.point.key.startswith("voltage_l1")]
    assert volts


@pytest.mark.parametrize("name", NAMES)
def test_a_table_agrees_with_the_published_list(name: str) -> None:
    doc, table = facts(name), load_register_map(name)
    cells = {cell.address: cell for cell in table.cells}
    signs = {sign.register.address for sign in table.signs}
    modbus = doc["modbus"]
    assert table.function == modbus["read_functions"][0]
    assert table.words == WORDS[modbus["word_order"]]
    assert table.max_registers == modbus["max_registers_per_request"]
    serial = doc["serial"]
    if serial.get("baud"):
        assert table.line == f"{serial['baud']} 8{serial['parity']}{serial['stop']}"
    for row in doc["register"]:
        cell = cells[row["address"]]
        assert cell.type == TYPES[row["type"]]
        assert cell.scale == row["scale"]
        assert cell.words == row["words"]
        ratios = tuple(row["ratio"].split("*")) if "ratio" in row else ()
        assert cell.times == ratios
        if row["address"] not in signs:
            unit = cell.point.quantity.unit
            assert {"/": "1"}.get(unit, unit) == row["unit"]
    stated = {row["address"] for row in (*doc["register"], *doc.get("config_register", ()))}
    assert set(cells) <= stated
    own = {row["address"] for row in doc.get("config_register", ()) if "serial" in row["quantity"]}
    if own:
        assert table.identity is not None
        assert {table.identity.address} == own
    assert set(FILES) == set(NAMES)


async def test_a_little_above_its_rating_a_value_still_counts() -> None:
    amps, watts = divmod(105_000, 1 << 16), divmod(284_760, 1 << 16)
    words = [2712, *amps[::-1], *watts[::-1], 0, 0, 500, 100, 0]  # all ten of a PZEM-004T

    class Wire:
        async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
            return b"".join(word.to_bytes(2) for word in words[address : address + count])

    device = drivers.build("pzem004t", Wire(), {"unit": 1})
    assert isinstance(device, ModbusDevice)
    found = dict(zip([p.key for p in device.points], await device.read(), strict=True))
    assert (found["voltage_l1"], found["current_l1"], found["power"]) == (271.2, 105.0, 28_476.0)
