"""The meter models of SunSpec: where they are in a device, what is in them, and as what values.

Source: the SunSpec Alliance's model definitions (sunspec/models, JSON): common model 1, meters
201..204 (integers with scale factors) and 211..214 (floats in the same order).
"""

import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from edge.core import Bad, Condition, DataError, Point, PointKind, Quantity, Reason, Sample

BASES: Final = (40_000, 50_000, 0)
MARK: Final = b"SunS"
COMMON, END = 1, 0xFFFF
INTEGERS: Final = range(201, 205)
FLOATS: Final = range(211, 215)
MODELS: Final = 64  # a list longer than this is none
COMMON_WORDS: Final = 64  # maker 16, model 16, options 8, version 8, serial number 16
SERIAL: Final = slice(96, 128)
TOP: Final = 0x10000

PHASES: Final = ("", "_l1", "_l2", "_l3")
LINES: Final = ("_avg", *PHASES[1:], "_ll_avg", "_l12", "_l23", "_l31")


@dataclass(frozen=True, slots=True)
class ValueGroup:
    """Values that follow each other, and in an integer model share the scale factor behind them.

    `shift` is the power of ten from the model's unit to ours; floats have it for energies only.
    """

    quantity: Quantity
    keys: tuple[str, ...]
    low: float
    high: float
    words: int = 1  # of a value in an integer model
    shift: int = 0


def _phased(*names: str) -> tuple[str, ...]:
    return tuple(name + phase for name in names for phase in PHASES)


GROUPS: Final = (
    ValueGroup(Quantity.CURRENT, ("current_sum", *_phased("current")[1:]), -5e3, 5e3),
    ValueGroup(Quantity.VOLTAGE, tuple("voltage" + line for line in LINES), 0, 1e5),
    ValueGroup(Quantity.FREQUENCY, ("frequency",), 40, 70),
    ValueGroup(Quantity.POWER, _phased("power"), -5e6, 5e6),
    ValueGroup(Quantity.APPARENT_POWER, _phased("apparent_power"), -5e6, 5e6),
    ValueGroup(Quantity.REACTIVE_POWER, _phased("reactive_power"), -5e6, 5e6),
    ValueGroup(Quantity.POWER_FACTOR, _phased("power_factor"), -1, 1, shift=-2),
    ValueGroup(Quantity.ENERGY, _phased("energy_export", "energy_import"), 0, 1e9, 2, -3),
    ValueGroup(
        Quantity.APPARENT_ENERGY,
        _phased("apparent_energy_export", "apparent_energy_import"), 0, 1e9, 2, -3,
    ),
    ValueGroup(
        Quantity.REACTIVE_ENERGY,
        _phased(*(f"reactive_energy_q{n}" for n in (1, 2, 3, 4))), 0, 1e9, 2, -3,
    ),
)  # fmt: skip
POINTS: Final = tuple(
    Point(
        key,
        group.quantity,
        group.low,
        group.high,
        kind=PointKind.TOTAL if group.words == 2 else PointKind.GAUGE,
    )
    for group in GROUPS
    for key in group.keys
)
MANDATORY: Final = ("energy_export", "energy_import")  # 0 in them is 0 kWh
LENGTHS: Final = {**dict.fromkeys(INTEGERS, 105), **dict.fromkeys(FLOATS, 124)}
NO_INT16: Final = -0x8000
SCALES: Final = range(-10, 11)
EVENTS: Final = {  # bit: what is wrong
    2: (Condition.POWER, "a phase has no voltage"),
    3: (Condition.POWER, "the voltage is too low"),
    5: (Condition.OVERLOAD, "the current is above its limit"),
    6: (Condition.OVERLOAD, "the voltage is above its limit"),
    7: (Condition.SENSOR, "a current transformer is missing"),
}
NO_EVENTS: Final = (0x8000_0000, 0xFFFF_FFFF)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where a meter's model begins, which it is, and the serial number of its device."""

    address: int
    model: int
    serial: str

    @property
    def block(self) -> tuple[int, int]:
        """Address and count of its length and all its values: one request."""
        return self.address + 1, 1 + LENGTHS[self.model]

    @property
    def cuts(self) -> tuple[int, ...]:
        """Where this block may be cut, for a device that does not give so much at once."""
        return tuple(self.address + 1 + part.at for part in model_parts(self.model))


