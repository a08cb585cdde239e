"""A flag with hysteresis: when it goes on, when it goes off, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Turn = Literal["on", "off"]


@dataclass(slots=True)
class Flag:
    """On at `on` and above; off when the level was at most `off` for `quiet_s`.

    The gap between the two is wider than models differ between machines (0.002).
    """

    on: float
    off: float
    quiet_s: float = 0.0
    raised: bool = False
    low_s: float = 0.0

    def step(self, up: float, down: float, dt_s: float) -> Turn | None:
        """`up` raises the flag, `down` clears it (for most flags the same number)."""
        if not self.raised:
            if up >= self.on:
                self.raised, self.low_s = True, 0.0
                return "on"
            return None
        self.low_s = self.low_s + dt_s if down <= self.off else 0.0
        if self.low_s > 0.0 and self.low_s >= self.quiet_s:
            self.raised = False
            return "off"
        return None

    def drop(self) -> Turn | None:
        """Nothing is known any more: a flag that was raised goes off."""
        was, self.raised = self.raised, False
        return "off" if was else None
