"""When to do what about a broker that cannot be reached. Pure: time comes with what was seen.

A link that is down by itself is left alone: no step here mends a cable. One that went down because
of our own step is not: else a modem that does not come back after a reconnect would never be reset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

LinkCarrier = Literal["up", "down", "no_carrier"]
LadderStep = Literal["reconnect", "modem", "power", "reboot", "held", "recovered"]

PATIENCE_S: Final = 600.0  # away for so long before the first step, and again after each
REPEAT_S: Final = 3600.0  # from the last step to the first one again
CALM_S: Final = 300.0  # connected for so long: the trouble is over
GAP_S: Final = 60.0  # more between two looks proves nothing: this process may have stood still


@dataclass(frozen=True, slots=True)
class LinkObservation:
    """One look. `broker_connected` is None when nobody can say: the daemon does not run."""

    mono_s: float
    link: LinkCarrier
    broker_connected: bool | None


@dataclass(frozen=True, slots=True)
class DueStep:
    """A step, and why. `held` and `recovered` are reported; there is nothing to do for them."""

    step: LadderStep
    why: str


class RecoveryLadder:
    """Climbs one step after the other while the trouble lasts.

    `steps` are those that this box can do. The reboot comes up to `spread_s` later: the boxes of
    a city whose broker is away should not all be blind in the same minute.
    """

    def __init__(self, steps: Sequence[LadderStep], spread_s: float = 0.0) -> None:
        self.steps = tuple(steps)
        self.away_s = 0.0
        self.rung = 0
        self._spread_s = spread_s
        self._calm_s = 0.0
        self._last: LinkObservation | None = None
        self._ours = False
        self._backoff_s = 0.0  # a full ladder is behind us

    def look(self, observed: LinkObservation, may_reboot: bool) -> DueStep | None:
        """What is due now. Each step is given once; done or not, the next one waits its time."""
        last, self._last = self._last, observed
        passed_s = 0.0 if last is None else min(max(0.0, observed.mono_s - last.mono_s), GAP_S)
        if observed.link == "up":
            self._ours = False
        if observed.broker_connected:
            return self._good(passed_s if last is not None and last.broker_connected else 0.0)
        self._calm_s = 0.0
        if observed.link == "no_carrier" or (observed.link == "down" and not self._ours):
            self.away_s = 0.0  # once it is up, the daemon gets its full time to connect
            return None
        if observed.broker_connected is None or last is None or last.broker_connected is not False:
            return None  # the time stands still
        self.away_s += passed_s
        return self._climb(may_reboot) if self.away_s >= self._wait_s() else None

    def _wait_s(self) -> float:
        if self._backoff_s:
            return self._backoff_s
        spread_s = self._spread_s if self.rung < len(self.steps) and self._next == "reboot" else 0.0
        return PATIENCE_S + spread_s

    @property
    def _next(self) -> LadderStep:
        return self.steps[self.rung]

    def _climb(self, may_reboot: bool) -> DueStep | None:
        if not self.steps:
            return None
        away_s, self.away_s, self._backoff_s = self.away_s, 0.0, 0.0
        step = self._next
        self.rung += 1
        if self.rung == len(self.steps):
            self.rung, self._backoff_s = 0, REPEAT_S
        why = f"no broker for {away_s / 60:.0f} min although the link is reported as up"
        if step == "reboot" and not may_reboot:
            return DueStep("held", f"{why}; a reboot is due, but there was one within a day")
        self._ours = step != "reboot"
        return DueStep(step, why)

    def _good(self, passed_s: float) -> DueStep | None:
        self.away_s = 0.0
        self._calm_s += passed_s
        if self._calm_s < CALM_S or not (self.rung or self._backoff_s):
            return None
        done = self.steps[self.rung - 1]
        self.rung, self._backoff_s = 0, 0.0
        return DueStep("recovered", f"a broker is connected again; the last step was {done}")
