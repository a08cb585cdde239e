"""Places to be searched: what this machine has, what they are called, who works on them."""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drivers.buses.host import names
from edge.config import Site
from edge.core import BusError

TCP_PORT: Final = 502
CONNECT_S: Final = 2.0
KERNEL: Final = Path("/sys/bus/i2c/devices")


def everywhere() -> list[str]:
    """All I2C buses, and all serial adapters by the names that stay theirs."""
    buses = [name for name in names("/dev") if re.fullmatch(r"/dev/i2c-\d+", name)]
    return buses + names("/dev/serial/by-id")


def endpoint(place: str) -> tuple[str, int]:
    """Host and port of tcp:HOST:PORT. Raises ValueError."""
    found = re.fullmatch(r"tcp:([A-Za-z0-9_.-]{1,253})(?::(\d{1,5}))?", place)
    number = int(found[2] or TCP_PORT) if found else 0
    if found is None or not 0 < number < 65536:
        raise ValueError(f"{place!r}: write tcp:HOST:PORT, such as tcp:192.0.2.20:502")
    return found[1], number


def reach(host: str, port: int) -> None:
    """Raises BusError when nobody listens there."""
    try:
        socket.create_connection((host, port), CONNECT_S).close()
    except OSError as error:
        why = error.strerror or error
        raise BusError(f"{host}:{port} cannot be reached ({why}): is it switched on?") from error


def owner(site: Site | None, kind: str, where: str) -> str:
    """The bus of the site that is this place; "" when none is."""
    if site is None:
        return ""
    for name, bus in site.buses.items():
        place = getattr(bus, "path", None) if kind == "i2c" else getattr(bus, "port", None)
        if kind == "modbus-tcp":
            if (getattr(bus, "host", None), place) == endpoint(where):
                return name
        elif isinstance(place, str) and os.path.realpath(place) == os.path.realpath(where):
            return name
    return ""


def taken(bus: str, kernel: Path = KERNEL) -> Mapping[int, str]:
    """Addresses that a driver of the kernel uses, such as that of a clock: they are left alone."""
    number = bus.removeprefix("/dev/i2c-")
    found = {}
    for folder in names(str(kernel)) if number.isdecimal() else ():
        match = re.fullmatch(rf"{number}-00([0-9a-f]{{2}})", Path(folder).name)
        driver = Path(folder, "driver")
        if match is not None and driver.exists():
            found[int(match[1], 16)] = f"the kernel's driver {driver.resolve().name}"
    return found
