"""Tables of a configuration for what was found or simulated, ready for a site file."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import drivers
from edge.core.driver import DriverSpec, SerialLine
from edge.core.printable import json_line_text, printable

BUS_NAMES: Final = {
    "i2c": "i2c",
    "serial": "serial",
    "modbus-rtu": "meters",
    "modbus-tcp": "network",
    "gpio": "contacts",
}  # how a bus of this kind is called
REMARK_WIDTH: Final = 120  # characters


@dataclass(frozen=True, slots=True)
class SnippetDevice:
    """A device by its driver; what its options are where they differ from the default."""

    driver: str
    options: Mapping[str, Any] = field(default_factory=dict)
    remark: str = ""


@dataclass(frozen=True, slots=True)
class SnippetBus:
    """A bus by its keys, with what sits on it. `line` is how its serial port is set."""

    keys: Mapping[str, Any]
    devices: Sequence[SnippetDevice]
    line: SerialLine | None = None


def render_tables(buses: Iterable[SnippetBus], taken: Iterable[str] = ()) -> str:
    """TOML. Names that are `taken` are not given again."""
    used = set(taken)
    return "\n".join(printable(line) for bus in buses for line in _bus(bus, used))


def _bus(bus: SnippetBus, used: set[str]) -> Iterator[str]:
    kind = bus.keys["kind"]
    name = _name(BUS_NAMES[kind], used)
    yield f"[bus.{name}]"
    for key, value in {**bus.keys, **_line(bus, kind)}.items():
        yield f"{key} = {_value(value)}"
    yield ""
    for device in bus.devices:
        if device.remark:
            yield printable(f"# {device.remark}", REMARK_WIDTH)
        if device.driver == "loop":  # it is never a device of its own
            yield f"[lane.{_name(device.driver, used)}]"
            yield 'approach = "north"'
            yield f'bus = "{name}"'
            yield f"lead = {_value(device.options['line'])}"
            yield ""
            continue
        yield f"[device.{_name(device.driver, used)}]"
        yield f'driver = "{device.driver}"'
        yield f'bus = "{name}"'
        spec = drivers.spec(device.driver)
        for key, value in device.options.items():
            option = spec.options.get(key)
            if option is not None and (option.required or value != option.default):
                address = key == "address" and spec.wiring == "i2c"
                yield f"{key} = {f'0x{value:02x}' if address else _value(value)}"
        yield ""


def _line(bus: SnippetBus, kind: str) -> dict[str, object]:
    """How a port is set, unless that is what its only device has from the factory."""
    line = bus.line
    if line is None:
        return {}
    found = {"baud": line.baud, "parity": line.parity, "stop": line.stop}
    if kind == "modbus-rtu":
        return found
    specs: list[DriverSpec] = [drivers.spec(device.driver) for device in bus.devices]
    return {} if all(spec.line == line for spec in specs) else {**found, "bits": line.bits}


def _name(wanted: str, used: set[str]) -> str:
    name, number = wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}_{number}"
    used.add(name)
    return name


def _value(value: Any) -> str:
    return f'"{"".join(map(_letter, value))}"' if isinstance(value, str) else json_line_text(value)


def _letter(char: str) -> str:
    """Of a basic string. TOML has no surrogates, so JSON's form of a letter beyond 0xffff is none.
    Source: https://toml.io/en/v1.0.0#string
    """
    if char in ('"', "\\"):
        return f"\\{char}"
    return char if char.isascii() and char.isprintable() else f"\\U{ord(char):08x}"
