"""Makes one simulated device: the counterpart of any driver, before it has a place on a wire.

What there is to know of a driver (wiring, points, table) is handed in: simulators do not see them.
"""

import inspect
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any, Final, Protocol

from drivers.sim.i2c import I2cChip
from drivers.sim.mbus import HEAT
from drivers.sim.meter_load import MeterLoad, cabinet_currents
from drivers.sim.meter_rtu import FUNCTIONS
from drivers.sim.meter_server import MeterServer
from drivers.sim.meter_unit import FAULTS, Unit
from drivers.sim.simplace import parse_whole
from drivers.sim.sunspec import SunSpec
from drivers.sim.typical import typical
from edge.core import Point
from edge.core.driver import SerialLine

KWH: Final = 1234.5
EXPORTED_KWH: Final = 12.0  # on each phase
SERIAL: Final = 12_345_678
WARM_S: Final = 600.0
MORE: Final[dict[str, dict[str, Any]]] = {
    "canoga": {"every_s": 5.0},  # vehicles come by themselves
    "iec62056": {"follows_s": 5.0},  # on a pseudo-terminal: a busy machine changes its speed late
}
ELSEWHERE: Final = {  # points that other meters of the driver have: heat, beside electricity
    "mbus": ("energy", "volume", "volume_flow", "temperature_flow", "temperature_return",
             "temperature_difference"),
    "dsmr": ("warm_water_volume",),  # leaves a channel free for one more
}  # fmt: skip
ANYBODY: Final[Mapping[str, object]] = {"canoga": 255, "dlt645": ""}
"""What a configuration says for whoever is there; such a device has the address of the factory."""


class FaultyChip(I2cChip, Protocol):
    """A chip that shows faults by their names."""

    def misbehave(self, fault: str) -> None: ...


ChipValues = Mapping[str, float] | Callable[[float], Mapping[str, float]]
UnitValues = Callable[[], Mapping[str, float | None]]


@dataclass(frozen=True, slots=True)
class SimRequest:
    """One device: whose counterpart it is, what it measures, how it misbehaves, who it is.

    `table` is the document of a meter that is told as one. `values` go before the typical ones.
    `settings` are further keys of the device in a configuration: what its counterpart must know of
    them (a password, a second address) it takes. A `backwards` meter is mounted the wrong way.
    """

    driver: str
    wiring: str
    points: Sequence[Point]
    line: SerialLine
    values: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    address: str = ""
    table: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    backwards: bool = False


def list_faults(driver: str, wiring: str, table: bool) -> tuple[str, ...]:
    """How the counterpart of a driver can misbehave."""
    if table or wiring == "modbus":
        return FAULTS
    if wiring == "gpio":
        return ()
    return tuple(import_module(f"drivers.sim.{driver}").FAULTS)


def check_device(request: SimRequest) -> None:
    """Raises ValueError for a fault, a point or a value that this device cannot have."""
    known = list_faults(request.driver, request.wiring, request.table is not None)
    if request.fault and request.fault not in known:
        choices = f"choose from {', '.join(known)}" if known else "it has no faults"
        raise ValueError(
            f"{request.fault!r} is no fault of the simulated {request.driver}; {choices}"
        )
    _known_points(request)
    _check_values(request)


def _check_values(request: SimRequest) -> None:
    """Each value of the request, encoded once."""
    for key, value in request.values.items():
        try:
            if request.wiring == "serial":
                make: Any = import_module(f"drivers.sim.{request.driver}").DEVICE
                others = measured_values(replace(request, values={}))
                make({**others, key: value}, **powered_for(request.driver, make)).tried()
            elif request.wiring == "modbus":
                unit = make_unit(replace(request, values={key: value}))
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


