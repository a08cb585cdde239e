"""Looks at one bus while no daemon runs: reads each device, then asks why those that failed did.

Nothing is written to a device but what its driver writes when it is opened and read.
"""

import os
from typing import Any, Final

from drivers.buses import i2c_trouble, serial_diagnose
from drivers.buses.finding import Finding
from drivers.buses.gpio.linecheck import check_lines as look_at_lines
from drivers.buses.host import find_holder, look_up_node
from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus
from edge.core import BusError
from edge.diagnose import probe
from edge.diagnose.exam import Exam, split_finding
from edge.diagnose.probe import ProbeTick
from edge.gateway import busfactory
from edge.gateway.scantargets import check_tcp
from edge.gateway.wiring import Wiring

PTY_PREFIX: Final = "/dev/pts/"  # whoever simulates a device holds its other end, too


async def examine_bus(exam: Exam, tick: ProbeTick) -> None:
    """All of one bus; what is found is in `exam`. Raises StoppedError."""
    bus = exam.site.buses[exam.bus]
    if isinstance(bus, GpioBus):
        return check_lines(exam, bus.chip)
    exam.wire += check_before_open(bus)
    if exam.broken:
        return None
    wire: Any = busfactory.make_bus(bus)
    try:
        match bus:
            case I2cBus():
                await probe.probe_i2c(exam, wire, tick)
            case SerialBus():
                await probe.probe_serial(exam, wire, tick)
            case ModbusRtuBus():
                await probe.probe_rtu(exam, bus, wire, tick)
            case ModbusTcpBus():
                await probe.probe_tcp(exam, bus, wire, tick)
    except BusError as error:
        exam.wire.append(split_finding("fault", str(error)))
    finally:
        wire.close()


def check_lines(exam: Exam, chip: str, ours: str = "") -> None:
    """The lines of a GPIO chip: they are looked at, and not requested."""
    wiring = Wiring.of(exam.site)
    specs = wiring.lines.get(exam.bus, [])
    if chipless := look_at_lines(chip, []):
        exam.wire += [split_finding(one.severity, one.sentence) for one in chipless]
        return
    for spec, one in zip(specs, look_at_lines(chip, specs, ours), strict=True):
        name = wiring.lined[spec.line][0].partition(".")[0]
        if one.severity != "note":
            exam.add(name, one if one.remedy else split_finding(one.severity, one.sentence))
        elif name in exam.names:
            exam.answers.add(name)


def check_before_open(bus: Bus) -> list[Finding]:
    """What the machine says of a bus, before it is opened."""
    match bus:
        case I2cBus(path=path) if not path.startswith(i2c_trouble.SIM):
            found = look_up_node(path)
            return i2c_trouble.host_findings(
                found, *i2c_trouble.host_facts(), find_holder(found.path)
            )
        case SerialBus(port=port) | ModbusRtuBus(port=port):
            if not os.path.realpath(port).startswith(PTY_PREFIX):
                return serial_diagnose.check_port(port)
        case ModbusTcpBus(host=host, port=tcp_port):
            try:
                check_tcp(host, tcp_port)
            except BusError as error:
                return [split_finding("fault", str(error))]
    return []
