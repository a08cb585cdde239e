"""Tables of a site file for drivers: options explained, and points with their units.

Options that may be left out are comments, with their defaults; so is what a device measures. Those
that can share a wire do, with an address and a line of its own for each.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count, cycle
from typing import Any, Final

import drivers
from edge.core import Point, Polled
from edge.core.driver import DriverSpec, Option
from edge.core.printable import json_line_text
from edge.diagnose.tomlsnippet import BUS_NAMES

Usual = Callable[[Iterable[Point]], Mapping[str, float]]
Elsewhere = Mapping[str, Collection[str]]
"""By driver: points that only other devices of it have than the one that is simulated."""
KINDS: Final = {"i2c": "i2c", "serial": "serial", "modbus": "modbus-rtu", "gpio": "gpio"}
PLACES: Final = {"i2c": ("path", "/dev/i2c-1"), "gpio": ("chip", "/dev/gpiochip0")}
PORT: Final = "/dev/ttyUSB"  # and a number
LINES: Final = ("GPIO17", "GPIO27", "GPIO22", "GPIO23", "GPIO24", "GPIO25", "GPIO5", "GPIO6",
                "GPIO12", "GPIO13", "GPIO16", "GPIO19", "GPIO20", "GPIO21", "GPIO26")  # fmt: skip
INTRODUCTION: Final = (
    "[site]",
    'id = "mill-lane"                  # the site; part of every topic: a-z, 0-9, _ and -',
    'gateway = "gw-1"                  # this box; no two boxes may have the same name',
    "",
    "[uplink]",
    'url = "mqtts://broker.example:8883"   # the city\'s broker',
    'confirm = "broker"                # who confirms a record: "broker" or "platform"',
    "",
)
LOOP: Final = "loop"  # it belongs to a lane, and is never a device
SERIALS: Final = ("12345678",)  # where a list of numbers of meters belongs
WIDTH: Final = 34
LINE_MAX: Final = 98
FACTORY: Final = "as the device leaves the factory"
SET_ALIKE: Final = "as set in all meters on this line"


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


@dataclass(slots=True)
class _Bus:
    """A bus of the sample, and who is on it."""

    name: str
    kind: str
    place: tuple[str, str]
    specs: list[DriverSpec]


class SampleSite:
    """The tables of some drivers together. `lines` gives them, `usual` plausible values.

    A device that has not all points of its driver is asked for those that the simulated one has:
    `elsewhere` names the others.
    """

    def __init__(
        self, specs: Iterable[DriverSpec], usual: Usual, elsewhere: Elsewhere | None = None
    ) -> None:
        self._usual, self._elsewhere = usual, elsewhere or {}
        self._names: Counter[str] = Counter()
        self._units, self._ports, self._gpio = count(1), count(), cycle(LINES)
        self._buses: list[_Bus] = []
        for spec in specs:
            self._hang(spec)

    def lines(self) -> Iterator[str]:
        """All of them, in order."""
        for bus in self._buses:
            yield from self._bus(bus)
            for spec in bus.specs:
                yield from self._lane(bus) if spec.name == LOOP else self._device(bus, spec)
                yield ""

    def _hang(self, spec: DriverSpec) -> None:
        kind = KINDS[spec.wiring]
        shared = next((one for one in self._buses if one.kind == kind and kind != "serial"), None)
        if shared is not None:
            shared.specs.append(spec)
            return
        place = PLACES.get(kind) or ("port", f"{PORT}{next(self._ports)}")
        self._buses.append(_Bus(self._name(BUS_NAMES[kind]), kind, place, [spec]))

    def _name(self, wanted: str) -> str:
        self._names[wanted] += 1
        turn = self._names[wanted]
        return wanted if turn == 1 else f"{wanted}_{turn}"

    def _bus(self, bus: _Bus) -> Iterator[str]:
        yield f"[bus.{bus.name}]"
        yield f'kind = "{bus.kind}"'
        yield f"{bus.place[0]} = {_value(bus.place[1])}"
        line = bus.specs[0].line
        if bus.kind == "serial":  # what is left out is the device's factory setting
            for key, value in (
                ("baud", line.baud), ("parity", line.parity), ("bits", line.bits),
                ("stop", line.stop),
            ):  # fmt: skip
                yield _commented(f"{key} = {_value(value)}", FACTORY)
        elif bus.kind == "modbus-rtu":
            others = {spec.line for spec in bus.specs} - {line}
            remark = "; ".join([SET_ALIKE, *(f"some leave the factory with {o}" for o in others)])
            yield f"{f'baud = {line.baud}':<{WIDTH}}# {remark}"
            yield f"parity = {_value(line.parity)}"
            yield f"stop = {line.stop}"
        yield ""

    def _lane(self, bus: _Bus) -> Iterator[str]:
        self._names["lane"] += 1
        yield f"[lane.north_{self._names['lane']}]"
        yield from ('approach = "north"', f'bus = "{bus.name}"', f'lead = "{next(self._gpio)}"')
        yield _commented(f'trail = "{next(self._gpio)}"', "a second loop gives speed and length")
        yield _commented("spacing_m = 4", "from the front edge of the first loop to the second's")

    def _device(self, bus: _Bus, spec: DriverSpec) -> Iterator[str]:
        yield f"[device.{self._name(spec.name)}]"
        yield f'driver = "{spec.name}"'
        yield f'bus = "{bus.name}"'
        for key, option in spec.options.items():
            yield self._option(spec, key, option)
        if spec.wiring != "gpio":
            yield _commented(f"every_s = {spec.every_s:g}", "seconds between two readings")
            others = self._elsewhere.get(spec.name, ())
            points = sample_points(spec, self._usual)
            if others:
                yield from _chosen([point.key for point in points if point.key not in others])
                yield from _remark(f"other devices have: {', '.join(others)}")
            yield "# points:"
            for point in (one for one in points if one.key not in others):
                value = "" if point.usual is None else f"{point.usual:.6g}"
                span = f"{point.low:g} to {point.high:g}"
                yield f"#   {point.key:<{WIDTH - 4}} {value:>8} {point.unit:<6} ({span})"

    def _option(self, spec: DriverSpec, key: str, option: Option) -> str:
        bounds = ""
        if option.choices:
            bounds = " or ".join(map(_value, option.choices))
        elif option.low is not None and option.high is not None:
            bounds = f"{_number(spec, key, option.low)} to {_number(spec, key, option.high)}"
        remark = "; ".join(part for part in (option.text, bounds) if part)
        if not option.required:
            return _commented(f"{key} = {_number(spec, key, option.default)}", remark)
        value = _needed(spec)[key]
        if key == "line":
            value = next(self._gpio)
        elif key == "unit":
            value = next(self._units)
        text = f"{key} = {_number(spec, key, value)}"
        return f"{text:<{WIDTH}}# {remark}" if remark else text


def sample_facts(
    spec: DriverSpec, usual: Usual, elsewhere: Elsewhere | None = None
) -> dict[str, object]:
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
        "toml": "\n".join(SampleSite([spec], usual, elsewhere).lines()),
    }  # fmt: skip


def _needed(spec: DriverSpec) -> dict[str, object]:
    """Values for options without a default."""
    return {
        key: LINES[0] if key == "line" else int(option.low or 1)
        for key, option in spec.options.items()
        if option.required
    }


def _chosen(keys: Iterable[str]) -> Iterator[str]:
    """The points to be read; a device like the simulated one has them."""
    yield f"{'points = [':<{WIDTH}}# without it, all that the driver knows"
    yield from _wrapped((_value(key) for key in keys), "    ", ",")
    yield "]"


def _remark(text: str) -> Iterator[str]:
    return _wrapped(text.split(" "), "# ", "")


def _wrapped(words: Iterable[str], indent: str, mark: str) -> Iterator[str]:
    line = ""
    for word in words:
        if line and len(line) + len(word) + 2 > LINE_MAX:
            yield line
            line = ""
        line = f"{line} {word}{mark}" if line else f"{indent}{word}{mark}"
    yield line


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
