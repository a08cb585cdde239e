"""Telegrams of the wired M-Bus as they go over the line: their forms, and who they are from.

Source: EN 13757-2 (link layer) and EN 13757-3 (selection), as rscada/libmbus and pyMeterBus have
them.
"""

from typing import Final

from drivers.chips._framers import filtered_framer
from edge.core import DataError, Framer

ACK: Final = b"\xe5"
SHORT, LONG, END = 0x10, 0x68, 0x16
SHELL: Final = 6  # bytes of a long frame around what its length counts
SND_NKE, SND_UD, REQ_UD2 = 0x40, 0x53, 0x5B
FCB: Final = 0x20  # frame count bit: turned round, it asks for the next telegram
SELECTED: Final = 0xFD  # the address of whoever was selected
SELECT: Final = 0x52
VARIABLE: Final = 0x72  # CI: records of any kind, low byte first
KIND, RSP_UD = 0x4F, 0x08  # of a control byte: direction and function; the answer with data


def short_frame(control: int, address: int) -> bytes:
    """A request without data."""
    return bytes((SHORT, control, address, (control + address) & 0xFF, END))


def long_frame(control: int, address: int, ci: int, data: bytes) -> bytes:
    """A telegram with data."""
    body = bytes((control, address, ci)) + data
    return bytes((LONG, len(body), len(body), LONG)) + body + bytes((sum(body) & 0xFF, END))


def select(secondary: str) -> bytes:
    """Select the meter with this number (8 digits; F stands for any), whatever its maker."""
    number = bytes.fromhex(secondary)[::-1]
    return long_frame(SND_UD, SELECTED, SELECT, number + b"\xff" * 4)


def parse_long(frame: bytes) -> tuple[int, int, int, bytes]:
    """Control, address, CI and data of a long frame. Raises DataError when it is damaged."""
    length = len(frame) - SHELL
    head = frame[:4] == bytes((LONG, length & 0xFF, length & 0xFF, LONG))
    if not 3 <= length <= 0xFF or not head or frame[-1] != END:
        raise DataError(f"no telegram of M-Bus: {frame[:64].hex() or 'nothing'}")
    if sum(frame[4:-2]) & 0xFF != frame[-2]:
        raise DataError(f"wrong sum in {frame.hex()}")
    return frame[4], frame[5], frame[6], frame[7:-2]


def is_request(frame: bytes) -> bool:
    """Whether it is a sound short frame."""
    if len(frame) != 5 or frame[0] != SHORT or frame[4] != END:
        return False
    return (frame[1] + frame[2]) & 0xFF == frame[3]


def next_ack(data: bytes) -> tuple[bytes | None, int]:
    """Find an acknowledgement, the single byte E5: a cut."""
    at = data.find(ACK)
    return (ACK, at + 1) if at >= 0 else (None, len(data))


def answer_framer(address: int, number: str = "", others: set[int] | None = None) -> Framer:
    """A cut that finds the telegram of this meter, or a damaged one; those of others it skips, and
    puts their addresses into `others`.

    Who was selected by its `number` (F stands for any digit) is known by that alone.
    """

    def mine(found: bytes) -> bool:
        if _belongs(found, address, number.upper()):
            return True
        if others is not None and found[4] & KIND == RSP_UD and found[5] != address:
            others.add(found[5])
        return False

    return filtered_framer(_next_frame, mine)


def _next_frame(data: bytes) -> tuple[bytes | None, int]:
    at = data.find(LONG)
    while at >= 0:
        rest = data[at : at + SHELL + 0xFF]
        known = rest[:4]
        like = known == bytes((LONG, *known[1:2] * 2, LONG))[: len(known)]
        if like and (len(known) < 2 or known[1] >= 3):
            if len(known) < 4 or len(rest) < SHELL + known[1]:
                return None, at
            size = SHELL + known[1]
            if rest[size - 1] == END:
                return rest[:size], at + size
        at = data.find(LONG, at + 1)
    return None, len(data)


def _belongs(found: bytes, address: int, number: str) -> bool:
    try:
        control, sender, ci, data = parse_long(found)
    except DataError:
        return True
    if ci == VARIABLE and number:
        pairs = zip(number, data[3::-1].hex().upper(), strict=False)
        if any(digit not in ("F", one) for digit, one in pairs):
            return False
    return control & KIND == RSP_UD and address in (sender, SELECTED)
