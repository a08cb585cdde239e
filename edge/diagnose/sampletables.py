"""Tables of a site file for one driver: its options explained, and its points with their units.

Options that may be left out are comments, with their defaults; so is what the device measures.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import drivers
from edge.core import Point, Polled
from edge.core.driver import DriverSpec, Option
from edge.core.printable import json_line_text
from edge.diagnose.tomlsnippet import BUS_NAMES

Usual = Callable[[Iterable[Point]], Mapping[str, float]]
PLACES: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {  # wiring -> kind, keys of its bus
    "i2c": ("i2c", {"path": "/dev/i2c-1"}),
    "serial": ("serial", {"port": "/dev/ttyUSB0"}),
    "modbus": ("modbus-rtu", {"port": "/dev/ttyUSB0"}),
    "gpio": ("gpio", {"chip": "/dev/gpiochip0"}),
}
LOOP: Final = "loop"  # it belongs to a lane, and is never a device
NEEDED: Final = {"line": "GPIO17"}  # of an option without a default
SERIALS: Final = ("12345678",)  # where a list of numbers of meters belongs
WIDTH: Final = 34


@dataclass(frozen=True, slots=True)
class SamplePoint:
    """A point of a device: its name, its unit, a plausible value if one is known, and its range."""

    key: str
    unit: str
    usual: float | None
    low: float
    high: float


def sample_points(spec: DriverSpec, usual: Usual) -> list[SamplePoint]:
    """The points of a device whose options are those of the sample; none on a GPIO line."""
    if spec.wiring == "gpio":
        return []
    built = drivers.build(spec.name, None, _needed(spec))
    points: tuple[Point, ...] = tuple(built.points) if isinstance(built, Polled) else ()
    values = usual(points)
    return [SamplePoint(p.key, p.quantity.unit, values.get(p.key), p.low, p.high) for p in points]


def sample_tables(spec: DriverSpec, usual: Usual) -> Iterator[str]:
    """The lines, in order. `usual` gives plausible values of points."""
    kind, keys = PLACES[spec.wiring]
    bus = BUS_NAMES[kind]
    yield f"[bus.{bus}]"
    yield f'kind = "{kind}"'
    for key, value in keys.items():
        yield f"{key} = {_value(value)}"
    line = spec.line
    if kind in ("serial", "modbus-rtu"):
        settings = {"baud": line.baud, "parity": line.parity, "bits": line.bits, "stop": line.stop}
        if kind == "modbus-rtu":
            del settings["bits"]
        for key, value in settings.items():
            yield _commented(f"{key} = {_value(value)}", "as the device leaves the factory")
    yield ""
    if spec.name == LOOP:
        yield from ("[lane.north_1]", 'approach = "north"', f'bus = "{bus}"', 'lead = "GPIO17"')
        yield from ('# trail = "GPIO27"', "# spacing_m = 4.0")
        return
    yield f"[device.{spec.name}]"
    yield f'driver = "{spec.name}"'
    yield f'bus = "{bus}"'
    for key, option in spec.options.items():
        yield from _option(spec, key, option)
    if spec.wiring != "gpio":
        yield _commented(f"every_s = {spec.every_s:g}", "seconds between two readings")
        yield "# points:"
        for point in sample_points(spec, usual):
            value = "" if point.usual is None else f"{point.usual:.6g}"
            span = f"{point.low:g} to {point.high:g}"
            yield f"#   {point.key:<{WIDTH - 4}} {value:>8} {point.unit:<6} ({span})"


def sample_facts(spec: DriverSpec, usual: Usual) -> dict[str, object]:
    """The same for programs."""
    return {
        "driver": spec.name,
        "wiring": spec.wiring,
        "options": {
            key: {
                "default": None if option.required else option.default,
                "required": option.required,
                "low": option.low, "high": option.high,
                "choices": list(option.choices), "text": option.text,
            }
            for key, option in spec.options.items()
        },
        "points": [
            {"key": p.key, "unit": p.unit, "usual": p.usual, "low": p.low, "high": p.high}
            for p in sample_points(spec, usual)
        ],
        "toml": "\n".join(sample_tables(spec, usual)),
    }  # fmt: skip


def _needed(spec: DriverSpec) -> dict[str, object]:
    return {
        key: NEEDED.get(key, int(option.low or 1))
        for key, option in spec.options.items()
        if option.required
    }


def _option(spec: DriverSpec, key: str, option: Option) -> Iterator[str]:
    bounds = ""
    if option.choices:
        bounds = " or ".join(map(_value, option.choices))
    elif option.low is not None and option.high is not None:
        bounds = f"{_number(spec, key, option.low)} to {_number(spec, key, option.high)}"
    remark = "; ".join(part for part in (option.text, bounds) if part)
    if option.required:
        text = f"{key} = {_number(spec, key, _needed(spec)[key])}"
        yield f"{text:<{WIDTH}}# {remark}" if remark else text
    else:
        yield _commented(f"{key} = {_number(spec, key, option.default)}", remark)


def _commented(text: str, remark: str) -> str:
    return f"{'# ' + text:<{WIDTH}}# {remark}" if remark else f"# {text}"


def _number(spec: DriverSpec, key: str, value: Any) -> str:
    if key == "address" and spec.wiring == "i2c":
        return f"0x{int(value):02x}"
    if isinstance(value, tuple):
        return _value(list(value or SERIALS))
    return _value(value)


def _value(value: Any) -> str:
    return json_line_text(int(value) if isinstance(value, float) and value.is_integer() else value)
