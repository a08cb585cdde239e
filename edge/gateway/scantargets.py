"""Places to be searched: what this machine has, what they are called, who works on them."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drivers.buses.host import list_names
from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus, Site
from edge.core import BusError

TCP_PORT: Final = 502
CONNECT_S: Final = 2.0
I2C_SYSFS: Final = Path("/sys/bus/i2c/devices")


@dataclass(frozen=True, slots=True)
class BusesInUse:
    """What running daemons work on: bus -> its place. `untold` is set when one does not answer."""

    buses: Mapping[str, str] = field(default_factory=dict)
    untold: bool = False


def default_targets() -> list[str]:
    """All I2C buses, and all serial adapters by the names that stay theirs."""
    buses = [name for name in list_names("/dev") if re.fullmatch(r"/dev/i2c-\d+", name)]
    return buses + list_names("/dev/serial/by-id")


def parse_tcp_target(place: str) -> tuple[str, int]:
    """Host and port of tcp:HOST:PORT. Raises ValueError."""
    found = re.fullmatch(r"tcp:([A-Za-z0-9_.-]{1,253})(?::(\d{1,5}))?", place)
    number = int(found[2] or TCP_PORT) if found else 0
    if found is None or not 0 < number < 65536:
        raise ValueError(f"{place!r}: write tcp:HOST:PORT, such as tcp:192.0.2.20:502")
    return found[1], number


def check_tcp(host: str, port: int) -> None:
    """Raises BusError when nobody listens there."""
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        why = error.strerror or error
        raise BusError(f"{host}:{port} cannot be reached ({why}): is it switched on?") from error


def site_targets(site: Site) -> dict[str, str]:
    """Bus -> its place."""
    return {name: _of_bus(bus) for name, bus in site.buses.items()}


def _of_bus(bus: Bus) -> str:
    match bus:
        case ModbusTcpBus():
            return f"tcp:{bus.host}:{bus.port}"
        case GpioBus():
            return bus.chip
        case I2cBus():
            return bus.path
        case SerialBus() | ModbusRtuBus():
            return bus.port


def bus_at(buses: Mapping[str, str], where: str) -> str:
    """The bus that is this place, of those whose places are given; "" when none is."""
    return next((name for name, place in buses.items() if _plain(place) == _plain(where)), "")


def _plain(place: str) -> str:
    if place.startswith("tcp:"):
        host, _, number = place.removeprefix("tcp:").partition(":")
        return f"tcp:{host.lower()}:{number or TCP_PORT}"
    return os.path.realpath(place)


def kernel_addresses(bus: str, kernel: Path = I2C_SYSFS) -> Mapping[int, str]:
    """Addresses that a driver of the kernel uses, such as that of a clock: they are left alone."""
    number = bus.removeprefix("/dev/i2c-")
    found = {}
    for folder in list_names(str(kernel)) if number.isdecimal() else ():
        match = re.fullmatch(rf"{number}-00([0-9a-f]{{2}})", Path(folder).name)
        driver = Path(folder, "driver")
        if match is not None and driver.exists():
            found[int(match[1], 16)] = f"the kernel's driver {driver.resolve().name}"
    return found
