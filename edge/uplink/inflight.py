"""What is on its way: each message from its first byte to its one answer, and the room for more."""

from collections.abc import Hashable
from typing import Final

from edge.uplink.inflightwindow import InFlightWindow
from edge.uplink.session import ConnectionLostError, OnAnswer, PublishAnswer

IN_FLIGHT_MAX_BYTES: Final = 4 << 20  # that may be unacknowledged at one time
SLOWEST_BYTES_S: Final = 1000  # bytes/s: what is on the way before a message may take this long
ALLOWANCE_BYTES: Final = 256 << 10  # bytes on the way for which that holds


class InFlight:
    """By packet number. `limit`: messages that the broker takes without an answer."""

    def __init__(self, limit: int, on_answer: OnAnswer) -> None:
        self._limit, self._on_answer = limit, on_answer
        self._window = InFlightWindow(limit, IN_FLIGHT_MAX_BYTES)
        # token, when it left, its bytes, and all bytes on the way then; in the order of sending
        self._pending: dict[int, tuple[Hashable, float, int, int]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def limit(self) -> int:
        """Messages that may be unacknowledged, as the link is now."""
        return min(self._limit, self._window.limit)

    @property
    def room(self) -> int:
        return max(0, min(self._limit - len(self._pending), self._window.room))

    @property
    def room_bytes(self) -> int:
        return self._window.room_bytes

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
        pending, self._pending = self._pending, {}
        for token, *_ in pending.values():
            self._on_answer(token, error)
