"""When a broker that refuses whatever comes is tried with an alarm.

The rest of the outbox waits up to a minute before it is tried again: more of it only costs bytes.
An alarm does not wait so long: one at a time it is tried all the same, soon at first and then every
PROBE_MAX_NS, and the first that is taken ends the wait for all. Pure: times are given by the
caller.
"""

from typing import Final

PROBE_FIRST_NS: Final = 1_000_000_000  # twice as long after each refusal
PROBE_MAX_NS: Final = 10_000_000_000  # some 4 MB a day, while an alarm waits and nothing is taken


class BrokerProbe:
    """Say `sent`, `answered`; `due` is whether the next one may go."""

    def __init__(self) -> None:
        self._row: int | None = None  # on its way
        self._gap_ns = PROBE_FIRST_NS
        self._tried_ns: int | None = None
        self._due_ns = 0

    def due(self, now_ns: int) -> bool:
        """Whether an alarm may be tried now."""
        return self._row is None and now_ns >= self._due_ns

    def wait_s(self, now_ns: int) -> float | None:
        """How long until then; None while one is on its way."""
        return None if self._row is not None else max(0.0, (self._due_ns - now_ns) / 1e9)

    def probe_now(self, now_ns: int) -> None:
        """A new alarm: it does not wait for the others' turn."""
        self._gap_ns = PROBE_FIRST_NS
        earliest_ns = now_ns if self._tried_ns is None else self._tried_ns + PROBE_FIRST_NS
        self._due_ns = min(self._due_ns, max(now_ns, earliest_ns))

    def sent(self, row: int | None, now_ns: int) -> None:
        """This row goes now; None: there was no alarm to be tried, and looking has its price."""
        self._row, self._tried_ns = row, now_ns
        if row is None:
            self._later(now_ns)

    def answered(self, row: int, taken: bool, now_ns: int) -> bool:
        """The answer to any row. True: it was the one on its way, and it was taken."""
        if row != self._row:
            return False
        self._row = None
        if taken:
            self._gap_ns, self._due_ns = PROBE_FIRST_NS, now_ns
        else:
            self._later(now_ns)
        return taken

    def _later(self, now_ns: int) -> None:
        self._due_ns = now_ns + self._gap_ns
        self._gap_ns = min(2 * self._gap_ns, PROBE_MAX_NS)
