"""How often the same thing is reported: once until it is over, or so many times an hour.

What lasts or comes back must fill neither the log, nor the outbox, nor the link with one sentence.
What is not said is counted somewhere else. Times are monotonic ns, given by the caller.
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

Subject = TypeVar("Subject", bound=Hashable)

HOUR_NS: Final = 3_600_000_000_000


class ReportOnce(Generic[Subject]):
    """What has been reported and is not over yet. `limit`: of so many subjects at one time."""

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._reported_ns: dict[Subject, int] = {}

    def first(self, subject: Subject, now_ns: int = 0) -> bool:
        """Whether to report it now. From then on it counts as reported."""
        if subject in self._reported_ns or len(self._reported_ns) == self._limit:
            return False
        self._reported_ns[subject] = now_ns
        return True

    def forget(self, subject: Subject) -> None:
        """It is over: when it comes again, that is news."""
        self._reported_ns.pop(subject, None)

    def forget_all(self, until_ns: int | None = None) -> None:
        """The same for all that was reported at that time or before."""
        self._reported_ns = {
            subject: at_ns
            for subject, at_ns in self._reported_ns.items()
            if until_ns is not None and at_ns > until_ns
        }


class HourlyLimit:
    """At most `limit` reports within an hour."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._times: deque[int] = deque(maxlen=limit)  # of the latest reports

    def made(self, now_ns: int) -> int:
        """Reports of the last hour. A clock that is set back by hours holds nothing back."""
        while self._times and abs(now_ns - self._times[0]) >= HOUR_NS:
            self._times.popleft()
        return len(self._times)

    def room(self, now_ns: int) -> int:
        """So many more may be made now."""
        return self._limit - self.made(now_ns)

    def add(self, count: int, now_ns: int) -> None:
        """So many are made."""
        self._times.extend([now_ns] * count)
