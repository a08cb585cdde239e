"""The window of a register that only grows: its first and last value, and its growth.

Growth is counted from the last good value before the window, so the growth of all windows adds up
to what the register did, over gaps and restarts. A register that goes back, or forward further
than the line can carry, is not believed until its next value agrees with it; then it was reset or
swapped: an event, and the step between the two registers is not counted. A single wild value that
the next one does not confirm is counted as uncertain and changes nothing. A value that is uncertain
or bad because of a gap is the first of another meter, which has told so: the register goes on from
there, or from its first value that is good. A value whose calibration has expired counts, and is
marked.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from edge.core.point import Point, Quantity
from edge.core.quality import GOOD, Quality, Reason, bad, uncertain
from edge.core.reading import Value
from edge.process import tally
from edge.process.step import Step, step_of

ENERGIES: Final = (Quantity.ENERGY, Quantity.REACTIVE_ENERGY, Quantity.APPARENT_ENERGY)
ANOTHER: Final = (uncertain(Reason.GAP), bad(Reason.GAP))
EXPIRED: Final = uncertain(Reason.CALIBRATION)
LIMIT: Final = 2**53
UNKNOWN_NS: Final = 31 * 86_400_000_000_000
"""How long a gap of unknown length is taken to be, when growth is checked."""
NS_W_PER_KWH: Final = 3.6e15


class Jump(NamedTuple):
    """A register that became another one, in steps."""

    at_ns: int
    before: int
    after: int
    reset: bool  # it began again near zero


class Total:
    """One register. `max_power_w` bounds the growth of energies; others may grow as they like."""

    __slots__ = (
        "_changed", "_first", "_grown", "_high", "_last", "_low", "_n", "_quality", "_rate",
        "_shown", "_sure", "_suspect", "_unit", "jumps", "step",
    )  # fmt: skip

    def __init__(self, point: Point, max_power_w: float) -> None:
        self.step = step_of(point.step)
        self._unit = point.step
        self._low = max(0, self.step.bound(point.low))
        self._high = min(LIMIT, self.step.bound(point.high))
        energy = point.quantity in ENERGIES
        self._rate = max_power_w / NS_W_PER_KWH * self.step.scale if energy else None
        self._last: int | None = None
        self._sure = True  # is it, or only what another meter said first
        # A coarse register stands still for long, then jumps: growth is measured against the time
        # since it last changed, not since it was last read.
        self._changed: int | None = None
        self._suspect: tuple[int, int] | None = None  # (steps, moment) not believed yet
        self.jumps: list[Jump] = []
        self.next()

    def next(self) -> None:
        """The next window begins."""
        self._first: int | None = None
        self._shown: int | None = None  # the last that counts
        self._n = self._grown = 0
        self._quality: tally.Tally = {}
        self.jumps = []

    def forget_time(self) -> None:
        """The clock began anew: the register stays, the moments are worth nothing."""
        self._changed = self._suspect = None

    def good(self, values: Sequence[Value | None], times: Sequence[int]) -> None:
        """Good values in the order in which they came, with their moments."""
        for value, at in zip(values, times, strict=True):
            self._take(value, at, tally.GOOD_WORD)

    def other(self, value: Value | None, quality: Quality, at_ns: int, *, late: bool) -> None:
        """One value of any quality. Good ones move the register, late and expired ones, too."""
        if quality in (GOOD, EXPIRED):
            self._take(value, at_ns, tally.GAP if late else tally.word(quality))
            return
        tally.count(self._quality, tally.word(quality))
        if quality in ANOTHER:
            self.another()
            self._last, self._changed = self._possible(value), at_ns

    def another(self) -> None:
        """It is the register of another meter: where it stands is not known yet."""
        self._last = self._changed = self._suspect = None
        self._sure = False

    def missing(self, count: int) -> None:
        """So many values were expected and nothing was heard of them."""
        tally.count(self._quality, tally.STALE, count)

    def body(self) -> dict[str, Any]:
        """What a record says of it."""
        told = total_body(
            self.step,
            self._unit,
            self._first,
            self._shown,
            self._grown if self._n else None,
        )
        told["quality"] = tally.added(self._quality, {})
        return told

    def state(self) -> list[Any]:
        """For a snapshot, between windows."""
        suspect = None if self._suspect is None else list(self._suspect)
        return [self._last, self._changed, suspect, self._sure]

    def load(self, state: Sequence[Any]) -> None:
        """Back from `state`, or from that of the version before, which was always sure."""
        last, changed, suspect, *sure = state
        self._last = None if last is None else int(last)
        self._changed = None if changed is None else int(changed)
        self._suspect = None if suspect is None else (int(suspect[0]), int(suspect[1]))
        self._sure = all(sure)
        self.next()

    def _take(self, value: Value | None, at: int, name: str) -> None:
        steps = self._possible(value)
        if steps is None:
            tally.count(self._quality, tally.BAD_RANGE)
            return
        last = self._last
        if last is None:
            self._last = steps
        elif self._follows(last, steps, self._changed, at):
            if steps > last:
                self._grown += steps - last
                self._last, self._changed = steps, at
            self._suspect = None
        elif not self._sure:  # another meter, which said something before it knew
            self._last, self._changed = steps, at
        else:
            suspect = self._suspect
            if suspect is None or not self._follows(suspect[0], steps, suspect[1], at):
                self._suspect = (steps, at)
                tally.count(self._quality, tally.DOUBT_RANGE)
                return
            self._swap(last, *suspect)
            self._grown += max(0, steps - suspect[0])
            self._last, self._changed = max(steps, suspect[0]), at
            self._suspect = None
        self._shown, self._sure = self._last, True
        if self._first is None:
            self._first = self._last
        self._n += 1
        tally.count(self._quality, name)

    def _possible(self, value: Value | None) -> int | None:
        """In steps, if a register can say so."""
        steps = self.step.whole(value)
        return steps if steps is not None and self._low <= steps <= self._high else None

    def _swap(self, before: int, after: int, at: int) -> None:
        # Begun again is what a reset looks like: hardly anything, or what can have come since.
        since = UNKNOWN_NS if self._changed is None else at - self._changed
        grown = 0 if self._rate is None or self._changed is None else int(since * self._rate)
        reset = after < before and (after * 100 <= before or after <= grown)
        self.jumps.append(Jump(at, before, after, reset))

    def _follows(self, before: int, steps: int, since: int | None, at: int) -> bool:
        """Can the register have come from `before` to `steps`?"""
        slack = 1 + (abs(before) >> 22)  # a float32 register may shake by its last bit
        if steps < before:
            return before - steps <= slack
        if self._rate is None:
            return True
        elapsed = UNKNOWN_NS if since is None else max(0, at - since)
        return steps - before <= int(elapsed * self._rate) + 2 * slack


def total_body(
    step: Step, unit: float, first: int | None, last: int | None, grown: int | None
) -> dict[str, Any]:
    """The record's form; all three are whole steps, told in the unit."""
    first_, last_, delta = (None if n is None else step.value(n) for n in (first, last, grown))
    return {"first": first_, "last": last_, "delta": delta, "step": unit}


def merged_total(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Two bodies as one, the earlier first. Associative bit for bit. Raises ValueError as above."""
    if a["step"] != b["step"]:
        raise ValueError("two steps in one point")
    step = step_of(a["step"])
    firsts, lasts, deltas = (
        [step.steps(each[key]) for each in (a, b) if each[key] is not None]
        for key in ("first", "last", "delta")
    )
    body = total_body(
        step,
        a["step"],
        firsts[0] if firsts else None,
        lasts[-1] if lasts else None,
        sum(deltas) if deltas else None,
    )
    body["quality"] = tally.added(a["quality"], b["quality"])
    return body
