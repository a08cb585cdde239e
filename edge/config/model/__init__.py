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
from edge.config.model.devices import Approach, Bay, Class, Device, Lane, Phase
from edge.config.model.gateway import (
    SECTIONS,
    Models,
    Privacy,
    SiteTable,
    Store,
    Streams,
)
from edge.config.model.link import Link
from edge.config.model.uplink import Uplink
from edge.config.model.web import Web

__all__ = [
    "BUSES",
    "SECTIONS",
    "TABLES",
    "VERSION",
    "WIRINGS",
    "Approach",
    "Bay",
    "Bus",
    "Calibration",
    "Cell",
    "Certificate",
    "Class",
    "Device",
    "GpioBus",
    "I2cBus",
    "Lane",
    "Link",
    "ModbusRtuBus",
    "ModbusTcpBus",
    "Models",
    "Phase",
    "Privacy",
    "SerialBus",
    "SiteTable",
    "Store",
    "Streams",
    "Uplink",
    "Web",
]

VERSION: Final = 1  # of the file's format; a file of another version is refused
TABLES: Final = ("bus", "device", "lane", "approach", "bay", "calibration", "cell")
"""The tables of named tables."""
