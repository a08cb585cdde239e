"""A simulated PMS5003: it talks by itself, and obeys the few commands it has.

Source: Plantower PMS5003 datasheet, transport protocol.
"""

from collections.abc import Mapping
from typing import ClassVar, Final

from drivers.sim._plantower import FAULTS, Plantower, Values, WordLayout

__all__ = ["DEVICE", "FAULTS", "FORM", "Pms5003", "Values", "encode_frame"]

NUMBER: Final = ("n0_3", "n0_5", "n1_0", "n2_5", "n5_0", "n10")  # 1/cm3; on the wire in 0.1 litre
FORM: Final = WordLayout(tuple((key, 100) for key in NUMBER))


class Pms5003(Plantower):
    """One sensor behind `port`; see `Plantower` for its faults."""

    FORM: ClassVar[WordLayout] = FORM


def encode_frame(values: Mapping[str, float], error: int = 0) -> bytes:
    """One frame. Without values it is the frame of zeros of a sensor that starts."""
    return FORM.frame(values, error)


DEVICE: Final = Pms5003
