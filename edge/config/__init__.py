"""The configuration of a site: one TOML file, read once, checked whole."""

from edge.config.advice import site_warnings
from edge.config.loading import load_site
from edge.config.model import (
    Approach,
    Bay,
    Bus,
    Calibration,
    Cell,
    Class,
    Device,
    GpioBus,
    I2cBus,
    Lane,
    ModbusRtuBus,
    ModbusTcpBus,
    Models,
    Phase,
    Privacy,
    SerialBus,
    SiteTable,
    Store,
    Streams,
    Uplink,
)
from edge.config.outdated import outdated_keys
from edge.config.passwords import read_password, uplink_password
from edge.config.pointchecks import check_points
from edge.config.problem import Problem, Problems, show_option
from edge.config.serialchecks import serial_warnings
from edge.config.site import Site

__all__ = [
    "Approach",
    "Bay",
    "Bus",
    "Calibration",
    "Cell",
    "Class",
    "Device",
    "GpioBus",
    "I2cBus",
    "Lane",
    "ModbusRtuBus",
    "ModbusTcpBus",
    "Models",
    "Phase",
    "Privacy",
    "Problem",
    "Problems",
    "SerialBus",
    "Site",
    "SiteTable",
    "Store",
    "Streams",
    "Uplink",
    "check_points",
    "load_site",
    "outdated_keys",
    "read_password",
    "serial_warnings",
    "show_option",
    "site_warnings",
    "uplink_password",
]  # fmt: skip