@dataclass(frozen=True, slots=True)
class ModelPart:
    """What is read in one request or not at all, from its place behind the head of a model: a value
    of floats, or integers with their scale factor; the last one are the events, with no point.
    """

    at: int
    points: slice


@cache
def model_parts(model: int) -> tuple[ModelPart, ...]:
    """All of a model, in their order."""
    found, at, place = [], 1, 0  # its length comes first
    for group in GROUPS:
        count = len(group.keys)
        size = 2 if model in FLOATS else group.words * count + 1
        for points in (1,) * count if model in FLOATS else (count,):
            found.append(ModelPart(at, slice(place, place + points)))
            at, place = at + size, place + points
    return (*found, ModelPart(at, slice(place, place)))


def find_model(meter: int) -> Generator[tuple[int, int], bytes | None, ModelPlace]:
    """Find the meter of this number (1: the first) in the list of models.

    Yields what to read (address, count) and is sent its bytes, None where there is nothing.
    Raises DataError when there is no such meter.
    """
    for base in BASES:
        if (yield base, 2) == MARK:
            break
    else:
        raise DataError("no SunSpec device: no mark at 40000, 50000 or 0", Reason.ADDRESS)
    address, serial, found = base + 2, "", 0
    for _ in range(MODELS):
        head = yield address, 2
        if head is None:
            break
        model, length = struct.unpack(">HH", head)
        if model == END:
            break
        if model == COMMON and length >= COMMON_WORDS:
            serial = _text((yield address + 2, COMMON_WORDS) or b"")
        elif model in LENGTHS and length >= LENGTHS[model]:
            found += 1
            if found == meter:
                return ModelPlace(address, model, serial)
        address += 2 + length
        if address + 2 > TOP:
            break
    raise DataError(f"its list of models has {found} meters, no number {meter}", Reason.ADDRESS)


def _text(common: bytes) -> str:
    text = common[SERIAL].replace(b"\0", b"").decode("utf-8", "replace").strip()
    return text if text.isprintable() and "\ufffd" not in text else ""


def decode(model: int, block: bytes) -> tuple[Sample, ...]:
    """A sample per point from a model's registers, its length first. Raises DataError."""
    length = LENGTHS[model]
    if len(block) != 2 + 2 * length:
        raise DataError(f"asked for {1 + length} registers, got {len(block)} bytes")
    if int.from_bytes(block[:2], "big") < length:
        raise DataError("the list of models has changed", Reason.ADDRESS)
    return tuple(_floats(block) if model in FLOATS else _integers(block))


def _integers(block: bytes) -> Generator[Sample]:
    at = 2
    for group in GROUPS:
        size = 2 * group.words * len(group.keys)
        (scale,) = struct.unpack_from(">h", block, at + size)
        kind = "h" if group.words == 1 else "I"
        values = struct.unpack_from(f">{len(group.keys)}{kind}", block, at)
        for key, raw in zip(group.keys, values, strict=True):
            missing = raw == NO_INT16 if kind == "h" else raw == 0 and key not in MANDATORY
            if missing or scale == NO_INT16:
                yield Bad(Reason.ADDRESS)
            elif scale not in SCALES:
                yield Bad(Reason.RANGE)
            else:
                yield _within(group, float(f"{raw}e{scale + group.shift}"))
        at += size + 2


def _floats(block: bytes) -> Generator[Sample]:
    at = 2
    for group in GROUPS:
        values = struct.unpack_from(f">{len(group.keys)}f", block, at)
        for value in values:
            if value != value:
                yield Bad(Reason.ADDRESS)
            else:
                yield _within(group, float(f"{value / 1000:.12g}") if group.words == 2 else value)
        at += 4 * len(group.keys)


def _within(group: ValueGroup, value: float) -> Sample:
    return value if group.low <= value <= group.high else Bad(Reason.RANGE)


def event_texts(block: bytes) -> Mapping[Condition, str]:
    """What the meter says is wrong, by the 32 bits at the end of its model."""
    bits = int.from_bytes(block[-4:], "big")
    texts = [EVENTS[bit] for bit in EVENTS if bits >> bit & 1] if bits not in NO_EVENTS else []
    return {one: "; ".join(text for kind, text in texts if kind is one) for one, _ in texts}
