"""drivers/README.md: every device that can be read, made from the drivers themselves."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import drivers
from drivers.meters.register_map import list_maps, load_register_map
from edge.core import Point
from edge.core.driver import REQUIRED, DriverSpec, Option

ROOT: Final = Path(__file__).parents[1]
TRACES: Final = ROOT / "tests/drivers/traces"
WIRES: Final = {
    "i2c": "I2C",
    "serial": "Serial (UART, RS-232, RS-485, optical heads)",
    "modbus": "Modbus, RTU and TCP",
    "gpio": "GPIO lines",
}
LEVELS: Final = {
    "simulated": "the driver reads a simulator at the other end of a real bus interface, and a"
    " trace computed from the documents named under Source",
    "recorded": "it also reads frames that were recorded from such a device",
    "proven on hardware": "a user has read the real device with it, and reported so",
}
HEAD: Final = """# Drivers

This page is generated from the drivers (`make docs`): correct mistakes there.

A driver is one small file in `chips/`, or one flat table of registers in `meters/`; the name
of that file is its name in a configuration. [CONTRIBUTING](../CONTRIBUTING.md#add-a-chip) says how
to add a device.

**Level** says how far the driver has been proven:

{levels}

No driver has been proven on hardware yet. If yours works (or does not), please open an issue
with the output of `kerbstone decode`.
"""


def catalogue() -> str:
    """The whole document."""
    specs = [drivers.spec(name) for name in drivers.names()]
    levels = "\n".join(f"- *{name}*: {text}." for name, text in LEVELS.items())
    parts = [HEAD.format(levels=levels)]
    for wiring, title in WIRES.items():
        here = [spec for spec in specs if spec.wiring == wiring]
        parts.append(f"## {title}\n\n{_overview(here)}")
        parts += [_device(spec) for spec in here]
    return "\n".join(parts)


def _overview(specs: Iterable[DriverSpec]) -> str:
    rows = ["| driver | device | level |", "|---|---|---|"]
    for spec in specs:
        rows.append(
            f"| [`{spec.name}`](#{spec.name}) | {_title(spec.name)} | {_level(spec.name)} |"
        )
    return "\n".join(rows) + "\n"


def _device(spec: DriverSpec) -> str:
    lines = [f"### {spec.name}\n", _head(spec.name) + "\n"]
    lines.append(f"- Wiring: {_wiring(spec)}")
    if spec.wiring != "gpio" and spec.every_s != 1:
        lines.append(f"- Read every {_number(spec.every_s)} s, unless `every_s` is set")
    lines.append(f"- Level: {_level(spec.name)}")
    if spec.options:
        told = "; ".join(_option(spec, *item) for item in spec.options.items())
        lines.append(f"- Options: {told}")
    points = _points(spec)
    if points:
        lines.append("\n| point | quantity | unit | from | to |\n|---|---|---|---|---|")
        lines += [_row(point) for point in points]
    return "\n".join(lines) + "\n"


def _points(spec: DriverSpec) -> Sequence[Point]:
    if spec.name in list_maps():
        return [register.point for register in load_register_map(spec.name).registers]
    if spec.wiring == "gpio":
        return ()
    return tuple(drivers.chip(spec.name).DRIVER.points)


def _row(point: Point) -> str:
    quantity = point.quantity
    return (
        f"| `{point.key}` | {quantity.label.replace('_', ' ')} | {quantity.unit} "
        f"| {_number(point.low)} | {_number(point.high)} |"
    )


def _number(value: float) -> str:
    if abs(value) == float("inf"):
        return "any"
    return f"{value:.10g}"


def _wiring(spec: DriverSpec) -> str:
    if spec.wiring == "i2c":
        address = spec.address
        if address is None:
            default = spec.options["address"].default
            return f"I2C, address 0x{default:02x}" if default is not REQUIRED else "I2C"
        return f"I2C, address 0x{address:02x}, which is fixed"
    if spec.wiring == "serial":
        shares = "several on one line" if spec.shared else "alone on its port"
        return f"serial, factory setting {spec.line}, {shares}"
    if spec.wiring == "modbus":
        return f"Modbus, factory setting {spec.line} (RTU)"
    return "GPIO"


def _option(spec: DriverSpec, name: str, option: Option) -> str:
    show: Callable[[Any], str] = hex if spec.wiring == "i2c" and name == "address" else _number
    kind = option.type.__name__ if isinstance(option.type, type) else "list of texts"
    said: list[str] = []
    if option.choices:
        said.append(" or ".join(f"`{choice}`" for choice in option.choices))
    elif option.low is not None and option.high is not None:
        said.append(f"{kind}, {show(option.low)} to {show(option.high)}")
    else:
        said.append(kind)
    if not option.required:
        default = option.default
        if isinstance(default, int | float) and not isinstance(default, bool):
            default = show(default)
        empty = default in ("", ())
        said.append("may be left out" if empty else f"default `{default}`")
    return f"`{name}` ({', '.join(said)})"


def _head(name: str) -> str:
    """What the driver's file says of itself at its top, as paragraphs."""
    if name in list_maps():
        text = (ROOT / "drivers/meters" / f"{name}.toml").read_text(encoding="utf-8")
        lines = [line[1:].strip() for line in text.split("\n") if line.startswith("#")]
        head = "\n".join(lines[: _end(text)])
    else:
        source = (ROOT / "drivers/chips" / f"{name}.py").read_text(encoding="utf-8")
        head = ast.get_docstring(ast.parse(source)) or ""
    return re.sub(
        r"^Source: ", "**Source:** ", re.sub(r"\.\nSource: ", ".\n\nSource: ", head), flags=re.M
    )


def _end(text: str) -> int:
    """How many lines of comment stand before the first key."""
    count = 0
    for line in text.split("\n"):
        if not line.startswith("#"):
            break
        count += 1
    return count


def _title(name: str) -> str:
    return _head(name).split("\n")[0].rstrip(".:")


def _level(name: str) -> str:
    path = TRACES / f"{name}.toml"
    trace: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    level = str(trace.get("level", "simulated"))
    assert level in LEVELS, f"{path}: {level!r} is no level; there are {', '.join(LEVELS)}"
    return level
