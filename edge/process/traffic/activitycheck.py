"""Too many vehicles, or none: what a loop's rises show of its health."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from edge.process.debounce import RISE, UNOBSERVED, LineEvent
from edge.process.traffic.passage import Kind

ActivityFault = Literal["chatter", "no_activity"]
ACTIVITY_FAULTS: Final[tuple[ActivityFault, ...]] = ("chatter", "no_activity")
CHATTER_NS: Final = 30_000_000_000
CHATTER_RISES: Final[Mapping[Kind, int]] = {"vehicle": 37, "bicycle": 90}
"""More than 37 vehicles in 30 s cannot pass a loop (MnDOT IRIS auto-fail). Bicycles ride side by
side, and a short loop may see each of their wheels; no public source has a number for them."""


class ActivityCheck:
    """Watches the rises of one loop. `chatter` and `silent` are the verdicts of now."""

    __slots__ = (
        "_active",
        "_bad_until",
        "_most",
        "_quiet_ns",
        "_rises",
        "chatter",
        "faults",
        "silent",
        "was_chatter",
    )

    def __init__(self, no_activity_ns: int, kind: Kind = "vehicle") -> None:
        self._quiet_ns = no_activity_ns
        self._most = CHATTER_RISES[kind]
        self._rises: deque[int] = deque(maxlen=self._most)
        self._active: int | None = None  # the last change, or when watching began
        self._bad_until = 0
        self.chatter = False
        self.was_chatter = False  # at any time in the open window
        self.silent = False
        self.faults: list[tuple[int, ActivityFault, bool]] = []  # (moment, fault, begins?)

    def rise(self, at: int) -> None:
        """The loop is occupied anew, debounced."""
        self.tick(at)
        rises = self._rises
        if len(rises) == self._most and at - rises[0] < CHATTER_NS:
            self._bad_until = at + CHATTER_NS
            if not self.chatter:
                self.chatter = self.was_chatter = True
                self.faults.append((at, "chatter", True))
        rises.append(at)
        self.change(at)

    def change(self, at: int) -> None:
        """Something happened on the line."""
        self._active = at
        if self.silent:
            self.silent = False
            self.faults.append((at, "no_activity", False))

    @property
    def since_s(self) -> Mapping[str, float]:
        """For how long each fault has been so when it is reported."""
        return {"chatter": CHATTER_NS / 1e9, "no_activity": self._quiet_ns / 1e9}

    def run(self, changes: Sequence[LineEvent], *, whole: bool) -> None:
        """All changes of a window at once: most windows have nothing to report.

        `whole`: somebody watched all the time.
        """
        rises = [change.at_ns for change in changes if change.what is RISE]
        if not whole or self.chatter or self._quiet_ns or self._crowded(rises):
            self._each(changes)
        elif changes:
            self._rises.extend(rises)
            self._active = changes[-1].at_ns

    def _crowded(self, rises: Sequence[int]) -> bool:
        if len(self._rises) + len(rises) <= self._most:
            return False
        every = [*self._rises, *rises]
        return any(b - a < CHATTER_NS for a, b in zip(every, every[self._most :], strict=False))

    def _each(self, changes: Sequence[LineEvent]) -> None:
        for change in changes:
            if change.what is RISE:
                self.rise(change.at_ns)
                continue
            self.change(change.at_ns)
            if change.what is UNOBSERVED:
                self.forget()

    def begin(self, at_ns: int) -> None:
        """A first window, perhaps of another clock."""
        self.forget()
        self._bad_until = at_ns + CHATTER_NS
        self.next(at_ns)

    def forget(self) -> None:
        """Nobody watched for a while."""
        self._rises.clear()
        self._active = None

    def tick(self, now: int) -> None:
        """Time has come so far."""
        if self.chatter and now >= self._bad_until:
            self.chatter = False
            self.faults.append((self._bad_until, "chatter", False))
        if self._quiet_ns and self._active is not None and not self.silent:
            due = self._active + self._quiet_ns
            if now >= due:
                self.silent = True
                self.faults.append((due, "no_activity", True))

    def next(self, at_ns: int) -> None:
        """The next window begins."""
        self.was_chatter = self.chatter
        self.faults = []
        while self._rises and at_ns - self._rises[0] >= CHATTER_NS:
            self._rises.popleft()  # too long ago to be chatter

    def snapshot(self) -> list[Any]:
        """For a snapshot, between windows."""
        return [list(self._rises), self._active, self._bad_until, self.chatter, self.silent]

    def restore(self, state: list[Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        rises, active, until, chatter, silent = state
        self._rises = deque((int(at) for at in rises), maxlen=self._most)
        self._active = None if active is None else int(active)
        self._bad_until, self.chatter, self.silent = int(until), bool(chatter), bool(silent)
        self.next(start_ns)
