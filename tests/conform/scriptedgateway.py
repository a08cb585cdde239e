"""A gateway that keeps the contract, as a script in virtual time, and a broker in memory for it.

A wrong one is made of it: `flaws` names what it does wrong (test_flaws.py has the check of each).
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack

from edge.conform.cityline import CityLine
from edge.conform.evidence import Arrival
from edge.wire import CHAIN_START, JSON, MSGPACK, Payload, Topics, chain_map, iso_time
from tests.kit.clock import WALL_0, VirtualClock

EXAMPLES: Final = Path(__file__).parents[2] / "docs/contract/examples"
EPOCH: Final = (7 << 32) + 99
SOURCE: Final = "hut_air"
PERIOD_S: Final = 10
RECEIPT_S: Final = 20.0
SIGNATURE: Final = {"alg": "ed25519", "cert_sha256": "0" * 64, "sig": "AAAA"}
Message = dict[str, Any]


def example(name: str, **wanted: Any) -> Message:
    """The payload of the first captured example with these values."""
    for each in json.loads((EXAMPLES / f"{name}.json").read_text()):
        payload: Message = each["payload"]
        if all(payload.get(key) == value for key, value in wanted.items()):
            return payload
    raise LookupError(f"{name} {wanted}")


def body_of(name: str, **wanted: Any) -> Message:
    header = {"v", "gw", "epoch", "stream", "seq", "source", "boot", "from", "to", "tq", "mono",
              "bounds", "backfilled", "redelivered"}  # fmt: skip
    return {key: value for key, value in example(name, **wanted).items() if key not in header}


class MemoryLine(CityLine):
    """A broker for one gateway and one city: in order, at once, nothing is lost."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.retained: dict[str, Arrival] = {}
        self.down_retained: dict[str, bytes] = {}
        self.gateway: ScriptedGateway | None = None
        self._took: Callable[[Arrival], None] | None = None

    async def begin(self, topics: Topics, took: Callable[[Arrival], None]) -> None:
        self._took = took

    def published(
        self, topic: str, payload: bytes, content_type: str | None, qos: int, retain: bool
    ) -> None:
        """By the gateway."""
        arrival = Arrival(self.clock.mono_ns / 1e9, topic, payload, content_type, qos, retain)
        if retain:
            self.retained[topic] = arrival
        if self._took is not None:
            self._took(arrival)

    async def publish(self, topic: str, payload: Payload, *, retain: bool = False) -> None:
        assert self.gateway is not None
        if retain:
            self.down_retained[topic] = payload.data
        self.gateway.receive(topic, payload.data, retained=False)

    async def held(self, topics: Sequence[str]) -> dict[str, Arrival]:
        return {topic: self.retained[topic] for topic in topics if topic in self.retained}

    async def take_over(self, client_id: str) -> None:
        assert self.gateway is not None
        self.gateway.lose_connection()

    def check(self) -> None:
        pass


