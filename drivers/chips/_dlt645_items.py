"""What the data of DL/T 645-2007 mean: items, their identifiers and formats, status words.

Source: DL/T 645-2007 (format of the data items, annex on status words) as public drivers and the
package dlt645 tell it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge.core import Bad, Condition, DataError, Point, PointKind, Quantity, Reason, Sample

NUMBER: Final = 0x0400_0402  # of the meter, 12 digits
ADDRESS: Final = 0x0400_0401
STATUS_BLOCK: Final = 0x0400_05FF
STATUS_WORDS: Final = (0x0400_0501, 0x0400_0503, 0x0400_0504, 0x0400_0505, 0x0400_0506, 0x0400_0507)
WORDS: Final = 7
TARIFFS: Final = 4  # of up to 63


@dataclass(frozen=True, slots=True)
class Dlt645Item:
    """Values of one kind: asked for as a block, or each alone. `steps` are in one unit."""

    block: int
    singles: tuple[int, ...]
    points: tuple[Point, ...]
    size: int  # bytes of one value
    steps: int
    signed: bool = True


def _item(
    block: int,
    quantity: Quantity,
    keys: Sequence[str],
    size: int,
    steps: int,
    high: float,
    low: float | None = None,
) -> Dlt645Item:
    """Items of several points have one data identifier each (00 or 01 first), and FF is all."""
    first = 0 if len(keys) == 4 else 1
    singles = tuple((block & ~0xFF00) | (first + n) << 8 for n in range(len(keys)))
    low = -high if low is None else low
    points = tuple(Point(key, quantity, low=low, high=high) for key in keys)
    return Dlt645Item(block, singles if len(keys) > 1 else (block,), points, size, steps, low < 0)


def _total(block: int, stem: str) -> Dlt645Item:
    """A register: the block is the total, then its tariffs, as many as the meter has."""
    keys = (stem, *(f"{stem}_t{tariff}" for tariff in range(1, TARIFFS + 1)))
    singles = tuple((block & ~0xFF00) | n << 8 for n in range(len(keys)))
    points = tuple(
        Point(key, Quantity.ENERGY, low=0, high=999_999.99, resolution=0.01, kind=PointKind.TOTAL)
        for key in keys
    )
    return Dlt645Item(block, singles, points, 4, 100, signed=False)


def _phases(stem: str) -> tuple[str, ...]:
    return (f"{stem}_l1", f"{stem}_l2", f"{stem}_l3")


# Energy in kWh with two places, voltage in V with one, current in A with three, powers in kW with
# four, power factor with three, frequency in Hz with two.
ITEMS: Final = (
    _total(0x0001_FF00, "energy_import"),
    _total(0x0002_FF00, "energy_export"),
    _item(0x0000_0000, Quantity.ENERGY, ("energy_combined",), 4, 100, 799_999.99),
    _item(0x0201_FF00, Quantity.VOLTAGE, _phases("voltage"), 2, 10, 520, 0),
    _item(0x0202_FF00, Quantity.CURRENT, _phases("current"), 3, 1000, 799.999),
    _item(0x0203_FF00, Quantity.POWER, ("power", *_phases("power")), 3, 10, 79_999.9),
    _item(
        0x0204_FF00, Quantity.REACTIVE_POWER, ("reactive_power", *_phases("reactive_power")),
        3, 10, 79_999.9,
    ),
    _item(
        0x0205_FF00, Quantity.APPARENT_POWER, ("apparent_power", *_phases("apparent_power")),
        3, 10, 79_999.9,
    ),
    _item(
        0x0206_FF00, Quantity.POWER_FACTOR, ("power_factor", *_phases("power_factor")), 2, 1000, 1
    ),
    _item(0x0280_0002, Quantity.FREQUENCY, ("frequency",), 2, 100, 70, 40),
)  # fmt: skip
POINTS: Final = tuple(point for item in ITEMS for point in item.points)


def item_values(item: Dlt645Item, di: int, data: bytes) -> dict[str, Sample]:
    """Samples by key, from the data behind the identifier. Raises DataError for a wrong length.

    What a block leaves out, or fills with FF, the meter does not have.
    """
    points = item.points if di == item.block else (item.points[item.singles.index(di)],)
    if not data or len(data) % item.size:
        raise DataError(f"{len(data)} bytes for {di:08x}, values have {item.size} each")
    words = [data[at : at + item.size] for at in range(0, len(data), item.size)]
    found: dict[str, Sample] = {point.key: Bad(Reason.ADDRESS) for point in points}
    for point, word in zip(points, words, strict=False):
        found[point.key] = _value(item, point, word)
    return found


def _value(item: Dlt645Item, point: Point, word: bytes) -> Sample:
    if word.count(0xFF) == len(word):
        return Bad(Reason.ADDRESS)
    negative = item.signed and bool(word[-1] & 0x80)
    digits = (word[:-1] + bytes((word[-1] & 0x7F,)) if negative else word)[::-1].hex()
    if not digits.isdecimal():
        return Bad(Reason.RANGE)
    value = (-int(digits) if negative else int(digits)) / item.steps
    return value if point.low <= value <= point.high else Bad(Reason.RANGE)


def item_of(di: int) -> Dlt645Item | None:
    """The item that a data identifier belongs to."""
    return next((item for item in ITEMS if di == item.block or di in item.singles), None)


def status_words(di: int, data: bytes) -> dict[int, int]:
    """Status words by their number, 1 to 7. Raises DataError for a wrong length."""
    numbers = range(1, WORDS + 1) if di == STATUS_BLOCK else (di & 0xFF,)
    if len(data) != 2 * len(numbers):
        raise DataError(f"{len(data)} bytes of status for {di:08x}")
    return {n: int.from_bytes(data[2 * i : 2 * i + 2], "little") for i, n in enumerate(numbers)}


PHASE: Final = {4: "L1", 5: "L2", 6: "L3"}
PHASE_BITS: Final = (
    (0, Condition.POWER, "voltage of {} is missing"),
    (1, Condition.POWER, "voltage of {} is too low"),
    (2, Condition.OVERLOAD, "voltage of {} is too high"),
    (3, Condition.SENSOR, "current of {} is missing: is its transformer connected?"),
    (4, Condition.OVERLOAD, "current of {} is too high"),
    (5, Condition.OVERLOAD, "{} is overloaded"),
    (7, Condition.POWER, "{} is interrupted"),
)


def status_conditions(words: dict[int, int]) -> dict[Condition, str]:
    """What the status words say is wrong."""
    reported: list[tuple[Condition, str]] = []
    if words.get(1, 0) & 0x04:
        reported.append((Condition.BATTERY, "the battery of the clock is low"))
    if words.get(1, 0) & 0x08:
        reported.append((Condition.BATTERY, "the battery for reading without mains is low"))
    if words.get(3, 0) & 0x06:
        reported.append((Condition.POWER, "the meter runs on its auxiliary supply or battery"))
    if words.get(3, 0) & 0x10:
        reported.append((Condition.POWER, "the relay of the meter is open"))
    for number, phase in PHASE.items():
        for bit, condition, text in PHASE_BITS:
            if words.get(number, 0) & 1 << bit:
                reported.append((condition, text.format(phase)))
    if words.get(7, 0) & 0x03:
        reported.append((Condition.PHASES, "the order of the phases is reversed"))
    found: dict[Condition, str] = {}
    for condition, text in reported:
        found[condition] = f"{found[condition]}; {text}" if condition in found else text
    return found
