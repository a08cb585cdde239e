"""The window of a register that only grows: its first and last value, and its growth.

Growth is counted from the last good value before the window, so the growth of all windows adds up
to what the register did, over gaps and restarts. A register that goes back, or forward further
than it can, is not believed until its next value agrees with it; then it was reset or swapped: an
event, and the step between the two registers is not counted. A single wild value that the next one
does not confirm is counted as uncertain and changes nothing; but one that comes again and again is
another register under the same name (two devices with one address), and then neither is believed.
A value that is uncertain or bad because of a gap is the first of another meter, which has told so:
the register goes on from there, or from its first value that is good. Where the past is in doubt
the next value is uncertain because of a gap, and growth up to it is counted so, or not at all.
A value whose calibration has expired counts, and is marked.

A register stands still for long, then jumps: growth is measured against the time since it last
changed, and more than can have come since it was last heard has to be said twice. Before its first
change that is the time since it was first seen, or one count of a coarse register. One that is
refreshed but once a day may bring more with its first change: that is no growth, as what was before
it was first seen is none.
"""

from collections.abc import Sequence
from math import gcd
from typing import Any, Final, Literal, NamedTuple

from edge.core.point import Point
from edge.core.quality import GOOD, Quality, Reason, bad, uncertain
from edge.core.reading import Value
from edge.process import qualitycounts
from edge.process.resolution import Resolution, resolution_of
from edge.wire.contract.points import Total

OTHER_DEVICE: Final = (uncertain(Reason.GAP), bad(Reason.GAP))
EXPIRED: Final = uncertain(Reason.CALIBRATION)
LIMIT: Final = 2**53
UNKNOWN_NS: Final = 31 * 86_400_000_000_000
"""How long a gap of unknown length is taken to be, when growth is checked."""
HOUR_NS: Final = 3_600_000_000_000
LATE_SAMPLE_NS: Final = 5_000_000_000  # an answer may have been so long on its way
REFRESHED_NS: Final = 24 * HOUR_NS  # the longest that a register is known to lag behind its meter
RETURNS: Final = 3  # so often another register came back: then there are two
RETURN_NS: Final = 2 * HOUR_NS  # within which it has to come back each time
APART_NS: Final = HOUR_NS // 2  # of registers closer than this one may have grown to the other
GONE_AFTER_NS: Final = HOUR_NS  # of two registers one has gone, when the other one stayed so long


class RegisterJump(NamedTuple):
    """A register that became another one, in steps."""

    at_ns: int
    before: int
    after: int
    kind: Literal["reset", "swap", "reversed"]  # near zero; another one; counted the other way


