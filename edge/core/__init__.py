"""The vocabulary of the gateway: plain types and protocols, no input or output."""

from edge.core.clock import Clock, Stamp, TimeQuality
from edge.core.condition import Condition
from edge.core.crc import crc8, crc16_modbus
from edge.core.edge import Bias, Contact, Edge, LineSpec
from edge.core.endpoint import Endpoint, endpoint
from edge.core.errors import AmbiguousAnswerError, BusError, ConfigError, DataError, TooLongError
from edge.core.looptick import DoubtedLoop, LoopTick, Stay
from edge.core.point import Point, PointKind, Quantity
from edge.core.ports import (
    Framer,
    I2cBus,
    LineDevice,
    ModbusBus,
    Polled,
    SelfReporting,
    SerialBus,
    StaleAnswer,
    Stateful,
)
from edge.core.quality import GOOD, Grade, Quality, Reason, bad, parse_quality, uncertain
from edge.core.reading import (
    Bad,
    Reading,
    Sample,
    Sweep,
    UncertainValue,
    Value,
    all_good,
    failed_sweep,
    mark_stale,
    sweep,
)
from edge.core.record import TOPIC_PREFIX, Body, Draft, Envelope, Record, RecordKey, Stream

__all__ = [
    "GOOD",
    "TOPIC_PREFIX",
    "AmbiguousAnswerError",
    "Bad",
    "Bias",
    "Body",
    "BusError",
    "Clock",
    "Condition",
    "ConfigError",
    "Contact",
    "DataError",
    "DoubtedLoop",
    "Draft",
    "Edge",
    "Endpoint",
    "Envelope",
    "Framer",
    "Grade",
    "I2cBus",
    "LineDevice",
    "LineSpec",
    "LoopTick",
    "ModbusBus",
    "Point",
    "PointKind",
    "Polled",
    "Quality",
    "Quantity",
    "Reading",
    "Reason",
    "Record",
    "RecordKey",
    "Sample",
    "SelfReporting",
    "SerialBus",
    "StaleAnswer",
    "Stamp",
    "Stateful",
    "Stay",
    "Stream",
    "Sweep",
    "TimeQuality",
    "TooLongError",
    "UncertainValue",
    "Value",
    "all_good",
    "bad",
    "crc8",
    "crc16_modbus",
    "endpoint",
    "failed_sweep",
    "mark_stale",
    "parse_quality",
    "sweep",
    "uncertain",
]  # fmt: skip
