"""A simulated PMS3003: it talks by itself and obeys nothing.

Source: Plantower PMS3003 datasheet, transport protocol; driver avaldebe/PyPMS. What stands in the
three reserved words is not known: here it is never zero.
"""

from typing import ClassVar, Final

from drivers.sim._plantower import FAULTS as ALL
from drivers.sim._plantower import Plantower, WordLayout

FAULTS: Final = tuple(fault for fault in ALL if fault != "error")  # it has no code for it
FORM: Final = WordLayout((), reserved=(0x1234, 0x0ABC, 0x0021), errors=False, obeys=False)


class Pms3003(Plantower):
    """One sensor behind `port`; see `Plantower` for its faults."""

    faults_known = FAULTS
    FORM: ClassVar[WordLayout] = FORM


DEVICE: Final = Pms3003
