"""The state of one loop: sound, or one fault; slow to change its mind, so that people can act."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

from edge.infer.hysteresis import FlagTurn

LEARNED_FAULTS: Final = (
    "stuck_on",
    "stuck_off",
    "chatter",
    "breakup",
    "crosstalk",
    "undercount",
    "splashover",
    "mismatch",
    "swapped",
)
"""What a model can find wrong with a loop. Its columns are `sound`, then these."""
WIDTH: Final = 1 + len(LEARNED_FAULTS)
FAULTS: Final = (*LEARNED_FAULTS, "never_active", "inverted", "late_release")
"""All that can be wrong with a loop: the last ones are found by rules alone."""
OLDEST: Final = 12
"""Probabilities that 0.2.0 kept: later versions know more faults, which come last."""
COUNT_FAULTS: Final = ("mismatch", "swapped")
"""Of these loops the count is right."""
LOUD_FAULTS: Final = ("stuck_on", "chatter", "inverted")
"""Such a loop is active, and no vehicle need be there."""
DEAD_FAULT: Final = (
    "stuck_off"  # said only of a silence that no sound loop has: no other fault has it
)
SMOOTH_S: Final = 45.0  # what the model says of one slot is smoothed with this time constant
QUIET_S: Final = 300.0  # of sound traffic before a fault is over,
SETTING_QUIET_S: Final = 1800.0  # or one of COUNT_FAULTS: how a pair is set does not come and go
UNCERTAIN_BELOW: Final = 0.05  # a score from which on a loop is in doubt
LONG_S: Final = 1e8


def over_s(fault: str | None) -> float:
    """How much sound traffic ends it."""
    return SETTING_QUIET_S if fault in COUNT_FAULTS else QUIET_S


def without_faults(p: Sequence[float], faults: Iterable[str]) -> list[float]:
    """Probabilities of which those of `faults` count as `sound`."""
    out = list(p)
    for fault in faults:
        at = 1 + FAULTS.index(fault)
        out[0] += out[at]
        out[at] = 0.0
    return out


class LoopFlag:
    """Goes on when one kind's smoothed probability reaches `on`, off after minutes of traffic.

    `score` is the smoothed probability that the loop is not to be believed; `doubt_s` is for how
    long it has been in doubt.
    """

    __slots__ = ("doubt_s", "fault", "low_s", "off", "on", "since_ns", "smooth")

    def __init__(self, on: float, off: float) -> None:
        self.on, self.off = on, off
        self.smooth = [1.0] + [0.0] * len(FAULTS)
        self.fault: str | None = None
        self.since_ns: int | None = None
        self.low_s = self.doubt_s = 0.0

    @property
    def score(self) -> float:
        return min(1.0, max(0.0, 1.0 - self.smooth[0]))

    def step(
        self,
        p: Sequence[float],
        end_ns: int,
        dt_s: float,
        *,
        traffic: bool,
        at_once: bool,
        over: bool = False,
        quiet_s: float = QUIET_S,
    ) -> FlagTurn | None:
        """One slot. `traffic`: vehicles came; a silent loop proves nothing about itself.

        `p` is of `sound` and of each of FAULTS, or of LEARNED_FAULTS only: a model knows no others.
        `at_once`: it is a rule's, which has waited already. `over`: it takes the place of another
        fault, which goes on without having gone off: one fault is up at a time. So does DEAD_FAULT.
        `quiet_s` of sound traffic end what is up.
        """
        share = 1.0 if at_once else 1.0 - math.exp(-dt_s / SMOOTH_S)
        whole = zip_longest(self.smooth, p, fillvalue=0.0)
        self.smooth = [old + share * (now - old) for old, now in whole]
        score = self.score
        self.doubt_s = min(LONG_S, self.doubt_s + dt_s) if score > UNCERTAIN_BELOW else 0.0
        most = max(self.smooth[1:])
        if most >= self.on:
            found = FAULTS[self.smooth.index(most, 1) - 1]
            another = found == DEAD_FAULT or over or self.fault is None
            if another and found != self.fault:
                self.fault, self.since_ns, self.low_s = found, end_ns, 0.0
                return "on"
        if self.fault is None:
            return None
        if score > self.off:
            self.low_s = 0.0
        elif traffic:
            self.low_s += dt_s
        if self.low_s < quiet_s:
            return None
        self.fault, self.since_ns, self.low_s = None, None, 0.0
        return "off"

    def put_down(self) -> None:
        """It is known to be over; nothing is reported."""
        self.fault, self.since_ns, self.low_s, self.doubt_s = None, None, 0.0, 0.0
        self.smooth = [1.0] + [0.0] * len(FAULTS)

    def snapshot(self) -> list[Any]:
        """JSON-like. Zeros of kinds that 0.2.0 did not know are left out."""
        smooth = [round(v, 4) for v in self.smooth]
        while len(smooth) > OLDEST and not smooth[-1]:
            smooth.pop()
        return [smooth, self.fault, self.since_ns, self.low_s, self.doubt_s]

    def restore(self, saved: Sequence[Any], *, same_model: bool) -> None:
        """Back from `snapshot`. What another model smoothed is left out; what it raised stays up.

        Raises TypeError or ValueError for what is no snapshot.
        """
        smooth, fault, since_ns, low_s, doubt_s = saved
        smooth = [float(v) for v in smooth]
        if not OLDEST <= len(smooth) <= 1 + len(FAULTS) or not all(0.0 <= v <= 1.0 for v in smooth):
            raise ValueError(f"not {1 + len(FAULTS)} probabilities: {smooth!r}")
        smooth += [0.0] * (1 + len(FAULTS) - len(smooth))
        if fault is not None and fault not in FAULTS:
            raise ValueError(f"no such fault: {fault!r}")
        self.fault = fault
        self.since_ns = None if fault is None else int(since_ns)
        self.low_s = min(over_s(fault), max(0.0, float(low_s)))
        self.doubt_s = min(LONG_S, max(0.0, float(doubt_s)))
        if same_model:
            self.smooth = smooth
        else:
            self.anew()

    def anew(self) -> None:
        """Another model speaks from now on: nothing is smoothed, and what is up stays up."""
        self.smooth, self.low_s = [1.0] + [0.0] * len(FAULTS), 0.0
        if self.fault is not None:
            self.smooth[0], self.smooth[1 + FAULTS.index(self.fault)] = 1.0 - self.on, self.on
