"""Whether a contact is closed, for how long, and how much of the window it was watched.

Times in a window are exact: a presence is split at the window's end, and nothing before the
window's start counts in it, however late it was reported.
"""

from typing import Any

from edge.process.debounce import FALL, FOUND_ON, LOST, RISE, UNOBSERVED, LineEvent


class OccupancyCounter:
    """One loop, or one pulse output. `max_ns` is the longest presence that is believed."""

    __slots__ = (
        "_max",
        "_start",
        "_watched",
        "broken",
        "faults",
        "level",
        "lost",
        "on_ns",
        "seen",
        "seen_ns",
        "since",
        "stays",
        "stuck",
        "was_stuck",
    )

    def __init__(self, max_ns: int) -> None:
        self._max = max_ns
        self._start = 0  # of the open window
        self._watched: int | None = None  # since when; None: nobody watches
        self.since = 0  # begin of the presence; of one found, the moment it was found
        self.level = False
        self.on_ns = 0  # in the open window
        self.seen_ns = 0  # watched, in the open window
        self.stays: list[tuple[int, int]] = []  # presences that ended in the open window
        self.broken: list[tuple[int, int]] = []  # those of which nobody knows the end
        self.seen: list[tuple[int, int]] = []  # when it was watched; at its border complete
        self.lost: list[tuple[int, int]] = []  # (moment, edges that are missing)
        self.stuck = False
        self.was_stuck = False  # at any time in the open window
        self.faults: list[tuple[int, bool]] = []  # (moment, stuck from now on?), not reported yet

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known."""
        self._start, self._watched, self.level = at_ns, None, False
        self.on_ns = self.seen_ns = 0
        self.stays, self.broken, self.seen, self.lost = [], [], [], []
        self.was_stuck, self.faults = self.stuck, []

    def apply(self, event: LineEvent) -> None:
        """What a line reported. FALL and RISE are the common cases."""
        what, at = event.what, event.at_ns
        if what is RISE:
            self.level, self.since = True, at
        elif what is FALL:
            if self.level:
                self.stays.append((self.since, at))
                self._fall(at)
            if self.stuck:
                self._moves(at)
        elif what is LOST:
            self.lost.append((at, event.lost))
            self._stop_watching(event.since_ns)
            self._watched = at
            self._moves(at)
        elif what is UNOBSERVED:
            self._stop_watching(at)
        else:
            self._watched = at
            if what is FOUND_ON:
                self.level, self.since = True, at
            else:
                self._moves(at)

    def end_window(self, end_ns: int) -> None:
        """The window ends; what lasts is counted up to here."""
        if self.level:
            self._check(end_ns)
            self.on_ns += max(0, end_ns - max(self.since, self._start))
        if self._watched is not None:
            self.seen_ns += max(0, end_ns - max(self._watched, self._start))
            self.seen.append((self._watched, end_ns))

    @property
    def max_s(self) -> float:
        """Who is on it for as long makes it stuck: so long ago that began."""
        return self._max / 1e9

    def next(self, end_ns: int) -> None:
        """The next window begins."""
        self._start, self.on_ns, self.seen_ns = end_ns, 0, 0
        self.stays, self.broken, self.seen, self.lost = [], [], [], []
        self.was_stuck = self.stuck
        self.faults = []

    def snapshot(self) -> list[Any]:
        """For a snapshot, between windows."""
        return [self._watched, self.since, self.level, self.stuck]

    def restore(self, state: list[Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        watched, since, level, stuck = state
        self._watched = None if watched is None else int(watched)
        self.since, self.level, self.stuck = int(since), bool(level), bool(stuck)
        self.next(start_ns)

    def _fall(self, at: int) -> None:
        begin = self.since
        if at - begin >= self._max:
            self._check(at)
        if begin < self._start:
            begin = self._start
        if at > begin:
            self.on_ns += at - begin
        self.level = False

    def _stop_watching(self, at: int) -> None:
        if self.level:
            self.broken.append((self.since, at))
            self._fall(at)
        if self._watched is not None:
            self.seen_ns += max(0, at - max(self._watched, self._start))
            self.seen.append((self._watched, at))
            self._watched = None

    def _check(self, now: int) -> None:
        if not self.stuck and now - self.since >= self._max:
            self.stuck = self.was_stuck = True
            self.faults.append((self.since + self._max, True))

    def _moves(self, at: int) -> None:
        if self.stuck:
            self.stuck = False
            self.faults.append((at, False))
