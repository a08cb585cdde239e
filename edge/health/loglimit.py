"""A log that cannot wear the card out: few lines of a kind, and a budget of bytes a day.

The first line of a kind (logger and template) passes, and nine more; then one a minute. What is
left out is counted, and logged in one line an hour. Once the day's bytes are used up only critical
lines and first ones pass, and at twice the budget none.
"""

import contextlib
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from edge.core import Clock
from edge.core.printable import printable
from edge.health.countergrowth import DAY_NS, HOUR_NS

BURST: Final = 10.0
A_MINUTE_NS: Final = 60_000_000_000  # until a kind may say one more line
KINDS_LIMIT: Final = 256
BYTES_A_DAY: Final = 4 << 20  # bytes a day; the flash budget is 50 MB
LINE_LIMIT: Final = 1024  # bytes that a line is taken for when it cannot be formatted
TEMPLATE_LIMIT: Final = 120  # characters of a template that are kept and logged
KINDS_NAMED: Final = 3  # kinds named in the hourly line
LOGGER: Final = "kerbstone.log"


@dataclass(slots=True)
class _Kind:
    tokens: float
    filled_ns: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class LogCounts:
    """Since the start. `flood` names the loudest kind while the day's budget is used up."""

    lines: int
    bytes: int
    suppressed: int
    flood: str | None


class LogLimit(logging.Filter):
    """Sits on a handler: `LogLimit(handler, clock).install()`. Any thread may log."""

    def __init__(self, handler: logging.Handler, clock: Clock, budget: int = BYTES_A_DAY) -> None:
        super().__init__()
        self._handler, self._clock, self._budget = handler, clock, budget
        self._lock = threading.Lock()
        self._kinds: OrderedDict[tuple[str, str], _Kind] = OrderedDict()
        self._day_ns = self._hour_ns = clock.now().mono_ns
        self._spent = 0  # bytes, of this day
        self._short = False  # a line of this day had no room
        self._lines = self._bytes = self._suppressed = 0
        self._others = 0  # left out, of kinds that are forgotten
        self._cost: dict[tuple[str, str], int] = {}  # bytes of this day, of kinds that are known

    def install(self) -> None:
        self._handler.addFilter(self)

    def remove(self) -> None:
        self._handler.removeFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is written. Logs what was left out when an hour has passed."""
        size, key = LINE_LIMIT, (record.name, "?")
        with contextlib.suppress(Exception):  # the handler reports one without a form
            key = (record.name, str(record.msg)[:TEMPLATE_LIMIT])
            size = len(self._handler.format(record).encode("utf-8", "replace")) + 1
        now_ns = self._clock.now().mono_ns
        with self._lock:
            summary = self._turn(now_ns)
            passes = self._passes(key, record.levelno, size, now_ns)
        self._emit(summary)
        return passes

    def tick(self) -> None:
        """Time passes without a line; the hourly one may be due."""
        with self._lock:
            summary = self._turn(self._clock.now().mono_ns)
        self._emit(summary)

    def counts(self) -> LogCounts:
        with self._lock:
            flood = None
            if self._short:
                name, template = max(
                    self._cost, key=lambda key: self._cost[key], default=(LOGGER, "")
                )
                flood = f"{name}: {printable(template)}"
            return LogCounts(
                lines=self._lines, bytes=self._bytes, suppressed=self._suppressed, flood=flood
            )

    def _passes(self, key: tuple[str, str], level: int, size: int, now_ns: int) -> bool:
        kind = self._kinds.get(key)
        first = kind is None
        if kind is None:
            if len(self._kinds) >= KINDS_LIMIT:
                old, forgotten = self._kinds.popitem(last=False)
                self._others += forgotten.left_out
                self._cost.pop(old, None)
            kind = self._kinds[key] = _Kind(BURST, now_ns)
        self._kinds.move_to_end(key)
        kind.tokens = min(BURST, kind.tokens + max(0, now_ns - kind.filled_ns) / A_MINUTE_NS)
        kind.filled_ns = max(kind.filled_ns, now_ns)
        hurries = first or level >= logging.CRITICAL
        spent = self._spent + size
        if spent > 2 * self._budget or not (
            hurries or (kind.tokens >= 1.0 and spent <= self._budget)
        ):
            self._suppressed += 1
            kind.left_out += 1
            self._short = self._short or spent > self._budget
            self._cost.setdefault(key, 0)
            return False
        kind.tokens = max(0.0, kind.tokens - 1.0)
        self._count(key, size)
        return True

    def _count(self, key: tuple[str, str], size: int) -> None:
        self._lines += 1
        self._bytes += size
        self._spent += size
        self._cost[key] = self._cost.get(key, 0) + size

    def _turn(self, now_ns: int) -> str:
        """A new day, a new hour: the line that is due, or ""."""
        if now_ns - self._day_ns >= DAY_NS:
            self._day_ns, self._spent, self._short = now_ns, 0, False
            self._cost.clear()
        if now_ns - self._hour_ns < HOUR_NS:
            return ""
        self._hour_ns = now_ns
        left_out = {key: kind.left_out for key, kind in self._kinds.items() if kind.left_out}
        total = sum(left_out.values()) + self._others
        most = sorted(left_out, key=lambda key: -left_out[key])[:KINDS_NAMED]
        for kind in self._kinds.values():
            kind.left_out = 0
        self._others = 0
        if not total:
            return ""
        named = "; ".join(f"{left_out[key]} of {key[0]}: {printable(key[1])!r}" for key in most)
        line = f"{total} lines were left out of the log since the last such line: {named}"
        size = len(line.encode("utf-8", "replace")) + 32  # level and name before it
        if self._spent + size > 2 * self._budget:
            return ""
        self._count((LOGGER, "left out"), size)
        return line

    def _emit(self, line: str) -> None:
        """Past the filter, and without its lock."""
        if line:
            record = logging.LogRecord(LOGGER, logging.WARNING, __file__, 0, line, None, None)
            self._handler.acquire()
            try:
                self._handler.emit(record)
            finally:
                self._handler.release()
