"""One device of a played cabinet: what it measures, how it misbehaves, who it is on its bus."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from drivers.sim._responder import Responder
from drivers.sim._talker import Talker
from drivers.sim.meter_unit import Unit
from drivers.sim.simdevice import (
    SERIAL,
    SimRequest,
    check_device,
    list_faults,
    make_chip,
    make_serial,
    make_unit,
    measured_values,
    unit_values,
)
from drivers.sim.variation import Variation

Source = Callable[[float], Mapping[str, float]]
"""What there is to measure at a moment, in seconds of the cabinet's clock. A point that it does not
name has its typical value.
"""
OFFSET: Final = re.compile(r"([a-z][a-z0-9_]*)=([+-][0-9]+(?:\.[0-9]+)?)")
NONE: Final = "none"


class Misbehaving(Protocol):
    """A simulated device, as far as its faults go."""

    def misbehave(self, fault: str) -> None: ...


@dataclass(slots=True)
class PlayedDevice:
    """A polled device. `sim` is its counterpart; `address` tells it from others on its bus.

    `offsets` are added to what it measures: a sensor that drifts.
    """

    name: str
    request: SimRequest
    faults: tuple[str, ...]
    address: int
    sim: Any
    fault: str = ""
    offsets: dict[str, float] = field(default_factory=dict)
    _source: Source | None = None

    def misbehave(self, fault: str) -> None:
        """A fault by its name, `POINT=+NUMBER`, or none. Raises ValueError for another."""
        if fault == NONE:
            self.fault = ""
            self.offsets.clear()
            self.sim.misbehave("")
        elif found := OFFSET.fullmatch(fault):
            key, by = found[1], float(found[2])
            self._try(key, by)
            self.offsets[key] = by
        elif "=" in fault:
            point = fault.partition("=")[0] or "temperature"
            raise ValueError(f"{fault}: write an offset with its sign, such as {point}=+5")
        else:
            self.sim.misbehave(fault)
            self.fault = fault

    def state(self) -> str:
        """Its faults, as they were given."""
        shown = [f"{key}={by:+g}" for key, by in self.offsets.items()]
        return ", ".join([*([self.fault] if self.fault else []), *shown])

    def turns(self) -> int:
        """How many questions came for it so far, or how often it was to speak by itself."""
        match self.sim:
            case Unit():
                return self.sim.requests
            case Responder():
                return self.sim.asked
            case Talker():
                return self.sim.turns
        return 0  # a chip: its bus counts

    def refresh(self, t_s: float) -> None:
        """A serial device has a table of its values: it is written anew."""
        if self._source is not None and isinstance(held := getattr(self.sim, "values", None), dict):
            held.update(self._source(t_s))

    def _try(self, key: str, by: float) -> None:
        """Raises ValueError for a point that it has not, or a value that it cannot send."""
        usual = measured_values(self.request)
        if key not in usual:
            known = ", ".join(usual) or "none"
            raise ValueError(f"{self.name} measures no {key!r}; choose from {known}")
        check_device(replace(self.request, values={key: usual[key] + by}))


def play_device(
    name: str, request: SimRequest, clock_s: Callable[[], float], number: int,
    source: Source | None = None,
) -> PlayedDevice:  # fmt: skip
    """The counterpart of a device, not yet on a wire. `number` makes its serial number its own.

    `source` is what it measures; all else are typical values that breathe. Raises ValueError for
    what cannot be played.
    """
    faults = list_faults(request.driver, request.wiring, request.table is not None)
    made = PlayedDevice(name, request, faults, 0, None)
    begin_s = clock_s()
    moving = Variation(request.points, measured_values(request), request.backwards).values

    def measured(t_s: float) -> dict[str, float]:
        found = {**moving(t_s - begin_s), **(source(t_s) if source else {})}
        return {key: value + made.offsets.get(key, 0.0) for key, value in found.items()}

    if request.wiring == "i2c":
        made.address, made.sim = make_chip(request, measured, clock_s)
    elif request.wiring == "modbus":
        made.address = int(request.settings["unit"])
        made.sim = make_unit(request, _unit_values(made, clock_s, source), SERIAL + number)
    else:
        made.sim, options = make_serial(request, measured(begin_s))
        address = options.get("address", 0)
        made.address = address if isinstance(address, int) else 0
        made._source = measured
    return made


def _unit_values(
    made: PlayedDevice, clock_s: Callable[[], float], source: Source | None
) -> Callable[[], Mapping[str, float | None]]:
    load = unit_values(made.request, clock_s)

    def values() -> dict[str, float | None]:
        found = {**load(), **(source(clock_s()) if source else {})}
        return {
            key: value if value is None else value + made.offsets.get(key, 0.0)
            for key, value in found.items()
        }

    return values
