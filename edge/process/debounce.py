"""From the contacts of one line to clean changes: bounce is merged backward, losses are reported.

A contact that chatters is one change, stamped at its first edge. Kernel debounce would stamp it
late and in jiffies. At the end of a window a run that has not settled counts as what its level
says; what follows is a run of its own.

A line on which far more edges bounce than a contact can explain is `noisy`: what it does not say
is then no silence.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any, Final, NamedTuple

from edge.core.edge import Contact

BOUNCE_BUDGET_NS: Final = 300_000_000
BOUNCE_WINDOW_NS: Final = 30_000_000_000
BOUNCES_GRANTED: Final = 20
"""Of a hundred edges in 30 s that were taken for bounce, twenty are granted to each change that
was told: a relay closes with ten or so, and no more than 37 vehicles pass in that time."""
NOISE_JOIN_NS: Final = 1_000_000_000  # noise with shorter pauses is one span


class LineChange(IntEnum):
    """What happened on a line."""

    FALL = 0
    RISE = 1
    FOUND_OFF = 2  # watching begins; free
    FOUND_ON = 3  # watching begins; occupied since nobody knows when
    LOST = 4  # edges are missing between `since_ns` and here; free right before the next change
    UNOBSERVED = 5  # watching ends


# Looked up once: an attribute of an enumeration costs more than what is done with it.
RISE: Final = LineChange.RISE
FALL: Final = LineChange.FALL
LOST: Final = LineChange.LOST
UNOBSERVED: Final = LineChange.UNOBSERVED
FOUND_ON: Final = LineChange.FOUND_ON


class LineEvent(NamedTuple):
    """A change at a moment. `lost` edges (of them `rises` upward) are missing since `since_ns`."""

    at_ns: int
    what: LineChange
    since_ns: int = 0
    lost: int = 0
    rises: int = 0


_new: Final = tuple.__new__  # half of what Event(...) costs, for every edge


class Debouncer:
    """The state of one line. `events` is what came out and was not taken yet."""

    __slots__ = (
        "_bounce",
        "_bounce_budget",
        "_first",
        "_last",
        "_level",
        "_noise",
        "_raw",
        "_run",
        "_unobserved",
        "bounced",
        "events",
        "late",
        "noisy_until_ns",
    )

    def __init__(self, bounce_ns: int) -> None:
        self._bounce = bounce_ns
        self._level: bool | None = None  # as reported by `events`; None: nobody knows
        self._raw = False  # the level after the last edge
        self._run = False  # the last edge may still be part of a bounce
        self._first = 0  # the first edge of the run
        self._last = 0  # the last edge of all
        self._unobserved: list[int] = []  # moments at which watching ends, not reached yet
        # each bounce moves it on by BOUNCE_BUDGET_NS; too far ahead of the time is noise
        self._bounce_budget = 0
        self._noise: list[tuple[int, int]] = []  # spans of it that no window has taken yet
        self.bounced: list[tuple[int, int]] = []  # first edge of a run, how many bounced after it
        self.events: list[LineEvent] = []
        self.late = 0  # contacts older than the open window
        # of the window that ended last: when its noise ended; None: there was none
        self.noisy_until_ns: int | None = None

    @property
    def noisy(self) -> bool:
        """There was noise in the window that ended last."""
        return self.noisy_until_ns is not None

    def fold(self, contacts: Sequence[Contact], start_ns: int) -> None:
        """Take contacts in the order in which they came."""
        bounce = self._bounce
        for contact in contacts:
            at, on = contact.mono_ns, contact.on
            if at < start_ns and not contact.initial:
                self.late += 1
            # a contact of the very moment at which watching ends was still heard
            if self._unobserved and self._unobserved[0] < at:
                self._pass_unobserved(at - 1)
            if contact.initial:
                self._begin(at, on)
                continue
            if self._level is None:
                # The direction of an edge tells what was before it, not since when.
                self.events.append(LineEvent(at, LineChange.FOUND_OFF))
                if contact.lost:
                    lost = contact.lost
                    self.events.append(LineEvent(at, LineChange.LOST, at, lost, lost // 2))
                self._level, self._run, self._first = False, True, at
            elif contact.lost or on is self._raw:
                if at <= self._last and not contact.lost:
                    continue  # reported before, or part of the level found at opening
                self._resync(max(at, self._last), contact.lost or 1)
            elif self._run:
                if at - self._last >= bounce:
                    if self._raw is not self._level:
                        self._emit()
                    self._first = at
                else:
                    self._bounced(max(at, self._last))
            else:
                self._run, self._first = True, max(at, self._last)  # time does not run backward
            self._last, self._raw = max(at, self._last), on

    def end_window(self, end_ns: int) -> None:
        """A window ends: what is known by now is reported."""
        if self._unobserved and self._unobserved[0] < end_ns:
            self._pass_unobserved(end_ns - 1)
        if self._run and self._first < end_ns:
            if self._raw is not self._level:
                self._emit()
            self._run = False
        past = [min(end, end_ns) for begin, end in self._noise if begin < end_ns]
        self.noisy_until_ns = past[-1] if past else None
        self._noise = [(max(a, end_ns), b) for a, b in self._noise if b >= end_ns]

    def mark_unobserved(self, at_ns: int) -> None:
        """From this moment on nobody watched; the next contact shows that somebody does again."""
        self._unobserved.append(at_ns)
        self._unobserved.sort()

    def forget(self) -> None:
        """Nothing is known, as at a start."""
        self._level, self._run, self._bounce_budget = None, False, 0
        self._unobserved.clear()
        self._noise.clear()
        self.bounced.clear()
        self.events.clear()

    def take(self, end_ns: int) -> list[LineEvent]:
        """The events before `end_ns`, which are then gone."""
        if not self.events or self.events[-1].at_ns < end_ns:
            taken, self.events = self.events, []
        else:
            taken = [event for event in self.events if event.at_ns < end_ns]
            self.events = [event for event in self.events if event.at_ns >= end_ns]
        return taken

    def bounces(self, end_ns: int) -> list[tuple[int, int]]:
        """The bounces of runs that began before `end_ns`, which are then gone."""
        if not self.bounced:
            return []
        taken = [each for each in self.bounced if each[0] < end_ns]
        self.bounced = self.bounced[len(taken) :]
        return taken

    def snapshot(self) -> dict[str, object]:
        """All of it, for a snapshot."""
        return {
            "level": self._level,
            "raw": self._raw,
            "run": self._run,
            "first": self._first,
            "last": self._last,
            "deaf": list(self._unobserved),
            "debt": self._bounce_budget,
            "noise": [list(span) for span in self._noise],
            "bounced": [list(run) for run in self.bounced],
            "events": [list(event) for event in self.events],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Back from `snapshot`."""
        self._level = state["level"]
        self._raw, self._run = bool(state["raw"]), bool(state["run"])
        self._first, self._last = int(state["first"]), int(state["last"])
        self._unobserved = [int(at) for at in state["deaf"]]
        self._bounce_budget = int(state["debt"])
        self._noise = [(int(begin), int(end)) for begin, end in state["noise"]]
        self.bounced = [(int(at), int(count)) for at, count in state["bounced"]]
        self.events = [
            LineEvent(at, LineChange(what), since, lost, rises)
            for at, what, since, lost, rises in state["events"]
        ]

    def _emit(self) -> None:
        """The run came to another level: that is a change, at the run's first edge."""
        self._level = self._raw
        self._bounce_budget -= BOUNCES_GRANTED * BOUNCE_BUDGET_NS
        what = RISE if self._raw else FALL
        self.events.append(_new(LineEvent, (self._first, what, 0, 0, 0)))

    def _bounced(self, at: int) -> None:
        """An edge that is taken for bounce: it says nothing. Too many of them are noise."""
        if self.bounced and self.bounced[-1][0] == self._first:
            self.bounced[-1] = (self._first, self.bounced[-1][1] + 1)
        else:
            self.bounced.append((self._first, 1))
        # no more debt than just too much, so that it is forgiven in time, too
        self._bounce_budget = min(
            max(self._bounce_budget, at) + BOUNCE_BUDGET_NS,
            at + BOUNCE_WINDOW_NS + BOUNCE_BUDGET_NS,
        )
        if self._bounce_budget - at <= BOUNCE_WINDOW_NS:
            return
        if self._noise and at - self._noise[-1][1] < NOISE_JOIN_NS:
            self._noise[-1] = (self._noise[-1][0], at)
        else:
            self._noise.append((at, at))

    def _begin(self, at: int, on: bool) -> None:
        if self._level is not None:
            # Opened again, and nobody said when it was closed: after the last edge.
            self._end(self._last)
        self.events.append(LineEvent(at, LineChange.FOUND_ON if on else LineChange.FOUND_OFF))
        self._level = self._raw = on
        self._run, self._last = False, at

    def _resync(self, at: int, lost: int) -> None:
        if self._raw is not self._level:
            self._emit()
        # The edges alternate, so the level before them says how many of the lost went up.
        rises = lost // 2 if self._raw else (lost + 1) // 2
        self.events.append(LineEvent(at, LineChange.LOST, self._last, lost, rises))
        self._level, self._run, self._first = False, True, at

    def _end(self, at: int) -> None:
        if self._raw is not self._level:
            self._emit()
        self.events.append(LineEvent(at, LineChange.UNOBSERVED))
        self._level, self._run, self._bounce_budget = None, False, 0

    def _pass_unobserved(self, upto: int) -> None:
        while self._unobserved and self._unobserved[0] <= upto:
            at = self._unobserved.pop(0)
            if self._level is not None:
                self._end(at)
