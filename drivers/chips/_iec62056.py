"""The dialogue of IEC 62056-21 modes A, B and C as bytes: what is asked, and what an answer is.

Source: IEC 62056-21:2002 (sign-on, identification, acknowledgement, data readout).
"""

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from drivers.chips._telegram import (
    ACK,
    ETX,
    SOH,
    STX,
    DataSet,
    bcc,
    check_parity,
    parse_data_sets,
    strip_parity,
)
from edge.core import DataError, Reason

BAUDS: Final = (300, 600, 1200, 2400, 4800, 9600, 19200)  # by their character, 0 to 6
LIMIT: Final = 65536  # bytes of a readout; with years of past months they have some 10,000
ECHO: Final = 64  # bytes before a readout begins: the echo of an optical head, noise

_IDENT: Final = re.compile(rb"/([A-Za-z]{2})([A-Za-z])((?![/!])[ -~])((?:\\[ -~])?[ -~]{0,32})\r\n")
_ADDRESS: Final = re.compile(r"[0-9A-Za-z ]{0,32}")


class Ident(NamedTuple):
    """Who a meter says it is: maker, baud character and type; `quick` answers within 20 ms."""

    maker: str
    speed: str
    text: str
    quick: bool

    @property
    def baud(self) -> int:
        """What it offers, bits per second; 300 for a meter that cannot change (mode A)."""
        place = int(self.speed) if self.asks else ord(self.speed) - ord("A") + 1
        return BAUDS[place] if 0 <= place < len(BAUDS) else BAUDS[0]

    @property
    def asks(self) -> bool:
        """Whether it waits for an acknowledgement (mode C); in mode B it changes by itself."""
        return self.speed.isdigit()


def sign_on(address: str = "") -> bytes:
    """The call to all meters, or to one. Raises ValueError for an address that cannot be."""
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r}: an address has up to 32 letters, digits or spaces")
    return b"/?" + address.encode("ascii") + b"!\r\n"


def acknowledge(baud: int) -> bytes:
    """Go on at this speed, as a data readout; `acknowledge(9600)` is ACK 0 5 0 CR LF."""
    return ACK + b"0%d0\r\n" % BAUDS.index(baud)


def next_ident(data: bytes) -> tuple[bytes | None, int]:
    """Find an identification; the echo of what was asked is none."""
    text = strip_parity(data)
    if found := _IDENT.search(text):
        return data[found.start() : found.end()], found.end()
    return None, max(0, len(text) - ECHO)


def ident(data: bytes) -> Ident:
    """An identification. Raises DataError."""
    found = _IDENT.fullmatch(check_parity(data))
    if found is None:
        raise DataError(f"no identification of a meter: {data[:40].hex() or 'nothing'}")
    first, third, speed, text = (part.decode("ascii") for part in found.groups())
    return Ident(first + third, speed, text, third.islower())


def no_frame(data: bytes) -> tuple[bytes | None, int]:
    """Finds no frame, and leaves what came where it is: to let time pass on a line."""
    return None, 0


@dataclass(slots=True)
class Readout:
    """Takes in a readout piece by piece, from STX to the check character, however long it takes.

    `take` is a `Framer` that gives each piece as a frame, so whoever reads can give up on silence
    and need not know how long the whole will be. It raises DataError as soon as it cannot become
    right.
    """

    data: bytearray = field(default_factory=bytearray)
    whole: bool = False
    _ended: bool = False
    _skipped: int = 0

    def take(self, data: bytes) -> tuple[bytes | None, int]:
        """The next bytes: (what was taken, how many)."""
        text, at = strip_parity(data), 0
        if self._ended:  # only the check character was missing
            return self._close(data, 0)
        if not self.data:
            at = text.find(STX)
            self._skipped += len(data) if at < 0 else at
            if self._skipped > ECHO:
                raise DataError("noise instead of a readout: another speed than agreed?")
            if at < 0:
                return data, len(data)
        end = text.find(ETX, at)
        last = len(data) if end < 0 else end + 1
        if text.find(STX, at + (not self.data), last) >= 0:
            raise DataError("the readout starts again before its end")
        self.data += data[at:last]
        self._ended = end >= 0
        if len(self.data) > LIMIT:
            raise DataError(f"a readout of more than {LIMIT} bytes")
        return self._close(data, last) if self._ended else (data[:last], last)

    def _close(self, data: bytes, at: int) -> tuple[bytes, int]:
        self.data += data[at : at + 1]
        self.whole = at < len(data)
        return data[: at + 1], min(at + 1, len(data))


def readout(block: bytes) -> list[DataSet]:
    """The data sets of a readout from STX to the check character. Raises DataError."""
    text = check_parity(block)
    if len(text) < 6 or text[:1] != STX or text[-2:-1] != ETX:
        raise DataError(f"no readout: {block[:40].hex() or 'nothing'}")
    if bcc(text[1:-1]) != text[-1]:
        raise DataError("wrong check character: the readout was damaged")
    body = text[1:-2]
    if not body.endswith(b"!\r\n"):
        raise DataError("a readout without an end")
    found = parse_data_sets(body[:-3].decode("ascii"))
    if not found:
        raise DataError("a readout without values", Reason.STALE)
    return found


def command(frame: bytes) -> bytes:
    """A command of the programming mode, from SOH to the check character. Raises DataError."""
    text = check_parity(frame)
    if len(text) < 5 or text[:1] != SOH or text[-2:-1] != ETX or bcc(text[1:-1]) != text[-1]:
        raise DataError(f"no command: {frame[:40].hex() or 'nothing'}")
    return text[1:-2]


def fault(register: str) -> str:
    """What the error register F.F holds, "" while it holds nothing but zeros."""
    digits = register.strip()
    return digits[:32] if digits.strip("0") and digits.isalnum() else ""
