"""The sender: what is in the outbox goes to the broker, and is forgotten when that very row is
confirmed, by the broker or by the platform."""

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from edge.core import AsyncClock, Record, Stamp
from edge.core.reportlimits import ReportOnce
from edge.uplink.backloggate import BacklogGate
from edge.uplink.broker import Broker
from edge.uplink.brokertroubles import OLD_PROTOCOL, TAKEN_OVER
from edge.uplink.commands import CommandHandler
from edge.uplink.delivery import ConnectionState, Delivery, LinkFacts
from edge.uplink.inboundqueue import InboundQueue
from edge.uplink.mqtt import (
    QOS_NOT_SUPPORTED,
    RETAIN_NOT_SUPPORTED,
    SESSION_TAKEN_OVER,
    BrokerRefusedError,
    CertificateRejectedError,
    ConnectionLostError,
    MqttConnection,
    PublishAnswer,
)
from edge.uplink.presence import PresencePublisher
from edge.uplink.publisher import Publisher
from edge.uplink.reconnect import ReconnectPolicy
from edge.uplink.refusals import Alarm, BrokerLogThrottle, limit_notice
from edge.uplink.resend import find_for_resend
from edge.uplink.rowtable import RowEntry, RowTable, UplinkCounters
from edge.uplink.sendqueue import Backlog
from edge.uplink.timestamps import Timestamper
from edge.wire import Command, Topics
from edge.wire.clockmoments import Moment
from edge.wire.contract.boxevent import AlarmKind

LOG: Final = logging.getLogger("kerbstone.uplink")
FIRST_LOG: Final = logging.getLogger("kerbstone.first")
"""What happens for the first time since the start; whoever runs the daemon hears of it."""

DRAIN_STEP_NS: Final = 20_000_000
IDLE_S: Final = 10.0  # the longest turn without anything to do: who watches sees that we live
IDLE_SLICE_NS: Final = 30_000_000_000  # the same between two connections
MISSING_FEATURES: Final = {  # by the reason code
    QOS_NOT_SUPPORTED: "accepts only messages without acknowledgement (Maximum QoS 0), so records "
    "cannot be confirmed. Allow QoS 1",
    RETAIN_NOT_SUPPORTED: "does not allow retained messages (Retain Available 0), but the status "
    "of a gateway is retained. Allow them",
}
CAUSES_LOGGED: Final = 8  # different failures to connect that are said, before one succeeds


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """How records are sent. `receipt_s` None: the broker's answer confirms."""

    encoding: Literal["json", "msgpack"] = "msgpack"
    receipt_s: float | None = None
    backlog_per_s: float = 500.0
    last_s: int = 0  # between two retained records of a source; 0: none


@dataclass(frozen=True, slots=True)
class SenderHooks:
    """What the sender asks of the daemon, and reports to it. All are called in the loop."""

    status: Callable[[], Mapping[str, Any]]
    meta: Callable[[], Mapping[str, Any]]
    alarm: Alarm
    watchdog: Callable[[], None] = lambda: None
    status_arrived: Callable[[], None] = lambda: None
    """The newest status is at the broker."""
    sealed: Callable[[Record, *tuple[Moment, ...]], None] = field(
        default=lambda record, *moments: None
    )
    """A record goes out, dated by the first of these; a former process maybe by another one."""
    time_passed: Callable[[int], None] = field(default=lambda wall_ns: None)
    """Unix ns: a moment that has certainly passed, the server's certificate says so."""
    certificate_accepted: Callable[[bool], None] = field(default=lambda accepted: None)
    """The broker has let us in, or refuses our certificate."""