class RegisterWindow:
    """One register. `an_hour` bounds its growth; None: it may grow as it likes."""

    __slots__ = (
        "_changed", "_first", "_grown", "_heard", "_high", "_last", "_low", "_n", "_other",
        "_past", "_quality", "_rate", "_returns", "_seen", "_shown", "_sure", "_suspect", "_unit",
        "_was", "jumps", "step",
    )  # fmt: skip

    def __init__(self, point: Point, an_hour: float | None) -> None:
        self.step = resolution_of(point.step)
        self._unit = point.step
        self._low = max(0, self.step.bound(point.low))
        self._high = min(LIMIT, self.step.bound(point.high))
        self._rate = None if an_hour is None else an_hour / HOUR_NS * self.step.scale
        self._last: int | None = None
        self._sure = True  # is it, or only what another meter said first
        self._seen: int | None = None  # when it was first seen
        self._changed: int | None = None  # when it last changed
        self._heard: int | None = None  # when it was last believed
        self._suspect: tuple[int, int] | None = None  # (steps, moment) not believed yet
        self._other: tuple[int, int] | None = None  # of a register that was left, or not believed
        self._returns = 0  # how often it came back
        self._was: int | None = None  # its last value before it was counted the other way round
        self._past = False  # is what it grew from in doubt
        self.jumps: list[RegisterJump] = []
        self.next()

    def next(self) -> None:
        """The next window begins."""
        self._first: int | None = None
        self._shown: int | None = None  # the last that counts
        self._n = self._grown = 0
        self._quality: qualitycounts.QualityCounts = {}
        self.jumps = []

    def forget_time(self) -> None:
        """The clock began anew: the register stays, the moments are worth nothing."""
        self._seen = self._changed = self._heard = self._suspect = self._other = None
        self._returns = 0

    @property
    def growth(self) -> float | None:
        """In the unit, in the open window; None without a value."""
        return self.step.value(self._grown) if self._n else None

    @property
    def doubled(self) -> bool:
        """Are there two registers under its name?"""
        return self._returns >= RETURNS

    def reverse(self, state: Sequence[Any]) -> None:
        """It is counted the other way round now: begin anew; `state` is that of before."""
        was = state[0] if state[0] is not None else state[7]
        self._was = _whole_or_none(was)

    def mark_uncertain(self) -> None:
        """A neighbour contradicts it: what was good in this window is uncertain."""
        qualitycounts.mark_contradicted(self._quality)

    def good(self, values: Sequence[Value | None], times: Sequence[int]) -> None:
        """Good values in the order in which they came, with their moments."""
        for value, at in zip(values, times, strict=True):
            self._take(value, at, qualitycounts.GOOD_WORD)

    def other(self, value: Value | None, quality: Quality, at_ns: int, *, late: bool) -> None:
        """One value of any quality. Good ones move the register, late and expired ones, too."""
        if quality in (GOOD, EXPIRED):
            self._take(
                value,
                at_ns,
                qualitycounts.UNCERTAIN_GAP if late else qualitycounts.quality_word(quality),
            )
            return
        qualitycounts.add_count(self._quality, qualitycounts.quality_word(quality))
        if quality in OTHER_DEVICE:
            self.swap()
            self._last, self._changed = self._possible(value), at_ns

    def swap(self) -> None:
        """It is the register of another meter: where it stands is not known yet."""
        self._last = None
        self.forget_time()
        self._sure = False

    def doubt_past(self, *, older: bool) -> None:
        """Its state may be one of before. `older`: it certainly is, so what it has grown since then
        was counted already, as far as it was heard."""
        if older:
            self.swap()
        self._past = True

    def missing(self, count: int) -> None:
        """So many values were expected and nothing was heard of them."""
        qualitycounts.add_count(self._quality, qualitycounts.BAD_STALE, count)

    def body(self) -> Total:
        """What a record says of it."""
        return register_body(
            self.step,
            self._unit,
            self._first,
            self._shown,
            self._grown if self._n else None,
            qualitycounts.sum_counts(self._quality, {}),
        )

    def snapshot(self) -> list[Any]:
        """For a snapshot, between windows."""
        suspect = None if self._suspect is None else list(self._suspect)
        other = None if self._other is None else list(self._other)
        return [
            self._last, self._changed, suspect, self._sure, self._seen, other, self._returns,
            self._was, self._past,
        ]  # fmt: skip

    def restore(self, state: Sequence[Any]) -> None:
        """Back from `snapshot`."""
        last, changed, suspect, sure, seen, other, returns, was, past = state
        self._last, self._changed = _whole_or_none(last), _whole_or_none(changed)
        self._suspect, self._other = _moment(suspect), _moment(other)
        self._sure, self._seen, self._past = bool(sure), _whole_or_none(seen), bool(past)
        self._returns, self._was, self._heard = int(returns), _whole_or_none(was), None
        self.next()

    def _take(self, value: Value | None, at: int, name: str) -> None:
        steps = self._possible(value)
        if steps is None:
            qualitycounts.add_count(self._quality, qualitycounts.BAD_RANGE)
            return
        last, returned = self._last, self._other is not None and self._returned(steps, at)
        if last is None:
            self._begin(steps, at)
        elif not returned and (steps == last or self._goes_on(last, steps, at)):
            if steps > last:
                if self._sudden(last, steps, at):
                    self._suspect = (steps, at)
                    qualitycounts.add_count(self._quality, self._doubtful)
                    return
                if self._suspect is not None and self._agrees(self._suspect, steps, at):
                    self._suspect = None  # it was right
                if self._other is not None and self._nearer(self._other, steps, at):
                    self._other = (last, at)  # should it fall back, then to here
                self._grown += steps - last
                self._last, self._changed = steps, at
            elif self._changed is None and self._seen is None:
                self._seen = at
            if self._suspect is not None:
                self._other, self._suspect = self._suspect, None
        elif not self._sure:  # another meter, which said something before it knew
            self._last, self._changed = steps, at
        else:
            suspect = self._suspect
            if returned:
                self._other = (steps, at)
                self._returns += suspect is None
            if suspect is None or not self._agrees(suspect, steps, at):
                self._suspect = (steps, at)
                qualitycounts.add_count(self._quality, self._doubtful)
                return
            if self.doubled and at - suspect[1] < GONE_AFTER_NS:
                qualitycounts.add_count(self._quality, self._doubtful)
                return
            if not self._refreshed(last, suspect[0]):
                self._swap(last, *suspect)
                self._other = (last, at)
            self._grown += max(0, steps - suspect[0])
            self._last, self._changed = max(steps, suspect[0]), at
            self._suspect = None
        if self._past:
            name, self._past = qualitycounts.UNCERTAIN_GAP, False
        if self._returns >= RETURNS:  # it is doubled; a property would cost each value
            name = qualitycounts.UNCERTAIN_CONTRADICTED
        self._shown, self._sure, self._heard = self._last, True, at
        if self._first is None:
            self._first = self._last
        self._n += 1
        qualitycounts.add_count(self._quality, name)

    def _possible(self, value: Value | None) -> int | None:
        """In steps, if a register can say so."""
        steps = self.step.whole(value)
        return steps if steps is not None and self._low <= steps <= self._high else None

    @property
    def _doubtful(self) -> str:
        return (
            qualitycounts.UNCERTAIN_CONTRADICTED if self.doubled else qualitycounts.UNCERTAIN_RANGE
        )

    def _begin(self, steps: int, at: int) -> None:
        self._last, self._seen = steps, at
        if self._was is not None:
            self.jumps.append(RegisterJump(at, self._was, steps, "reversed"))
            self._was = None

    def _swap(self, before: int, after: int, at: int) -> None:
        # Begun again is what a reset looks like: hardly anything, or what can have come since.
        since = UNKNOWN_NS if self._changed is None else at - self._changed
        grown = 0 if self._rate is None or self._changed is None else int(since * self._rate)
        reset = after < before and (after * 100 <= before or after <= grown)
        self.jumps.append(RegisterJump(at, before, after, "reset" if reset else "swap"))

    def _refreshed(self, before: int, after: int) -> bool:
        """Is it the first change of a register that is refreshed seldom?"""
        if self._changed is not None or self._seen is None:
            return False
        return before <= after <= before + _most(self._rate, REFRESHED_NS)

    def _returned(self, steps: int, at: int) -> bool:
        """Is it a value of the other register, which was left or not believed a while ago?"""
        if self._other is None or self._last is None:
            return False
        other, since = self._other
        if at - since > RETURN_NS:
            self._other, self._returns = None, 0
            return False
        if not self._nearer(self._other, steps, at):
            return False
        if self._returns or abs(other - self._last) > _most(self._rate, APART_NS):
            return True
        return steps < self._last  # so close it may have grown to there; but none falls

    def _nearer(self, other: tuple[int, int], steps: int, at: int) -> bool:
        """Does this value belong to the other register, rather than to its own?"""
        if self._last is None or abs(steps - self._last) <= _slack(self._last):
            return False
        return abs(steps - other[0]) < abs(steps - self._last) and self._agrees(other, steps, at)

    def _goes_on(self, before: int, steps: int, at: int) -> bool:
        """Can the register have come from `before` to `steps`, since it last changed?"""
        if self._changed is not None or self._seen is None:
            return self._follows(before, steps, self._changed, at)
        return self._follows(before, steps, self._seen, at) or _is_one_count(before, steps)

    def _sudden(self, before: int, steps: int, at: int) -> bool:
        """Is it more than can have come since it was last heard, and not yet said twice?

        One that is refreshed seldom, or stood still for long, may do so; so may a wild value.
        """
        if self._heard is None or self._follows(before, steps, self._heard, at):
            return False
        if _is_one_count(before, steps):
            return False
        return self._suspect is None or not self._agrees(self._suspect, steps, at)

    def _agrees(self, suspect: tuple[int, int], steps: int, at: int) -> bool:
        return self._follows(suspect[0], steps, suspect[1], at)

    def _follows(self, before: int, steps: int, since: int | None, at: int) -> bool:
        """Can the register have come from `before` to `steps`?"""
        slack = _slack(before)
        if steps < before:
            return before - steps <= slack
        elapsed = UNKNOWN_NS if since is None else max(0, at - since) + LATE_SAMPLE_NS
        return steps - before <= _most(self._rate, elapsed) + 2 * slack


