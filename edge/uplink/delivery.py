"""What becomes of each row: handed over, answered, receipted, refused, sent again; and the counts
of it since the start, for status, health and metrics.

Nothing here talks to the network; the sender asks what may go, and reports what came of it.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from edge.core.numbers import Numbers
from edge.uplink.mqtt import BrokerRefusedError, ConnectionLostError, PublishAnswer
from edge.uplink.receipttracker import ReceiptTracker
from edge.uplink.refusals import BrokerLogThrottle, BrokerProbe, Oversize
from edge.uplink.sendqueue import URGENT_STREAMS, Backlog, SendItem, SendQueue, StoredRow
from edge.wire import Receipt
from edge.wire.clockmoments import Moment

NO_MATCHING_SUBSCRIBERS: Final = 16  # success, but nobody has subscribed
NOT_AUTHORIZED: Final = 135
QUOTA_EXCEEDED: Final = 151
REFUSALS_LIMIT: Final = 5  # then a row is dead
TRACKED_REFUSALS: Final = (
    5000  # rows whose refusals are counted: more than two windows, or none gets to 5
)
NOT_AUTHORIZED_RETRY_NS: Final = (
    300_000_000_000  # a stream that is denied is tried again after this time
)
RETRY_FIRST_NS: Final = 500_000_000  # twice as long after each refusal
RETRY_MAX_NS: Final = 60_000_000_000
PAUSE_AFTER_REFUSALS: Final = (
    200  # refusals without one success: after each so many the pause doubles
)
QUOTA_PAUSE_NS: Final = 10_000_000_000
HANDED_RANGES: Final = (
    1000  # ranges of rows; what they close up over says `redelivered` for nothing
)


@dataclass(slots=True)
class UplinkCounters:
    """Retained messages are not counted as records."""

    sent: int = 0
    confirmed: int = 0
    redelivered: int = 0  # of the sent: they may have been sent before
    backfilled: int = 0  # of the sent: from the backlog
    no_subscribers: int = 0  # taken by a broker at which nobody listens
    refused: int = 0
    dead_letters: int = 0
    unacknowledged: int = 0  # unacknowledged when a connection ended
    receipts: int = 0  # messages
    receipts_unknown: int = 0  # numbers in receipts that nothing waits for
    receipts_overdue: int = 0  # rows whose receipt did not come in time
    commands: int = 0
    strange: int = 0  # messages to us that are not what they should be
    connections: int = 0
    failures: int = 0  # attempts to connect


@dataclass(slots=True)
class ConnectionState:
    """Where the link stands: what a person asks first. Times are monotonic ns."""

    since_ns: int  # connected, or without a link, since then
    broker: str = ""  # connected to it, or tried last
    failure: str = ""  # why the last attempt failed, or the last connection ended
    limit_notice: str = ""  # what the broker announces that keeps records back, as a sentence
    confirmed_ns: int | None = None  # when a row was confirmed last, as `confirm` means it

    def connected(self, now_ns: int) -> None:
        self.since_ns, self.failure, self.limit_notice = now_ns, "", ""

    def ended(self, why: str, now_ns: int) -> None:
        self.since_ns, self.failure, self.limit_notice = now_ns, why, ""


@dataclass(frozen=True, slots=True)
class PublishToken:
    """The token of a record in the window."""

    row: int
    stream: str


class Delivery:
    """`receipts` None: the broker's answer confirms; else the platform's receipt does."""

    def __init__(
        self,
        backlog: Backlog,
        per_s: float,
        broker_log: BrokerLogThrottle,
        counts: UplinkCounters,
        up: str,
        receipts: ReceiptTracker | None,
        sealed: Callable[[SendItem, Sequence[Moment]], None],
    ) -> None:
        self.send_queue = SendQueue(backlog, per_s, self._skips)
        self._backlog, self._broker_log, self._counts = backlog, broker_log, counts
        self._up, self._receipt_tracker, self._sealed = up, receipts, sealed
        self._answers: deque[tuple[PublishToken, PublishAnswer]] = deque()
        self._in_flight: dict[int, str] = {}  # row -> stream
        self._chosen = 0  # of these: not handed over yet
        self._handed = Numbers()  # rows that were on their way in this process
        self._refusals: dict[int, tuple[int, int]] = {}  # row -> how often, and `_accepted` then
        self._accepted = 0  # answers that took a record
        self._refused_in_a_row = 0  # refusals since the last of these
        self._retry_at: dict[int, int] = {}  # refused row -> when it may be tried again
        self._not_authorized: dict[str, int] = {}  # stream -> when it may be tried again
        self.oversize = Oversize()  # rows that this broker takes at no price
        self.paused_ns = 0  # until then nothing is sent but a probe; 0: go on
        self.probing = BrokerProbe()
        self.highest = 0  # the last row that was ever handed over

    @property
    def outstanding(self) -> int:
        """Rows that are not answered, or not receipted, yet."""
        return len(self._in_flight) + (
            0 if self._receipt_tracker is None else len(self._receipt_tracker)
        )

    @property
    def in_flight(self) -> bool:
        """Something is not answered yet."""
        return bool(self._in_flight)

    @property
    def stalled(self) -> bool:
        """Nobody stores what is sent, or takes it: more of the backlog would be in vain."""
        unconfirmed = self._receipt_tracker is not None and self._receipt_tracker.is_full(
            self._chosen
        )
        return unconfirmed or self.oversize.mostly_too_large

    # -- towards the broker ------------------------------------------------------------------------

    def offer(self, rows: Sequence[StoredRow], now_ns: int) -> None:
        """New rows, right after their commit."""
        self.send_queue.offer(rows, now_ns)
        if any(row.record.key.stream in URGENT_STREAMS for row in rows):
            self.probing.probe_now(now_ns)

    def choose(self, item: SendItem) -> None:
        """It is going to be sent: nobody else takes it."""
        self._in_flight[item.row] = item.record.key.stream
        self._chosen += 1

    def redelivered(self, item: SendItem) -> bool:
        """Whether it may have been sent before."""
        return item.redelivered or item.row in self._handed

    def publish_token(self, item: SendItem, now_ns: int, moments: Sequence[Moment]) -> PublishToken:
        """It goes out now, dated by the first of these moments. Comes before the first byte: a
        receipt may be faster than a PUBACK."""
        self._chosen -= 1
        if self._receipt_tracker is not None:
            self._receipt_tracker.track(item.row, item.record.key, now_ns)
        self._counts.redelivered += self.redelivered(item)
        self._handed.add(item.row)
        self._handed.coarsen(HANDED_RANGES)
        self.highest = max(self.highest, item.row)
        self._sealed(item, moments)
        self._counts.sent += 1
        self._counts.backfilled += item.backfilled
        return PublishToken(item.row, item.record.key.stream)

    def connected(self, now_ns: int) -> None:
        """A new connection: nothing is denied any more."""
        self._not_authorized.clear()
        self.oversize.connected()
        self.paused_ns = 0
        self.probing = BrokerProbe()
        self.send_queue.restart(now_ns)

    # -- answers -----------------------------------------------------------------------------------

    def answered(self, token: PublishToken, answer: PublishAnswer) -> None:
        """From paho's callback: looked at later."""
        self._answers.append((token, answer))

    async def process_answers(self, now_ns: int) -> None:
        """Look at the answers that have come."""
        confirmed: list[int] = []
        while self._answers:
            token, answer = self._answers.popleft()
            self._in_flight.pop(token.row, None)
            taken = isinstance(answer, int)
            if self.probing.answered(token.row, taken, now_ns):
                self.paused_ns = 0
            if isinstance(answer, int):
                confirmed.append(token.row)
                self._accepted += 1
                self.oversize.accepted()
                self._refused_in_a_row = 0
                self._counts.no_subscribers += answer == NO_MATCHING_SUBSCRIBERS
                self._refusals.pop(token.row, None)
            elif isinstance(answer, ConnectionLostError):
                self._counts.unacknowledged += 1
                self._redeliver((token.row,))
            else:
                await self._refused(token, answer, now_ns)
        if confirmed and self._receipt_tracker is None:
            self._confirm(confirmed)
        for row, stream in self.oversize.dead_letters():
            await self._dead_letter(row, stream, "it is larger than the broker accepts", now_ns)

    def receipts(self, receipts: Sequence[Receipt], now_ns: int) -> None:
        """The platform has stored these."""
        if self._receipt_tracker is None:
            return
        rows = [
            row
            for receipt in receipts
            for row in self._receipt_tracker.acknowledge(receipt, now_ns)
        ]
        self._counts.receipts += 1
        self._counts.receipts_unknown = self._receipt_tracker.unknown
        if rows:
            self._confirm(rows)

    def wait_s(self, now_ns: int) -> float | None:
        """How long until something that was refused may be tried again; None: nothing was."""
        due_ns = min(self._retry_at.values(), default=None)
        return None if due_ns is None else max(0.0, (due_ns - now_ns) / 1e9)

    def retry_due(self, now_ns: int) -> None:
        """Time has passed: what was not receipted goes again, what was denied is tried."""
        if self._receipt_tracker is not None:
            overdue = self._receipt_tracker.take_overdue(now_ns, self._in_flight)
            self._counts.receipts_overdue += len(overdue)
            if overdue:
                self.send_queue.rewind(min(overdue) - 1)
            if (row := self._receipt_tracker.take_evicted()) is not None:
                self.send_queue.rewind(row - 1)
        due = [row for row, until in self._retry_at.items() if now_ns >= until]
        for row in due:
            del self._retry_at[row]
        if due:
            self.send_queue.rewind(min(due) - 1)
        for stream, until in list(self._not_authorized.items()):
            if now_ns >= until:
                del self._not_authorized[stream]
                self.send_queue.rewind(0)

    def resend(self, rows: Collection[int]) -> None:
        """The platform asks for them again."""
        if rest := [row for row in rows if row not in self._in_flight]:
            self._redeliver(rest)

    async def unsendable(self, item: SendItem, why: str, now_ns: int) -> None:
        """A chosen item that cannot be written as a message."""
        self._chosen -= 1
        await self._dead_letter(item.row, item.record.key.stream, why, now_ns)

    def too_large(self, item: SendItem, now_ns: int) -> None:
        """A chosen item that is larger than this broker takes."""
        self._chosen -= 1
        self._in_flight.pop(item.row, None)
        self.probing.answered(item.row, False, now_ns)  # nobody else answers it
        self.oversize.hold(item.row, item.record.key.stream, now_ns)

    async def _dead_letter(self, row: int, stream: str, why: str, now_ns: int) -> None:
        """Give it up: it stays for people, and its number is declared lost."""
        self._counts.dead_letters += 1
        self.probing.answered(row, False, now_ns)
        self._in_flight.pop(row, None)
        self._refusals.pop(row, None)
        self._retry_at.pop(row, None)
        self.oversize.forget(row)
        if self._receipt_tracker is not None:
            self._receipt_tracker.forget(row)
        text = f"A record of {stream} was given up: {why}"
        self._broker_log.report("refused", stream, text, now_ns)
        await self._backlog.dead_letter(row, why)
        self.send_queue.confirmed((row,))  # the page may hold it, too

    async def _refused(self, token: PublishToken, error: BrokerRefusedError, now_ns: int) -> None:
        self._counts.refused += 1
        if error.code == NOT_AUTHORIZED:
            text = f"The broker does not allow {self._up}/{token.stream}: {error}"
            self._broker_log.report("denied", token.stream, text, now_ns)
            self._not_authorized[token.stream] = now_ns + NOT_AUTHORIZED_RETRY_NS
        elif error.code == QUOTA_EXCEEDED:
            text = f"The broker accepts no more messages for now: {error}"
            self._broker_log.report("quota", "", text, now_ns)
            self.paused_ns = now_ns + QUOTA_PAUSE_NS
        else:
            self._back_off(now_ns)
            # while the broker takes nothing from anybody, it is not the record that is wrong
            refusals, then = self._refusals.get(token.row, (0, -1))
            refusals += then != self._accepted
            self._refusals[token.row] = refusals, self._accepted
            self._retry_at[token.row] = now_ns + min(RETRY_FIRST_NS << refusals, RETRY_MAX_NS)
            if refusals >= REFUSALS_LIMIT:
                await self._dead_letter(token.row, token.stream, str(error), now_ns)
                return
            while len(self._refusals) > TRACKED_REFUSALS:
                del self._refusals[next(iter(self._refusals))]
            while len(self._retry_at) > TRACKED_REFUSALS:
                del self._retry_at[next(iter(self._retry_at))]
        self._redeliver((token.row,))

    def _back_off(self, now_ns: int) -> None:
        """It refuses whatever comes: more of it only costs bytes."""
        self._refused_in_a_row += 1
        if rounds := self._refused_in_a_row // PAUSE_AFTER_REFUSALS:
            pause_ns = min(RETRY_FIRST_NS << min(rounds, 16), RETRY_MAX_NS)
            self.paused_ns = max(self.paused_ns, now_ns + pause_ns)

    def _confirm(self, rows: Collection[int]) -> None:
        self._counts.confirmed += len(rows)
        self._backlog.confirm(rows)
        self.send_queue.confirmed(rows)
        for row in rows:
            self._refusals.pop(row, None)
            self.oversize.forget(row)

    def _redeliver(self, rows: Collection[int]) -> None:
        if self._receipt_tracker is not None:
            for row in rows:
                self._receipt_tracker.forget(row)
        self.send_queue.rewind(min(rows) - 1)

    def _skips(self, row: int, stream: str) -> bool:
        waits = self._receipt_tracker is not None and row in self._receipt_tracker
        held = row in self._retry_at or row in self.oversize
        return waits or held or row in self._in_flight or stream in self._not_authorized
