"""A gateway's life as messages, made with its own code for numbers, seals and dates.

Fixed keys and times: the same calls make the same bytes, so what is made can be kept as data.

    gateway = ScriptedGateway()
    gateway.start(epoch=1 << 32)
    gateway.minutes(3)
    gateway.seal()
    gateway.messages  # topic and payload of each
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from edge.core import Draft, Envelope, Record, RecordKey, Stream
from edge.outbox.drops import DropRange, PendingDrops
from edge.platform.receivedrecord import ReceivedRecord, make_received
from edge.uplink.manifests import Manifests, Sign, Signature
from edge.wire import Topics, decode, encode, signed_bytes
from edge.wire.clockmoments import Moment
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import PreviousEpoch
from tests.kit.asread import as_read
from tests.kit.clock import NONE, NTP

S: Final = 1_000_000_000
GW: Final = "gw-0001"
TOPICS: Final = Topics("kerbstone/v1", "stadt", GW)
NOON_US: Final = 1_795_608_000_000_000  # 2026-11-25T12:00:00Z
MINUTE: Final = 60
E1, E2, E3, E4 = ((n << 32) + 7 for n in range(1, 5))


@dataclass(frozen=True)
class Sent:
    """One message; payloads are JSON objects."""

    topic: str
    payload: dict[str, Any]

    @property
    def key(self) -> tuple[int, str, int]:
        return self.payload["epoch"], self.payload["stream"], self.payload["seq"]


class ScriptedGateway:
    """Starts, minutes, seals. `messages` is what has gone out."""

    def __init__(self, sign: Sign | None = None) -> None:
        self.messages: list[Sent] = []
        self.manifests = Manifests(sign)
        self.at = 0  # seconds on the monotonic clock
        self.began = 0  # seconds after noon when this boot began
        self.boot = 1
        self.tq = NTP
        self.counts: Counter[str] = Counter()
        self.register = 100.0
        self.epoch = 0

    def start(
        self, epoch: int, *, reboot: bool = False, former: int | None = None,
        last: Mapping[str, int] | None = None, since: int | None = None,
    ) -> None:  # fmt: skip
        """A start of the daemon. `former`, `last` and `since` (seconds of the boot) are what it
        knows of the one before."""
        before, since = self.boot, self.at if since is None else since
        last = dict(self.counts) if last is None else dict(last)
        if reboot:
            self.began += self.at + 30
            self.boot, self.at = self.boot + 1, 5
        elif self.epoch:
            self.at += 10
        self.epoch, self.counts = epoch, Counter()
        said = None if former is None else PreviousEpoch(epoch=former, last=last)
        if said is not None:
            self._hand(self.manifests.opening(epoch, said, self.at * S))
        self.event({
            "event": "gap", "reason": "start" if said is None else "restart", "sources": ["*"],
            "gap": [None if said is None else since * 1_000_000, self.at * 1_000_000],
            "boot_before": None if said is None else before, "text": "Nobody watched.",
            **({} if said is None else {"former": body_map(said)}),
        })  # fmt: skip

    def minutes(self, count: int) -> None:
        """Each a record of the air and one of the meter."""
        for _ in range(count):
            start, self.at = self.at, self.at + MINUTE
            body = {"covered_s": 60.0, "points": {}}
            self._hand(Draft(Stream.AIR, "hut", start * S, self.at * S, body))
            first, self.register = self.register, self.register + 0.5
            point = {
                "first": first, "last": self.register, "delta": 0.5, "step": 0.1,
                "quality": {"good": 60},
            }  # fmt: skip
            body = {"covered_s": 60.0, "points": {"energy_import": point}}
            self._hand(Draft(Stream.ENERGY, "meter", start * S, self.at * S, body))

    def event(self, body: Mapping[str, Any], source: str = "gateway") -> None:
        self._hand(Draft(Stream.EVENT, source, self.at * S, self.at * S, body))

    def drop(self, epoch: int, stream: str, drop: DropRange) -> None:
        """The event as the outbox makes it."""
        (draft,) = PendingDrops({(epoch, stream, "damage"): drop}).event_drafts(self.at * S)
        self._hand(draft)

    def lose(self, stream: Stream, count: int = 1) -> None:
        """Numbers that were given, and never leave."""
        self.counts[str(stream)] += count

    def seal(self) -> None:
        for draft in self.manifests.due(self.at * S, all_=True):
            self._hand(draft)

    def moment(self) -> Moment:
        wall = 0 if self.tq == NONE else NOON_US + self.began * 1_000_000
        return Moment(self.boot, 0, wall, self.tq)

    def _hand(self, draft: Draft) -> None:
        self.counts[str(draft.stream)] += 1
        key = RecordKey(self.epoch, draft.stream, self.counts[str(draft.stream)])
        self.hand(Record(key, draft.source, self.boot, draft.from_ns, draft.to_ns, as_read(draft)))

    def hand(self, record: Record, by: Moment | None = None) -> None:
        """It goes out, for the first time or again."""
        by = by or self.moment()
        self.manifests.handed(record, by)
        start, end, bounds = by.dated(record.from_ns // 1000, record.to_ns // 1000)
        within = None if bounds is None else _times(bounds)
        envelope = Envelope(start * 1000, end * 1000, by.tq, bounds_ns=within)
        payload = encode(record, envelope, GW, "json")
        self.messages.append(
            Sent(TOPICS.record(record.key.stream, record.source), json.loads(payload.data))
        )


def _times(bounds: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    low, high = (None if each is None else each * 1000 for each in bounds)
    return low, high


def honest(sign: Sign | None = None) -> ScriptedGateway:
    """Three starts in two boots, all of it sealed but for the last manifests."""
    street = ScriptedGateway(sign)
    street.start(E1)
    street.minutes(6)
    street.seal()
    street.start(E2, former=E1)
    street.minutes(6)
    street.seal()
    street.start(E3, former=E2, reboot=True)
    street.minutes(6)
    street.seal()
    street.seal()
    return street


def entries(messages: Iterable[Sent]) -> list[ReceivedRecord]:
    """As a platform stores them, a second after each other."""
    found = []
    for n, sent in enumerate(messages):
        data = json.dumps(sent.payload, ensure_ascii=False, separators=(",", ":")).encode()
        (message,) = decode(sent.topic, data, None)
        came = datetime.fromtimestamp(NOON_US // 1_000_000 + 3600 + n, UTC)
        received = came.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        found.append(make_received(message, sent.topic, data, None, received))
    return found


def device_key(gw: str = GW, seed: int = 7) -> tuple[Sign, str]:
    """A key of a device and its certificate (PEM), always the same."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    from tests.kit.certificates import gateway_certificate

    key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
    day = datetime(2026, 1, 1, tzinfo=UTC)
    made = gateway_certificate(key, gw, day, day + timedelta(900))
    fingerprint = made.fingerprint(SHA256()).hex()

    def sign(body: Mapping[str, Any]) -> Signature:
        sig = base64.b64encode(key.sign(signed_bytes(body))).decode()
        return Signature("ed25519", fingerprint, sig)

    return sign, made.public_bytes(Encoding.PEM).decode()
