"""What answers and time do to rows: confirmed, refused, sent again, given up; and what they do to
all others: a pause, a probe, a stream that is left alone. Each row's state is in `RowTable`.

Nothing here talks to the network; the sender asks what may go, and reports what came of it.
"""

import ssl
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.uplink.brokertroubles import BrokerTroubles, Distrust
from edge.uplink.connectfailure import (
    REMEDIES,
    FailureClass,
    failure_class,
    led_through_tls,
    untrusted_reason,
)
from edge.uplink.inflight import BrokerRefusedError, ConnectionLostError, PublishAnswer
from edge.uplink.refusals import BrokerLogThrottle, BrokerProbe, Oversize
from edge.uplink.rowtable import RowEntry, RowState, RowTable
from edge.uplink.sendqueue import Backlog, SendItem, SendQueue
from edge.wire.clockmoments import Moment

NO_MATCHING_SUBSCRIBERS: Final = 16  # success, but nobody has subscribed
NOT_AUTHORIZED: Final = 135
QUOTA_EXCEEDED: Final = 151
REFUSALS_LIMIT: Final = 5  # then a row is dead
NOT_AUTHORIZED_RETRY_NS: Final = (
    300_000_000_000  # a stream that is denied is tried again after this time
)
RETRY_FIRST_NS: Final = 500_000_000  # twice as long after each refusal
RETRY_MAX_NS: Final = 60_000_000_000
PAUSE_AFTER_REFUSALS: Final = (
    200  # refusals without one success: after each so many the pause doubles
)
QUOTA_PAUSE_NS: Final = 10_000_000_000


