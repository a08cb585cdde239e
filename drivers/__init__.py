"""Finding a driver by its name: a module in `chips`, or a table in `meters`.

There is nothing to register. The name in a configuration is the name of the file. Third parties
add drivers through the entry-point group `kerbstone.drivers` (a module shaped like a chip's).
"""

import dataclasses
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

from drivers.choice import reversed_device, with_points
from drivers.meters.register_map import ModbusDevice, list_maps, load_register_map, options
from edge.core import (
    ConfigError,
    DataError,
    I2cBus,
    LineDevice,
    ModbusBus,
    Point,
    Polled,
    Reason,
    Sample,
    SerialBus,
)
from edge.core.driver import FACTORY_LINE, REQUIRED, DriverSpec, Option, SerialLine
from edge.core.point import is_directed, opposite_key

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

HERE: Final = Path(__file__).parent
PACE: Final = ("every_s", "slowest_s")  # class variables of a driver
SETTINGS: Final = ("bauds", "formats")
GROUP: Final = "kerbstone.drivers"
WIRING: Final[dict[object, str]] = {I2cBus: "i2c", SerialBus: "serial", ModbusBus: "modbus"}


def names() -> list[str]:
    """All drivers that ship with the gateway."""
    chips = (path.stem for path in (HERE / "chips").glob("[!_]*.py"))
    return sorted({*chips, *list_maps()})


def chip(name: str) -> ModuleType:
    """Import one chip driver, and only that one. Raises ConfigError for a name nobody has."""
    if (HERE / "chips" / f"{name}.py").exists() and not name.startswith("_"):
        return import_module(f"drivers.chips.{name}")
    for entry in _others():
        if entry.name == name and isinstance(module := entry.load(), ModuleType):
            return module
    raise ConfigError(f"no driver is called {name!r}; choose from {', '.join(names())}")


@cache
def spec(name: str) -> DriverSpec:
    """What a configuration may say to a driver: its wiring and its options."""
    if name in list_maps():
        try:
            table = load_register_map(name)
        except ConfigError:  # somebody's own; `build` says what is wrong, and the others are read
            return DriverSpec(name, "modbus", options(None), directed=True)
        line = SerialLine.parse(table.line) if table.line else FACTORY_LINE
        keys = tuple(register.point.key for register in table.registers)
        both = is_directed(register.point for register in table.registers)
        return DriverSpec(
            name, "modbus", options(table), line=line, points=keys, directed=both,
            bauds=table.bauds, formats=table.formats,
        )  # fmt: skip
    module = chip(name)
    hints = get_type_hints(module.DRIVER, include_extras=True)
    fields = [field for field in dataclasses.fields(module.DRIVER) if field.init]
    bus = hints[fields[0].name]
    wiring = next((word for kind, word in WIRING.items() if kind is bus), "gpio")
    those = fields if wiring == "gpio" else fields[1:]
    driver_options = {field.name: _option(hints[field.name], field) for field in those}
    fixed = None if "address" in driver_options else getattr(module.DRIVER, "address", None)
    factory = getattr(module.DRIVER, "line", "") if wiring == "serial" else ""
    line = SerialLine.parse(factory) if factory else FACTORY_LINE
    known = (*PACE, *SETTINGS) if wiring == "serial" else PACE
    said = {key: getattr(module.DRIVER, key) for key in known if hasattr(module.DRIVER, key)}
    points = _points(module.DRIVER)
    # where they are a field they depend on the options
    open_ended = any(field.name == "points" for field in dataclasses.fields(module.DRIVER))
    keys = () if open_ended else tuple(point.key for point in points)
    both = is_directed(points)
    return DriverSpec(name, wiring, driver_options, fixed, line, keys, directed=both, **said)


def _others() -> Iterable["EntryPoint"]:
    from importlib.metadata import entry_points  # large, and seldom needed

    return entry_points(group=GROUP)


def catalogue() -> Mapping[str, DriverSpec]:
    """Every driver that a configuration may name."""
    others = {entry.name for entry in _others()}
    return {name: spec(name) for name in sorted({*names(), *others})}


def build(
    name: str,
    bus: Any,
    settings: Mapping[str, Any],
    points: Sequence[str] = (),
    *,
    backwards: bool = False,
) -> Polled | LineDevice:
    """One device, with `settings` for its options. Touches no wire; on GPIO lines `bus` is unused.

    `points` are the keys of those that are wanted; none means all. One that is mounted `backwards`
    is turned, and its points are called as they are then. Raises ConfigError for a key that the
    device has not, and for one that has no direction to be turned.
    """
    if backwards:
        if not spec(name).directed:
            raise ConfigError(f"reversed: {name} reports no direction; leave it out")
        own = tuple(opposite_key(key) for key in points)
        return reversed_device(typing.cast("Polled", build(name, bus, settings, own)))
    if name in list_maps():
        table = load_register_map(name)
        return ModbusDevice(bus, table.only(points) if points else table, **settings)
    driver = chip(name).DRIVER
    if spec(name).wiring == "gpio":
        return typing.cast("LineDevice", driver(**settings))
    device = typing.cast("Polled", driver(bus, **settings))
    return with_points(device, points) if points else device


def explain(name: str, frames: list[bytes]) -> dict[str, tuple[Sample, str]]:
    """What recorded frames mean: point -> (sample, unit). Raises DataError for a damaged frame."""
    if name in list_maps():
        table = load_register_map(name)
        samples = import_module("drivers.meters.register_map").explain(table, frames)
        units = {r.point.key: r.point.quantity.unit for r in table.registers}
    else:
        module = chip(name)
        if not hasattr(module, "explain"):
            raise ConfigError(f"{name} sits on a GPIO line and has no frames to decode")
        samples = module.explain(frames)
        units = {point.key: point.quantity.unit for point in module.DRIVER.points}
    if not samples:
        raise DataError("no measured values are among the frames", Reason.SILENT)
    return {key: (sample, units[key]) for key, sample in samples.items()}


def named(name: str, frames: list[bytes]) -> list[str]:
    """What each of these frames is; "" for one that is damaged, or none of this device's.

    On I2C nothing tells whether a frame is whole: what is written there has no checksum.
    """
    if spec(name).wiring == "i2c":
        return [""] * len(frames)
    naming = import_module("drivers.naming")  # it knows many protocols, and is seldom needed
    return [naming.named(name, frame, name in list_maps()) for frame in frames]


def _points(driver: Any) -> tuple[Point, ...]:
    points = getattr(driver, "points", ())
    return points if isinstance(points, tuple) else ()


def _option(hint: Any, field: dataclasses.Field[Any]) -> Option:
    """A dataclass field as an option. `Annotated[int, (low, high), "what it means"]` gives the
    bounds and the meaning; each of the two may be left out.
    """
    default = REQUIRED if field.default is dataclasses.MISSING else field.default
    low = high = None
    text = ""
    if get_origin(hint) is typing.Annotated:
        hint, *notes = get_args(hint)
        low, high = next((note for note in notes if isinstance(note, tuple)), (None, None))
        text = next((note for note in notes if isinstance(note, str)), "")
    if get_origin(hint) is Literal:
        return Option(str, default=default, choices=get_args(hint), text=text)
    return Option(hint, default=default, low=low, high=high, text=text)
