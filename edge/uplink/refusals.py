"""What a broker refuses: who is told, what is held, and when it is asked again.

`BrokerLogThrottle` logs what the broker does once, though ten thousand rows have one trouble.

`Oversize` are records larger than the broker takes (MQTT 5: Maximum Packet Size). One among many
that arrive is at fault itself, and given up. Where more do not fit, the broker's limit is: nothing
is given up, all of it is held for a broker that takes it.

`BrokerProbe` says when a broker that refuses whatever comes is tried with an alarm. The rest of the
outbox waits up to a minute before it is tried again: more of it only costs bytes. An alarm does not
wait so long: one at a time it is tried all the same, soon at first and then every PROBE_MAX_NS, and
the first that is taken ends the wait for all. Pure: times are given by the caller.
"""

import logging
from collections.abc import Callable
from typing import Final

from edge.core import Stream
from edge.core.reportlimits import ReportOnce
from edge.uplink.rowtable import HELD_LIMIT, RowEntry, RowState, RowTable
from edge.wire.contract.boxevent import AlarmKind

PROBE_FIRST_NS: Final = 1_000_000_000  # twice as long after each refusal
PROBE_MAX_NS: Final = 10_000_000_000  # some 4 MB a day, while an alarm waits and nothing is taken
LOG: Final = logging.getLogger("kerbstone.uplink")

QUIET_NS: Final = 600_000_000_000  # what was said is not said again before, over all connections

Alarm = Callable[[AlarmKind, str], None]
"""Called with a kind and a sentence."""
PROOF_RECORDS: Final = 100  # records that the broker must have taken for each one that is given up
PROOF_WITHIN_NS: Final = (
    5_000_000_000  # so long it may take until a record that fits has its answer
)
TOO_MANY: Final = 20  # with so many that do not fit nobody waits for that


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


class BrokerLogThrottle:
    """Each kind of complaint about each stream once a connection, in the log and as an alarm.

    What happens to an event is written to the log only: its alarm would be an event again, with the
    same fate.
    """

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._reported = ReportOnce[tuple[str, str]]()  # kind and stream

    def connected(self, now_ns: int) -> None:
        """A new connection: what was reported long ago may be reported again."""
        self._reported.forget_all(until_ns=now_ns - QUIET_NS)

    def report(self, kind: AlarmKind, stream: str, text: str, now_ns: int) -> None:
        """In the log and as an alarm. `stream` is empty for what concerns all of them."""
        if self._first_time(kind, stream, text, now_ns) and stream != Stream.EVENT:
            self._alarm(kind, text)

    def log(self, what: str, text: str, now_ns: int) -> None:
        """In the log only: no record has come to harm."""
        self._first_time("", what, text, now_ns)

    def _first_time(self, kind: str, stream: str, text: str, now_ns: int) -> bool:
        first = self._reported.first((kind, stream), now_ns)
        if first:
            LOG.warning("%s", text)
        return first


class Oversize:
    """Of one connection after the other: of the rows that are held, and what was taken meanwhile.
    Times are monotonic ns."""

    def __init__(self, table: RowTable) -> None:
        self._table = table
        self._taken = 0  # records, by the broker that we are connected to
        self._since_ns: int | None = None

    def __len__(self) -> int:
        return self._table.count(RowState.HELD)

    @property
    def mostly_too_large(self) -> bool:
        """To look for more that fits would be."""
        return len(self) >= max(HELD_LIMIT, self._taken + 1)

    def connected(self) -> None:
        """Another broker, or the same with another limit: everything is tried again."""
        self._taken, self._since_ns = 0, None

    def accepted(self) -> None:
        """The broker has taken a record."""
        self._taken += 1

    def hold(self, row: int, now_ns: int) -> None:
        """It is larger than the broker takes."""
        if self._since_ns is None:
            self._since_ns = now_ns
        self._table.hold(row)

    def dead_letters(self) -> list[RowEntry]:
        """Those that are at fault themselves."""
        few = len(self) * PROOF_RECORDS <= self._taken
        return self._table.rows(RowState.HELD) if few else []

    def too_many(self, now_ns: int) -> bool:
        """So much of what was tried does not fit that the limit is at fault."""
        if len(self) >= TOO_MANY:
            return not self.dead_letters()
        if self._since_ns is None or len(self) <= self._taken:
            return False
        return now_ns - self._since_ns >= PROOF_WITHIN_NS


def limit_notice(broker: str, limit: int | None, needed: int, rows: int) -> str:
    """For people: `limit` and `needed` are bytes of a message, `rows` those that wait for it."""
    count = f"{rows} records or more" if rows >= HELD_LIMIT else f"{rows} records"
    return (
        f"{broker} accepts messages up to {limit} bytes (Maximum Packet Size), but {count} are "
        f"larger. They are kept until a broker accepts {needed} bytes or "
        "more: raise the limit there."
    )