def make_chip(
    request: SimRequest, values: ChipValues, clock: Callable[[], float] = time.monotonic
) -> tuple[int, FaultyChip]:
    """A chip, and its address on the bus. Raises ValueError for an address that none can have."""
    module: Any = import_module(f"drivers.sim.{request.driver}")
    powered = powered_for(request.driver, module.CHIP)
    chip: FaultyChip = module.CHIP(values, **{"clock": clock, **powered})
    address = parse_whole(request.address) if request.address else int(module.CHIP.ADDRESS)
    if not 0x08 <= address <= 0x77:
        raise ValueError(f"--address 0x{address:02x}: an I2C address is 0x08 to 0x77")
    return address, chip


def make_serial(request: SimRequest, values: Mapping[str, float]) -> tuple[Any, dict[str, Any]]:
    """A Talker or a Responder, and what a configuration must say of it. Raises ValueError."""
    make: Any = import_module(f"drivers.sim.{request.driver}").DEVICE
    more, options = powered_for(request.driver, make), {}
    parameters = inspect.signature(make).parameters
    if "address" in parameters:
        default = parameters["address"].default
        given = request.address or default
        options["address"] = more["address"] = (
            parse_whole(given) if type(default) is int else str(given)
        )
    elif request.address:
        raise ValueError(f"{request.driver} has no address")
    more |= _known_settings(request, parameters)
    device = make(values, **more)
    options |= getattr(device, "options", {})
    return device, options


def _known_settings(
    request: SimRequest, parameters: Mapping[str, inspect.Parameter]
) -> dict[str, Any]:
    """What the device knows of how a configuration addresses it."""
    settings = {k: v for k, v in request.settings.items() if v != ANYBODY.get(request.driver)}
    shared = ("address", "logical", "client", "password")
    found: dict[str, Any] = {k: settings[k] for k in shared if k in settings and k in parameters}
    if request.driver == "iec62056" and settings.get("address"):
        found["serial"] = settings["address"]
    if request.driver == "mbus" and request.values.keys() & set(ELSEWHERE["mbus"]):
        found["medium"] = HEAT
    if request.driver == "mbus" and settings.get("secondary"):
        found["number"] = str(settings["secondary"])[:8]
    if request.driver == "dsmr":
        stems = {"gas": "gas_volume", "water": "water_volume",
                 "warm_water": "warm_water_volume", "heat": "heat_energy"}  # fmt: skip
        found["names"] = {
            stem if n == 1 else f"{stem}_{n}": name
            for key, stem in stems.items()
            for n, name in enumerate(settings.get(key, ()), 1)
        }
    return found


def make_unit(request: SimRequest, values: UnitValues | None = None, serial: int = SERIAL) -> Unit:
    """A Modbus unit; without `values` it measures a load, and its energies add up."""
    values = unit_values(request) if values is None else values
    if request.table is None:
        return SunSpec(values, serial=str(serial))
    return MeterServer(request.table, values, serial=serial)


def unit_values(request: SimRequest, clock: Callable[[], float] = time.monotonic) -> UnitValues:
    """What a meter measures while its load comes and goes."""
    fixed = measured_values(request)
    phases = 3 if any(point.key.endswith("_l2") for point in request.points) else 1
    load = MeterLoad(phases, _given_back if request.backwards else cabinet_currents, clock=clock)
    load.reset(0.0 if request.backwards else KWH)
    if request.driver == "sunspec":  # a 0 there says that the device does not count it
        load.totals["energy_export"][:] = [EXPORTED_KWH] * phases

    def values() -> dict[str, float | None]:
        return {**fixed, **load.values(), **request.values}

    return values


def _given_back(t_s: float) -> tuple[float, ...]:
    return tuple(-amps for amps in cabinet_currents(t_s))


def powered_for(driver: str, make: Any) -> dict[str, Any]:
    """It has had its supply for a while, as far as that matters to it."""
    warm = {"powered_s": WARM_S} if "powered_s" in inspect.signature(make).parameters else {}
    return {**warm, **MORE.get(driver, {})}
