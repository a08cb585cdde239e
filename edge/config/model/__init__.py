"""The model of site.toml: every key with its type, its bounds, its default and what it means.

The reference in docs/configuration.md is generated from here.
"""

from typing import Final

from edge.config.model.buses import (
    BUSES,
    WIRINGS,
    Bus,
    GpioBus,
    I2cBus,
    ModbusRtuBus,
    ModbusTcpBus,
    SerialBus,
)
from edge.config.model.certificates import Calibration, Cell, Certificate
from edge.config.model.devices import Device, Lane
from edge.config.model.gateway import (
    SECTIONS,
    Models,
    Place,
    Privacy,
    Store,
    Streams,
    Uplink,
)

__all__ = [
    "BUSES",
    "SECTIONS",
    "TABLES",
    "VERSION",
    "WIRINGS",
    "Bus",
    "Calibration",
    "Cell",
    "Certificate",
    "Device",
    "GpioBus",
    "I2cBus",
    "Lane",
    "ModbusRtuBus",
    "ModbusTcpBus",
    "Models",
    "Place",
    "Privacy",
    "SerialBus",
    "Store",
    "Streams",
    "Uplink",
]

VERSION: Final = 1  # of the file's format; a file of another version is refused
TABLES: Final = ("bus", "device", "lane", "calibration", "cell")  # tables of named tables
