"""Inductive loop by contact closure: the output of a loop detector card on a GPIO line.

The card closes its contact while a vehicle is over the loop (presence mode) or for 125 ms at its
arrival (pulse mode); most cards switch to ground, so the line is low while occupied. Outputs are
fail-safe: a card that has lost its power or its loop, or has failed, closes the contact and holds
it. So a dead card looks like constant presence, never like an empty road. A card with normally open
contacts goes silent instead; only the missing traffic shows it. The kernel must not debounce the
line: edges would get times that are late and coarse (jiffies), an error of 3 % of speed at 120
km/h. The gateway removes bounce and keeps the first edge. A loop for bicycles is shorter, on a card
set to a higher sensitivity; on the wire there is no other difference. Set `kind` in its lane.

Source: NTCIP 1209, transportation sensor systems (output mode: pulse of 125 ms +- 25 ms, or
presence; fail-safe mode of each output).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from edge.core import Bias, LineSpec


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop on one line. `active` is the level while occupied; `bias` the pull resistor.

    A dry contact to ground wants `bias = "up"`; an opto-coupler module brings its own resistor.
    """

    line: str
    active: Literal["low", "high"] = "low"
    bias: Bias = "none"

    @property
    def lines(self) -> Sequence[LineSpec]:
        return (LineSpec(self.line, self.bias),)


DRIVER: Final = Loop
