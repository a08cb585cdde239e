"""What Sensirion's I2C devices have in common on the wire: commands, checked words, serial numbers.

Source: datasheets of SPS30, SEN5x, SEN6x, SCD4x, SHT4x and SGP41, sections on I2C communication;
drivers of Sensirion for each of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edge.core import Bad, BusError, DataError, I2cBus, Point, Reason, Sample, crc8


@dataclass(frozen=True, slots=True)
class SerialQuery:
    """How a device is asked for its serial number, and how that is spelt."""

    command: bytes
    words: int
    wait_s: float
    spell: Callable[[bytes], str]


async def serial_number(bus: I2cBus, address: int, serial: SerialQuery) -> str:
    """The serial number; "" when the device does not report it now. Never an error."""
    try:
        answer = await bus.transfer(
            address, serial.command, read=3 * serial.words, wait_s=serial.wait_s
        )
        return serial.spell(whole_words(answer, serial.words))
    except (BusError, DataError):
        return ""


def decimal_serial(data: bytes) -> str:
    """A serial number that is a number, as Sensirion's tools print it: decimal."""
    return str(int.from_bytes(data))


def text_serial(data: bytes) -> str:
    """A serial number that is text, up to its zero byte; "" when it is no plain text."""
    text = data.split(b"\0", 1)[0].decode("ascii", "replace")
    return text if text.isascii() and text.isprintable() else ""


def encode_command(code: int, *arguments: int) -> bytes:
    """A command of 16 bits and its arguments, each a word with a checksum."""
    return code.to_bytes(2) + with_checksums(
        b"".join(argument.to_bytes(2) for argument in arguments)
    )


def with_checksums(data: bytes) -> bytes:
    """Words of two bytes, each with its checksum, as they go out."""
    pairs = (data[i : i + 2] for i in range(0, len(data), 2))
    return b"".join(pair + bytes([crc8(pair)]) for pair in pairs)


def checked_words(frame: bytes, count: int) -> list[bytes | None]:
    """The words of an answer, two bytes each; None for a word whose checksum is wrong.

    Raises DataError when there are not `count` words.
    """
    if len(frame) != 3 * count:
        raise DataError(f"expected {3 * count} bytes, got {len(frame)}")
    return [
        frame[i : i + 2] if crc8(frame[i : i + 2]) == frame[i + 2] else None
        for i in range(0, len(frame), 3)
    ]


def whole_words(frame: bytes, count: int) -> bytes:
    """The words of an answer that is of use only as a whole. Raises DataError when damaged."""
    good = [word for word in checked_words(frame, count) if word is not None]
    if len(good) < count:
        raise DataError(f"wrong checksum in {frame.hex()}")
    return b"".join(good)


def word_samples(
    points: Sequence[Point], formulas: Sequence[Callable[[bytes], float | None]], frame: bytes
) -> tuple[Sample, ...]:
    """One word a point, each by its own formula, which gives None for "not known yet".

    A damaged word spoils its own point only. Raises DataError for another length.
    """
    return tuple(
        Bad(Reason.CRC) if word is None else _sample(point, formula(word))
        for point, formula, word in zip(
            points, formulas, checked_words(frame, len(points)), strict=True
        )
    )


def _sample(point: Point, value: float | None) -> Sample:
    return Bad(Reason.WARMUP) if value is None else checked_sample(point, value)


def checked_sample(point: Point, value: float) -> Sample:
    """A value, or bad:range for one that is outside the point's range, or no number."""
    return value if point.low <= value <= point.high else Bad(Reason.RANGE)


def celsius(word: bytes) -> float:
    """A temperature in degrees Celsius from its ticks, the same in SHT4x and SCD4x."""
    return -45 + 175 * int.from_bytes(word) / 65535


def exchanges(
    frames: Sequence[bytes], answers: Callable[[bytes], bool | None]
) -> Iterator[tuple[bytes, bytes]]:
    """The commands of a recorded conversation, each with its answer or b"".

    `answers` says whether a command has an answer; None for one that the driver never gives.
    Raises DataError for such a one, and for an answer that is missing.
    """
    rest = iter([frame for frame in frames if frame])
    for reply in rest:
        expected = answers(reply)
        if expected is None:
            raise DataError(f"{reply.hex()} is no command that this driver gives")
        answer = next(rest, b"") if expected else b""
        if expected and not answer:
            raise DataError(f"{reply.hex()} has no answer", Reason.SILENT)
        yield reply, answer
