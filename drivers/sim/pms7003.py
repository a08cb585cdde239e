"""A simulated PMS7003: on the wire it is a PMS5003.

Source: Plantower PMS7003 datasheet, transport protocol.
"""

from typing import Final

from drivers.sim.pms5003 import FAULTS, Pms5003

__all__ = ["DEVICE", "FAULTS", "Pms7003"]


class Pms7003(Pms5003):
    """One sensor behind `port`; see `Plantower` for its faults."""


DEVICE: Final = Pms7003
