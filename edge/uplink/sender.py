"""The sender: what is in the outbox goes to the broker, and is forgotten when that very row is
confirmed."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from edge.core import Clock
from edge.uplink.broker import Broker
from edge.uplink.complaints import Alarm, Complaints
from edge.uplink.envelope import Mark, best_mark, envelope
from edge.uplink.feed import Backlog, Feed, Item, Row
from edge.uplink.mqtt import TOO_LARGE, Answer, Connection, LostError, RefusedError, Will
from edge.uplink.retained import LAST, Retained
from edge.uplink.retry import Backoff
from edge.uplink.wire import JSON, Topics, WireError, encode, encode_json
from edge.uplink.wire.records import as_map

LOG: Final = logging.getLogger("kerbstone.uplink")

NOBODY: Final = 16  # success, but nobody has subscribed
DENIED: Final = 135
QUOTA: Final = 151
REFUSALS: Final = 5  # then a row is dead
COUNTED: Final = 5000  # rows whose refusals are counted: more than two windows, or none gets to 5
DENIED_NS: Final = 300_000_000_000  # a stream that is denied is tried again after this time
QUOTA_NS: Final = 10_000_000_000
STEADY_NS: Final = 5_000_000_000  # a connection that held so long was a good one
DRAIN_NS: Final = 20_000_000
IDLE_S: Final = 10.0  # the longest turn without anything to do: who watches sees that we live
SLICE_NS: Final = 30_000_000_000  # the same between two connections
REMEMBERED: Final = 1000  # rows that were lost on the way
BOOTS: Final = 16  # boots whose clock map is kept
CAUSES: Final = 8  # different failures to connect that are said, before one succeeds


@dataclass(slots=True)
class Counters:
    """What happened since the start. Retained messages are not counted as records."""

    sent: int = 0
    confirmed: int = 0
    nobody: int = 0  # of the confirmed: no subscriber
    refused: int = 0
    dead: int = 0
    lost: int = 0  # unanswered when a connection ended
    connections: int = 0
    failures: int = 0  # attempts to connect


@dataclass(frozen=True, slots=True)
class _Sent:
    row: int
    stream: str


class Sender:
    """One owner of one connection. `offer` what a commit gave back; `run` until cancelled."""

    def __init__(
        self,
        broker: Broker,
        topics: Topics,
        gw: str,
        encoding: Literal["json", "msgpack"],
        backlog: Backlog,
        clock: Clock,
        *,
        boot: int,
        status: Callable[[], Mapping[str, Any]],
        meta: Callable[[], Mapping[str, Any]],
        alarm: Alarm,
        beat: Callable[[], None] = lambda: None,
        backlog_per_s: float = 500.0,
        rng: random.Random | None = None,
    ) -> None:
        self._broker, self._topics, self._gw = broker, topics, gw
        self._encoding = encoding
        self._backlog, self._clock, self._boot = backlog, clock, boot
        self._status, self._meta, self._beat = status, meta, beat
        self._complaints = Complaints(alarm)
        self._backoff = Backoff(rng or random.Random())
        self._feed = Feed(backlog, backlog_per_s, self._skips)
        self._link: Connection | None = None
        self._lost: LostError | None = None
        self._wake = asyncio.Event()
        self._answers: deque[tuple[Hashable, Answer]] = deque()
        self._flying: dict[int, str] = {}  # row -> stream
        self._lost_rows: dict[int, None] = {}  # sent, and the connection ended: `again`
        self._refusals: dict[int, int] = {}
        self._denied: dict[str, int] = {}  # stream -> when it may be tried again
        self._paused_ns = 0  # until then nothing is sent; 0: go on
        self._marks: dict[int, Sequence[Mark]] = {}
        self._retained = Retained(topics, self._retained_failed)
        self.counts = Counters()
        if broker.protocol != "5":
            text = "MQTT 3.1.1: a publish that the broker refuses looks like a success"
            self._complain("old_protocol", "", text)

    # -- what the daemon calls ---------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._link is not None

    def offer(self, rows: Sequence[Row]) -> None:
        """Rows just committed."""
        if rows:
            self._feed.offer(rows, self._clock.now().mono_ns)
            self._wake.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until what is live has been sent and answered, or the time is over."""
        until_ns = self._clock.now().mono_ns + int(timeout_s * 1e9)
        while self.connected and (self._feed.fresh or self._flying):
            now_ns = self._clock.now().mono_ns
            if now_ns >= until_ns:
                return
            await self._clock.sleep_until(now_ns + DRAIN_NS)

    def publish_status(self) -> None:
        """The status has changed: publish it, retained."""
        self._retained.put(self._topics.status, self._birth())
        self._wake.set()

    def publish_meta(self) -> None:
        """The description of points and devices has changed: publish it, retained."""
        self._retained.put(self._topics.meta, {"v": 1, "gw": self._gw, **self._meta()})
        self._wake.set()

    async def run(self) -> None:
        """Connect, send, connect again; ends only by cancellation, with a goodbye."""
        said: set[str] = set()
        while True:
            wait_s = 0.0
            try:
                await self._one_connection()
                said.clear()
            except RefusedError as error:
                wait_s = self._failed(error, said, error.code)
            except OSError as error:  # LostError, TimeoutError and ssl.SSLError are among them
                wait_s = self._failed(error, said, None)
            await self._rest(wait_s or self._backoff.wait_s())

    # -- one connection ----------------------------------------------------------------------------

    def _failed(self, error: Exception, said: set[str], code: int | None) -> float:
        self.counts.failures += 1
        # each cause is told once, the hours between are not
        cause = str(error)
        new = cause not in said and len(said) < CAUSES
        if new:
            said.add(cause)
        LOG.log(logging.WARNING if new else logging.DEBUG, "%s: %s", self._broker, cause)
        return self._backoff.wait_s(code)

    async def _rest(self, seconds: float) -> None:
        """Between two connections."""
        now_ns = self._clock.now().mono_ns
        until_ns = now_ns + int(seconds * 1e9)
        while now_ns < until_ns:
            self._beat()
            await self._clock.sleep_until(min(until_ns, now_ns + SLICE_NS))
            now_ns = self._clock.now().mono_ns

    async def _one_connection(self) -> None:
        self._beat()
        self._lost = None
        will = Will(self._topics.status, encode_json(self._offline("lost")), JSON)
        link = await Connection.open(
            self._broker, will=will, on_answer=self._answered, on_lost=self._gone
        )
        LOG.info("connected to %s, window %d", self._broker, link.session.window)
        self._link = link
        self.counts.connections += 1
        since_ns = self._clock.now().mono_ns
        self._denied.clear()
        self._complaints.connected(since_ns)
        self._paused_ns = 0
        self._retained.clear()
        self.publish_status()
        self.publish_meta()
        self._feed.restart(since_ns)
        try:
            await self._send(link)
        finally:
            self._link = None
            if self._lost is None:
                self._say_goodbye(link)
            await link.close()
            await self._settle()
            # two clients of one name, or a broker that lets in and throws out: that is no success
            if self._clock.now().mono_ns - since_ns > STEADY_NS:
                self._backoff.connected()

    async def _send(self, link: Connection) -> None:
        while self._lost is None:
            self._beat()
            self._wake.clear()
            await self._settle()
            now_ns = self._clock.now().mono_ns
            self._feed.refill(now_ns)
            self._retained.publish(link)
            wait_s: float | None = None
            if now_ns >= self._paused_ns:
                self._paused_ns = 0
                await self._fill(link)
                wait_s = self._feed.wait_s() if link.room else None
            else:
                wait_s = (self._paused_ns - now_ns) / 1e9
            self._retry_denied(now_ns)
            await self._woken(IDLE_S if wait_s is None else min(wait_s, IDLE_S))
        LOG.warning("%s: %s", self._broker, self._lost)
        if "taken over" in str(self._lost).lower():
            text = "Another client has connected under this gateway's name."
            self._complain("taken_over", "", text)

    async def _woken(self, wait_s: float) -> None:
        if self._wake.is_set():
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _fill(self, link: Connection) -> None:
        """Fill the window: live first; the backlog leaves a quarter of it to live rows."""
        while link.room and self._lost is None and not self._paused_ns:
            items: list[Item] = []
            share = max(1, link.session.window * 3 // 4)
            while len(items) < link.room:
                item = self._feed.live()
                if item is None and link.unanswered + len(items) < share:
                    item = self._feed.late()
                if item is None:
                    break
                items.append(item)
                self._flying[item.row] = item.record.key.stream
            if items:
                await self._publish(link, items)
            elif self._feed.wants_page:
                await self._feed.turn_page()
            else:
                return
            await self._settle()

    async def _publish(self, link: Connection, items: list[Item]) -> None:
        marks = {boot: await self._marks_of(boot) for boot in {i.record.boot for i in items}}
        self._backlog.sent([item.row for item in items])
        for item in items:
            record = item.record
            again = item.again or item.row in self._lost_rows
            sealed = envelope(
                marks[record.boot], record.from_ns, record.to_ns, late=item.late, again=again
            )
            key = record.key
            try:
                topic = self._topics.record(key.stream, record.source)
                payload = encode(record, sealed, self._gw, self._encoding)
            except WireError as error:
                self._flying.pop(item.row, None)
                await self._bury(item.row, key.stream, str(error))
                continue
            token = _Sent(item.row, key.stream)
            answer = link.publish(token, topic, payload.data, payload.content_type)
            self.counts.sent += 1
            if answer is not None:
                self._answers.append((token, answer))
            elif not item.late and key.stream in LAST:
                self._retained.put_last(record, as_map(record, sealed, self._gw))

    # -- answers -----------------------------------------------------------------------------------

    def _answered(self, token: Hashable, answer: Answer) -> None:
        self._answers.append((token, answer))
        self._wake.set()

    def _gone(self, error: LostError) -> None:
        self._lost = error
        self._wake.set()

    async def _settle(self) -> None:
        """Look at the answers that have come."""
        confirmed: list[int] = []
        while self._answers:
            token, answer = self._answers.popleft()
            if not isinstance(token, _Sent):
                self._retained.answered(token, answer)
                continue
            self._flying.pop(token.row, None)
            if isinstance(answer, int):
                confirmed.append(token.row)
                self.counts.nobody += answer == NOBODY
            elif isinstance(answer, LostError):
                self.counts.lost += 1
                self._lost_rows[token.row] = None
                self._feed.rewind(token.row - 1)
            else:
                await self._refused(token, answer)
        if confirmed:
            self.counts.confirmed += len(confirmed)
            self._backlog.confirm(confirmed)
            self._feed.confirmed(confirmed)
            for row in confirmed:
                self._lost_rows.pop(row, None)
                self._refusals.pop(row, None)
        while len(self._lost_rows) > REMEMBERED:
            del self._lost_rows[next(iter(self._lost_rows))]

    async def _refused(self, token: _Sent, error: RefusedError) -> None:
        self.counts.refused += 1
        now_ns = self._clock.now().mono_ns
        if error.code == DENIED:
            text = f"The broker does not allow {self._topics.up}/{token.stream}: {error}"
            self._complain("denied", token.stream, text)
            self._denied[token.stream] = now_ns + DENIED_NS
        elif error.code == QUOTA:
            self._complain("quota", "", f"The broker takes no more for now: {error}")
            self._paused_ns = now_ns + QUOTA_NS
        else:
            refusals = self._refusals[token.row] = self._refusals.get(token.row, 0) + 1
            if refusals >= REFUSALS or error.code == TOO_LARGE:
                await self._bury(token.row, token.stream, str(error))
                return
            while len(self._refusals) > COUNTED:
                del self._refusals[next(iter(self._refusals))]
        self._feed.rewind(token.row - 1)

    async def _bury(self, row: int, stream: str, why: str) -> None:
        self.counts.dead += 1
        self._refusals.pop(row, None)
        self._complain("refused", stream, f"A record of {stream} was given up: {why}")
        await self._backlog.dead(row, why)
        self._feed.confirmed((row,))  # the page may hold it, too

    def _complain(self, kind: str, stream: str, text: str) -> None:
        self._complaints.say(kind, stream, text, self._clock.now().mono_ns)

    def _skips(self, row: int, stream: str) -> bool:
        return row in self._flying or stream in self._denied

    def _retry_denied(self, now_ns: int) -> None:
        for stream, until in list(self._denied.items()):
            if now_ns >= until:
                del self._denied[stream]
                self._feed.rewind(0)

    # -- retained messages -------------------------------------------------------------------------

    def _retained_failed(self, what: str, text: str) -> None:
        self._complaints.log(what, text, self._clock.now().mono_ns)

    def _birth(self) -> dict[str, Any]:
        return {"v": 1, "gw": self._gw, "state": "online", "boot": self._boot, **self._status()}

    def _offline(self, why: str) -> dict[str, Any]:
        return {"v": 1, "gw": self._gw, "state": "offline", "why": why}

    def _say_goodbye(self, link: Connection) -> None:
        data = encode_json(self._offline("stopped"))
        link.publish(self._topics.status, self._topics.status, data, JSON, retain=True)

    # -- time --------------------------------------------------------------------------------------

    async def _marks_of(self, boot: int) -> Sequence[Mark]:
        """The clock map of a boot; of this one, with the clock as it is now."""
        if boot not in self._marks:
            while len(self._marks) >= BOOTS:
                del self._marks[next(iter(self._marks))]
            self._marks[boot] = await self._backlog.marks(boot)
        if boot != self._boot:
            return self._marks[boot]
        now = self._clock.now()
        found = [*self._marks[boot], now]
        if best_mark(found, 0) is now:
            self._marks[boot] = [now]
        return found
