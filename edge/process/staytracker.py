"""Who stands in a bay: from the changes of its contact to arrivals, departures and overstays.

A stay counts as one when it has lasted `min_ns`; what leaves sooner only passed by. A contact that
opens for less than MERGE_NS has not been left. A bay that was occupied before and after a time in
which nobody watched, of less than BRIDGE_NS, holds the same stay; after a longer one nobody knows.
Everything happens at a moment of its own, so it does not depend on how changes come in batches.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from edge.process.debounce import LineChange, LineEvent

MERGE_NS: Final = 2_000_000_000
"""Nobody leaves a bay, and another one arrives, within two seconds: a lorry that manoeuvres over
the loop is one stay (ours, no standard says so)."""
BRIDGE_NS: Final = 60_000_000_000
"""A restart takes seconds; another vehicle in the bay after less than a minute is rare (ours)."""


class OverstayChange(NamedTuple):
    """A stay passed the limit (`on`), or one that had is over.

    `stay_ns` is how long it lasted by then, None when nobody knows; `at_least`: or longer.
    """

    at_ns: int
    on: bool
    stay_ns: int | None
    at_least: bool


class EndedStay(NamedTuple):
    """A stay that is over. `stay_ns` None: its begin or its end was not seen."""

    stay_ns: int | None
    bridged: bool


class StayTracker:
    """The stay in a bay, and what came of it in the open window. `max_ns` 0: no limit."""

    def __init__(self, min_ns: int, max_ns: int) -> None:
        self._min, self._max = min_ns, max_ns
        self._start = 0  # of the open window
        self._on: int | None = None  # begin of the stay, or when it was found
        self._found_occupied = False
        self._off: int | None = None  # the contact opened; it may close again
        self._unobserved: int | None = None  # nobody has watched since
        self._counted = False  # it has lasted long enough to be a stay
        self._over = False  # it has passed the limit, and that was reported
        self._bridged = False
        self._mark = 0  # up to here the time beyond the limit has been counted
        self.arrivals = self.departures = self.passers = self.overstays = self.over_us = 0
        self.unknown = 0  # stays of which nobody knows how they ended
        self.ended: list[EndedStay] = []
        self.changes: list[OverstayChange] = []

    @property
    def since_ns(self) -> int | None:
        """When the stay began (or was found) that lasts and is watched; None: there is none."""
        return self._on if self._off is None and self._unobserved is None else None

    @property
    def is_occupied(self) -> bool:
        """Has anything been counted in the open window?"""
        return bool(self.arrivals or self.departures or self.passers or self.overstays)

    def begin(self, at_ns: int) -> None:
        """A first window: nothing is known of who stands there. What is still to be sent stays."""
        kept = [change._replace(at_ns=at_ns) for change in self.changes]
        self.next(at_ns)
        self.changes = kept
        if self._over:
            self.changes.append(OverstayChange(at_ns, False, None, self._found_occupied))
        self._reset()

    def apply(self, event: LineEvent) -> None:
        """What the line reported, in the order of time."""
        what, at = event.what, event.at_ns
        self._pass(at if what is not LineChange.LOST else event.since_ns)
        if what is LineChange.RISE or what is LineChange.FOUND_ON:
            if self._on is None:
                self._on, self._found_occupied, self._mark = at, what is LineChange.FOUND_ON, at
                return
            self._bridged |= self._unobserved is not None
            self._off = self._unobserved = None
            self._mark = at  # it was open, or nobody watched: of that no time is counted
            self._stand(at)
        elif self._on is None:
            return
        elif what is LineChange.FALL:
            self._off = at
        elif what is LineChange.FOUND_OFF:
            self._left_unseen(at)
        elif what is LineChange.UNOBSERVED:
            self._unwatched(at, at)
        else:
            self._unwatched(max(event.since_ns, self._on), at)

    def end_window(self, end_ns: int) -> None:
        """The window ends."""
        self._pass(end_ns - 1)
        if self.since_ns is not None:
            self._accrue(end_ns)

    def next(self, end_ns: int) -> None:
        """The next window begins."""
        self._start = end_ns
        self.arrivals = self.departures = self.passers = self.overstays = self.over_us = 0
        self.unknown = 0
        self.ended, self.changes = [], []

    def snapshot(self) -> list[Any]:
        """For a snapshot, between windows. What `begin` has to report is still to be reported."""
        return [
            self._on, self._found_occupied, self._off, self._unobserved, self._counted, self._over,
            self._bridged, self._mark, [list(change) for change in self.changes],
        ]  # fmt: skip

    def restore(self, state: Sequence[Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        on, found, off, unobserved, counted, over, bridged, mark, turns = state
        self._on, self._off, self._unobserved = (
            None if x is None else int(x) for x in (on, off, unobserved)
        )
        self._found_occupied, self._counted = bool(found), bool(counted)
        self._over, self._bridged, self._mark = bool(over), bool(bridged), int(mark)
        self.next(start_ns)
        self.changes = [OverstayChange(*change) for change in turns]

    def _pass(self, at: int) -> None:
        """Time goes on to `at`, and nothing changes on the line."""
        if self._on is None:
            return
        if self._off is not None:
            if self._off + MERGE_NS <= at:
                self._leave(self._off, self._off + MERGE_NS)
        elif self._unobserved is not None:
            if self._unobserved + BRIDGE_NS <= at:
                self._give_up(self._unobserved + BRIDGE_NS)
        else:
            self._stand(at)

    def _stand(self, at: int) -> None:
        """It has stood there until `at`."""
        assert self._on is not None, "somebody stands there"
        if not self._counted and at - self._on >= self._min:
            self._counted = True
            self.arrivals += not self._found_occupied
        if self._max and not self._over and at - self._on >= self._max:
            self._over = True
            self.overstays += 1
            due = max(self._on + self._max, self._start)
            self.changes.append(OverstayChange(due, True, self._max, self._found_occupied))
        self._accrue(at)

    def _accrue(self, at: int) -> None:
        if self._max and self._on is not None:
            begin = max(self._on + self._max, self._mark, self._start)
            if at > begin:
                # whole microseconds of the moments, so that the parts of a stay add up
                self.over_us += at // 1000 - begin // 1000
                self._mark = at

    def _leave(self, off: int, at: int) -> None:
        """The stay ended at `off`, which is certain at `at`."""
        assert self._on is not None, "somebody stood there"
        stay = off - self._on
        if self._counted:
            self.departures += 1
            self.ended.append(EndedStay(None if self._found_occupied else stay, self._bridged))
        else:
            self.passers += not self._found_occupied
        if self._over:
            self.changes.append(OverstayChange(at, False, stay, self._found_occupied))
        self._reset()

    def _left_unseen(self, at: int) -> None:
        """It was there, and is not any more; its moment is not known."""
        if self._off is not None:
            self._leave(self._off, at)
            return
        if self._counted:
            self.departures += 1
            self.ended.append(EndedStay(None, True))
        if self._over:
            self.changes.append(OverstayChange(at, False, None, self._found_occupied))
        self._reset()

    def _unwatched(self, since: int, at: int) -> None:
        if self._off is not None:
            self._leave(self._off, min(at, self._off + MERGE_NS))
        elif self._unobserved is None:
            if at - since >= BRIDGE_NS:
                self._give_up(at)
            else:
                self._unobserved = since

    def _give_up(self, at: int) -> None:
        self.unknown += self._counted
        if self._over:
            self.changes.append(OverstayChange(at, False, None, self._found_occupied))
        self._reset()

    def _reset(self) -> None:
        self._on = self._off = self._unobserved = None
        self._found_occupied = self._counted = self._over = self._bridged = False
