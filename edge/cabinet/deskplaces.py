"""Where each bus of a site is at a desk: a place of its own for one that names hardware.

A place that is simulated already (`sim:...`, a port outside of /dev, this machine's own network) is
kept: whoever wrote it meant it. Nothing is opened here.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from zlib import crc32

from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus, Site
from edge.core import ConfigError

DEVICES: Final = "/dev/"
SHARED_MEMORY: Final = "/dev/shm/"  # a file system like any other
SIM: Final = "sim:"
HERE: Final = ("127.0.0.1", "localhost", "::1")
LOOPBACK: Final = "127.0.0.1"
FIRST_PORT: Final = 20_502  # below those that the kernel gives to clients
PORTS: Final = 2_000
PATH_MAX: Final = 107  # bytes of the path of a Unix socket


@dataclass(frozen=True, slots=True)
class DeskPlace:
    """One bus: keys of its table that are other at the desk, and the port that is really opened.

    `port` is set for a bus that was told to be played on a real serial port.
    """

    keys: Mapping[str, str | int] = field(default_factory=dict)
    port: str = ""


def desk_places(site: Site, folder: Path, ports: Mapping[str, str]) -> dict[str, DeskPlace]:
    """Bus -> its place, in the order of the file. `ports` names real ports: bus -> /dev/ttyUSB1.

    Raises ConfigError for a bus that cannot have such a place.
    """
    for name, port in ports.items():
        bus = site.buses.get(name)
        if not isinstance(bus, SerialBus | ModbusRtuBus):
            known = [n for n, b in site.buses.items() if isinstance(b, SerialBus | ModbusRtuBus)]
            raise ConfigError(
                f"--on {name}={port}: no serial bus is called {name}"
                + (f"; choose from {', '.join(known)}" if known else "; this site has none")
            )
        if not port.startswith("/"):
            raise ConfigError(f"--on {name}={port}: write the port as {name}=/dev/ttyUSB1")
    found: dict[str, DeskPlace] = {}
    taken: set[int] = set()
    for name, bus in site.buses.items():
        if name in ports:
            found[name] = DeskPlace(port=ports[name])
        else:
            found[name] = DeskPlace(_keys(name, bus, folder, taken))
    return found


def _keys(name: str, bus: Bus, folder: Path, taken: set[int]) -> dict[str, str | int]:
    match bus:
        case GpioBus(chip=place) | I2cBus(path=place):
            if place.startswith(SIM):
                check_socket_path(Path(place.removeprefix(SIM)), name)
                return {}
            path = folder / f"{name}.sock"
            check_socket_path(path, name)
            return {"chip" if isinstance(bus, GpioBus) else "path": f"{SIM}{path}"}
        case SerialBus(port=port) | ModbusRtuBus(port=port):
            place = os.path.normpath(port)
            if place.startswith(DEVICES) and not place.startswith(SHARED_MEMORY):
                return {"port": str(folder / f"{name}.tty")}
            return {}
        case ModbusTcpBus(host=host, port=number):
            if host in HERE and number >= 1024:
                return {}
            return {"host": LOOPBACK, "port": _free_port(folder, taken)}


def check_socket_path(path: Path, bus: str) -> None:
    """Raises ConfigError for a path that no socket can have."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise ConfigError(
            f"bus.{bus}: {path} is longer than the {PATH_MAX} bytes that the path of a socket may "
            "have; give a shorter folder, such as --desk /tmp/desk"
        )


def _free_port(folder: Path, taken: set[int]) -> int:
    """One that nobody listens on: the same in the next run, and another one in another folder."""
    first = crc32(os.fsencode(folder))
    for number in (FIRST_PORT + (first + n) % PORTS for n in range(PORTS)):
        if number not in taken:
            try:
                socket.create_server((LOOPBACK, number)).close()
            except OSError:
                continue
            taken.add(number)
            return number
    raise ConfigError(f"no TCP port from {FIRST_PORT} to {FIRST_PORT + PORTS - 1} is free")
