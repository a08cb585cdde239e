"""From a bus of the configuration to the bus itself. Building one touches no wire."""

from typing import Any

from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_port import SerialPort
from edge.config import Bus, GpioBus, I2cBus, ModbusRtuBus, ModbusTcpBus, SerialBus


def make_bus(bus: Bus) -> Any:
    """The bus that a driver is given. A GPIO chip is opened by its listener: here it is a name."""
    match bus:
        case GpioBus():
            return bus.chip
        case I2cBus():
            return SmbusI2c(bus.path)
        case SerialBus():
            line = bus.line()
            return SerialPort(bus.port, line.baud, line.parity, line.stop, line.bits)
        case ModbusRtuBus():
            port = SerialPort(bus.port, bus.baud, bus.parity, bus.stop)
            return ModbusRtu(port, bus.timeout_s, bus.link_delay_s)
        case ModbusTcpBus():
            return ModbusTcp(bus.host, bus.port, bus.timeout_s)
