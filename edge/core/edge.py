"""What a GPIO line gives: electrical edges, and contacts, which are what a driver makes of them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

Bias = Literal["none", "up", "down"]


@dataclass(frozen=True, slots=True)
class LineSpec:
    """How a line is to be opened. `debounce_s` > 0 asks the kernel; loop lines never do."""

    line: str  # offset, GPIO<offset> or the name in the device tree
    bias: Bias = "none"
    debounce_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Edge:
    """One change of one line, stamped by the kernel (CLOCK_MONOTONIC).

    `seqno` counts from 1 at each request of the line; `lost` edges came before this one and
    did not fit in the kernel's buffer. `seqno` 0 is no edge: the level found at opening.
    """

    line: str
    high: bool
    mono_ns: int
    seqno: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Contact:
    """An edge as its line means it: `on` is occupied, closed, pulse. Polarity is gone."""

    source: str  # the name of the device in the configuration
    on: bool
    mono_ns: int
    lost: int = 0
    initial: bool = False  # the level found at opening, not a change


class ContactLine(NamedTuple):
    """What the edges of one line mean: whose contact it is, and whether `high` is on."""

    source: str
    on_high: bool

    def contact(self, edge: Edge) -> Contact:
        """The first edge of a line, without a number, is how it was found."""
        on = edge.high is self.on_high
        return Contact(self.source, on, edge.mono_ns, edge.lost, edge.seqno == 0)