class ScriptedGateway:
    """Air each period, an event each third, a manifest of both each sixth."""

    def __init__(self, line: MemoryLine, flaws: frozenset[str] = frozenset()) -> None:
        self.line, self.clock, self.flaws = line, line.clock, flaws
        line.gateway = self
        self.topics = Topics("kerbstone/v1", "test", "gw-1")
        self.epoch = EPOCH
        self.online = False
        self._seqs: dict[str, int] = {}
        self._kept: dict[tuple[int, str, int], Message] = {}  # without a receipt
        self._due: dict[tuple[int, str, int], tuple[float, float]] = {}
        self._sealing: dict[str, list[Message]] = {}
        self._answers: dict[str, Message] = {}
        self._ticks = 0
        self._end_us = self._now_us()
        self._former: Message | None = None
        self._back_s: float | None = None
        self._late: list[Message] = []
        self._deaf_s = 0.0

    def has(self, flaw: str) -> bool:
        return flaw in self.flaws

    @property
    def _is_first(self) -> bool:
        """It was not restarted yet."""
        return self.epoch == EPOCH

    async def run(self) -> None:
        self._connect()
        while True:
            await self.clock.sleep_until(self.clock.mono_ns + 1_000_000_000)
            self._tick()

    # -- time --------------------------------------------------------------------------------------

    def _now_us(self) -> int:
        return self.clock.mono_ns // 1000

    @property
    def _now_s(self) -> float:
        return self.clock.mono_ns / 1e9

    def _tick(self) -> None:
        if self._back_s is not None and self._now_s >= self._back_s:
            self._back_s = None
            self._connect()
        self._ticks += 1
        if self._ticks % PERIOD_S == 5 and self.has("offline at last") and not self._is_first:
            self._publish_offline()
        if self._ticks % PERIOD_S == 0 and not self.has("silent"):
            self._period(self._ticks // PERIOD_S)
        if self.online:
            for record in self._late:
                self._send(record)
            self._late.clear()
            self._send_overdue()

    def _period(self, number: int) -> None:
        start, self._end_us = self._end_us, self._now_us()
        if self.has("hole in time") and number == 4:
            start += 5_000_000
        body = body_of("air")
        if self.has("field out of range") and number == 3:
            body["covered_s"] = -1.0
        self._make("air", SOURCE, start, self._end_us, body)
        if number % 3 == 0:
            self._make(
                "event", "gateway", self._end_us, self._end_us, body_of("event", event="board")
            )
        if number == 4 and self.has("other epoch live"):
            (record,) = [each for (_, stream, _), each in self._kept.items() if stream == "event"][
                -1:
            ]
            self._send({**record, "epoch": self.epoch + 5})
        if number % 6 == 0 and not self.has("never sealed"):
            self._seal()

    # -- records -----------------------------------------------------------------------------------

    def _make(self, stream: str, source: str, start: int, end: int, body: Message) -> None:
        seq = self._seqs[stream] = self._seqs.get(stream, 0) + 1
        if self.has("number left out") and (stream, seq) == ("air", 4):
            seq = self._seqs[stream] = seq + 1
        offset = 5_000_000_000 if self.has("another clock") and seq == 3 else 0
        record: Message = {
            "v": 1, "gw": "gw-1", "epoch": self.epoch, "stream": stream, "seq": seq,
            "source": source, "boot": 7, "from": iso_time(WALL_0 + start * 1000 + offset),
            "to": iso_time(WALL_0 + end * 1000 + offset), "tq": "ntp", "mono": [start, end], **body,
        }  # fmt: skip
        if self.has("wall backwards") and stream == "event":
            record["from"] = iso_time(WALL_0 + start * 1000 + 50_000_000)
        if self.has("no boot") and body.get("event") == "board":
            del record["boot"]
        if stream != "manifest" and "boot" in record:
            self._sealing.setdefault(stream, []).append(record)
        self._kept[record["epoch"], stream, seq] = record
        if not self.online or (
            (self.has("held back") or self.has("late without mark")) and seq == 9
        ):
            self._hold(record)
        else:
            self._send(record)

    def _hold(self, record: Message) -> None:
        marked = record if self.has("late without mark") else {**record, "backfilled": True}
        self._due[record["epoch"], record["stream"], record["seq"]] = (self._now_s + 150, 0)
        self._kept[record["epoch"], record["stream"], record["seq"]] = marked
        if not self.online:
            self._late.append({**record, "backfilled": True})

    def _send(self, record: Message, *, again: bool = False) -> None:
        topic = f"{self.topics.up}/{record['stream']}/{record['source']}"
        sent = {**record, "redelivered": True} if again else record
        if again and self.has("repeat without mark"):
            sent = record
        if again and self.has("repeat differs") and record["stream"] == "air":
            sent = {**sent, "covered_s": record["covered_s"] + 1}
        key = (record["epoch"], record["stream"], record["seq"])
        wait_s = RECEIPT_S
        if again:
            wait_s = self._due[key][1] * (1 if self.has("wait not doubled") else 2)
        if self.has("comes again too early") and not again:
            wait_s /= 2
        self._due[key] = (self._now_s + wait_s, wait_s)
        self._publish(topic, sent, retain=self.has("records retained"))
        if record["stream"] == "air" and not again and not self.has("no last"):
            shown = {**record, "covered_s": 0.5} if self.has("last differs") else record
            self._publish(self.topics.last(SOURCE), shown, retain=True, as_json=True)
        if self.has("unknown topic") and record["stream"] == "event":
            self.line.published(f"{self.topics.up}/debug/x", b"{}", JSON, 1, False)
        if self.has("not a number") and record["stream"] == "event":
            self.line.published(topic, b'{"v": NaN}', JSON, 1, False)

    def _send_overdue(self) -> None:
        for key, (due_s, wait_s) in list(self._due.items()):
            if self._now_s >= due_s and key in self._kept:
                if wait_s == 0:
                    self._send(self._kept[key])
                elif not self.has("never again"):
                    self._send(self._kept[key], again=True)

    def _seal(self) -> None:
        now = self._now_us()
        for stream, records in self._sealing.items():
            if not records:
                continue
            chain = CHAIN_START
            for record in records:
                chain = chain_map(chain, record)
            if self.has("digest wrong"):
                chain = CHAIN_START
            first, last = records[0]["seq"], records[-1]["seq"]
            numbers = [each["seq"] for each in records]
            seqs = [[each, each, 1] for each in numbers]
            count = len(numbers) + (1 if self.has("count wrong") else 0)
            clock = [[7, 0, WALL_0 // 1000, "ntp", None, None]]
            body = {
                "epoch_of": self.epoch, "stream_of": stream, "first": first, "last": last,
                "count": count, "seqs": seqs, "sha256": chain.hex(), "clock": clock,
            }  # fmt: skip
            if not self.has("not signed"):
                body |= SIGNATURE
            self._make("manifest", stream, now, now, body)
        self._sealing = {}

    # -- connection --------------------------------------------------------------------------------

    def _connect(self) -> None:
        again, self.online = self._ticks > 0, True
        self._publish_status()
        if not (again and self.has("meta once")) and not self.has("no meta"):
            meta = {**example("meta"), "gw": "gw-1"}
            if self.has("source not described"):
                meta["devices"] = {}
            self._publish(self.topics.meta, meta, retain=True, as_json=True)
        for topic, payload in self.line.down_retained.items():
            if payload:
                self.receive(topic, payload, retained=not self.has("obeys retained"))

    def _publish_status(self) -> None:
        status = {**example("status", state="online"), "gw": "gw-1", "epoch": self.epoch}
        self._publish(self.topics.status, status, retain=True, as_json=True)

    def _publish_offline(self) -> None:
        why = {"v": 1, "gw": "gw-1", "state": "offline", "why": "lost"}
        self._publish(self.topics.status, why, retain=True, as_json=True)

    def lose_connection(self) -> None:
        self.online = False
        if not self.has("no will"):
            self._publish_offline()
        self._back_s = self._now_s + (100 if self.has("late return") else 3)

    async def restart(self) -> None:
        self.lose_connection()
        former, lasts = self.epoch, dict(self._seqs)
        self.epoch += 0 if self.has("same epoch") else (2 if self.has("skips a start") else 1) << 32
        if self.has("same epoch"):
            return
        self._seqs, self._sealing, self._answers = {}, {}, {}
        now, start = self._now_us(), self._end_us
        if not self.has("no gap event"):
            self._end_us = now
            body = body_of("event", event="gap", sources=["*"])
            body |= {"gap": [start, now], "boot_before": 7}
            body["former"] = {"epoch": former, "last": lasts}
            self._make("event", "gateway", now, now, body)
        if not self.has("no former"):
            opening = {**body_of("manifest", stream_of="manifest"), "epoch_of": self.epoch}
            opening["former"] = {"epoch": former, "last": lasts}
            opening |= {} if self.has("not signed") else SIGNATURE
            self._make("manifest", "manifest", now, now, opening)

    # -- the city's messages -----------------------------------------------------------------------

    def receive(self, topic: str, payload: bytes, *, retained: bool) -> None:
        try:
            data = json.loads(payload)
            if data["gw"] != "gw-1" and not self.has("answers others"):
                return
            if topic == self.topics.receipt:
                self._receipted(data["receipts"])
            elif not retained:
                self._commanded(topic.rpartition("/")[2], data)
        except (ValueError, LookupError, TypeError):
            if self.has("deaf after nonsense"):
                self._deaf_s = self._now_s + 13

    def _receipted(self, receipts: list[Message]) -> None:
        for each in receipts:
            for first, last in each["ranges"]:
                for seq in range(first, last + 1):
                    if not (self.has("ignores receipts") and each["stream"] == "event"):
                        self._kept.pop((each["epoch"], each["stream"], seq), None)

    def _commanded(self, verb: str, data: Message) -> None:
        if self._now_s < self._deaf_s:
            return
        id_ = data["id"]
        found = self._answers.get(id_)
        if found is None or self.has("answers anew"):
            found = {"v": 1, "gw": "gw-1", "id": id_, "verb": verb, **self._obey(verb, data)}
            if self.has("names another verb"):
                found["verb"] = "other"
            if self.has("answers anew") and id_ in self._answers:
                found = {**found, "ok": False, "error": "once is enough"}
            if found["ok"]:
                self._answers[id_] = found
        self._publish(self.topics.answer(verb), found, as_json=True)

    def _obey(self, verb: str, data: Message) -> Message:
        any_epoch = self.has("obeys any epoch" if self._is_first else "obeys the former")
        if data["epoch"] != self.epoch and not any_epoch:
            return {"ok": False, "error": "this epoch has ended"}
        if verb == "resend":
            return self._resend(data["ranges"])
        if verb == "status":
            if not self.has("status not published"):
                self._publish_status()
            return {"ok": True}
        if self.has("obeys anything"):
            return {"ok": True}
        return {"ok": False, "error": "unknown command"}

    def _resend(self, ranges: list[Message]) -> Message:
        keys = [(each["epoch"], each["stream"], a) for each in ranges for a, _ in each["ranges"]]
        here = [key for key in keys if key in self._kept]
        if not self.has("resends nothing"):
            for key in here:
                self._send(self._kept[key], again=True)
        gone = 0 if self.has("nothing is gone") else len(keys) - len(here)
        return {"ok": True, "resent": len(here), "gone": gone, "left": 0}

    def _publish(
        self, topic: str, data: Message, *, retain: bool = False, as_json: bool = False
    ) -> None:
        as_json = as_json or data.get("stream") == "event" or self.has("json records")
        payload = json.dumps(data).encode() if as_json else msgpack.packb(data)
        qos = 0 if self.has("qos 0") and data.get("stream") == "event" else 1
        self.line.published(topic, payload, JSON if as_json else MSGPACK, qos, retain)