@dataclass(slots=True)
class ConnectionState:
    """Where the link stands: what a person asks first. Times are monotonic ns."""

    since_ns: int  # connected, or without a link, since then
    broker: str = ""  # connected to it, or tried last
    failure: str = ""  # why the last attempt failed, or the last connection ended
    failed_by: FailureClass | None = None  # why the last attempt failed, as a class
    limit_notice: str = ""  # what the broker announces that keeps records back, as a sentence
    refused: dict[str, str] = field(default_factory=dict)  # retained topics, and why, until taken
    confirmed_ns: int | None = None  # when a row was confirmed last, as `confirm` means it
    troubles: BrokerTroubles = field(default_factory=BrokerTroubles)
    started_ns: int = field(init=False)  # when this process began to connect

    def __post_init__(self) -> None:
        self.started_ns = self.since_ns

    def connected(self, now_ns: int) -> None:
        self.since_ns, self.failure, self.limit_notice = now_ns, "", ""
        self.failed_by = None
        self.troubles.connected(self.broker, now_ns)

    def ended(self, why: str, now_ns: int) -> None:
        self.since_ns, self.failure, self.limit_notice = now_ns, why, ""
        self.failed_by = None
        self.troubles.receipts.ended(now_ns)

    @property
    def remedy(self) -> str:
        """What to do about the failure, where that is known."""
        return "" if self.failed_by is None else REMEDIES[self.failed_by]

    def failed(self, error: Exception, now_ns: int, *, tls: bool, proxy: bool = False) -> None:
        """An attempt to connect has failed; `tls`: one with TLS, `proxy`: through a proxy."""
        self.failed_by = failure_class(error, tls=tls, proxy=proxy)
        self.failure = str(error)
        if isinstance(error, ssl.SSLCertVerificationError):
            cause = f"{self.broker} cannot be trusted: {untrusted_reason(error)}"
            self.troubles.distrust(self.broker, Distrust(cause, self.remedy, now_ns))
        elif tls and led_through_tls(error):
            self.troubles.trust(self.broker)


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What the broker lets this connection do, as far as it was tried; nothing without one."""

    unsubscribed: tuple[str, ...] = ()  # filters that it refused
    denied: tuple[str, ...] = ()  # streams that it takes nothing of
    status_arrived: bool | None = None  # False: it refuses the status, which is retained
    round_trip_s: float | None = None  # of the bare link; None before the first answer


class Delivery:
    """Decides what happens to a row; that it may happen is the table's business."""

    def __init__(
        self,
        backlog: Backlog,
        per_s: float,
        broker_log: BrokerLogThrottle,
        table: RowTable,
        up: str,
        sealed: Callable[[SendItem, Sequence[Moment]], None],
        wake: Callable[[], None] = lambda: None,
        troubles: BrokerTroubles | None = None,
    ) -> None:
        self.send_queue = SendQueue(backlog, per_s, table, self._offered)
        self.oversize = Oversize(table)  # rows that this broker takes at no price
        self._backlog, self._broker_log, self._table = backlog, broker_log, table
        self._up, self._sealed, self._wake = up, sealed, wake
        self._troubles = troubles or BrokerTroubles()
        self._answers: deque[tuple[RowEntry, PublishAnswer]] = deque()
        self._accepted = 0  # answers that took a record
        self._refused_in_a_row = 0  # refusals since the last of these
        self.paused_ns = 0  # until then nothing is sent but a probe; 0: go on
        self.probing = BrokerProbe()

    @property
    def stalled(self) -> bool:
        """Nobody stores what is sent, or takes it: more of the backlog would be in vain."""
        return self._table.is_full or self.oversize.mostly_too_large

    def may_send(self, now_ns: int) -> bool:
        """Whether more than a probe may go to this broker; a pause that is over ends here."""
        if now_ns >= self.paused_ns:
            self.paused_ns = 0
        return not self.paused_ns

    # -- towards the broker ------------------------------------------------------------------------

    def _offered(self, alarm: bool, now_ns: int) -> None:
        """New rows. An alarm does not wait for the next probe of a broker that refuses."""
        if alarm:
            self.probing.probe_now(now_ns)
        self._wake()

    def hand(self, item: SendItem, now_ns: int, moments: Sequence[Moment]) -> RowEntry:
        """It goes out now, dated by the first of these moments. Gives the token of its message."""
        entry = self._table.hand(
            item.row, now_ns, redelivered=item.redelivered, backfilled=item.backfilled
        )
        self._sealed(item, moments)
        return entry

    def connected(self, now_ns: int) -> None:
        """A new connection: nothing is denied any more."""
        self._table.connected()
        self.oversize.connected()
        self.paused_ns = 0
        self.probing = BrokerProbe()
        self.send_queue.restart(now_ns)

    # -- answers -----------------------------------------------------------------------------------

    def answered(self, entry: RowEntry, answer: PublishAnswer) -> None:
        """From paho's callback: looked at later."""
        self._answers.append((entry, answer))

    async def process_answers(self, now_ns: int) -> None:
        """Look at the answers that have come."""
        confirmed: list[int] = []
        while self._answers:
            entry, answer = self._answers.popleft()
            taken = isinstance(answer, int)
            if self.probing.answered(entry.row, taken, now_ns):
                self.paused_ns = 0
            if isinstance(answer, int):
                if self._table.acknowledge(entry, now_ns):
                    confirmed.append(entry.row)
                self._accepted += 1
                self.oversize.accepted()
                self._refused_in_a_row = 0
                heard = answer != NO_MATCHING_SUBSCRIBERS
                self._table.counts.no_subscribers += not heard
                self._troubles.taken(entry.key.stream, now_ns, heard=heard)
                if entry.state is RowState.ACKNOWLEDGED:
                    self._troubles.receipts.acknowledged(now_ns)
            elif isinstance(answer, ConnectionLostError):
                self._table.lose(entry)
                self.send_queue.rewind(entry.row - 1)
            else:
                await self._refused(entry, answer, now_ns)
        if confirmed:
            self._backlog.confirm(confirmed)
        for entry in self.oversize.dead_letters():
            await self._give_up(entry, "it is larger than the broker accepts", now_ns)

    def wait_s(self, now_ns: int) -> float | None:
        """How long until something that was refused may be tried again; None: nothing was."""
        due_ns = self._table.retry_ns()
        return None if due_ns is None else max(0.0, (due_ns - now_ns) / 1e9)

    def retry_due(self, now_ns: int) -> None:
        """Time has passed: what was not receipted goes again, what was denied is tried."""
        again = self._table.take_overdue(now_ns) + self._table.take_retries(now_ns)
        if (row := self._table.take_evicted()) is not None:
            again.append(row)
        if again:
            self.send_queue.rewind(min(again) - 1)
        if self._table.take_allowed(now_ns):
            self.send_queue.rewind(0)

    def resend(self, rows: Collection[int]) -> None:
        """The platform asks for them again."""
        if again := self._table.ask_again(rows):
            self.send_queue.rewind(min(again) - 1)

    async def unsendable(self, item: SendItem, why: str, now_ns: int) -> None:
        """A chosen item that cannot be written as a message."""
        await self._give_up(self._table.entry(item.row), why, now_ns)

    def too_large(self, item: SendItem, now_ns: int) -> None:
        """A chosen item that is larger than this broker takes."""
        self.probing.answered(item.row, False, now_ns)  # nobody else answers it
        self.oversize.hold(item.row, now_ns)

    async def _give_up(self, entry: RowEntry, why: str, now_ns: int) -> None:
        """It stays for people, and its number is declared lost."""
        self._table.give_up(entry)
        self.probing.answered(entry.row, False, now_ns)
        stream = entry.key.stream
        text = f"A record of {stream} was given up: {why}"
        self._broker_log.report("refused", stream, text, now_ns)
        await self._backlog.dead_letter(entry.row, why)

    async def _refused(self, entry: RowEntry, error: BrokerRefusedError, now_ns: int) -> None:
        stream = entry.key.stream
        if error.code == NOT_AUTHORIZED:
            text = f"The broker does not allow {self._up}/{stream}: {error}"
            self._troubles.denied[stream] = text
            self._broker_log.report("denied", stream, text, now_ns)
            self._table.deny(stream, now_ns + NOT_AUTHORIZED_RETRY_NS)
            self._table.put_off(entry)
        elif error.code == QUOTA_EXCEEDED:
            text = f"The broker accepts no more messages for now: {error}"
            self._troubles.over_quota(text, now_ns)
            self._broker_log.report("quota", "", text, now_ns)
            self.paused_ns = now_ns + QUOTA_PAUSE_NS
            self._table.put_off(entry)
        else:
            self._back_off(now_ns)
            refusals = self._table.refuse(entry, self._accepted)
            if refusals >= REFUSALS_LIMIT:
                await self._give_up(entry, str(error), now_ns)
                return
            wait_ns = min(RETRY_FIRST_NS << refusals, RETRY_MAX_NS)
            self._table.retry_at(entry, now_ns + wait_ns)
        self.send_queue.rewind(entry.row - 1)

    def _back_off(self, now_ns: int) -> None:
        """It refuses whatever comes: more of it only costs bytes."""
        self._refused_in_a_row += 1
        if rounds := self._refused_in_a_row // PAUSE_AFTER_REFUSALS:
            pause_ns = min(RETRY_FIRST_NS << min(rounds, 16), RETRY_MAX_NS)
            self.paused_ns = max(self.paused_ns, now_ns + pause_ns)
