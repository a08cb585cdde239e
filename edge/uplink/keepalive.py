"""The keep-alive of a connection: when to ask whether the broker is there, and when it is not.

Bytes that come are what counts, not answers to our question; and the time in which this process
itself stood still is nobody's silence. Pure: the caller says what it heard and when it looked.
"""

from typing import Final, Literal

LOST_AFTER: Final = 1.5  # keep-alives without a byte from the broker: the link is dead
PING_AFTER_RECEIVE: Final = (
    0.5  # so long nothing was heard: ask; the answer has a whole keep-alive to come
)
PING_AFTER_SEND: Final = (
    0.75  # so long nothing was sent: the broker would take us for dead after 1.5
)
TICK_S: Final = 1.0  # the longest time between two looks
DEFAULT_KEEPALIVE_S: Final = (
    60.0  # where neither side wants a keep-alive, we still look whether it lives
)

KeepAliveState = Literal["well", "late", "ping", "lost"]


class KeepAlive:
    """Look at it every `tick_s`. All times are seconds of one monotonic clock."""

    def __init__(self, keepalive_s: float, now_s: float) -> None:
        self.keepalive_s = keepalive_s or DEFAULT_KEEPALIVE_S
        self.tick_s = min(TICK_S, self.keepalive_s / 8)
        self._looked = self._heard = self._sent = self._pinged = now_s

    @property
    def silent_s(self) -> float:
        """How long nothing was heard, as of the last look."""
        return self._looked - self._heard

    def look(self, now_s: float, *, heard: bool, sent: bool) -> KeepAliveState:
        """`heard` and `sent`: whether any byte came, or all that waited went, since the last look.

        "late": this process was stopped, not the broker; the time in between does not count.
        """
        pause = now_s - self._looked - self.tick_s
        self._looked = now_s
        late = pause > 2 * self.tick_s
        if late:
            self._heard += pause
        if heard:
            self._heard = now_s
        if sent:
            self._sent = now_s
        if late:
            return "late"
        # a byte is dated up to one look too late, and this look comes up to one too late
        if self.silent_s >= LOST_AFTER * self.keepalive_s - 2 * self.tick_s:
            return "lost"
        due = self.silent_s >= PING_AFTER_RECEIVE * self.keepalive_s or now_s - self._sent >= (
            PING_AFTER_SEND * self.keepalive_s
        )
        if due and now_s - self._pinged >= PING_AFTER_RECEIVE * self.keepalive_s:
            self._pinged = now_s
            return "ping"
        return "well"
