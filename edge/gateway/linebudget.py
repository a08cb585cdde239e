"""How much of an RS-485 line its polls take: `kerbstone check` says what it cannot carry.

A request has 8 characters and its answer 5 around the registers, with 3.5 characters of silence
behind each (Modbus over serial line V1.02, 2.5.1), and the device needs time to answer. The time of
real devices is longer than TURNAROUND_S, so what does not fit here does not fit at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from drivers.meters.register_map import ModbusDevice
from edge.config import ModbusRtuBus, Problem, Site

AROUND: Final = 8 + 5 + 2 * 3.5  # characters of a request and its answer but the registers
TURNAROUND_S: Final = 0.005
FULL: Final = 0.9  # of the time: the rest is for what is asked again


def line_warnings(site: Site, devices: Mapping[str, object]) -> Iterator[Problem]:
    """Of each line that is asked for more than it carries. `devices` are built, by name."""
    for name, bus in site.buses.items():
        if not isinstance(bus, ModbusRtuBus):
            continue
        reading_s = {
            device: reading_time_s(built.request_sizes, bus)
            for device in site.devices_on(name)
            if isinstance(built := devices.get(device), ModbusDevice)
        }
        share = sum(took / site.devices[device].every_s for device, took in reading_s.items())
        if share > FULL:
            round_s = sum(reading_s.values())
            yield site.remark(
                ("bus", name),
                f"at {bus.baud} Bd one reading of its {len(reading_s)} devices takes {round_s:.1f} "
                f"s at least, and {share:.0%} of the time would be needed for the polls: read less "
                "often (every_s), leave out points (points = [...]), or raise baud in all devices",
            )


def reading_time_s(registers: Sequence[int], bus: ModbusRtuBus) -> float:
    """Of requests for so many registers each, at least."""
    bits = 1 + 8 + (bus.parity != "N") + bus.stop
    characters = sum(AROUND + 2 * count for count in registers)
    return characters * bits / bus.baud + len(registers) * TURNAROUND_S
