"""A simulated PMS5003T: a PMS5003 with temperature and humidity in place of the largest sizes.

Source: Plantower PMS5003T datasheet, transport protocol; driver avaldebe/PyPMS.
"""

from typing import ClassVar, Final

from drivers.sim._plantower import FAULTS, Plantower, WordLayout

__all__ = ["DEVICE", "FAULTS", "FORM", "Pms5003t"]

NUMBER: Final = ("n0_3", "n0_5", "n1_0", "n2_5")
FORM: Final = WordLayout((*((key, 100) for key in NUMBER), ("temperature", 10), ("humidity", 10)))


class Pms5003t(Plantower):
    """One sensor behind `port`; see `Plantower` for its faults."""

    FORM: ClassVar[WordLayout] = FORM


DEVICE: Final = Pms5003t
