"""What is on its way: each message from its first byte to its one answer, and the room for more.

There is as much in flight as the link carries, and never more than seconds of queue. A window of
200 messages fills a link of 50 ms; on one of 2 kB/s it is half a minute in front of an alarm. So
the window starts small, doubles with each round trip while answers are quick, and shrinks with the
time of an answer when they are not. Delay is the signal: TCP hides each loss. A message that would
be more than the window is the next to go: it waits for answers, and nothing passes it (decision
46). Pure: times are seconds of one monotonic clock, given by the caller.
"""

import math
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

START_MESSAGES: Final = 8
START_BYTES: Final = 8 << 10
MIN_MESSAGES: Final = 1
MIN_BYTES: Final = 2 << 10
TARGET_S: Final = 1.5  # an answer may take this, or what the bare link needs
TARGET_RTTS: Final = 4.0  # ... which is that many of its best round trips
QUEUE_S: Final = 2.0  # but no more than this on top of the best round trip
SLOW_START_UNTIL: Final = (
    0.4  # of the way from the best round trip to the target: here the doubling ends
)
HOLD_AT: Final = 0.6  # of the same way: here the window stands still
GROWTH: Final = 0.25  # of the window for each round trip, once the first doubling is over
MIN_AFTER_BACKOFF: Final = 1 / 32  # of the window stay after one late answer
BACKOFF_TARGET: Final = 0.7  # after a late answer aim at this share of the target
IDLE_S: Final = 10.0  # after such a pause nobody knows the link
IN_FLIGHT_MAX_BYTES: Final = 4 << 20  # that may be unacknowledged at one time
SLOWEST_BYTES_S: Final = 1000  # bytes/s: what is on the way before a message may take this long
ALLOWANCE_BYTES: Final = 256 << 10  # bytes on the way for which that holds

SESSION_TAKEN_OVER: Final = 142  # DISCONNECT: another client has connected under our name


class ConnectionLostError(ConnectionError):
    """The connection ended before the broker answered. Nobody knows whether the message arrived.

    `code` is the reason code of the broker's DISCONNECT, when it sent one: 142 is
    `SESSION_TAKEN_OVER`.
    """

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class CertificateRejectedError(ConnectionLostError):
    """The broker does not take our certificate: expired, revoked, or from somebody else."""


class BrokerRefusedError(Exception):
    """The broker said no: `code` and `name` as in MQTT 5, for example 135 Not authorized."""

    def __init__(self, code: int, name: str, text: str = "") -> None:
        super().__init__(f"{name} ({code}){': ' + text if text else ''}")
        self.code, self.name = code, name


PublishAnswer = int | BrokerRefusedError | ConnectionLostError
OnAnswer = Callable[[Hashable, PublishAnswer], None]
"""Called once for each message with the caller's token. Must not raise: paho is in mid-packet."""
Send = Callable[[], ConnectionLostError | None]
"""Gives one message to the socket, or says why it did not leave."""


