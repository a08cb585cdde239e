"""The copy of a site file for a desk: what it changes, what it leaves, when it refuses."""

import re
import tomllib
from pathlib import Path

import pytest

import drivers
from edge.cabinet.cabinet import placed_site
from edge.cabinet.deskfile import MARK, DeskChange, desk_changes, is_desk_file, rewrite
from edge.cabinet.deskplaces import PATH_MAX, DeskPlace, desk_places
from edge.config import Site, load_site, site_warnings
from edge.core import ConfigError

ROOT = Path(__file__).parents[2]
EXAMPLES = (
    ROOT / "deploy/site.example.toml", ROOT / "deploy/cabinet.example.toml",
    ROOT / "deploy/demo.toml",
)  # fmt: skip
HEAD = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtts://city:8883"\n'


def site(folder: Path, text: str) -> Site:
    file = folder / "site.toml"
    file.write_text(HEAD + text, encoding="utf-8")
    return load_site(file, drivers.catalogue())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_means_the_same_at_a_desk_and_keeps_each_of_its_comments(
    file: Path, tmp_path: Path
) -> None:
    before = load_site(file, drivers.catalogue())
    places = desk_places(before, tmp_path, {})
    keys = {name: place.keys for name, place in places.items()}
    text = file.read_text(encoding="utf-8")
    made = rewrite(text, desk_changes(keys, tmp_path, "mqtt://127.0.0.1:1883"), "site.toml")
    copy = tmp_path / "copy.toml"
    copy.write_text(made, encoding="utf-8")
    after = load_site(copy, drivers.catalogue())
    wanted = placed_site(before, places)
    assert (after.buses, after.devices, after.lanes) == (
        wanted.buses, wanted.devices, wanted.lanes
    )  # fmt: skip
    assert (after.place, after.bays, after.cells) == (before.place, before.bays, before.cells)
    assert after.uplink.url == "mqtt://127.0.0.1:1883"
    assert (after.uplink.ca, after.uplink.confirm) == (None, "broker")
    assert after.store.run_dir == f"{tmp_path}/run"
    assert is_desk_file(made)
    comments = re.findall(r"#.*", text)
    assert [one for one in comments if one not in made] == []


@pytest.mark.parametrize("folder", ["/home/x/desk", "/root/desk"])
def test_of_where_a_desk_keeps_its_records_nothing_is_said(folder: str, tmp_path: Path) -> None:
    text = EXAMPLES[0].read_text(encoding="utf-8")
    places = desk_places(load_site(EXAMPLES[0], drivers.catalogue()), Path(folder), {})
    keys = {name: place.keys for name, place in places.items()}
    copy = tmp_path / "copy.toml"
    changes = desk_changes(keys, Path(folder), "mqtt://127.0.0.1:1883")
    copy.write_text(rewrite(text, changes, "site.toml"), encoding="utf-8")
    remarks = site_warnings(load_site(copy, drivers.catalogue()))
    assert [each.text for each in remarks if each.key.startswith("store")] == []


def test_a_line_that_is_other_says_what_it_was() -> None:
    text = '[bus.a]\nport = "/dev/ttyUSB0"  # the adapter\n'
    made = rewrite(text, [DeskChange(("bus", "a", "port"), "/d/a.tty")], "site.toml")
    assert 'port = "/d/a.tty"  # the adapter  # desk: was "/dev/ttyUSB0"\n' in made


def test_a_key_that_is_left_out_stays_as_a_comment_however_many_lines_it_has() -> None:
    text = '[uplink]\nfallback = [\n  "mqtt://a",\n  "mqtt://b",\n]\nurl = "mqtt://c"\n'
    made = rewrite(text, [DeskChange(("uplink", "fallback"), None)], "x")
    assert made.count("# desk: ") == 4
    assert tomllib.loads(made) == {"uplink": {"url": "mqtt://c"}}


