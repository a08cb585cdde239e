"""Plantower PMS7003: particulate matter, UART, sends without being asked; same frames as a PMS5003.

Source: Plantower PMS7003 datasheet, transport protocol in active mode; drivers avaldebe/PyPMS,
ESPHome pmsx003. Its laser runs all the time; the datasheet gives it three years on average.
"""

from dataclasses import dataclass
from typing import Final

from drivers.chips.pms5003 import Pms5003, explain

__all__ = ["DRIVER", "Pms7003", "explain"]


@dataclass(slots=True)
class Pms7003(Pms5003):
    """One sensor. `settle_reads` readings after a start are uncertain."""


DRIVER: Final = Pms7003