class InFlightWindow:
    """Say `sent` and `answered` for each message; `has_room` is whether one may be sent now."""

    def __init__(self, limit_messages: int, limit_bytes: int) -> None:
        self._most, self._most_bytes = limit_messages, limit_bytes
        self._messages = float(min(START_MESSAGES, limit_messages))
        self._bytes = float(min(START_BYTES, limit_bytes))
        self._flying = self._flying_bytes = 0
        self._full = self._full_bytes = -math.inf  # when at least half of each was last in use
        self._best = math.inf
        self._doubling = True
        self._lowered = -math.inf
        self._alone: float | None = None  # sent at this time with nothing before it on the way
        self._answered = math.inf

    @property
    def limit(self) -> int:
        """Messages that may be unacknowledged at one time, as it is now."""
        return max(MIN_MESSAGES, int(self._messages))

    @property
    def limit_bytes(self) -> int:
        """Bytes that may be unacknowledged at one time, as it is now."""
        return int(self._bytes)

    @property
    def room(self) -> int:
        """Messages that may be sent now, as long as their bytes fit."""
        return max(0, self.limit - self._flying) if self.room_bytes or not self._flying else 0

    @property
    def room_bytes(self) -> int:
        """Bytes that may be sent now; when none is in flight one message of any size may."""
        return max(0, self.limit_bytes - self._flying_bytes)

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes may be sent now: a large one goes alone."""
        return not self._flying or (self._flying < self.limit and size <= self.room_bytes)

    @property
    def round_trip_s(self) -> float | None:
        """Of the bare link, without a queue; None before the first answer."""
        return None if self._best == math.inf else self._best

    @property
    def target_s(self) -> float:
        """How long an answer may take before the window shrinks."""
        if self._best == math.inf:
            return TARGET_S
        return max(TARGET_S, min(TARGET_RTTS * self._best, self._best + QUEUE_S))

    def look(self, now_s: float) -> None:
        """Time has passed, maybe with nothing on the way."""
        if self._flying == 0 and now_s - self._answered > IDLE_S:
            self._messages = min(self._messages, START_MESSAGES)
            self._bytes = min(self._bytes, START_BYTES)
            self._doubling = True

    def sent(self, now_s: float, size: int) -> None:
        """One message of `size` bytes left."""
        self.look(now_s)
        if self._flying == 0:
            self._alone = now_s
        self._flying += 1
        self._flying_bytes += size
        if 2 * self._flying >= self._messages:
            self._full = now_s
        if 2 * self._flying_bytes >= self._bytes:
            self._full_bytes = now_s

    def answered(self, now_s: float, sent_s: float, size: int) -> None:
        """The message of `size` bytes that left at `sent_s` has its answer."""
        took = now_s - sent_s
        self._learn(took, sent_s)
        self._flying -= 1
        self._flying_bytes -= size
        self._answered = now_s
        target = self.target_s
        if took > target:
            self._doubling = False
            # what was sent before the window shrank says nothing about the smaller one
            if sent_s >= self._lowered:
                self._lowered = now_s
                share = max(MIN_AFTER_BACKOFF, BACKOFF_TARGET * target / took)
                self._messages = max(MIN_MESSAGES, self._messages * share)
                self._bytes = max(MIN_BYTES, self._bytes * share)
            return
        used = (took - self._best) / (target - self._best)  # of the queue that we allow ourselves
        self._doubling = self._doubling and used < SLOW_START_UNTIL
        growth = 1.0 if self._doubling else GROWTH * max(0.0, 1 - used / HOLD_AT)
        # only what was in use is known to be carried
        if self._full >= sent_s:
            self._messages = min(self._most, self._messages + growth)
        if self._full_bytes >= sent_s:
            self._bytes = min(self._most_bytes, self._bytes + growth * min(size, self._bytes))

    def _learn(self, took: float, sent_s: float) -> None:
        """The round trip without a queue: the least seen; a message without company may raise it.

        Any other message may have waited behind our own: if those counted, each queue would be
        the excuse for a longer one.
        """
        alone, self._alone = sent_s == self._alone, None if sent_s == self._alone else self._alone
        if took < self._best:
            self._best = took
        elif alone:
            self._best += (took - self._best) / 4


class InFlight:
    """By packet number. `limit`: messages that the broker takes without an answer."""

    def __init__(self, limit: int, on_answer: OnAnswer) -> None:
        self._on_answer = on_answer
        self._window = InFlightWindow(limit, IN_FLIGHT_MAX_BYTES)
        # token, when it left, its bytes, and all bytes on the way then; in the order of sending
        self._pending: dict[int, tuple[Hashable, float, int, int]] = {}
        self._bytes = 0
        self._next: deque[tuple[Hashable, int, Send]] = deque()  # with their bytes: they do not fit

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def limit(self) -> int:
        """Messages that may be unacknowledged, as the link is now."""
        return self._window.limit

    @property
    def limit_bytes(self) -> int:
        return self._window.limit_bytes

    @property
    def backlog_leaves(self) -> tuple[int, int]:
        """Of the limits, how many messages and bytes are for others than a backlog."""
        return self.limit - max(1, self.limit * 3 // 4), self.limit_bytes // 4

    @property
    def round_trip_s(self) -> float | None:
        return self._window.round_trip_s

    @property
    def room(self) -> int:
        """Messages that may be sent now; none while one waits for its room."""
        return 0 if self._next else self._window.room

    @property
    def room_bytes(self) -> int:
        return self._window.room_bytes

    def look(self, now_s: float) -> None:
        self._window.look(now_s)

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes may go now; no other one is before it."""
        return not self._next and self._window.has_room(size)

    def wait(self, token: Hashable, size: int, send: Send) -> None:
        """It does not fit: it is the next to go, and `send` is called when it does."""
        self._next.append((token, size, send))

    def sent(self, number: int, token: Hashable, size: int, now_s: float) -> None:
        """A message was given to the socket."""
        self._bytes += size
        self._pending[number] = token, now_s, size, self._bytes
        self._window.sent(now_s, size)

    def answered(self, number: int, answer: PublishAnswer, now_s: float) -> None:
        """An answer to a packet that is not ours is none."""
        found = self._pending.pop(number, None)
        if found is not None:
            token, sent_s, size, _ = found
            self._bytes -= size
            self._window.answered(now_s, sent_s, size)
            self._on_answer(token, answer)
            while self._next and self._window.has_room(self._next[0][1]):
                token, _, send = self._next.popleft()
                if (error := send()) is not None:
                    self._on_answer(token, error)

    def overdue_s(self, now_s: float, patience_s: float) -> float | None:
        """How long the oldest waits, when that is too long for what was before it."""
        if not self._pending:
            return None
        _, sent_s, _, ahead = next(iter(self._pending.values()))
        waited_s = now_s - sent_s
        return (
            waited_s
            if waited_s > patience_s + min(ahead, ALLOWANCE_BYTES) / SLOWEST_BYTES_S
            else None
        )

    def fail_all(self, error: ConnectionLostError) -> None:
        """The connection has ended: nobody knows what arrived."""
        tokens = [token for token, *_ in (*self._pending.values(), *self._next)]
        self._pending.clear()
        self._next.clear()
        for token in tokens:
            self._on_answer(token, error)
