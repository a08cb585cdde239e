"""A contact that opens and closes as nothing behind it can: a loose wire, a worn switch, water.

Its owner gives it the changes that cannot come often (`count`); too many within a while are
chatter, and it is over when there was none for as long. A line on which edges bounce all the time
chatters, too.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

CALM_NS: Final = 30_000_000_000


class ChatterCheck:
    """One contact. More than `most` changes that count, within `within_ns`, are chatter."""

    __slots__ = (
        "_bad_until",
        "_moments",
        "_most",
        "_noise_end",
        "_within",
        "chatters",
        "faults",
        "has_chattered",
    )

    def __init__(self, most: int, within_ns: int = CALM_NS) -> None:
        self._most, self._within = most, within_ns
        self._moments: deque[int] = deque(maxlen=most)
        self._bad_until = 0
        self._noise_end: int | None = None  # of the window that is looked at; it is to come
        self.chatters = False
        self.has_chattered = False  # at any time in the open window
        self.faults: list[tuple[int, bool]] = []  # (moment, chatters from now on?), not told yet

    def begin(self, at_ns: int) -> None:
        """A first window, perhaps of another clock."""
        self.forget()
        self._bad_until = at_ns + self._within
        self.next(at_ns)

    def forget(self) -> None:
        """Nobody watched for a while."""
        self._moments.clear()

    def count(self, at: int) -> None:
        """A change of those that must not come often."""
        self.tick(at)
        moments = self._moments
        if len(moments) == self._most and at - moments[0] < self._within:
            self._hold(at)
        moments.append(at)

    def count_all(self, moments: Sequence[int]) -> None:
        """Those of a window at once: most windows have nothing to report."""
        if self.chatters or self._crowded(moments):
            for at in moments:
                self.count(at)
        else:
            self._moments.extend(moments)

    def _crowded(self, moments: Sequence[int]) -> bool:
        if len(self._moments) + len(moments) <= self._most:
            return False
        every = [*self._moments, *moments]
        return any(b - a < self._within for a, b in zip(every, every[self._most :], strict=False))

    def noise(self, end_ns: int | None) -> None:
        """Before the changes of a window: its line bounced more than a contact can, until then."""
        self._noise_end = end_ns

    def tick(self, now: int) -> None:
        """Time has come so far."""
        if self._noise_end is not None and self._noise_end <= now:
            end, self._noise_end = self._noise_end, None
            self._calm_down(end)
            self._hold(end)
        self._calm_down(now)

    def _hold(self, at: int) -> None:
        """It chatters now, whatever was counted."""
        self._bad_until = max(self._bad_until, at + self._within)
        if not self.chatters:
            self.chatters = self.has_chattered = True
            self.faults.append((at, True))

    def _calm_down(self, now: int) -> None:
        if self.chatters and now >= self._bad_until:
            self.chatters = False
            self.faults.append((self._bad_until, False))

    def next(self, at_ns: int) -> None:
        """The next window begins."""
        self.has_chattered = self.chatters
        self.faults = []
        while self._moments and at_ns - self._moments[0] >= self._within:
            self._moments.popleft()  # too long ago to be chatter

    def snapshot(self) -> dict[str, list[Any]]:
        """What is added to its owner's snapshot, between windows; of a steady contact nothing."""
        return {"chatter": self.state()} if self.chatters or self._moments else {}

    def restore(self, owner: Mapping[str, Any], start_ns: int) -> None:
        """Back from `snapshot`, out of its owner's, at the start of a window."""
        self.restore_state(owner.get("chatter", ((), 0, False)), start_ns)

    def state(self) -> list[Any]:
        """All of it, between windows."""
        return [list(self._moments), self._bad_until, self.chatters]

    def restore_state(self, state: Sequence[Any], start_ns: int) -> None:
        """Back from `state`, at the start of a window."""
        moments, until, chatters = state
        self._moments = deque((int(at) for at in moments), self._most)
        self._bad_until, self.chatters = int(until), bool(chatters)
        self.next(start_ns)