def test_a_key_that_is_not_there_is_added_below_its_header_and_a_table_at_the_end() -> None:
    text = '[bus.loops]\nkind = "gpio"'
    changes = [DeskChange(("bus", "loops", "chip"), "sim:/d"), DeskChange(("store", "dir"), "/s")]
    made = tomllib.loads(rewrite(text, changes, "x"))
    assert made == {"bus": {"loops": {"kind": "gpio", "chip": "sim:/d"}}, "store": {"dir": "/s"}}


def test_windows_line_ends_and_odd_names_do_no_harm() -> None:
    text = '[bus."a-b"]\r\nport = "/dev/x"\r\n'
    made = rewrite(text, [DeskChange(("bus", "a-b", "port"), "/d")], "x\n[evil]\na = 1")
    assert tomllib.loads(made) == {"bus": {"a-b": {"port": "/d"}}}


@pytest.mark.parametrize(
    ("text", "change", "says"),
    [
        (
            'bus.a = { kind = "gpio" }\n',
            DeskChange(("bus", "a", "chip"), "sim:/d"),
            "line 1: bus.a.chip",
        ),
        (
            '[uplink]\nurl = "u"\n[x]\ny = { a = 1, b = [1,\n2], c = 3 }\n',
            DeskChange(("x", "y", "b"), None),
            "would not mean the same",
        ),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(text: str, change: DeskChange, says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        rewrite(text, [change], "x")


def test_hardware_gets_a_place_in_the_folder_and_what_is_simulated_keeps_its_own(
    tmp_path: Path,
) -> None:
    before = site(
        tmp_path,
        '[bus.a]\nkind = "gpio"\n[bus.b]\nkind = "gpio"\nchip = "sim:/tmp/x.sock"\n'
        '[bus.c]\nkind = "serial"\nport = "/dev/../dev/ttyS0"\n'
        '[bus.d]\nkind = "modbus-rtu"\nport = "/tmp/mine"\n'
        '[bus.e]\nkind = "modbus-tcp"\nhost = "192.0.2.1"\n'
        '[bus.f]\nkind = "modbus-tcp"\nhost = "localhost"\nport = 5020\n'
        '[bus.g]\nkind = "modbus-tcp"\nhost = "192.0.2.2"\n',
    )
    places = desk_places(before, tmp_path, {"d": "/dev/ttyUSB7"})
    assert places["a"] == DeskPlace({"chip": f"sim:{tmp_path}/a.sock"})
    assert places["b"] == places["f"] == DeskPlace({})
    assert places["c"] == DeskPlace({"port": f"{tmp_path}/c.tty"})
    assert places["d"] == DeskPlace(port="/dev/ttyUSB7")
    assert places["e"].keys["host"] == places["g"].keys["host"] == "127.0.0.1"
    assert places["e"].keys["port"] != places["g"].keys["port"]


@pytest.mark.parametrize(
    ("ports", "says"),
    [
        ({"nothing": "/dev/ttyUSB0"}, "no serial bus is called nothing; choose from meters"),
        ({"meters": "ttyUSB0"}, "write the port as meters=/dev/ttyUSB1"),
    ],
)
def test_a_real_port_is_named_by_its_bus(ports: dict[str, str], says: str, tmp_path: Path) -> None:
    before = site(tmp_path, '[bus.meters]\nkind = "modbus-rtu"\nport = "/dev/ttyUSB0"\n')
    with pytest.raises(ConfigError, match=says):
        desk_places(before, tmp_path, ports)


def test_a_path_that_no_socket_can_have_is_refused_before_anything_is_opened(
    tmp_path: Path,
) -> None:
    before = site(tmp_path, '[bus.a]\nkind = "i2c"\n')
    with pytest.raises(ConfigError, match="give a shorter folder"):
        desk_places(before, tmp_path / ("x" * PATH_MAX), {})


def test_the_mark_is_the_first_line() -> None:
    assert rewrite("a = 1\n", [], "x").startswith(MARK)
