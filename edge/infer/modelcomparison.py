"""Counts where the flags of two models differ, row by row, with the last such moments."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from edge.infer.hysteresis import HysteresisFlag

LAST_DIFFERENCES: Final = 16  # disagreements that are kept
ROWS_LIMIT: Final = 1024  # rows that are known; further ones are left out

OnOff = tuple[float, float]


class ModelFlags(NamedTuple):
    """What one model says of one row: `up` raises its flag, `down` clears it."""

    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """From `at_ns` on the flags of this row differ."""

    at_ns: int
    row: str
    live: bool
    candidate: bool
    live_up: float
    candidate_up: float


class ModelComparison:
    """Two models over the same rows; each has flags by its own thresholds."""

    def __init__(self, live: OnOff, candidate: OnOff, quiet_s: float = 0.0) -> None:
        self._live, self._candidate, self._quiet_s = live, candidate, quiet_s
        self._flags: dict[str, tuple[HysteresisFlag, HysteresisFlag]] = {}
        self.samples = self.agree = 0
        self.only_live = self.only_candidate = 0  # samples in which just this flag is up
        self.on_live = self.on_candidate = 0  # times that a flag went on
        self._differ = 0.0
        self.last: deque[Disagreement] = deque(maxlen=LAST_DIFFERENCES)

    def row(
        self, at_ns: int, name: str, live: ModelFlags, candidate: ModelFlags, dt_s: float
    ) -> None:
        """One row in one window of `dt_s` seconds."""
        flags = self._flags.get(name)
        if flags is None:
            if len(self._flags) >= ROWS_LIMIT:
                return
            flags = (
                HysteresisFlag(*self._live, self._quiet_s),
                HysteresisFlag(*self._candidate, self._quiet_s),
            )
            self._flags[name] = flags
        one, two = flags
        apart = one.raised != two.raised
        self.on_live += one.step(*live, dt_s) == "on"
        self.on_candidate += two.step(*candidate, dt_s) == "on"
        self.samples += 1
        self._differ += abs(live.up - candidate.up)
        if one.raised == two.raised:
            self.agree += 1
            return
        self.only_live += one.raised
        self.only_candidate += two.raised
        if not apart:
            self.last.append(
                Disagreement(at_ns, name, one.raised, two.raised, live.up, candidate.up)
            )

    @property
    def difference(self) -> float | None:
        """Mean absolute difference of what raises flags."""
        return round(self._differ / self.samples, 4) if self.samples else None

    def report(self) -> dict[str, Any]:
        """Counts of samples and turns, and the mean absolute difference of what raises flags."""
        return {
            "samples": self.samples,
            "agree": self.agree,
            "only_live": self.only_live,
            "only_candidate": self.only_candidate,
            "on_live": self.on_live,
            "on_candidate": self.on_candidate,
            "difference": self.difference,
        }
