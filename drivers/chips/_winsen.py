"""What Winsen's sensors share: frames of nine bytes that start with 0xff and end in a sum.

Source: Winsen ZH03B and MH-Z19B manuals, serial port protocol; driver avaldebe/PyPMS.
A command is 0xff, 0x01, its code, five bytes and the sum; an answer is 0xff, the code of the
command, six bytes and the sum.
"""

from collections.abc import Mapping
from typing import Final

from drivers.chips._framers import fixed_size_framer
from edge.core import Condition, DataError, Framer

SIZE: Final = 9
COMMAND: Final = b"\xff\x01"
READ: Final = 0x86


def checksum(frame: bytes) -> int:
    """Two's complement of the sum of the seven bytes after the first."""
    return -sum(frame[1:8]) & 0xFF


def encode_command(code: int, argument: int = 0) -> bytes:
    """A command with one argument."""
    body = COMMAND + bytes((code, argument)).ljust(6, b"\0")
    return body + bytes([checksum(body)])


def is_whole(frame: bytes) -> bool:
    """Whether length, first byte and sum are right."""
    return len(frame) == SIZE and frame[0] == 0xFF and frame[-1] == checksum(frame)


def parse_answer(frame: bytes, code: int) -> bytes:
    """The six bytes that an answer holds. Raises DataError when it is damaged or another."""
    if len(frame) != SIZE or frame[0] != 0xFF or frame[1] != code:
        raise DataError(f"no answer to command {code:02x}: {frame[:SIZE].hex() or 'nothing'}")
    if not is_whole(frame):
        raise DataError(f"wrong sum in {frame.hex()}")
    return frame[2:-1]


def answer_framer(code: int) -> Framer:
    """Finds the answers to one command among whatever else comes."""
    return fixed_size_framer(bytes((0xFF, code)), SIZE, is_whole)


def warming_conditions(reads: int, settle_reads: int) -> Mapping[Condition, str]:
    """What there is to say of a sensor that says nothing of itself: whether it warms up."""
    if reads > settle_reads:
        return {}
    return {Condition.WARMUP: "warming up after the start"}
