"""A simulated SEN55: the other side of the I2C wire of `drivers/chips/sen55.py`.

Source: Sensirion SEN5x datasheet; VOC index 0 in the first 45 s: Sensirion gas index algorithm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from drivers.sim._sensirion import RESET, STOP, Sensirion, Values, flip

__all__ = ["CHIP", "Sen55", "Values", "flip"]

LAYOUT: Final = (  # point, counts in one unit, signed
    ("pm1_0", 10, False),
    ("pm2_5", 10, False),
    ("pm4_0", 10, False),
    ("pm10", 10, False),
    ("humidity", 100, True),
    ("temperature", 200, True),
    ("voc_index", 10, True),
    ("nox_index", 10, True),
)
NOX_S: Final = 10.5  # unknown for so long after power-on
VOC_S: Final = 45.0


@dataclass
class Sen55(Sensirion):
    """One module at 0x69; see `Sensirion` for its faults."""

    START: ClassVar[bytes] = b"\x00\x21"
    READ: ClassVar[int] = 0x03C4
    DELAYS: ClassVar[Mapping[int, float]] = {0x0021: 0.05, STOP: 0.16, RESET: 0.1}
    DELAY_S: ClassVar[float] = 0.02

    def encode(self, sample: Mapping[str, float]) -> bytes:
        """Counts, clamped below the words that mean unknown."""
        powered_s = self.clock() - self._powered_at
        early = {"nox_index"} if powered_s < NOX_S else set()
        words = []
        for key, scale, signed in LAYOUT:
            limit = 0x7FFF if signed else 0xFFFF
            value = sample.get(key)
            if value is None or key in early:
                count = limit
            elif key == "voc_index" and powered_s < VOC_S:
                count = 0
            else:
                count = max(-limit if signed else 0, min(limit - 1, round(value * scale)))
            words.append(count.to_bytes(2, signed=signed))
        return b"".join(words)


CHIP: Final = Sen55
