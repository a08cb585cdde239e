"""The vocabulary of the gateway: plain types and protocols, no input or output."""

from edge.core.condition import Condition
from edge.core.crc import crc8, crc16_modbus
from edge.core.edge import Bias, Contact, Edge, LineSpec
from edge.core.endpoint import Endpoint, endpoint
from edge.core.errors import BusError, ConfigError, DataError, LengthError, OwedError
from edge.core.loop import LoopTick, Stay
from edge.core.point import Kind, Point, Quantity
from edge.core.ports import (
    Clock,
    Cut,
    I2cBus,
    Keeping,
    Lined,
    ModbusBus,
    Old,
    Polled,
    SerialBus,
    Telling,
)
from edge.core.quality import GOOD, Grade, Quality, Reason, bad, parse_quality, uncertain
from edge.core.reading import (
    Bad,
    Doubt,
    Reading,
    Sample,
    Stamp,
    Sweep,
    TimeQuality,
    Value,
    aged,
    all_good,
    failed,
    sweep,
)
from edge.core.record import Body, Draft, Envelope, Key, Record, Stream

__all__ = [
    "GOOD",
    "Bad",
    "Bias",
    "Body",
    "BusError",
    "Clock",
    "Condition",
    "ConfigError",
    "Contact",
    "Cut",
    "DataError",
    "Doubt",
    "Draft",
    "Edge",
    "Endpoint",
    "Envelope",
    "Grade",
    "I2cBus",
    "Keeping",
    "Key",
    "Kind",
    "LengthError",
    "LineSpec",
    "Lined",
    "LoopTick",
    "ModbusBus",
    "Old",
    "OwedError",
    "Point",
    "Polled",
    "Quality",
    "Quantity",
    "Reading",
    "Reason",
    "Record",
    "Sample",
    "SerialBus",
    "Stamp",
    "Stay",
    "Stream",
    "Sweep",
    "Telling",
    "TimeQuality",
    "Value",
    "aged",
    "all_good",
    "bad",
    "crc8",
    "crc16_modbus",
    "endpoint",
    "failed",
    "parse_quality",
    "sweep",
    "uncertain",
]  # fmt: skip
