"""Runs one simulated device alone: the counterpart of any driver, on any wire that it fits.

What there is to know of a driver (wiring, points, table) is handed in: simulators do not see them.
"""

import contextlib
import inspect
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Final

from drivers.sim.contact import PATTERNS, SimContact
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter_load import MeterLoad
from drivers.sim.meter_rtu import FUNCTIONS, MeterRtu
from drivers.sim.meter_server import MeterServer
from drivers.sim.meter_tcp import MeterTcp
from drivers.sim.meter_unit import FAULTS, Kind, Unit, UnitFault
from drivers.sim.open_port import open_serial
from drivers.sim.simplace import parse_place, parse_whole, socket_path
from drivers.sim.sunspec import SunSpec
from drivers.sim.typical import typical
from edge.core import Point
from edge.core.driver import SerialLine

KINDS: Final[dict[str, Kind]] = {kind: kind for kind in FAULTS}
KWH: Final = 1234.5
WARM_S: Final = 600.0
MORE: Final[dict[str, dict[str, Any]]] = {"canoga": {"every_s": 5.0}}  # vehicles come by themselves
ELSEWHERE: Final = {  # points that other meters of the driver have: heat, beside electricity
    "mbus": ("energy", "volume", "volume_flow", "temperature_flow", "temperature_return",
             "temperature_difference"),
    "dsmr": ("warm_water_volume",),  # leaves a channel free for one more
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class SimRequest:
    """One device: whose counterpart it is, what it measures, how it misbehaves, who it is.

    `table` is the document of a meter that is told as one. `values` go before the typical ones.
    """

    driver: str
    wiring: str
    points: Sequence[Point]
    line: SerialLine
    values: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    address: str = ""
    table: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RunningSim:
    """Where it is: keys of a `[bus]` in a configuration, and those of its `[device]`."""

    bus: Mapping[str, Any]
    options: Mapping[str, Any]


def list_faults(driver: str, wiring: str, table: bool) -> tuple[str, ...]:
    """How the counterpart of a driver can misbehave."""
    if table or wiring == "modbus":
        return FAULTS
    if wiring == "gpio":
        return ()
    return tuple(import_module(f"drivers.sim.{driver}").FAULTS)


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
    known = list_faults(request.driver, request.wiring, request.table is not None)
    if request.fault and request.fault not in known:
        choices = f"choose from {', '.join(known)}" if known else "it has no faults"
        raise ValueError(
            f"{request.fault!r} is no fault of the simulated {request.driver}; {choices}"
        )
    _known_points(request)
    _check_values(request)
    return parse_place(on, request.wiring)


def _check_values(request: SimRequest) -> None:
    """Each value of the request, encoded once."""
    for key, value in request.values.items():
        try:
            if request.wiring == "serial":
                make: Any = import_module(f"drivers.sim.{request.driver}").DEVICE
                others = measured_values(replace(request, values={}))
                make({**others, key: value}, **_powered_for(request.driver, make)).tried()
            elif request.wiring == "modbus":
                unit = _unit(replace(request, values={key: value}, fault=""))
                for function in FUNCTIONS:
                    unit.image(function)
        except (ArithmeticError, ValueError, struct.error) as error:
            text = f"--value {key}={value:g} cannot be sent by {request.driver}: {error}"
            raise ValueError(text) from error


def measured_values(request: SimRequest) -> dict[str, float]:
    """What it measures, as far as that does not change."""
    found = typical(request.points)
    for key in ELSEWHERE.get(request.driver, ()):
        found.pop(key, None)
    return {**found, **request.values}


def _known_points(request: SimRequest) -> None:
    keys = [point.key for point in request.points]
    if request.wiring == "serial":
        keys += getattr(import_module(f"drivers.sim.{request.driver}"), "MORE_POINTS", ())
    if request.table is not None:
        keys += [*request.table.get("ratios", {}), *request.table.get("conditions", {})]
    for key in request.values:
        if key not in keys:
            raise ValueError(
                f"{request.driver} has no point {key!r}; choose from {', '.join(keys)}"
            )


@contextlib.contextmanager
def _i2c(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    module: Any = import_module(f"drivers.sim.{request.driver}")
    chip = module.CHIP(
        measured_values(request), fault=request.fault, **_powered_for(request.driver, module.CHIP)
    )
    address = parse_whole(request.address) if request.address else int(module.CHIP.ADDRESS)
    if not 0x08 <= address <= 0x77:
        raise ValueError(f"--address 0x{address:02x}: an I2C address is 0x08 to 0x77")
    path = socket_path(rest, request.driver)
    with I2cServer(I2cKernel({address: chip}), path):
        yield RunningSim({"kind": "i2c", "path": f"sim:{path}"}, {"address": address})


@contextlib.contextmanager
def _serial(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    make: Any = import_module(f"drivers.sim.{request.driver}").DEVICE
    more, options = _powered_for(request.driver, make), {}
    parameters = inspect.signature(make).parameters
    if "address" in parameters:
        default = parameters["address"].default
        given = request.address or default
        options["address"] = more["address"] = (
            parse_whole(given) if type(default) is int else str(given)
        )
    elif request.address:
        raise ValueError(f"{request.driver} has no address")
    device = make(measured_values(request), fault=request.fault, **more)
    options |= getattr(device, "options", {})
    with _on_port(device, kind, rest, request.line) as port:
        yield RunningSim({"kind": "serial", "port": port}, options)


@contextlib.contextmanager
def _modbus(request: SimRequest, kind: str, rest: str) -> Iterator[RunningSim]:
    number = parse_whole(request.address) if request.address else 1
    if not 1 <= number <= 247:
        raise ValueError(f"--address {number}: a Modbus unit is 1 to 247")
    units = {number: _unit(request)}
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


def _unit(request: SimRequest) -> Unit:
    fixed = measured_values(request)
    phases = 3 if any(point.key.endswith("_l2") for point in request.points) else 1
    load = MeterLoad(phases)
    load.reset(KWH)

    def values() -> dict[str, float | None]:
        return {**fixed, **load.values(), **request.values}

    made = SunSpec(values) if request.table is None else MeterServer(request.table, values)
    if request.fault:
        made.fault = UnitFault(KINDS[request.fault])
    return made


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


def _powered_for(driver: str, make: Any) -> dict[str, Any]:
    """It has had its supply for a while, as far as that matters to it."""
    warm = {"powered_s": WARM_S} if "powered_s" in inspect.signature(make).parameters else {}
    return {**warm, **MORE.get(driver, {})}
