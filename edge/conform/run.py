"""One run of the kit: listen and receipt, command, disconnect, restart. It gathers the evidence."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from edge.conform.cityline import CityLine
from edge.conform.evidence import Arrival, Asked, DecodedEvidence, Evidence, read
from edge.conform.product import Product
from edge.conform.steps import Step
from edge.core import AsyncClock, Stream
from edge.platform.receivedrecord import Key
from edge.wire import JSON, DecodedMessage, Payload, Receipt, encode_command, encode_receipts

LOOK_S: Final = 0.2  # between two looks at what has come
RECEIPTS_S: Final = 0.5  # between two messages with receipts
ONLINE_S: Final = 60.0  # a gateway that is not there by then is not there
ANSWER_S: Final = 10.0
APART_S: Final = 1.2  # between two commands: a gateway accepts one a second
START_S: Final = 180.0
SETTLE_S: Final = 30.0  # for what is still on its way in the end
LIMIT_BYTES: Final = 64_000_000  # of messages; decoded they take some seven times as much
WITHHELD: Final = 2  # streams of which one record gets no receipt at first
LAST: Final = frozenset(str(stream) for stream in Stream if stream.retained)
MALFORMED: Final = (b"", b"{", b"\xff\xfe", b"[]", b'{"v": 1}', b'{"v": 2, "gw": "x"}')


class TooMuchError(Exception):
    """More has come than a run keeps."""


class HookError(Exception):
    """A command that was to act on the gateway has failed."""


Hook = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run does. `listen_s` is the least time to listen; a hook that is None is not there."""

    listen_s: float
    drop: Hook | None = None
    restart: Hook | None = None


