"""From a driver, or from a device of a site, to what its simulated counterpart must know."""

from collections.abc import Mapping
from typing import Any

import drivers
from drivers.meters.register_map import list_maps
from drivers.sim.simdevice import ELSEWHERE, SimRequest
from drivers.sim.simplace import parse_whole
from drivers.sim.typical import typical
from edge.config import Site
from edge.core import ConfigError, Polled
from edge.core.driver import DriverSpec, SerialLine
from edge.core.tomltext import parse_toml


def sim_request(
    spec: DriverSpec,
    values: Mapping[str, float],
    fault: str = "",
    address: str = "",
    line: str | None = None,
) -> SimRequest:
    """A device that is played alone. Raises ConfigError, ValueError for line and address."""
    table = _table(spec.name)
    required = {key: int(o.low or 1) for key, o in spec.options.items() if o.required}
    options = {**required, **_address(spec, address)}
    built = None if spec.wiring == "gpio" else drivers.build(spec.name, None, options)
    points = built.points if isinstance(built, Polled) else ()
    line_text = line or (str(table.get("line", "")) if table else "")
    try:
        chosen = SerialLine.parse(line_text) if line_text else spec.line
    except ValueError as error:
        raise ValueError(f"--line {error}") from error
    if spec.wiring == "modbus" and chosen.bits != 8:
        raise ValueError(f"--line {line_text!r}: Modbus has 8 bits")
    return SimRequest(spec.name, spec.wiring, tuple(points), chosen, values, fault, address, table)


def device_request(site: Site, name: str) -> SimRequest:
    """The counterpart of a polled device of a site. Raises ConfigError for what cannot be played.

    It measures what its driver can read, whatever of that the site has chosen; a site that has
    chosen values of heat has a heat meter there.
    """
    device = site.devices[name]
    spec = drivers.spec(device.driver)
    built = drivers.build(device.driver, None, device.options)
    usual = {key: one.default for key, one in spec.options.items() if not one.required}
    if device.options.get("meter", 1) != 1:
        raise ConfigError(f"device.{name}: a simulated SunSpec device has one meter: meter = 1")
    address = device.options.get("address", spec.address) if spec.wiring == "i2c" else None
    points = tuple(built.points) if isinstance(built, Polled) else ()
    other = [key for key in device.points or () if key in ELSEWHERE.get(spec.name, ())]
    if other:  # a meter of another kind: of heat, and not of electricity
        points = tuple(point for point in points if point.key in (device.points or ()))
    return SimRequest(
        spec.name,
        spec.wiring,
        points,
        spec.line,
        {key: value for key, value in typical(points).items() if key in other},
        address="" if address is None else str(address),
        table=_table(spec.name),
        settings={**usual, **device.options},
        backwards=device.reversed,
    )


def _table(driver: str) -> dict[str, Any] | None:
    """The document of a meter that is told as one."""
    found = list_maps()
    if driver not in found:
        return None
    return parse_toml(found[driver].read_text(encoding="utf-8"))


def _address(spec: DriverSpec, given: str) -> dict[str, object]:
    """The option that it is in a configuration. Raises ValueError for one that no device has."""
    option = spec.options.get("address")
    if not given or spec.wiring not in ("i2c", "serial") or (option is None and not spec.address):
        return {}  # the simulator knows the others
    if option is not None and option.type is str:
        return {"address": given}
    number, form = parse_whole(given), "#x" if spec.wiring == "i2c" else "d"
    if option is None:
        if number != spec.address:
            raise ValueError(f"--address {given}: {spec.name} is always at {spec.address:{form}}")
        return {}
    low, high = int(option.low or 0), int(option.high or 0)
    if not low <= number <= high:
        span = f"{low:{form}} to {high:{form}}"
        raise ValueError(f"--address {given}: {spec.name} has {span}")
    return {"address": number}
