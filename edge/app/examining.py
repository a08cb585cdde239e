"""Looks at one bus while no daemon runs: reads each device, then asks why those that failed did.

Nothing is written to a device but what its driver writes when it is opened and read.
"""

import os
from typing import Any, Final

from drivers.buses import i2c_trouble, serial_diagnose
from drivers.buses.finding import Finding
from drivers.buses.gpio.look import look as look_at_lines
from drivers.buses.host import holder, node
from edge.app import busmakers, whynot
from edge.app.places import reach
from edge.app.verdict import Exam, parted
from edge.app.whynot import Tick
from edge.app.wiring import Wiring
from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus
from edge.core import BusError

PTY: Final = "/dev/pts/"  # whoever simulates a device holds its other end, too


async def examine(exam: Exam, tick: Tick) -> None:
    """All of one bus; what is found is in `exam`. Raises StoppedError."""
    bus = exam.site.buses[exam.bus]
    if isinstance(bus, GpioBus):
        return lines(exam, bus.chip)
    exam.wire += before(bus)
    if exam.broken:
        return None
    wire: Any = busmakers.make(bus)
    try:
        match bus:
            case I2cBus():
                await whynot.i2c(exam, wire, tick)
            case SerialBus():
                await whynot.serial(exam, wire, tick)
            case ModbusRtuBus():
                await whynot.rtu(exam, bus, wire, tick)
            case ModbusTcpBus():
                await whynot.tcp(exam, bus, wire, tick)
    except BusError as error:
        exam.wire.append(parted("fault", str(error)))
    finally:
        wire.close()


def lines(exam: Exam, chip: str, ours: str = "") -> None:
    """The lines of a GPIO chip: they are looked at, and not requested."""
    wiring = Wiring.of(exam.site)
    specs = wiring.lines.get(exam.bus, [])
    if chipless := look_at_lines(chip, []):
        exam.wire += [parted(one.severity, one.sentence) for one in chipless]
        return
    for spec, one in zip(specs, look_at_lines(chip, specs, ours), strict=True):
        name = wiring.lined[spec.line][0].partition(".")[0]
        if one.severity != "note":
            exam.say(name, one if one.remedy else parted(one.severity, one.sentence))
        elif name in exam.names:
            exam.answers.add(name)


def before(bus: Bus) -> list[Finding]:
    """What the machine says of a bus, before it is opened."""
    match bus:
        case I2cBus(path=path) if not path.startswith(i2c_trouble.SIM):
            found = node(path)
            return i2c_trouble.of_host(found, *i2c_trouble.host_facts(), holder(found.path))
        case SerialBus(port=port) | ModbusRtuBus(port=port):
            if not os.path.realpath(port).startswith(PTY):
                return serial_diagnose.look(port)
        case ModbusTcpBus(host=host, port=tcp_port):
            try:
                reach(host, tcp_port)
            except BusError as error:
                return [parted("fault", str(error))]
    return []
