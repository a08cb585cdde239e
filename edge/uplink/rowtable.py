"""The life of a row in the uplink: one table, one state for each row, and all that can change it.

A row lies in the outbox until it is confirmed. This table says where it stands on its way; a row
that is not in it is STORED. `TRANSITIONS` are all that may happen; anything else is a fault of ours
and raises. docs/architecture/state.md draws them.

What a row went through before is kept with it, so that it is tried less and less often. All of it
is bounded. Pure: times are monotonic ns, given by the caller.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

from edge.core import RecordKey
from edge.core.numbers import Numbers
from edge.wire import Receipt

TRACKED_LIMIT: Final = 4000  # rows that wait for a receipt
MAX_WAIT_NS: Final = 3_600_000_000_000
RETRIED_LIMIT: Final = 20_000  # rows whose patience has grown
TRACKED_REFUSALS: Final = (
    5000  # rows whose refusals are counted: more than two windows, or none gets to 5
)
HELD_LIMIT: Final = 1000  # rows held at one time; if fewer arrive than that, the backlog waits, too
HANDED_RANGES: Final = (
    1000  # ranges of rows; what they close up over says `redelivered` for nothing
)


class RowState(IntEnum):
    """Where a row stands. The last two are the end of it."""

    STORED = 0  # in the outbox alone, to be read from there
    QUEUED = 1  # just committed: in memory until there is room
    CHOSEN = 2  # being dated and written: nobody else takes it
    HANDED = 3  # given to the network, or next; the broker has not answered
    ACKNOWLEDGED = 4  # taken by the broker; the platform's receipt is awaited
    RECEIPTED = 5  # stored by the platform, so it is confirmed; the broker has not answered
    REFUSED = 6  # by the broker; to be tried again at its time
    HELD = 7  # larger than this broker takes
    CONFIRMED = 8  # the outbox deletes it
    GIVEN_UP = 9  # a dead letter


STORED, QUEUED, CHOSEN, HANDED = (
    RowState.STORED, RowState.QUEUED, RowState.CHOSEN, RowState.HANDED,
)  # fmt: skip
ACKNOWLEDGED, RECEIPTED = RowState.ACKNOWLEDGED, RowState.RECEIPTED
REFUSED, HELD, CONFIRMED, GIVEN_UP = (
    RowState.REFUSED, RowState.HELD, RowState.CONFIRMED, RowState.GIVEN_UP,
)  # fmt: skip
FINAL: Final = (CONFIRMED, GIVEN_UP)

RowEvent = Literal[
    "queue", "pass_over", "choose", "hand", "hold", "put_back", "confirm", "acknowledge",
    "receipt", "send_again", "refuse", "retry", "ask_again", "give_up",
]  # fmt: skip
TRANSITIONS: Final[Mapping[RowEvent, Mapping[RowState, RowState]]] = {
    "queue": {STORED: QUEUED},
    "pass_over": {QUEUED: STORED},
    "choose": {STORED: CHOSEN, QUEUED: CHOSEN},
    "hand": {CHOSEN: HANDED},
    "hold": {CHOSEN: HELD},
    "put_back": {CHOSEN: STORED, HELD: STORED},
    "confirm": {HANDED: CONFIRMED},
    "acknowledge": {HANDED: ACKNOWLEDGED, RECEIPTED: CONFIRMED},
    "receipt": {HANDED: RECEIPTED, ACKNOWLEDGED: CONFIRMED},
    "send_again": {HANDED: STORED, RECEIPTED: CONFIRMED},
    "refuse": {HANDED: REFUSED, RECEIPTED: CONFIRMED},
    "retry": {REFUSED: STORED},
    "ask_again": {ACKNOWLEDGED: STORED},
    "give_up": {CHOSEN: GIVEN_UP, REFUSED: GIVEN_UP, HELD: GIVEN_UP},
}


class ImpossibleTransitionError(RuntimeError):
    """A fault of ours: something happened to a row that cannot happen in its state."""


@dataclass(slots=True)
class UplinkCounters:
    """How often each thing happened, since the start. `Health` (`edge/wire/contract/health.py`) has
    fields of the same names and says what they mean. Retained messages are not records."""

    sent: int = 0
    confirmed: int = 0
    sent_redelivered: int = 0
    sent_backfilled: int = 0
    no_subscribers: int = 0
    refused: int = 0
    dead_letters: int = 0  # told by the outbox, which keeps them
    unacknowledged: int = 0
    receipts: int = 0  # messages
    receipts_unknown: int = 0  # numbers
    receipts_overdue: int = 0
    commands: int = 0
    malformed_messages: int = 0
    connections: int = 0
    connection_failures: int = 0


@dataclass(slots=True, eq=False)
class RowEntry:
    """One row of the table, and the token of its message. Only the table changes it."""

    row: int
    key: RecordKey
    state: RowState
    until_ns: int = 0  # a receipt is overdue then; or, of one that was refused, its next try


class RowTable:
    """`patience_ns` is how long the first wait for a receipt is, each further one is twice as long;
    None: the broker's answer confirms."""

    def __init__(self, patience_ns: int | None, counts: UplinkCounters) -> None:
        self._patience_ns, self.counts = patience_ns, counts
        self._rows: dict[int, RowEntry] = {}
        self._in: tuple[dict[int, RowEntry], ...] = tuple({} for _ in RowState)  # oldest first
        # waiting for a receipt: in the order of hand-over, and by their numbers
        self._awaited: dict[int, RowEntry] = {}
        self._numbers: dict[tuple[int, str], dict[int, RowEntry]] = {}
        # what rows went through, whatever became of them since; who was first is forgotten first
        self._refusals: dict[int, tuple[int, int]] = {}  # how often, and what was accepted then
        self._waits: dict[int, int] = {}  # ns of the next wait for a receipt, if not the first
        self._copies: set[object] = set()  # who holds a page that was read before now
        self._handed = Numbers()  # rows that were on their way in this process
        self._denied: dict[str, int] = {}  # stream -> when it may be tried again
        self._evicted: int | None = None  # the oldest row that had to make room
        self._next_ns = 0  # no receipt is overdue before
        self._heard_ns = 0  # when the last receipt came

    # -- questions ---------------------------------------------------------------------------------

    def state(self, row: int) -> RowState:
        """Where it stands."""
        entry = self._rows.get(row)
        return STORED if entry is None else entry.state

    def count(self, *states: RowState) -> int:
        """How many rows are in these states; of the last two those that a page may still hold."""
        return sum(len(self._in[state]) for state in states)

    def rows(self, state: RowState) -> list[RowEntry]:
        """Those in it, by when they came there."""
        return list(self._in[state].values())

    def may_go(self, row: int, stream: str) -> bool:
        """A row from a page of the outbox: nobody has it, and nothing keeps it back."""
        return self.state(row) is STORED and stream not in self._denied

    @property
    def denied_streams(self) -> tuple[str, ...]:
        """Of which the broker takes nothing now."""
        return tuple(self._denied)

    def denied(self, stream: str) -> bool:
        """The broker takes nothing of this stream for now."""
        return stream in self._denied

    def was_handed(self, row: int) -> bool:
        """It may have been sent by this process."""
        return row in self._handed

    @property
    def highest(self) -> int:
        """The last row that was ever handed over."""
        return self._handed.last if self._handed.count() else 0

    @property
    def awaits_receipts(self) -> bool:
        """A row is confirmed by the platform's receipt, and not by the broker's answer."""
        return self._patience_ns is not None

    @property
    def in_flight(self) -> int:
        """Rows that somebody has, and to which the broker has not answered."""
        return self.count(CHOSEN, HANDED, RECEIPTED)

    @property
    def unconfirmed(self) -> int:
        """Rows that are not answered, or not receipted, yet."""
        return self.in_flight + len(self._in[ACKNOWLEDGED])

    @property
    def is_full(self) -> bool:
        """No more rows can wait for receipts, with those that are being written."""
        return len(self._awaited) + len(self._in[CHOSEN]) >= TRACKED_LIMIT

    def retry_ns(self) -> int | None:
        """When the next refused row may be tried again."""
        return min((entry.until_ns for entry in self._in[REFUSED].values()), default=None)

    # -- towards the broker ------------------------------------------------------------------------

    def queue(self, row: int, key: RecordKey) -> bool:
        """It was just committed. False: it was found in the outbox before, and is on its way."""
        if row in self._rows:
            return False
        self._enter(row, key, "queue")
        return True

    def pass_over(self, row: int) -> None:
        """A queued row is left to the backlog."""
        self._move(self._rows[row], "pass_over")

    def choose(self, row: int, key: RecordKey) -> None:
        """It is going to be sent: nobody else takes it."""
        entry = self._rows.get(row)
        if entry is None:
            self._enter(row, key, "choose")
        else:
            self._move(entry, "choose")

    def entry(self, row: int) -> RowEntry:
        """Of a row that somebody has."""
        return self._rows[row]

    def hand(self, row: int, now_ns: int, *, redelivered: bool, backfilled: bool) -> RowEntry:
        """It goes out now. Comes before the first byte: a receipt may be faster than a PUBACK."""
        entry = self._rows[row]
        self._move(entry, "hand")
        if self._patience_ns is not None:
            self._await_receipt(entry, now_ns, self._patience_ns)
        self._handed.add(entry.row)
        self._handed.coarsen(HANDED_RANGES)
        self.counts.sent += 1
        self.counts.sent_redelivered += redelivered
        self.counts.sent_backfilled += backfilled
        return entry

    def hold(self, row: int) -> None:
        """It is larger than this broker takes. So many are remembered; the others are looked at
        again when the backlog is."""
        room = len(self._in[HELD]) < HELD_LIMIT
        self._move(self._rows[row], "hold" if room else "put_back")

    def connected(self) -> None:
        """A new connection: nothing is denied or too large any more, or half written."""
        self._denied.clear()
        for entry in self.rows(HELD) + self.rows(CHOSEN):
            self._move(entry, "put_back")

    # -- answers of the broker ---------------------------------------------------------------------

    def acknowledge(self, entry: RowEntry, now_ns: int) -> bool:
        """The broker has taken it. Whether that confirms it. The platform has it from now on, so
        the wait for its receipt begins anew: a large message may leave long after it was handed."""
        self._refusals.pop(entry.row, None)
        if self._patience_ns is None:
            self._move(entry, "confirm")
            self.counts.confirmed += 1
            return True
        if entry.state is not HANDED or entry.row in self._awaited:
            self._move(entry, "acknowledge")
            entry.until_ns = now_ns + self._waits.get(entry.row, self._patience_ns)
        else:
            self._move(entry, "send_again")
            self._made_room(entry.row)
        return False

    def lose(self, entry: RowEntry) -> None:
        """The connection ended before the answer: nobody knows whether it arrived."""
        self.counts.unacknowledged += 1
        self._move(entry, "send_again")

    def put_off(self, entry: RowEntry) -> None:
        """Refused, not for itself: its stream or the whole broker waits."""
        self.counts.refused += 1
        self._move(entry, "send_again")

    def deny(self, stream: str, until_ns: int) -> None:
        """The broker allows nothing of this stream until then."""
        self._denied[stream] = until_ns

    def refuse(self, entry: RowEntry, accepted: int) -> int:
        """Refused for itself; how often it was. `accepted`: rows that the broker has ever taken.
        While it takes nothing from anybody it is not the record that is wrong."""
        self.counts.refused += 1
        self._move(entry, "refuse")
        if entry.state is not REFUSED:
            return 0
        refusals, then = self._refusals.get(entry.row, (0, -1))
        refusals += then != accepted
        self._refusals[entry.row] = refusals, accepted
        while len(self._refusals) > TRACKED_REFUSALS:
            del self._refusals[next(iter(self._refusals))]
        return refusals

    def retry_at(self, entry: RowEntry, at_ns: int) -> None:
        """A refused row waits until then. Where too many wait, the first of them waits no more."""
        entry.until_ns = at_ns
        while len(self._in[REFUSED]) > TRACKED_REFUSALS:
            oldest = next(iter(self._in[REFUSED].values()))
            self._move(oldest, "retry")
            self._made_room(oldest.row)

    def give_up(self, entry: RowEntry) -> None:
        """It cannot be written or sent, or was refused too often."""
        self._move(entry, "give_up")
        self._refusals.pop(entry.row, None)
        self._waits.pop(entry.row, None)
        self.counts.dead_letters += 1

    # -- receipts of the platform ------------------------------------------------------------------

    def receipt(self, receipt: Receipt, now_ns: int) -> list[int]:
        """The rows that it confirms."""
        self._reset_waits(now_ns)
        numbers = self._numbers.get((receipt.epoch, receipt.stream), {})
        order = sorted(numbers)  # ranges may be as long and as many as they like
        found: list[int] = []
        for first, last in receipt.ranges:
            named = [
                n for n in order[bisect_left(order, first) : bisect_right(order, last)]
                if n in numbers
            ]  # fmt: skip
            self.counts.receipts_unknown += last - first + 1 - len(named)
            for n in named:
                entry = numbers[n]
                self._move(entry, "receipt")
                self._refusals.pop(entry.row, None)
                self._waits.pop(entry.row, None)
                found.append(entry.row)
        self.counts.confirmed += len(found)
        return found

    def take_overdue(self, now_ns: int) -> list[int]:
        """Rows that have waited too long: they are to be sent again, and then wait longer."""
        # those with a longer patience lie among the others: few enough to look at all
        if now_ns < self._next_ns or self._patience_ns is None:
            return []
        found = [
            entry
            for entry in self._awaited.values()
            if entry.until_ns <= now_ns and entry.state is ACKNOWLEDGED
        ]
        for entry in found:
            wait_ns = self._waits.get(entry.row, self._patience_ns)
            self._waits[entry.row] = min(2 * wait_ns, MAX_WAIT_NS)
            self._move(entry, "ask_again")
        self._next_ns = min((each.until_ns for each in self._awaited.values()), default=0)
        while len(self._waits) > RETRIED_LIMIT:
            del self._waits[next(iter(self._waits))]
        self.counts.receipts_overdue += len(found)
        return [entry.row for entry in found]

    def take_evicted(self) -> int | None:
        """The oldest row that had to make room, once there is room again; else None."""
        if self._evicted is None or len(self._awaited) > TRACKED_LIMIT // 2:
            return None
        found, self._evicted = self._evicted, None
        return found

    # -- looked at again ---------------------------------------------------------------------------

    def take_retries(self, now_ns: int) -> list[int]:
        """Refused rows that may be tried again now."""
        found = [entry for entry in self._in[REFUSED].values() if now_ns >= entry.until_ns]
        for entry in found:
            self._move(entry, "retry")
        return [entry.row for entry in found]

    def take_allowed(self, now_ns: int) -> bool:
        """Whether a stream that was denied may be tried again now."""
        found = [stream for stream, until_ns in self._denied.items() if now_ns >= until_ns]
        for stream in found:
            del self._denied[stream]
        return bool(found)

    def ask_again(self, rows: Iterable[int]) -> list[int]:
        """The platform misses them. Those that may be read from the outbox again."""
        found = [row for row in rows if self.state(row) not in (CHOSEN, HANDED, RECEIPTED)]
        for row in found:
            if (entry := self._in[ACKNOWLEDGED].get(row)) is not None:
                self._move(entry, "ask_again")
        return found

    def hold_copy(self, holder: object) -> None:
        """Somebody reads a page of the outbox: whose life ends from now on may be in it."""
        self._copies.add(holder)

    def drop_copy(self, holder: object) -> None:
        """The page has been looked through, or thrown away."""
        self._copies.discard(holder)
        if not self._copies:
            for state in FINAL:
                for row in self._in[state]:
                    del self._rows[row]
                self._in[state].clear()

    # -- inside ------------------------------------------------------------------------------------

    def _enter(self, row: int, key: RecordKey, event: RowEvent) -> RowEntry:
        state = TRANSITIONS[event][STORED]
        entry = self._rows[row] = self._in[state][row] = RowEntry(row, key, state)
        return entry

    def _move(self, entry: RowEntry, event: RowEvent) -> None:
        """The only place where a state changes."""
        row, before = entry.row, entry.state
        state = TRANSITIONS[event].get(before)
        if state is None or self._in[before].pop(row, None) is not entry:
            raise ImpossibleTransitionError(f"row {row} is {before.name}: {event} is impossible")
        entry.state = state
        if row in self._awaited and state is not ACKNOWLEDGED:
            self._end_wait(entry)
        if state is STORED or (state in FINAL and not self._copies):
            del self._rows[row]  # nobody has it, or asks for it
        else:
            self._in[state][row] = entry

    def _await_receipt(self, entry: RowEntry, now_ns: int, patience_ns: int) -> None:
        while len(self._awaited) >= TRACKED_LIMIT:
            oldest = next(iter(self._awaited.values()))
            self._made_room(oldest.row)
            if oldest.state is ACKNOWLEDGED:
                self._move(oldest, "ask_again")
            else:
                self._end_wait(oldest)  # its answer is still to come
        entry.until_ns = until_ns = now_ns + self._waits.get(entry.row, patience_ns)
        if until_ns < self._next_ns:
            self._next_ns = until_ns
        self._awaited[entry.row] = entry
        self._numbers.setdefault((entry.key.epoch, entry.key.stream), {})[entry.key.seq] = entry

    def _made_room(self, row: int) -> None:
        """Whoever reads the backlog has to begin with it again."""
        self._evicted = min(row, self._evicted or row)

    def _end_wait(self, entry: RowEntry) -> None:
        """No receipt is awaited any more."""
        del self._awaited[entry.row]
        place = entry.key.epoch, entry.key.stream
        numbers = self._numbers[place]
        del numbers[entry.key.seq]
        if not numbers:
            del self._numbers[place]

    def _reset_waits(self, now_ns: int) -> None:
        """After a long silence somebody stores again: nobody waits for an hour now."""
        silent_ns, self._heard_ns = now_ns - self._heard_ns, now_ns
        if self._patience_ns is None or silent_ns <= self._patience_ns:
            return
        self._waits.clear()
        latest_ns = now_ns + self._patience_ns
        for entry in self._awaited.values():
            entry.until_ns = min(entry.until_ns, latest_ns)
        self._next_ns = min(self._next_ns, latest_ns)
