"""Where buses are: a path or a host that looks like that of another kind, or is incomplete."""

import re
from collections.abc import Iterator
from typing import Final

from edge.config.hostnames import host_trouble
from edge.config.model import Bus, GpioBus, I2cBus, ModbusRtuBus, SerialBus
from edge.config.problem import Problem
from edge.config.site import Site

SIM_PREFIX: Final = "sim:"
UNSTABLE_PORTS: Final = ("/dev/ttyUSB", "/dev/ttyACM")
# What the kernel calls other nodes; udev may add names of its own, of which nothing is said. Those
# of serial ports often begin as the kernel's: /dev/ttyRS485-0.
KERNEL: Final = r"/dev/(?:gpio|i2c|spi|tty|serial|mem|null)[^/]*(?:/.*)?"
WRONG_NAMES: Final = {
    "chip": (re.compile(rf"(?!/dev/gpiochip\d+$){KERNEL}"), "a GPIO chip", "/dev/gpiochip0"),
    "path": (re.compile(rf"(?!/dev/i2c-\d+$){KERNEL}"), "an I2C bus", "/dev/i2c-1"),
    "port": (
        re.compile(
            r"/dev/(?:(?:i2c-?\d|gpiochip|gpiomem|spidev).*|mem|null"
            r"|tty(?:\d*|S|AMA)|serial(?:/by-(?:id|path))?/?)"
        ),
        "a serial port",
        "/dev/serial0",
    ),
}
HOST_AND_PORT: Final = re.compile(r"([^:]+):(\d{1,5})")


def place_warnings(site: Site) -> Iterator[Problem]:
    """All remarks about the places of buses."""
    for name, bus in site.buses.items():
        key, place = place_of(bus)
        if place.startswith(SIM_PREFIX):
            yield site.remark(("bus", name, key), "this bus is simulated; no wire is read")
        elif text := _host(place) if key == "host" else _node(key, place):
            yield site.remark(("bus", name, key), text)


def place_of(bus: Bus) -> tuple[str, str]:
    """The key that says where a bus is, and its value."""
    match bus:
        case GpioBus():
            return "chip", bus.chip
        case I2cBus():
            return "path", bus.path
        case SerialBus() | ModbusRtuBus():
            return "port", bus.port
        case _:
            return "host", bus.host


def _node(key: str, place: str) -> str:
    if place.startswith(UNSTABLE_PORTS):
        return (
            f"{place} may be another adapter after a restart; "
            "the names in /dev/serial/by-id or by-path stay"
        )
    wrong, what, such = WRONG_NAMES[key]
    if wrong.fullmatch(place):
        return f"{place} is not called as {what} is, such as {such}"
    return ""


def _host(host: str) -> str:
    if found := HOST_AND_PORT.fullmatch(host):
        return f'the port has a key of its own: write host = "{found[1]}" and port = {found[2]}'
    return host_trouble(host)
