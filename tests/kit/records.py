"""Records as a gateway sends them, and as the platform stores them; no broker is needed.

    first, second = record(1), record(2, stream=Stream.ENERGY, source="meter")
    store.commit([entry(each) for each in sealed(first, second)], [])

`platform` publishes them to a broker.
"""

from typing import Any

from edge.core import Envelope, Record, RecordKey, Stream, TimeQuality
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.uplink.manifests import Manifests
from edge.wire import Topics, decode, encode
from edge.wire.clockmoments import Moment
from tests.kit.asread import as_read
from tests.kit.clock import NTP

S = 1_000_000_000
GW = "gw-0001"
E1, E2 = (1 << 32) + 7, (2 << 32) + 9
TOPICS = Topics("kerbstone/v1", "stadt", GW)
NOON = 1_795_608_000 * S  # 2026-11-25T12:00:00Z
KINDS = ["store.db", "store.jsonl"]  # a store is of the kind that its name says
POSTGRES = "postgresql"  # and one in a database of its own


def record(
    seq: int, *, stream: Stream = Stream.AIR, source: str = "hut", epoch: int = E1, boot: int = 1,
    at: tuple[int, int] | None = None, body: dict[str, Any] | None = None,
) -> Record:  # fmt: skip
    start, end = at or ((seq - 1) * 60, seq * 60)
    found = {"covered_s": float(end - start), "x": seq} if body is None else body
    return Record(RecordKey(epoch, stream, seq), source, boot, start * S, end * S, found)


def envelope(
    made: Record, tq: TimeQuality = NTP, *, backfilled: bool = False, redelivered: bool = False
) -> Envelope:
    return Envelope(NOON + made.from_ns, NOON + made.to_ns, tq, backfilled, redelivered)


def entry(
    made: Record,
    tq: TimeQuality = NTP,
    encoding: Any = "msgpack",
    received: str = "2026-11-25T13:00:00.000Z",
    *,
    backfilled: bool = False,
    redelivered: bool = False,
) -> ReceivedRecord:
    topic = TOPICS.record(made.key.stream, made.source)
    payload = encode(
        made, envelope(made, tq, backfilled=backfilled, redelivered=redelivered), GW, encoding
    )
    (message,) = decode(topic, payload.data, payload.content_type)
    return make_received(message, topic, payload.data, payload.content_type, received)


def moment(made: Record) -> Moment:
    """By which `envelope` dates it."""
    return Moment(made.boot, 0, NOON // 1000, NTP)


def sealed(*records: Record) -> list[Record]:
    """With their manifest."""
    manifests = Manifests()
    for each in records:
        manifests.handed(each, moment(each))
    (draft,) = manifests.due(records[-1].to_ns, all_=True)
    at_s = records[-1].to_ns // S
    body = as_read(draft)
    return [
        *records,
        record(1, stream=Stream.MANIFEST, source=draft.source, at=(at_s, at_s), body=body),
    ]
