"""The frames of a Canoga loop card, and what one detection says after another.

Source: mnit-rtmc/iris, package comm.canoga, the only public source of the protocol (request frame,
checksum, layout of the binary detections, serial number); GTT "Canoga C924X Series Installation
Manual" for the line. What the bits of `state` mean stands in neither.
"""

from dataclasses import dataclass
from enum import Enum
from functools import reduce
from operator import xor
from typing import Final

from edge.core import DataError, Framer

ANYBODY: Final = 255
BACKPLANE, PROGRAMMED = range(16), range(128, 256)  # addresses, the last of which is a wildcard
EVENTS, SERIAL = b"*", b"a"
CHANNELS: Final = 4
RECORD: Final = 9
EVENTS_SIZE: Final = CHANNELS * RECORD + 1
OVERHEAD: Final = 8  # bytes of a text answer beside its text
LONGEST: Final = 0xFF

CLOCK_MS: Final = 1 << 32  # the card's clock starts again after 50 days
LONGEST_HEADWAY_MS: Final = 12 * 3_600_000
FULL_COUNT_MS: Final = 240_000  # 256 vehicles do not pass a loop faster


def card_request(address: int, code: bytes) -> bytes:
    """A question to one card. Raises ValueError for an address that no card has."""
    if address not in BACKPLANE and address not in PROGRAMMED:
        raise ValueError(f"address {address}: it is 0 to 15 (slot) or 128 to 255 (programmed)")
    size = len(code) + 7
    head = b"<%02X%c%c" % (size, address, code)
    return head + b"%02X>" % checksum(head)


def checksum(data: bytes) -> int:
    """All bytes, the checksum's own places taken as zero, by exclusive or."""
    return reduce(xor, data, 0)


@dataclass(frozen=True, slots=True)
class Detection:
    """The newest vehicle on one channel. `count` is modulo 256; all zeros: none since a reset."""

    duration_ms: int
    start_ms: int  # on the card's own clock, which begins at its reset
    count: int
    state: int

    @property
    def none(self) -> bool:
        """No vehicle yet."""
        return not (self.duration_ms or self.start_ms or self.count)


def detections(frame: bytes) -> tuple[Detection, ...]:
    """The answer to EVENTS, channel by channel. Raises DataError for a damaged one.

    The card sends no head: that these bytes are from this card, and begin where they should, is
    for `step` to doubt.
    """
    if len(frame) != EVENTS_SIZE:
        raise DataError(f"expected {EVENTS_SIZE} bytes, got {len(frame)}")
    if checksum(frame):
        raise DataError(f"wrong checksum in {frame.hex()}")
    return tuple(
        Detection(
            int.from_bytes(frame[at : at + 3]),
            int.from_bytes(frame[at + 3 : at + 7]),
            frame[at + 7],
            frame[at + 8],
        )
        for at in range(0, CHANNELS * RECORD, RECORD)
    )


def text(frame: bytes, code: bytes, address: int = ANYBODY) -> str:
    """What stands in a framed answer. Raises DataError for a damaged or foreign one."""
    if len(frame) < OVERHEAD or frame[:3] != b"<%02X" % len(frame) or frame[-1:] != b">":
        raise DataError(f"no answer of a Canoga card: {frame[:LONGEST].hex() or 'nothing'}")
    if frame[-3:-1] != b"%02X" % checksum(frame[:-3]):
        raise DataError(f"wrong checksum in {frame.hex()}")
    if frame[4:5] != code or address not in (ANYBODY, frame[3]):
        raise DataError(f"an answer to another question, or from another card: {frame.hex()}")
    text = frame[5:-3].decode("ascii", "replace").strip("\0 ")
    if not text.isprintable() or not text.isascii():
        raise DataError(f"no text in {frame.hex()}")
    return text


def frame_events(data: bytes) -> tuple[bytes | None, int]:
    """The raw answer: so many bytes, whatever they are."""
    return (data[:EVENTS_SIZE], EVENTS_SIZE) if len(data) >= EVENTS_SIZE else (None, 0)


def text_framer(code: bytes, address: int) -> Framer:
    """Finds a whole framed answer to this question."""

    def found(data: bytes) -> tuple[bytes | None, int]:
        at = data.find(b"<")
        if at < 0:
            return None, len(data)
        if len(data) - at < 3:
            return None, at
        try:
            size = int(data[at + 1 : at + 3], 16)
        except ValueError:
            return None, at + 1
        if size >= OVERHEAD and len(data) - at < size:
            return None, at
        frame = data[at : at + size]
        try:
            text(frame, code, address)
        except DataError:
            return None, at + 1
        return frame, at + size

    return found


class DetectionStep(Enum):
    """What one answer says after the one before it."""

    SAME = "same"
    NEXT = "next"
    ODD = "odd"  # a card that was reset, another card, or a damage that the checksum let pass


def headway_ms(before: Detection, now: Detection) -> int:
    """From start to start, over the end of the card's clock."""
    return (now.start_ms - before.start_ms) % CLOCK_MS


def detection_step(before: Detection, now: Detection) -> DetectionStep:
    """Can `now` follow `before` on a card that went on counting?

    Half of the oddities are those of IRIS: a start or a count that alone stays the same; and a
    duration that is the one before, shifted by a byte, which is what is left when the first byte
    was lost and the checksum did not see it.
    """
    if now == before:
        return DetectionStep.SAME
    if (now.duration_ms, now.start_ms, now.count) == (
        before.duration_ms,
        before.start_ms,
        before.count,
    ):
        return DetectionStep.SAME  # only the state is another
    if before.none:
        return DetectionStep.NEXT
    if now.none or now.start_ms == before.start_ms or now.count == before.count:
        return DetectionStep.ODD
    if before.duration_ms and now.duration_ms >> 8 == before.duration_ms & 0xFFFF:
        return DetectionStep.ODD
    headway = headway_ms(before, now)
    if headway < before.duration_ms:
        return DetectionStep.ODD  # it began before the last one had ended
    if headway >= LONGEST_HEADWAY_MS and now.start_ms < before.start_ms:
        return DetectionStep.ODD  # its clock went back, and not round
    return DetectionStep.NEXT


def vehicles_between(before: Detection, now: Detection) -> int:
    """How many vehicles have passed, at least: 256 more would look the same."""
    return (now.count - before.count) % 256
