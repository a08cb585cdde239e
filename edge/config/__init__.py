"""The configuration of a site: one TOML file, read once, checked whole."""

from edge.config.advice import warnings
from edge.config.fitting import misfits
from edge.config.loading import load
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
    Place,
    Privacy,
    SerialBus,
    Store,
    Streams,
    Uplink,
)
from edge.config.problem import Problem, Problems
from edge.config.secrets import password, read_password
from edge.config.site import Site

__all__ = [
    "Approach", "Bay", "Bus", "Calibration", "Cell", "Class", "Device", "GpioBus", "I2cBus", "Lane",
    "ModbusRtuBus", "ModbusTcpBus", "Models", "Phase", "Place", "Privacy", "Problem", "Problems",
    "SerialBus", "Site", "Store", "Streams", "Uplink", "load", "misfits", "password",
    "read_password", "warnings",
]  # fmt: skip
