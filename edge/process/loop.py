"""Whether a contact is closed, for how long, and how much of the window it was watched.

Times in a window are exact: a presence is split at the window's end, and nothing before the
window's start counts in it, however late it was told.
"""

from typing import Any

from edge.process.line import Change, Event


class Loop:
    """One loop, or one pulse output. `max_ns` is the longest presence that is believed."""

    __slots__ = (
        "_max",
        "_since",
        "_start",
        "_watched",
        "faults",
        "level",
        "on_ns",
        "seen_ns",
        "stuck",
        "was_stuck",
    )

    def __init__(self, max_ns: int) -> None:
        self._max = max_ns
        self._start = 0  # of the open window
        self._watched: int | None = None  # since when; None: nobody watches
        self._since = 0  # begin of the presence; of one found, the moment it was found
        self.level = False
        self.on_ns = 0  # in the open window
        self.seen_ns = 0  # watched, in the open window
        self.stuck = False
        self.was_stuck = False  # at any time in the open window
        self.faults: list[tuple[int, bool]] = []  # (moment, stuck from now on?), not told yet

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known."""
        self._start, self._watched, self.level = at_ns, None, False
        self.on_ns = self.seen_ns = 0
        self.was_stuck, self.faults = self.stuck, []

    def apply(self, event: Event) -> None:
        """What a line told. FALL and RISE are the common cases."""
        what, at = event.what, event.at_ns
        if what is Change.RISE:
            self.level, self._since = True, at
        elif what is Change.FALL:
            self._fall(at)
            self._moves(at)
        elif what is Change.LOST:
            self._unwatch(event.since_ns)
            self._watched = at
            self._moves(at)
        elif what is Change.DEAF:
            self._unwatch(at)
        else:
            self._watched = at
            if what is Change.SEEN_ON:
                self.level, self._since = True, at
            else:
                self._moves(at)

    def border(self, end_ns: int) -> None:
        """The window ends; what lasts is counted up to here."""
        if self.level:
            self._check(end_ns)
            self.on_ns += max(0, end_ns - max(self._since, self._start))
        if self._watched is not None:
            self.seen_ns += max(0, end_ns - max(self._watched, self._start))

    def next(self, end_ns: int) -> None:
        """The next window begins."""
        self._start, self.on_ns, self.seen_ns = end_ns, 0, 0
        self.was_stuck = self.stuck
        self.faults = []

    def state(self) -> list[Any]:
        """For a snapshot, between windows."""
        return [self._watched, self._since, self.level, self.stuck]

    def load(self, state: list[Any], start_ns: int) -> None:
        """Back from `state`, at the start of a window."""
        watched, since, level, stuck = state
        self._watched = None if watched is None else int(watched)
        self._since, self.level, self.stuck = int(since), bool(level), bool(stuck)
        self.next(start_ns)

    def _fall(self, at: int) -> None:
        if self.level:
            self._check(at)
            self.on_ns += max(0, at - max(self._since, self._start))
            self.level = False

    def _unwatch(self, at: int) -> None:
        self._fall(at)
        if self._watched is not None:
            self.seen_ns += max(0, at - max(self._watched, self._start))
            self._watched = None

    def _check(self, now: int) -> None:
        if not self.stuck and now - self._since >= self._max:
            self.stuck = self.was_stuck = True
            self.faults.append((self._since + self._max, True))

    def _moves(self, at: int) -> None:
        if self.stuck:
            self.stuck = False
            self.faults.append((at, False))
