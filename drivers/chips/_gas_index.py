"""Sensirion's gas index algorithm, where it is installed: raw ticks in, an index from 1 to 500 out.

Source: Sensirion/gas-index-algorithm, PyPI sensirion-gas-index-algorithm 3.2.2 (BSD-3). It is a C
extension without wheels, so it is imported by who needs it only.
"""

import struct
from importlib import import_module
from typing import Any, Final

from edge.core import ConfigError

NOTHING: Final = 0  # fed where there is no raw value: it keeps the time and repeats the last one
MISSING: Final = (
    "the gas index algorithm is not installed: pip install sensirion-gas-index-algorithm"
    " (it is compiled on this machine: a C compiler and the headers of Python are needed)"
)
STATE: Final = struct.Struct(">ii")  # mean and deviation of the raw ticks
TICKS: Final = 32767  # the algorithm calculates with this many above its lowest raw value


class GasIndex:
    """One algorithm, `gas` is voc or nox. It is to be fed once a second.

    Building one raises ConfigError where the algorithm is not installed.
    """

    def __init__(self, gas: str) -> None:
        try:
            module: Any = import_module(f"sensirion_gas_index_algorithm.{gas}_algorithm")
        except ImportError as error:
            raise ConfigError(MISSING) from error
        self._algorithm = getattr(module, f"{gas.title()}Algorithm")()
        self.fed = 0
        self.index = 0  # the latest; 0 while it has none, in its first 45 s

    def feed(self, ticks: int) -> int:
        """One second's raw value (0..65535); NOTHING when it could not be had. Gives the index."""
        self.index = self._algorithm.process(ticks)
        self.fed += 1
        return self.index

    def snapshot(self) -> bytes:
        """What it has learnt: mean and deviation of the raw ticks, as STATE packs them."""
        return STATE.pack(*self._algorithm.get_states())

    def restore(self, state: bytes) -> bool:
        """Back from `snapshot`, before the first feed. False for a state that cannot be."""
        if len(state) != STATE.size:
            return False
        mean, deviation = STATE.unpack(state)
        if not (0 < mean <= TICKS and 0 < deviation <= TICKS):
            return False
        self._algorithm.set_states(mean, deviation)
        return True
