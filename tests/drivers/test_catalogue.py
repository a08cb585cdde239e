"""Finding drivers: the name in a configuration is the name of a file, and nothing is registered."""

import importlib.metadata
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import drivers
from drivers.meters.register_map import list_maps
from edge.core import Bad, ConfigError, LineDevice, Polled, Reason
from edge.core.driver import REQUIRED

PROMISED = {"loop", "s0", "sen55", "sps30", "pms5003", "sdm120", "sdm630"}
WIRINGS = {"loop": "gpio", "s0": "gpio", "sen55": "i2c", "sps30": "i2c", "pms5003": "serial",
           "sdm120": "modbus", "sdm630": "modbus"}  # fmt: skip


@pytest.fixture(autouse=True)
def no_memory() -> None:
    drivers.spec.cache_clear()


def test_every_promised_device_has_a_driver() -> None:
    assert set(drivers.names()) >= PROMISED
    assert drivers.names() == sorted(drivers.names())


def test_the_names_are_those_of_the_files() -> None:
    here = Path(drivers.__file__).parent
    chips = {path.stem for path in (here / "chips").glob("*.py") if path.stem[0] != "_"}
    meters = {path.stem for path in (here / "meters").glob("*.toml")}
    assert set(drivers.names()) == chips | meters
    assert not chips & meters, "two drivers of one name"


@pytest.mark.parametrize(("name", "wiring"), WIRINGS.items())
def test_the_wiring_is_that_of_the_device(name: str, wiring: str) -> None:
    assert drivers.spec(name).wiring == wiring
    assert drivers.spec(name).name == name


def test_the_catalogue_is_what_spec_says() -> None:
    found = drivers.catalogue()
    assert list(found) == drivers.names()
    assert all(found[name] == drivers.spec(name) for name in found)


@pytest.mark.parametrize("name", drivers.names())
def test_options_have_types_defaults_and_bounds_that_fit_each_other(name: str) -> None:
    for key, option in drivers.spec(name).options.items():
        assert key.isidentifier()
        assert option.type in (int, float, str, bool, tuple[str, ...]), key
        if option.low is not None and option.high is not None:
            assert option.low < option.high
        if option.required:
            continue
        if option.choices:
            assert option.default in option.choices
        if option.low is not None and option.default is not None:
            assert option.low <= option.default <= (option.high or option.default)


@pytest.mark.parametrize("name", sorted({*drivers.names()} - {"loop"}))  # a lane configures loops
def test_each_option_says_what_it_means(name: str) -> None:
    assert [key for key, option in drivers.spec(name).options.items() if not option.text] == []


@pytest.mark.parametrize("name", drivers.names())
def test_a_driver_is_built_with_its_required_options_alone(name: str) -> None:
    required = {
        key: {int: 1, str: "GPIO5", float: 1.0}[option.type]
        for key, option in drivers.spec(name).options.items()
        if option.default is REQUIRED
    }
    built = drivers.build(name, None, required)
    kind = "lines" if drivers.spec(name).wiring == "gpio" else "points"
    assert getattr(built, kind)
    wanted: Any = LineDevice if kind == "lines" else Polled
    for method in [m for m in vars(wanted) if not m.startswith("_")]:
        assert hasattr(built, method), method


@pytest.mark.parametrize(
    "name", ["", "sen56", "_sensirion", "../sen55", "SEN55", "sen55.py", "chips", "register_map"]
)
def test_a_name_that_nobody_has_is_an_error_that_says_which_there_are(name: str) -> None:
    for call in (drivers.spec, drivers.chip, lambda n: drivers.build(n, None, {})):
        with pytest.raises(ConfigError) as caught:
            call(name)
        assert all(known in str(caught.value) for known in drivers.names())
    with pytest.raises(ConfigError):
        drivers.explain(name, [b"\0"])


def test_only_the_driver_that_is_asked_for_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pms5003", "sps30"):
        monkeypatch.delitem(sys.modules, f"drivers.chips.{name}", raising=False)
    drivers.chip("sps30")
    assert "drivers.chips.sps30" in sys.modules
    assert "drivers.chips.pms5003" not in sys.modules


def third_party(monkeypatch: pytest.MonkeyPatch, name: str, module: ModuleType) -> None:
    """A package that brings a driver through the entry-point group."""
    monkeypatch.setitem(sys.modules, module.__name__, module)
    entry = EntryPoint(name, module.__name__, drivers.GROUP)

    def entry_points(group: str) -> list[EntryPoint]:
        assert group == "kerbstone.drivers"
        return [entry]

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


def test_others_bring_drivers_through_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("city_sensors_x1")
    vars(module).update(vars(drivers.chip("pms5003")) | {"__name__": "city_sensors_x1"})
    third_party(monkeypatch, "x1", module)
    assert "x1" in drivers.catalogue()
    assert drivers.spec("x1").wiring == "serial"
    assert getattr(drivers.build("x1", None, {"settle_reads": 3}), "settle_reads") == 3  # noqa: B009
    zeros = bytes.fromhex("424d001c" + "00" * 26 + "00ab")
    assert drivers.explain("x1", [zeros])["pm2_5"] == (Bad(Reason.WARMUP), "ug/m3")


def test_a_driver_of_ours_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    third_party(monkeypatch, "sen55", ModuleType("impostor"))
    assert drivers.chip("sen55").__name__ == "drivers.chips.sen55"
    third_party(monkeypatch, "sdm630", ModuleType("impostor"))
    assert drivers.spec("sdm630").options["unit"].high == 247
    assert "sdm630" in list_maps()
