"""A flag with hysteresis: when it goes on, when it goes off, and how it is said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FlagTurn = Literal["on", "off"]


@dataclass(slots=True)
class HysteresisFlag:
    """On at `on` and above; off when the level was at most `off` for `quiet_s`.

    The gap between the two is wider than models differ between machines (0.002).
    """

    on: float
    off: float
    quiet_s: float = 0.0
    raised: bool = False
    low_s: float = 0.0
    hold_s: float = 0.0  # so long a low level proves nothing: who gives it has just begun to watch

    def step(self, up: float, down: float, dt_s: float) -> FlagTurn | None:
        """`up` raises the flag, `down` clears it (for most flags the same number)."""
        if not self.raised:
            if up >= self.on:
                self.put(True)
                return "on"
            return None
        if down > self.off:
            self.low_s = self.hold_s = 0.0
        elif self.hold_s > 0.0:
            self.hold_s = max(0.0, self.hold_s - dt_s)
        else:
            self.low_s += dt_s
        if self.low_s > 0.0 and self.low_s >= self.quiet_s:
            self.put(False)
            return "off"
        return None

    def drop(self) -> FlagTurn | None:
        """Nothing is known any more: a flag that was raised goes off."""
        was = self.raised
        self.put(False)
        return "off" if was else None

    def put(self, raised: bool, low_s: float = 0.0, hold_s: float = 0.0) -> None:
        """Say how it is, without a turn."""
        self.raised, self.low_s, self.hold_s = raised, low_s, hold_s

    def hold(self, for_s: float) -> None:
        """Whoever judges now does not know what raised it: no low level counts for so long."""
        if self.raised:
            self.low_s, self.hold_s = 0.0, for_s
