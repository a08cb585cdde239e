"""Runs one simulated device alone, on any wire that it fits, for `kerbstone sim DRIVER`."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.sim.contact import PATTERNS, SimContact
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.open_port import open_serial
from drivers.sim.simdevice import (
    MORE,
    SimRequest,
    check_device,
    list_faults,
    make_chip,
    make_serial,
    make_unit,
    measured_values,
)
from drivers.sim.simplace import parse_place, parse_whole, socket_path
from edge.core.driver import SerialLine

__all__ = [
    "MORE",
    "RunningSim",
    "SimRequest",
    "check_request",
    "list_faults",
    "measured_values",
    "run_sim",
]


@dataclass(frozen=True, slots=True)
class RunningSim:
    """Where it is: keys of a `[bus]` in a configuration, and those of its `[device]`."""

    bus: Mapping[str, Any]
    options: Mapping[str, Any]


@contextlib.contextmanager
def run_sim(request: SimRequest, on: str) -> Iterator[RunningSim]:
    """The device, until the end of the block. Raises ValueError for a wish that cannot be met,
    OSError for a place that cannot be had.
    """
    kind, rest = check_request(request, on)
    make = {"i2c": _i2c, "serial": _serial, "modbus": _modbus, "gpio": _gpio}[request.wiring]
    with make(request, kind, rest) as found:
        yield found


def check_request(request: SimRequest, on: str) -> tuple[str, str]:
    """What kind of place it is, and its name. Raises ValueError for a wish that cannot be met."""
    check_device(request)
    return parse_place(on, request.wiring)


@contextlib.contextmanager
def _i2c(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    address, chip = make_chip(request, measured_values(request))
    chip.misbehave(request.fault)
    path = socket_path(rest, request.driver)
    with I2cServer(I2cKernel({address: chip}), path):
        yield RunningSim({"kind": "i2c", "path": f"sim:{path}"}, {"address": address})


@contextlib.contextmanager
def _serial(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    device, options = make_serial(request, measured_values(request))
    device.misbehave(request.fault)
    with _on_port(device, kind, rest, request.line) as port:
        yield RunningSim({"kind": "serial", "port": port}, options)


@contextlib.contextmanager
def _modbus(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    number = parse_whole(request.address) if request.address else 1
    if not 1 <= number <= 247:
        raise ValueError(f"--address {number}: a Modbus unit is 1 to 247")
    unit = make_unit(request)
    unit.misbehave(request.fault)
    units = {number: unit}
    if kind == "tcp":
        host, _, port = (rest or "127.0.0.1:0").rpartition(":")
        if not (port.isascii() and port.isdecimal() and host):
            raise ValueError(f"--on tcp:{rest}: write tcp:HOST:PORT")
        if int(port) > 65535:
            raise ValueError(f"--on tcp:{rest}: a TCP port is 1 to 65535; 0 takes a free one")
        server = MeterTcp(units, host, int(port)).start()
        try:
            bus = {"kind": "modbus-tcp", "host": server.host, "port": server.port}
            yield RunningSim(bus, {"unit": number})
        finally:
            server.stop()
        return
    with _on_port(MeterRtu(units, request.line.baud), kind, rest, request.line) as path:
        line = request.line
        bus = {"kind": "modbus-rtu", "port": path, "baud": line.baud, "parity": line.parity}
        yield RunningSim({**bus, "stop": line.stop}, {"unit": number})


@contextlib.contextmanager
def _gpio(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    path, line = socket_path(rest, request.driver), request.address or "GPIO17"
    if line.isdecimal() or not re.fullmatch(r"[A-Za-z0-9_.:/-]{1,64}", line):
        raise ValueError(f"--address {line}: write the name of a line, such as GPIO17")
    with SimContact(path, line, *PATTERNS.get(request.driver, PATTERNS["contact"])):
        yield RunningSim({"kind": "gpio", "chip": f"sim:{path}"}, {"line": line})


@contextlib.contextmanager
def _on_port(device: Any, kind: str, path: str, line: SerialLine) -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        fd = stack.enter_context(open_serial(path, line)) if kind == "port" else -1
        device.start(fd)
        stack.callback(device.stop)
        yield path or device.port
