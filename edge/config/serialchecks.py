"""How a serial line is set, and what the devices on it can be set to.

Only what a data sheet says is compared: of most meters the possible baud rates are not known.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from edge.config.model import ModbusRtuBus, SerialBus
from edge.config.problem import Problem
from edge.config.site import Site
from edge.core.driver import FACTORY_LINE, DriverSpec, SerialLine

CHARACTER: Final = ("bits", "parity", "stop")


def serial_warnings(site: Site, catalogue: Mapping[str, DriverSpec]) -> Iterator[Problem]:
    """Settings that a device on the line cannot have; it would be silent."""
    for name, bus in site.buses.items():
        match bus:
            case SerialBus():
                line = bus.line()
            case ModbusRtuBus():
                line = SerialLine(bus.baud, FACTORY_LINE.bits, bus.parity, bus.stop)
            case _:
                continue
        for device, spec in _specs(site, name, catalogue):
            yield from _device(site, name, line, device, spec)


def _specs(
    site: Site, bus: str, catalogue: Mapping[str, DriverSpec]
) -> Iterator[tuple[str, DriverSpec]]:
    for name, device in site.devices_on(bus).items():
        yield name, catalogue[device.driver]


def _device(
    site: Site, bus: str, line: SerialLine, device: str, spec: DriverSpec
) -> Iterator[Problem]:
    if spec.bauds and line.baud not in spec.bauds:
        yield site.remark(
            ("bus", bus, "baud"),
            f"{device} is silent at {line.baud}: {spec.name} can {_or(spec.bauds)} baud",
        )
    if spec.formats and line.format not in spec.formats:
        factory = spec.formats[0]
        key = next(k for k in CHARACTER if str(getattr(line, k)) not in factory or k == "stop")
        yield site.remark(
            ("bus", bus, key),
            f"{device} is silent at {line.format} (bits, parity, stop bits): {spec.name} can "
            f"{_or(spec.formats)}",
        )


def _or(choices: tuple[int, ...] | tuple[str, ...]) -> str:
    *most, last = map(str, choices)
    return f"{', '.join(most)} or {last}" if most else f"only {last}"
