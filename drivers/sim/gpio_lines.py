"""What the kernel knows of GPIO lines: levels, requests, numbered edges in bounded buffers.

No sockets, no threads, no clock: time comes with each change.
Source: Linux drivers/gpio/gpiolib-cdev.c (buffer, numbers, software debounce).
"""

import errno
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

BUFFER_MAX: Final = 1024  # 16 events for each of 64 lines
BUFFER_USUAL: Final = 16  # for a request of one line that asks for nothing
SEQNO_MASK: Final = 0xFFFF_FFFF
EDGES: Final = {"none": (), "rising": (True,), "falling": (False,), "both": (False, True)}
BIASES: Final = ("none", "up", "down")
DIRECTIONS: Final = ("input", "output")
DEBOUNCE_MAX_NS: Final = SEQNO_MASK * 1000  # the kernel takes microseconds in 32 bits


class LineEdge(NamedTuple):
    """One edge as the kernel buffers it."""

    mono_ns: int
    seqno: int
    rising: bool


@dataclass(frozen=True, slots=True)
class RequestSettings:
    """How a line is requested. `debounce_ns` > 0: an edge counts when the level held so long."""

    direction: str = "input"
    bias: str = "none"
    edges: str = "none"
    debounce_ns: int = 0
    level: bool = False  # what an output shows

    @classmethod
    def parse(cls, plain: Any) -> "RequestSettings":
        """From a client. Raises OSError EINVAL for what makes no sense."""
        try:
            settings = cls(
                str(plain["direction"]),
                str(plain["bias"]),
                str(plain["edges"]),
                int(plain["debounce_ns"]),
                bool(plain["level"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise OSError(errno.EINVAL, "no settings") from error
        known = (
            settings.direction in DIRECTIONS
            and settings.bias in BIASES
            and settings.edges in EDGES
            and 0 <= settings.debounce_ns <= DEBOUNCE_MAX_NS
            and (settings.direction == "input" or settings.edges == "none")
        )
        if not known:
            raise OSError(errno.EINVAL, "no such settings")
        return settings


class SimLine:
    """A wire: what drives it from outside (None: nothing), and who has requested it."""

    def __init__(self, number: int, name: str) -> None:
        self.number, self.name = number, name
        self.driven: bool | None = None
        self.holder: RequestedLine | None = None

    def level(self) -> bool:
        """What a meter on the wire would show."""
        settings = RequestSettings() if self.holder is None else self.holder.settings
        if settings.direction == "output":
            return settings.level
        return settings.bias == "up" if self.driven is None else self.driven

    def drive(self, level: bool | None, mono_ns: int) -> None:
        """From `mono_ns` on the wire is driven high or low, or by nothing (None)."""
        if self.holder is not None:
            self.holder.settle(mono_ns)  # what was before may have held long enough by now
        before = self.level()
        self.driven = level
        if self.holder is not None and self.level() is not before:
            self.holder.changed(mono_ns)


class RequestedLine:
    """A requested line. The buffer drops its oldest edge when full; the numbers show the gap."""

    def __init__(
        self,
        line: SimLine,
        consumer: str,
        settings: RequestSettings,
        buffer: int,
        news: Callable[[], None],
    ) -> None:
        self.line, self.consumer, self.settings = line, consumer, settings
        # a kfifo is as long as the next power of two
        size = min(buffer, BUFFER_MAX) if buffer > 0 else BUFFER_USUAL
        self._events: deque[LineEdge] = deque(maxlen=1 << (size - 1).bit_length())
        self._news = news
        self.seqno = 0  # starts anew with each request, goes on when it is reconfigured
        line.holder = self
        self._seen = line.level()
        self._due_ns: int | None = None

    @property
    def waiting(self) -> int:
        """How many edges the client has not read yet."""
        return len(self._events)

    @property
    def level(self) -> bool:
        """What the client reads: debounced, if it asked for that."""
        return self._seen if self.settings.debounce_ns else self.line.level()

    @property
    def due_ns(self) -> int | None:
        """When a level that is being debounced will have held long enough."""
        return self._due_ns

    def reconfigure(self, settings: RequestSettings) -> None:
        self.settings = settings
        self._seen, self._due_ns = self.line.level(), None

    def changed(self, mono_ns: int) -> None:
        """The wire has just changed."""
        if self.settings.debounce_ns:
            self._due_ns = mono_ns + self.settings.debounce_ns  # each change starts it anew
        else:
            self._see(mono_ns)

    def settle(self, mono_ns: int) -> None:
        """Time has come to `mono_ns`: a level that held long enough is an edge, stamped late."""
        if self._due_ns is not None and self._due_ns <= mono_ns:
            due_ns, self._due_ns = self._due_ns, None
            self._see(due_ns)

    def take(self, most: int) -> list[LineEdge]:
        """The oldest edges, and forget them."""
        return [self._events.popleft() for _ in range(min(most, len(self._events)))]

    def end(self) -> None:
        """The request is over: what it had not read is nobody's."""
        self._events.clear()
        if self.line.holder is self:
            self.line.holder = None

    def _see(self, mono_ns: int) -> None:
        level = self.line.level()
        if level == self._seen:
            return
        self._seen = level
        if level not in EDGES[self.settings.edges]:
            return
        self.seqno = (self.seqno + 1) & SEQNO_MASK
        self._events.append(LineEdge(mono_ns, self.seqno, level))
        self._news()