def _slack(steps: int) -> int:
    """A float32 register may shake by its last bit."""
    return 1 + (abs(steps) >> 22)


def _most(rate: float | None, elapsed_ns: int) -> int:
    """What can have come in this time, in steps."""
    return LIMIT if rate is None else int(elapsed_ns * rate)


def _is_one_count(before: int, after: int) -> bool:
    """Is the growth one count, or two, of a coarse register? Then it divides what stands there."""
    if not before:
        return str(after).strip("0") == "1"
    return 0 < after - before <= 2 * gcd(before, after)


def _whole_or_none(value: Any) -> int | None:
    return None if value is None else int(value)


def _moment(value: Any) -> tuple[int, int] | None:
    return None if value is None else (int(value[0]), int(value[1]))


def register_body(
    step: Resolution,
    unit: float,
    first: int | None,
    last: int | None,
    grown: int | None,
    quality: qualitycounts.QualityCounts,
) -> Total:
    """The record's form; all three are whole steps, told in the unit."""
    first_, last_, delta = (None if n is None else step.value(n) for n in (first, last, grown))
    return Total(first=first_, last=last_, delta=delta, step=unit, quality=quality)


def merge_registers(a: Total, b: Total) -> Total:
    """Two bodies as one, the earlier first. Associative bit for bit. Raises ValueError as above."""
    if a.step != b.step:
        raise ValueError("two steps in one point")
    step = resolution_of(a.step)
    firsts, lasts, deltas = (
        [step.steps(value) for value in both if value is not None]
        for both in ((a.first, b.first), (a.last, b.last), (a.delta, b.delta))
    )
    return register_body(
        step,
        a.step,
        firsts[0] if firsts else None,
        lasts[-1] if lasts else None,
        sum(deltas) if deltas else None,
        qualitycounts.sum_counts(a.quality, b.quality),
    )
