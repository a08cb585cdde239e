"""Values as whole steps of a point's resolution: sums are exact, however they are grouped."""

from dataclasses import dataclass
from fractions import Fraction
from math import isfinite
from typing import Final

from edge.core.reading import Value

STEPS_LIMIT: Final = 2**80
WIRE_LIMIT: Final = 2**63
"""Integers from here on fit neither msgpack nor most readers."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A resolution as a fraction `num / den` of the unit; `scale` is its inverse as a float."""

    num: int
    den: int
    scale: float
    digits: int  # decimals of a mean: two more than the step has

    def value(self, steps: int) -> float:
        """Back into the unit, correctly rounded: equal steps give equal bits."""
        return steps * self.num / self.den

    def steps(self, value: float) -> int:
        """The nearest whole number of steps. Raises ValueError or OverflowError if not finite."""
        return round(value * self.scale)

    def whole(self, value: Value | None) -> int | None:
        """The same for what may be anything; None for what is no finite number."""
        if not isinstance(value, (int, float)):
            return None
        try:
            return self.steps(value)
        except (ValueError, OverflowError):
            return None

    def bound(self, value: float) -> int:
        """A limit of a range; an open one is far beyond every limit."""
        return (
            self.steps(value) if isfinite(value) else (STEPS_LIMIT if value > 0 else -STEPS_LIMIT)
        )

    def mean(self, total: int, count: int) -> float:
        """The mean of `count` values that add up to `total` steps."""
        return round(total * self.num / (self.den * count), self.digits)


def resolution_of(resolution: float | Fraction) -> Resolution:
    """The step for a resolution, which is read as the decimal that a person wrote (0.1 is 1/10)."""
    exact = resolution if isinstance(resolution, Fraction) else Fraction(str(resolution))
    if exact <= 0:
        raise ValueError(f"{resolution} is no resolution")
    decimals = next((n for n in range(7) if (exact * 10**n).denominator == 1), 7)
    return Resolution(
        exact.numerator, exact.denominator, exact.denominator / exact.numerator, decimals + 2
    )
