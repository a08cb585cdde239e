"""Registers in which a meter says which model it is: what tells apart maps that look alike.

Source: Carlo Gavazzi EM24, EM300/ET300 protocols (identification code) and
victronenergy/dbus-modbus-client carlo_gavazzi.py; the same project's abb.py for ABB; Schneider
DOCA0157EN (meter model). What is in the register of any other meter counts for nothing.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ModelMark:
    """`words` holding registers from `address` on: one of the numbers, or text that begins so."""

    address: int
    words: int
    numbers: tuple[int, ...] = ()
    text: tuple[bytes, ...] = ()

    def fits(self, data: bytes) -> bool:
        """Whether this is the mark of the model."""
        return int.from_bytes(data) in self.numbers or data.startswith(self.text or (b"\0" * 99,))


MARKS: Final = {
    "em24": ModelMark(0x000B, 1, (71, 72, 73)),
    "em340": ModelMark(0x000B, 1, (*range(330, 337), 340, 341, 345, 346)),
    "em24_e1": ModelMark(0x000B, 1, tuple(range(1648, 1654))),
    "b23": ModelMark(0x8960, 2, text=(b"B21 ", b"B23 ", b"B24 ")),
    "iem3000": ModelMark(0x0031, 20, text=(b"iEM3",)),
}
