"""Modbus masters: a serial line (RTU) and TCP, as one small port with one method."""

from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp

__all__ = ["ModbusRtu", "ModbusTcp"]
