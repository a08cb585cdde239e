"""A simulated ADS1115 whose inputs are used in pairs; see `drivers/sim/ads1115.py`.

It answers the same. The values are the differences `ain0_1` and `ain2_3` in V; a pin in each pair
is held at 1 V, so that both signs fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from drivers.sim.ads1115 import FAULTS, Ads1115, Values

__all__ = ["CHIP", "FAULTS", "Ads1115Pairs"]

COMMON_V: Final = 1.0


@dataclass
class Ads1115Pairs(Ads1115):
    """One chip at 0x48; see `Ads1115` for its faults."""

    def __post_init__(self) -> None:
        Ads1115.__post_init__(self)
        given: Values = self.values

        def pins(at: float) -> Mapping[str, float]:
            found = given(at) if callable(given) else given
            return {
                "ain0": COMMON_V + found.get("ain0_1", 0.0),
                "ain1": COMMON_V,
                "ain2": COMMON_V + found.get("ain2_3", 0.0),
                "ain3": COMMON_V,
            }

        self.values = pins


CHIP: Final = Ads1115Pairs
