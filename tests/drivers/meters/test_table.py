import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.meters import mapfile as reader
from drivers.meters.register_map import list_maps, load_register_map, parse_register_map
from drivers.meters.registermodel import RegisterMap
from drivers.meters.tablerows import POINT_KEYS
from drivers.sim.meter import MeterServer
from edge.core import ConfigError, PointKind, Quantity

NAMES = sorted(path.stem for path in reader.HERE.glob("*.toml"))

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
    table = parse_register_map(GOOD, HERE)
    voltage, energy = (register.point for register in table.registers)
    assert (table.name, table.function, table.words, table.max_registers) == (
        "acme",
        3,
        "little",
        50,
    )
    assert (voltage.quantity, voltage.kind, voltage.step) == (
        Quantity.VOLTAGE,
        PointKind.GAUGE,
        0.01,
    )
    assert (energy.kind, energy.step, energy.high) == (PointKind.TOTAL, 0.01, 1e9)
    assert [register.words for register in table.registers] == [2, 4]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('type = "i32"', 'type = "i33"', "voltage: type must be one of u16, i16, u32"),
        ('type = "i32"', 'type = "i33"', "did you mean 'i32'?"),
        ('quantity = "voltage"', 'quantity = "volt"', "did you mean 'voltage'?"),
        ("address = 0,", "", "voltage: address must be 0..0xfffe"),
        ("address = 0,", "address = 65535,", "voltage: address must be 0..0xfffe"),
        ("address = 10", "address = 1", "energy: its address 0x0001 lies inside points.voltage"),
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
        parse_register_map(GOOD.replace(old, new), HERE)
    assert str(HERE) in str(caught.value)
    assert says in str(caught.value)


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD.replace("function = 3", "function = 9").replace("high = 300", "high = -1")
    with pytest.raises(ConfigError) as caught:
        parse_register_map(text, HERE)
    assert len(str(caught.value).splitlines()) == 2


MINE = """
maker = "Acme"
model = "M1"
function = 3
words = "big"
max_registers = 10

[points]
voltage_l1 = { address = 0, type = "u16", quantity = "voltage", low = 0, high = 300, scale = 0.1 }
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tables of one's own are."""
    monkeypatch.setattr(reader, "SITE", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ('type = "i32"', 'type = "i33"', 8, "points.voltage: type"),
        ("function = 3", "function = 6", 4, "function"),
        ('quantity = "energy"', 'quantity = "energie"', 12, "points.energy: quantity"),
        ('kind = "total"', "", 9, "points.energy: kind"),  # the row's, for what is not there
        ("address = 10", "address = 1", 9, "points.energy: its address"),
        ("[points]", "[points]\n\n# more\n", 11, "points.voltage: scael"),
        ("high = 1e9", 'times = ["ct"]\nhigh = 1e9', 14, "points.energy: times"),
        ("high = 1e9", "high = 1e", 14, "this is not TOML"),
        ('"total"', '"total', 15, "this is not TOML"),
        ("function = 3", 'function = 3\nline = "9601 8N1"', 5, "line must be how"),
        ("function = 3", 'function = 3\nline = "9600 7E1"', 5, "line must be how"),
    ],
)
def test_a_mistake_names_the_line(old: str, new: str, line: int, key: str) -> None:
    text = GOOD.replace(old, new)
    if "scael" in key:
        text = text.replace("scale", "scael")
    with pytest.raises(ConfigError) as caught:
        parse_register_map(text, HERE)
    assert str(caught.value).startswith(f"{HERE}:{line}: {key}")


@given(st.text(max_size=60), st.integers(0, len(GOOD)), st.integers(0, 40))
def test_no_text_is_anything_but_a_table_or_an_error(more: str, at: int, cut: int) -> None:
    for text in (more, GOOD[:at] + more + GOOD[at + cut :]):
        try:
            assert isinstance(parse_register_map(text, HERE), RegisterMap)
        except ConfigError as error:
            assert str(HERE) in str(error)  # noqa: PT017  either is right


def test_depths_and_numbers_that_stop_a_parser_are_errors() -> None:
    for text in ("x = " + "[" * 5000, "x = " + "9" * 5000):
        with pytest.raises(ConfigError, match="nested too deeply"):
            parse_register_map(text, HERE)


def test_an_unknown_meter_is_a_config_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"'sdm999'.*sdm120, sdm230, sdm630"):
        load_register_map("sdm999")


def test_a_table_of_ones_own_is_a_driver_and_goes_before_ours(own: Path) -> None:
    (own / "acme.toml").write_text(MINE, encoding="utf-8")
    (own / "sdm120.toml").write_text("\ufeff" + MINE.replace("\n", "\r\n"), encoding="utf-8")
    (own / "._acme.toml").write_bytes(b"\x00\x05\x16\x07")  # what other systems leave behind
    assert set(list_maps()) == {*NAMES, "acme"}
    assert load_register_map("acme").maker == load_register_map("sdm120").maker == "Acme"
    assert load_register_map("sdm630").maker == "Eastron"


def test_the_simulator_finds_a_table_of_ones_own(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.sim.meter_server.SITE", own)
    (own / "acme.toml").write_text(MINE, encoding="utf-8")
    slaves = [MeterServer(name, {"voltage_l1": 230.1}) for name in ("acme", own / "acme.toml")]
    replies = [slave.answer(1, bytes.fromhex("0300000001")) for slave in slaves]
    assert [reply.pdu.hex() for reply in replies if reply] == ["030208fd"] * 2
    assert MeterServer("sdm120", {}).table["maker"] == "Eastron"


def test_a_broken_table_of_ones_own_harms_no_other(own: Path) -> None:
    (own / "acme.toml").write_text(MINE.replace('"u16"', '"u61"'), encoding="utf-8")
    (own / "blob.toml").write_bytes(b"maker = 1\nmodel = \xff\xfe")
    (own / "huge.toml").write_bytes(b"#" * (reader.FILE_LIMIT + 1))
    (own / "folder.toml").mkdir()
    (own / "gone.toml").symlink_to(own / "nowhere")
    os.mkfifo(own / "pipe.toml")
    assert set(list_maps()) > {"acme", "blob", "huge", "folder", "gone", "pipe"}
    for name, says in {
        "acme": "acme.toml:9: points.voltage_l1: type must be one of u16",
        "blob": "blob.toml:2: this line is not UTF-8 text",
        "huge": "huge.toml has more than 128 kB",
        "folder": "folder.toml is not a file",
        "gone": "gone.toml is not a file",
        "pipe": "pipe.toml is not a file",
    }.items():
        with pytest.raises(ConfigError, match=says):
            load_register_map(name)
    assert load_register_map("sdm630").registers


def test_the_example_of_the_documentation_is_a_table(own: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/meters.md").read_text(encoding="utf-8")
    (own / "acme_m3.toml").write_text(page.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    table = load_register_map("acme_m3")
    assert [register.point.key for register in table.registers] == [
        "voltage_l1", "power", "energy_import",
    ]  # fmt: skip
    assert table.registers[1].times == ("ct",)
    assert all(f"`{key}`" in page for key in POINT_KEYS)