class ConformRun:
    """Of one gateway. `note` is told how far it is."""

    def __init__(
        self,
        product: Product,
        line: CityLine,
        clock: AsyncClock,
        plan: Plan,
        note: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._product, self._line, self._clock, self._plan = product, line, clock, plan
        self._note = note
        self.evidence = Evidence(product)
        self._topics = product.topics
        self._status: dict[str, Any] = {}
        self._sources: set[str] = set()
        self._times: dict[Key, int] = {}  # how often each record came
        self._waiting: list[Key] = []  # for their receipt
        self._wanted = WITHHELD  # so many records more are to be withheld
        self._fresh: Key | None = None  # the newest that was withheld
        self._receipts = product.expendable and product.confirm == "platform"
        self._receipts_s = 0.0
        self._kept_bytes = 0

    async def run(self) -> Evidence:
        """Raises LineLostError, HookError and TooMuchError."""
        line, product, evidence = self._line, self._product, self.evidence
        await line.begin(self._topics, self._took)
        await self._look_at_what_is_held()
        held = evidence.held.get(self._topics.status)
        if held is not None and not self._status:
            self._take_status(held.message)
        self._note("waiting for the gateway")
        if not await self._until(lambda: self._online, ONLINE_S):
            evidence.ended_s = self._now_s
            return evidence
        evidence.joined = self._epoch
        await self._listen()
        if product.expendable:
            await self._command()
            if self._receipts and "resend" in product.can:
                await self._ask_again()
        if self._plan.drop is not None:
            await self._drop(self._plan.drop)
        if self._plan.restart is not None:
            await self._restart(self._plan.restart)
        self._note("looking at what is retained")
        await self._settle()
        await self._look_at_what_is_held()
        await self._wait(2 * LOOK_S)
        evidence.ended_s = self._now_s
        return evidence

    # -- what comes --------------------------------------------------------------------------------

    def _took(self, arrival: Arrival) -> None:
        self._kept_bytes += arrival.size
        if self._kept_bytes > LIMIT_BYTES:
            return
        heard = read(arrival, self._product)
        self.evidence.heard.append(heard)
        message = heard.message
        if arrival.topic == self._topics.status:
            self._take_status(message)
            return
        if message is None or message.kind != "record":
            return
        key = message.key
        self._times[key] = self._times.get(key, 0) + 1
        if message.topic.stream in LAST:
            self._sources.add(message.topic.source)
        if self._receipts and key not in self.evidence.withheld:
            if self._is_to_wait(message):
                self.evidence.withheld.add(key)
                self._fresh = key
                self._wanted -= 1
            else:
                self._waiting.append(key)

    def _is_to_wait(self, message: DecodedMessage) -> bool:
        data, key = message.data, message.key
        if self._wanted < 1 or data.get("redelivered") or data.get("backfilled"):
            return False
        return (
            self._times[key] == 1
            and key[2] != "manifest"
            and key[2] not in {each[2] for each in self._withheld}
        )

    @property
    def _withheld(self) -> set[Key]:
        """Those that still wait for a receipt."""
        return self.evidence.withheld - self.evidence.receipted.keys()

    def _take_status(self, message: DecodedMessage | None) -> None:
        self._status = message.data if message is not None else {}

    @property
    def _online(self) -> bool:
        return self._status.get("state") == "online" and isinstance(self._status.get("epoch"), int)

    @property
    def _epoch(self) -> int:
        return int(self._status.get("epoch", 0))

    # -- time --------------------------------------------------------------------------------------

    @property
    def _now_s(self) -> float:
        return self._clock.now().mono_ns / 1e9

    async def _wait(self, seconds: float) -> None:
        await self._until(lambda: False, seconds)

    async def _until(self, done: Callable[[], bool], limit_s: float) -> bool:
        """Whether it was so in time. Receipts go out meanwhile."""
        end_s = self._now_s + limit_s
        while not done():
            if self._kept_bytes > LIMIT_BYTES:
                raise TooMuchError(
                    f"more messages came than a run keeps ({LIMIT_BYTES / 1e6:.3g} MB): listen for "
                    "a shorter time with --for, or find out why it sends so much"
                )
            if self._now_s >= end_s:
                return False
            self._line.check()
            await self._send_receipts()
            await self._clock.sleep_until(self._clock.now().mono_ns + int(LOOK_S * 1e9))
        return True

    # -- steps -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        product = self._product
        listen_s = max(self._plan.listen_s, 2.5 * product.period_s)
        self._note(f"listening for {listen_s:.0f} s")
        await self._wait(listen_s)
        if self._receipts and self.evidence.withheld:
            limit_s = 5 * product.receipt_s + product.period_s
            self._note(f"waiting up to {limit_s:.0f} s for records without a receipt")
            waits = set(self.evidence.withheld)
            await self._until(lambda: all(self._times[key] > 2 for key in waits), limit_s)
        self._wanted = 0
        self._waiting += self._withheld
        await self._wait(2 * RECEIPTS_S)

    async def _command(self) -> None:
        self._note("sending commands")
        up_to = len(self.evidence.heard)
        first = await self._ask(Step.STATUS, "status")
        await self._until(
            lambda: any(
                each.arrival.topic == self._topics.status for each in self.evidence.heard[up_to:]
            ),
            ANSWER_S,
        )
        await self._ask(Step.SAME, "status", id_=first)
        await self._ask(Step.STALE, "status", epoch=self._epoch ^ 1)
        await self._ask(Step.UNKNOWN, "conform")
        for payload in MALFORMED:
            await self._line.publish(self._topics.receipt, Payload(payload, JSON))
        await self._line.publish(f"{self._topics.down}/cmd/status", Payload(MALFORMED[1], JSON))
        await self._ask(Step.FOREIGN, "status", gw=f"{self._product.gateway}-other", wait_s=APART_S)
        await self._ask(Step.AFTER, "status")

    async def _ask_again(self) -> None:
        product, evidence = self._product, self.evidence
        self._note("asking for records again")
        self._fresh, self._wanted = None, 1
        await self._until(lambda: self._fresh is not None, max(30.0, 2.5 * product.period_s))
        self._wanted = 0
        if (key := self._fresh) is not None:
            evidence.resent = key
            await self._wait(2 * LOOK_S)  # what it has sent by itself was before we asked
            before = self._times[key]
            await self._ask(Step.RESEND, "resend", ranges=[_named(key)])
            await self._until(lambda: self._times[key] > before, ANSWER_S)
            self._waiting.append(key)
        old = next((key for key in evidence.receipted if key[1] == self._epoch), None)
        if old is not None:
            await self._ask(Step.GONE, "resend", ranges=[_named(old)])

    async def _drop(self, drop: Hook) -> None:
        evidence, topic = self.evidence, f"{self._topics.down}/cmd/status"
        self._note("ending its connection")
        try:
            if self._product.expendable:
                await self._ask(Step.RETAINED, "status", retain=True)
            evidence.dropped_s = self._now_s
            self._status = {}
            await drop()
            evidence.drop_ended_s = self._now_s
            await self._until(lambda: self._online, self._product.return_s)
            await self._wait(5.0)
        finally:
            if self._product.expendable:
                await self._line.publish(topic, Payload(b"", JSON), retain=True)
        await self._wait(1.5 * self._product.period_s)

    async def _restart(self, restart: Hook) -> None:
        self._note("restarting it")
        before = self._epoch
        self.evidence.restarted_s = self._now_s
        self._status = {}
        await restart()
        if not await self._until(lambda: self._online and self._epoch != before, START_S):
            return
        await self._wait(max(5.0, 1.5 * self._product.period_s))
        if self._product.expendable:
            await self._ask(Step.FORMER, "status", epoch=before)

    async def _settle(self) -> None:
        """What is in flight may make a hole that is none."""
        end_s = self._now_s + SETTLE_S
        while self._now_s < end_s and any(
            finding.kind == "missing" for finding in DecodedEvidence(self.evidence).audit
        ):
            await self._wait(5.0)

    async def _look_at_what_is_held(self) -> None:
        topics = [self._topics.status, self._topics.meta]
        topics += [self._topics.last(source) for source in sorted(self._sources)]
        self.evidence.looked_for.update(topics)
        held = await self._line.held(topics)
        self.evidence.held = {topic: read(each, self._product) for topic, each in held.items()}

    # -- what we send ------------------------------------------------------------------------------

    async def _ask(
        self,
        label: Step,
        verb: str,
        *,
        id_: str = "",
        epoch: int | None = None,
        gw: str = "",
        wait_s: float = ANSWER_S,
        retain: bool = False,
        **arguments: Any,
    ) -> str:
        """Send a command, and wait for its answer. Returns its id."""
        name = id_ or f"conform-{secrets.token_hex(6)}"
        payload = encode_command(
            gw or self._product.gateway, self._epoch if epoch is None else epoch, name, arguments
        )
        before = len(self.evidence.heard)
        self.evidence.asked.append(Asked(self._now_s, label, verb, name))
        await self._line.publish(f"{self._topics.down}/cmd/{verb}", payload, retain=retain)
        answer = self._topics.answer(verb)
        await self._until(
            lambda: any(each.arrival.topic == answer for each in self.evidence.heard[before:]),
            wait_s,
        )
        await self._wait(APART_S)
        return name

    async def _send_receipts(self) -> None:
        if not self._waiting or self._now_s < self._receipts_s + RECEIPTS_S:
            return
        self._receipts_s = self._now_s
        waiting, self._waiting = self._waiting, []
        ranges: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for key in waiting:
            ranges.setdefault(key[1:3], []).append((key[3], key[3]))
            self.evidence.receipted.setdefault(key, self._now_s)
        receipts = [Receipt(*place, tuple(found)) for place, found in ranges.items()]
        for payload in encode_receipts(self._product.gateway, receipts):
            await self._line.publish(self._topics.receipt, payload)


def _named(key: Key) -> dict[str, Any]:
    return {"epoch": key[1], "stream": key[2], "ranges": [[key[3], key[3]]]}
