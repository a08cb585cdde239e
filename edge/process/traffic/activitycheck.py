"""Too many vehicles, or none: what a loop's rises show of its health."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from edge.process.chattercheck import CALM_NS, ChatterCheck
from edge.process.debounce import RISE, UNOBSERVED, LineEvent
from edge.process.traffic.passage import Kind

ActivityFault = Literal["chatter", "no_activity"]
ACTIVITY_FAULTS: Final[tuple[ActivityFault, ...]] = ("chatter", "no_activity")
CHATTER_RISES: Final[Mapping[Kind, int]] = {"vehicle": 37, "bicycle": 90}
"""More than 37 vehicles in 30 s cannot pass a loop (MnDOT IRIS auto-fail). Bicycles ride side by
side, and a short loop may see each of their wheels; no public source has a number for them."""


class ActivityCheck:
    """Watches the rises of one loop. `silent` is a verdict of now, as `chatter.chatters` is."""

    __slots__ = ("_active", "_quiet_ns", "_silences", "chatter", "silent")

    def __init__(self, no_activity_ns: int, kind: Kind = "vehicle") -> None:
        self._quiet_ns = no_activity_ns
        self._active: int | None = None  # the last change, or when watching began
        self._silences: list[tuple[int, bool]] = []  # (moment, begins?), not told yet
        self.chatter = ChatterCheck(CHATTER_RISES[kind])
        self.silent = False

    def rise(self, at: int) -> None:
        """The loop is occupied anew, debounced."""
        self.chatter.count(at)
        self._see_silence(at)
        self.change(at)

    def change(self, at: int) -> None:
        """Something happened on the line."""
        self._active = at
        if self.silent:
            self.silent = False
            self._silences.append((at, False))

    @property
    def faults(self) -> list[tuple[int, ActivityFault, bool]]:
        """What began or ended in the open window: (moment, fault, begins?)."""
        found: list[tuple[int, ActivityFault, bool]] = [
            *((at, "chatter", on) for at, on in self.chatter.faults),
            *((at, "no_activity", on) for at, on in self._silences),
        ]
        return sorted(found, key=lambda fault: fault[0])

    @property
    def since_s(self) -> Mapping[str, float]:
        """For how long each fault has been so when it is reported."""
        return {"chatter": CALM_NS / 1e9, "no_activity": self._quiet_ns / 1e9}

    def run(self, changes: Sequence[LineEvent], *, whole: bool) -> None:
        """All changes of a window at once: most windows have nothing to report.

        `whole`: somebody watched all the time.
        """
        if not whole or self._quiet_ns:
            self._each(changes)
        elif changes:
            self.chatter.count_all([each.at_ns for each in changes if each.what is RISE])
            self._active = changes[-1].at_ns

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
        self._active, self._silences = None, []
        self.chatter.begin(at_ns)

    def forget(self) -> None:
        """Nobody watched for a while."""
        self._active = None
        self.chatter.forget()

    def tick(self, now: int) -> None:
        """Time has come so far."""
        self.chatter.tick(now)
        self._see_silence(now)

    def _see_silence(self, now: int) -> None:
        if self._quiet_ns and self._active is not None and not self.silent:
            due = self._active + self._quiet_ns
            if now >= due:
                self.silent = True
                self._silences.append((due, True))

    def next(self, at_ns: int) -> None:
        """The next window begins."""
        self._silences = []
        self.chatter.next(at_ns)

    def snapshot(self) -> list[Any]:
        """For a snapshot, between windows."""
        rises, until, chatters = self.chatter.state()
        return [rises, self._active, until, chatters, self.silent]

    def restore(self, state: list[Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        rises, active, until, chatters, silent = state
        self.chatter.restore_state((rises, until, chatters), start_ns)
        self._active = None if active is None else int(active)
        self.silent, self._silences = bool(silent), []
