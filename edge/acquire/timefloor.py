"""What time it is at the least, and whether to believe a time service that says otherwise.

There are two floors. The signed one is the date of this program, or the first day of a certificate
that was verified: nobody's time service can have made it. The learnt one is what time services
said before; a single wrong answer can have put it years ahead, so it has to be able to fall.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from edge.core.release import RELEASED_NS
from edge.core.walltime import CORRECTION_NS

MINUTE_NS: Final = 60_000_000_000
DAY_NS: Final = 86_400_000_000_000
YEAR_NS: Final = 365 * DAY_NS
CEILING_NS: Final = RELEASED_NS + 20 * YEAR_NS  # no version runs so long; a higher floor is refused

FAR_NS: Final = 30 * DAY_NS  # a box may have slept so long, or time is wrong: one answer is too few
# A time service asks again after seconds, or a minute: a wrong answer does not stand for so long.
# A box that slept for a year is not kept waiting longer than it has to be.
SETTLE_NS: Final = 10 * MINUTE_NS
OVERRULE_NS: Final = 60 * MINUTE_NS  # what contradicts an earlier certainty has to hold for longer
STEADY_NS: Final = MINUTE_NS  # the wall may be corrected by so much while it is watched


@dataclass(frozen=True, slots=True)
class HeldClock:
    """A wall clock that is synchronised, and not believed yet."""

    offset_ns: int  # wall - monotonic
    since_ns: int  # monotonic
    hold_ns: int  # until it is believed


class TimeFloor:
    """Which times can be. Belongs to one clock, and sees it whenever its quality is looked at."""

    def __init__(self) -> None:
        self.signed_ns = RELEASED_NS
        self._learnt_ns = 0
        self._believed_ns: int | None = None  # wall - monotonic, in this boot
        self._watched: HeldClock | None = None
        self.doubt: str | None = None  # why a synchronised clock is not believed, for people
        self.overruled: str | None = None  # which certainty was wrong, for people

    @property
    def ns(self) -> int:
        """The latest moment (Unix ns) that is taken to have passed."""
        return max(self.signed_ns, self._learnt_ns)

    def rise(self, ns: int, *, signed: bool) -> bool:
        """This moment has passed. False: it changes nothing, or cannot be believed."""
        if not (self.signed_ns if signed else self.ns) < ns <= CEILING_NS:
            return False
        if signed:
            self.signed_ns = ns
        else:
            self._learnt_ns = ns
        return True

    def resume(self, offset_ns: int) -> None:
        """A former process of this boot believed this wall - monotonic."""
        self._believed_ns = offset_ns

    def unvouched(self) -> None:
        """No time service stands behind the wall now: what was watched begins anew."""
        self._watched = self.doubt = None

    def vouched(self, wall_ns: int, mono_ns: int, *, authentic: bool) -> bool:
        """A time service stands behind this wall: whether to believe it.

        `authentic`: its answers are signed, and are believed at once. Nothing is believed that
        lies before the signed floor.
        """
        offset_ns = wall_ns - mono_ns
        if wall_ns < self.signed_ns - CORRECTION_NS:
            self._watched = None
            self.doubt = (
                f"The time service says {_day(wall_ns)}, which cannot be: this program, or the "
                f"broker's certificate, is of {_day(self.signed_ns)}."
            )
            return False
        below = wall_ns < self._learnt_ns - CORRECTION_NS
        if not authentic:
            hold_ns = OVERRULE_NS if below else SETTLE_NS if self._far(wall_ns, offset_ns) else 0
            if hold_ns and not self._held(wall_ns, mono_ns, hold_ns):
                return False
        if below:
            self.overruled = (
                f"The time was wrong before: {_day(self._learnt_ns)} was taken for certain, and "
                f"the time service says {_day(wall_ns)}. Check the time servers of this box."
            )
            self._learnt_ns = wall_ns
        self._watched = self.doubt = None
        self._believed_ns = offset_ns
        return True

    def _held(self, wall_ns: int, mono_ns: int, hold_ns: int) -> bool:
        """Whether this wall has been watched for so long, without a step and without a break."""
        offset_ns, watched = wall_ns - mono_ns, self._watched
        if (
            watched is None
            or watched.hold_ns != hold_ns
            or abs(offset_ns - watched.offset_ns) > STEADY_NS
        ):
            watched = self._watched = HeldClock(offset_ns, mono_ns, hold_ns)
            self.doubt = (
                f"The time service says {_day(wall_ns)}, and the last known time is "
                f"{_day(self.ns)}: it is believed when it has held for "
                f"{hold_ns // MINUTE_NS} minutes."
            )
        return mono_ns - watched.since_ns >= hold_ns

    def _far(self, wall_ns: int, offset_ns: int) -> bool:
        """Beyond what is plausible, and not the time that was believed already."""
        believed_ns = self._believed_ns
        if believed_ns is not None and abs(offset_ns - believed_ns) <= CORRECTION_NS:
            return False
        return wall_ns > self.ns + FAR_NS


def _day(ns: int) -> str:
    try:
        return f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d}"
    except (OverflowError, OSError, ValueError):
        return f"{ns} ns"