class Sender:
    """One owner of one connection. `offer` what was committed; `run` until cancelled."""

    def __init__(
        self,
        brokers: Sequence[Broker],
        topics: Topics,
        gw: str,
        backlog: Backlog,
        clock: AsyncClock,
        *,
        boot: int,
        epoch: int,
        options: SenderOptions,
        hooks: SenderHooks,
    ) -> None:
        self._backlog, self._clock = backlog, clock
        self._wake = asyncio.Event()
        self._options, self._hooks = options, hooks
        self.counts = UplinkCounters()
        self.connection = ConnectionState(clock.now().mono_ns)
        self._troubles = self.connection.troubles
        self._broker_log = BrokerLogThrottle(hooks.alarm)
        self._causes = ReportOnce[str](CAUSES_LOGGED)  # of failures to connect
        self._rng = random.Random(f"{gw}:{epoch}")
        self._brokers = tuple(brokers)
        self._reconnect = ReconnectPolicy(brokers, self._rng, clock.now().mono_ns)
        self._rest: asyncio.Future[None] | None = None  # between two connections
        waits_ns = None if options.receipt_s is None else int(options.receipt_s * 1e9)
        self._table = RowTable(waits_ns, self.counts)
        self._delivery = Delivery(
            backlog,
            options.backlog_per_s,
            self._broker_log,
            self._table,
            topics.up,
            lambda item, moments: hooks.sealed(item.record, *moments),
            self._wake.set,
            self._troubles,
        )
        self.offer = self._delivery.send_queue.offer
        self._inbound = InboundQueue(
            topics,
            gw,
            CommandHandler(gw, epoch, {"resend": self._resend, "status": self._send_status}),
            self._table,
            backlog,
            self._spread,
            self._wake.set,
        )
        self._presence = PresencePublisher(
            topics, gw, boot, hooks.status, hooks.meta,
            lambda what, text: self._broker_log.log(what, text, clock.now().mono_ns),
            self.connection.refused, hooks.status_arrived, last_s=options.last_s,
        )  # fmt: skip
        self._timestamper = Timestamper(backlog, boot, epoch)
        self._publisher = Publisher(
            self._delivery, self._timestamper, backlog, self._presence, topics, gw,
            options.encoding, clock,
        )  # fmt: skip
        self._backlog_gate = BacklogGate(backlog, self._delivery.send_queue, self._table)
        self._confirmed_by = "broker" if options.receipt_s is None else "platform"
        self._turn_s = min(IDLE_S, (options.receipt_s or IDLE_S) / 2)  # sees what is overdue
        self._link: MqttConnection | None = None
        self._lost: ConnectionLostError | None = None
        if any(broker.protocol != "5" for broker in brokers):
            self._troubles.old_protocol = True
            self._report("old_protocol", "", OLD_PROTOCOL)

    # -- what the daemon calls ---------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._link is not None

    @property
    def unconfirmed(self) -> int:
        """Rows that are not answered, or not receipted, yet."""
        return self._table.unconfirmed

    @property
    def facts(self) -> LinkFacts:
        """What the broker lets us do."""
        if (link := self._link) is None:
            return LinkFacts()
        return LinkFacts(
            link.unsubscribed,
            self._table.denied_streams,
            self._presence.status_arrived,
            link.round_trip_s,
        )

    def knows_clock(self, now: Stamp) -> bool:
        """Whether records are dated already by what the clocks show."""
        return self._timestamper.knows(now)

    def add_mark(self, now: Stamp) -> None:
        """The clocks as they are: a step of the wall is known to dating at once. First keep what
        the sender does not know yet: a power cut takes no mark that something was dated by."""
        self._timestamper.see(now)

    def set_saver_level(self, level: int) -> None:
        """How to spare bytes: 0 not at all, 1 go together each quarter of an hour, 2 merge, too."""
        self._backlog_gate.level(level)
        self._presence.set_data_saver(level > 0)
        self._wake.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until what is live has been sent and confirmed, or the time is over."""
        until_ns = self._clock.now().mono_ns + int(timeout_s * 1e9)
        while self.connected and (self._delivery.send_queue.fresh or self._table.unconfirmed):
            now_ns = self._clock.now().mono_ns
            if now_ns >= until_ns:
                return
            await self._clock.sleep_until(now_ns + DRAIN_STEP_NS)

    def publish_status(self) -> None:
        """The status has changed: publish it, retained."""
        self._presence.put_status()
        self._wake.set()

    def publish_meta(self) -> None:
        """The description of points and devices has changed: publish it, retained."""
        self._presence.put_meta()
        self._wake.set()

    def use_brokers(self, brokers: Sequence[Broker]) -> None:
        """These from now on, in their order, in place of those before: the configuration has
        changed. What is under way comes to its end first; nothing that waits is given up."""
        now_ns = self._clock.now().mono_ns
        spread_s, self._brokers = self._reconnect.spread_s, tuple(brokers)
        self._reconnect = ReconnectPolicy(brokers, self._rng, now_ns)
        self._reconnect.spread_s = spread_s
        if self.connected:
            self._reconnect.leave(now_ns)
        self._causes.forget_all()
        known = {str(broker) for broker in brokers}
        for former in self._troubles.untrusted.keys() - known:
            self._troubles.untrusted.pop(former)
        self._troubles.old_protocol = any(broker.protocol != "5" for broker in brokers)
        if self._rest is not None:
            self._rest.cancel()
        self._wake.set()

    async def run(self) -> None:
        """Connect, send, connect again; ends only by cancellation, with a goodbye."""
        while True:
            policy = self._reconnect
            attempt = policy.next
            await self._rest_until(attempt.at_ns)
            if policy is not self._reconnect:
                continue
            try:
                await self._one_connection(attempt.broker)
                self._causes.forget_all()
                self._reconnect.ended(self._clock.now().mono_ns)
            except BrokerRefusedError as error:
                self._failed(attempt.broker, error, error.code)
            except (
                OSError
            ) as error:  # ConnectionLostError, TimeoutError and ssl.SSLError are among them
                self._failed(attempt.broker, error, None)

    # -- one connection ----------------------------------------------------------------------------

    def _failed(self, broker: Broker, error: Exception, code: int | None) -> None:
        self.counts.connection_failures += 1
        if isinstance(error, CertificateRejectedError):
            self._hooks.certificate_accepted(False)
        now_ns, tls, proxy = self._clock.now().mono_ns, broker.tls, broker.proxy
        self.connection.failed(error, now_ns, tls=tls is not None, proxy=proxy is not None)
        cause = f"{broker}: {error}"
        LOG.log(logging.WARNING if self._causes.first(cause) else logging.DEBUG, "%s", cause)
        if self._is_used(broker):
            self._reconnect.failed(now_ns, code)
        if code in MISSING_FEATURES:
            text = f"{broker} {MISSING_FEATURES[code]} there. Until then records are kept."
            self._report("broker_limit", "", text)
        if isinstance(error, ssl.SSLCertVerificationError):
            found = self._troubles.untrusted[str(broker)]
            what = f"{broker} {self.connection.failed_by}"
            self._report("untrusted", what, f"{found.cause}. {found.remedy}")

    async def _rest_until(self, until_ns: int) -> None:
        """Between two connections."""
        now_ns = self._clock.now().mono_ns
        policy = self._reconnect
        while now_ns < until_ns and policy is self._reconnect:
            self._hooks.watchdog()
            sleeping = self._clock.sleep_until(min(until_ns, now_ns + IDLE_SLICE_NS))
            self._rest = asyncio.ensure_future(sleeping)
            try:
                await asyncio.wait((self._rest,))  # `use_brokers` cuts it short
            finally:
                self._rest.cancel()
            now_ns = self._clock.now().mono_ns

    async def _one_connection(self, broker: Broker) -> None:
        self._hooks.watchdog()
        self._lost = None
        self.connection.broker = str(broker)
        link = await MqttConnection.open(
            broker,
            will=self._presence.will,
            on_answer=self._answered,
            on_lost=self._gone,
            subscribe=self._inbound.filters,
            on_message=self._inbound.put,
        )
        log = LOG if self.counts.connections else FIRST_LOG
        log.info("connected to %s, in-flight window %d", broker, link.session.window)
        try:
            await self._connected(link, broker)
            await self._send(link)
        finally:
            self._link = None
            self.connection.ended(str(self._lost or ""), self._clock.now().mono_ns)
            if self._lost is None:
                self._presence.publish_offline(link)
            await link.close()
            await self._delivery.process_answers(self._clock.now().mono_ns)
            self._backlog_gate.unlinked()

    def _is_used(self, broker: Broker) -> bool:
        """It is one of those that are configured now."""
        return any(each is broker for each in self._brokers)

    async def _connected(self, link: MqttConnection, broker: Broker) -> None:
        """What is said and done at the begin of each connection."""
        self._link = link
        self.counts.connections += 1
        self._hooks.certificate_accepted(True)
        now_ns = self._clock.now().mono_ns
        self._reconnect.connected(now_ns)
        if not self._is_used(broker):  # other ones were configured while this was opened
            self._reconnect.leave(now_ns)
        self.connection.connected(now_ns)
        self._broker_log.connected(now_ns)
        self._troubles.subscribed(link.unsubscribed)
        for refused in link.unsubscribed:
            self._report("denied", refused, self._troubles.denied[refused])
        if link.session.not_before_ns is not None:
            self._hooks.time_passed(link.session.not_before_ns)
        self._presence.publish_birth()
        self._delivery.connected(now_ns)
        await self._backlog_gate.linked(self._clock.now(), self._hooks.watchdog)

    async def _send(self, link: MqttConnection) -> None:
        delivery, confirmed = self._delivery, self.counts.confirmed
        while self._lost is None and not self._returns():
            self._hooks.watchdog()
            self._wake.clear()
            now_ns = self._clock.now().mono_ns
            if link.failure is not None:
                raise link.failure
            self._presence.reply(await self._inbound.work(now_ns))
            await delivery.process_answers(now_ns)
            if self.counts.confirmed != confirmed:
                if self.connection.confirmed_ns is None:
                    FIRST_LOG.info("first record confirmed by the %s", self._confirmed_by)
                confirmed, self.connection.confirmed_ns = self.counts.confirmed, now_ns
                self._troubles.receipts.came()
            self._troubles.stands(self.connection.since_ns, now_ns)
            delivery.retry_due(now_ns)
            self._look_at_its_limit(link, now_ns)
            await self._backlog_gate.update(self._clock.now(), self._hooks.watchdog)
            delivery.send_queue.refill(now_ns)
            self._presence.publish_status_and_replies(link)
            waits: list[float | None] = [self._turn_s, delivery.wait_s(now_ns)]
            if self._reconnect.return_due(now_ns):
                pass  # what is under way comes to its end, and nothing follows
            elif delivery.may_send(now_ns):
                held_back = self._presence.passed_over
                if not await self._publisher.fill(link):
                    self._wake.set()
                self._presence.publish(link)
                if held_back and not self._presence.passed_over:
                    self._wake.set()  # the backlog goes on, though nothing may be in flight
                waits.append(delivery.send_queue.wait_s() if link.room else None)
            else:
                if delivery.probing.due(now_ns):
                    await self._publisher.probe(link)
                waits.append((delivery.paused_ns - now_ns) / 1e9)
                waits.append(delivery.probing.wait_s(now_ns))
            await self._woken(min(wait_s for wait_s in waits if wait_s is not None))
        if self._lost is None:
            LOG.info("disconnecting, to use another configured broker")
            return
        LOG.warning("%s", self._lost)
        if self._lost.code == SESSION_TAKEN_OVER:
            self._troubles.taken_over = True
            text = "its card was copied, or two boxes have the same name. If you cannot explain it"
            self._report("taken_over", "", f"{TAKEN_OVER}: {text}, revoke the certificate.")

    def _look_at_its_limit(self, link: MqttConnection, now_ns: int) -> None:
        """Whether much of what waits is larger than the broker takes: it is held, and reported."""
        oversize = self._delivery.oversize
        if not oversize.too_many(now_ns):
            self.connection.limit_notice = ""
            return
        if not self.connection.limit_notice:
            self._reconnect.reject_limits(now_ns)
        self.connection.limit_notice = text = limit_notice(
            self.connection.broker, link.session.max_packet, link.needed, len(oversize)
        )
        self._report("broker_limit", "", text)

    def _returns(self) -> bool:
        """It is time for another broker, and nothing is under way at this one."""
        return self._reconnect.return_due(self._clock.now().mono_ns) and not self._table.in_flight

    async def _woken(self, wait_s: float) -> None:
        if self._wake.is_set():
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    # -- answers -----------------------------------------------------------------------------------

    def _answered(self, token: Hashable, answer: PublishAnswer) -> None:
        if isinstance(token, RowEntry):
            self._delivery.answered(token, answer)
        else:
            self._presence.answered(token, answer)
        self._wake.set()

    def _spread(self, seconds: float) -> None:
        self._reconnect.spread_s = seconds

    def _gone(self, error: ConnectionLostError) -> None:
        self._lost = error
        self._wake.set()

    def _report(self, kind: AlarmKind, stream: str, text: str) -> None:
        self._broker_log.report(kind, stream, text, self._clock.now().mono_ns)

    # -- commands ----------------------------------------------------------------------------------

    async def _resend(self, command: Command) -> Mapping[str, Any]:
        answer, rows = await find_for_resend(self._backlog, command, self._hooks.watchdog)
        self._delivery.resend(rows)
        return answer

    async def _send_status(self, _command: Command) -> Mapping[str, Any]:
        self.publish_status()
        return {}
