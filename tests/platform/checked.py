"""Messages for the auditor, and what it makes of them."""

from typing import Any

from edge.core import Draft, Envelope, Stream
from edge.core.numbers import encode_steps
from edge.outbox.drops import PendingDrops
from edge.platform.auditor import Auditor, AuditReport
from edge.wire import CHAIN_START, DecodedMessage, chain_map, decode, encode
from tests.kit.asread import as_read
from tests.kit.clock import NTP
from tests.kit.records import E1, GW, TOPICS, S, record

E3 = (3 << 32) + 1


def message(
    seq: int,
    *,
    stream: Stream = Stream.AIR,
    source: str = "hut",
    epoch: int = E1,
    boot: int = 1,
    at: tuple[int, int] | None = None,
    body: dict[str, Any] | None = None,
    **envelope: Any,
) -> DecodedMessage:
    said = {"x": 1} if body is None else body
    made = record(seq, stream=stream, source=source, epoch=epoch, boot=boot, at=at, body=said)
    payload = encode(made, Envelope(S, S, NTP, **envelope), GW, "msgpack")
    (found,) = decode(TOPICS.record(stream, source), payload.data, payload.content_type)
    return found


def gap(seq: int, start: int, end: int, **more: Any) -> DecodedMessage:
    epoch, boot = more.pop("epoch", E1), more.pop("boot", 1)
    body = {
        "event": "gap", "sources": ["*"], "reason": "restart",
        "gap": [start * 1_000_000, end * 1_000_000], "boot_before": boot, "text": "", **more,
    }  # fmt: skip
    return message(
        seq, stream=Stream.EVENT, source="gateway", epoch=epoch, boot=boot, at=(end, end), body=body
    )


def drop(seq: int, drops: PendingDrops) -> DecodedMessage:
    """The event as the outbox itself makes it."""
    (draft,) = drops.event_drafts(999 * S)
    assert isinstance(draft, Draft)
    return message(seq, stream=Stream.EVENT, source="outbox", at=(999, 999), body=as_read(draft))


def audit(*messages: DecodedMessage) -> AuditReport:
    auditor = Auditor()
    for one in messages:
        auditor.take(one)
    return auditor.report()


def kinds(*messages: DecodedMessage) -> list[str]:
    return [finding.kind for finding in audit(*messages).findings]


def start(epoch: int, former: int | None, **last: int) -> DecodedMessage:
    """The first event of an epoch, and of a boot of its own."""
    said = {} if former is None else {"former": {"epoch": former, "last": last}}
    before = None if former is None else 1
    return gap(1, 0, 0, epoch=epoch, boot=epoch >> 32, boot_before=before, **said)


def manifest(
    seq: int, *sealed: DecodedMessage, of: Stream = Stream.AIR, **more: Any
) -> DecodedMessage:
    chain = CHAIN_START
    for one in sealed:
        chain = chain_map(chain, one.sent)
    numbers = [one.data["seq"] for one in sealed]
    body = {
        "epoch_of": E1, "stream_of": str(of), "first": numbers[0], "last": numbers[-1],
        "count": len(numbers), "seqs": encode_steps(numbers), "sha256": chain.hex(), "clock": [],
        **more,
    }  # fmt: skip
    return message(seq, stream=Stream.MANIFEST, source=str(of), at=(999, 999), body=body)
