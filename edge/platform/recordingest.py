"""What becomes of messages that have come: sorted, stored, and said so. It knows no connection.

What a broker, a gateway or another sender puts there is hostile until `decode` has passed it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal

from edge.core import TOPIC_PREFIX
from edge.platform.auditreport import record_name
from edge.platform.gatewaynotice import GatewayNotice
from edge.platform.intakerate import IntakeLimit, IntakeRate
from edge.platform.keepquota import EXCESS, RATE, KeepQuota
from edge.platform.ledger import merge_numbers
from edge.platform.prover import prove_some
from edge.platform.receivedrecord import (
    REFUSED_PAYLOAD_KEPT,
    ReceivedRecord,
    RefusedMessage,
    make_received,
)
from edge.platform.recordstore import CommittedRecord, RecordStore, RecordStoreError
from edge.platform.sitecheck import AllowedSites
from edge.platform.subscription import ArrivedMessage
from edge.wire import (
    DecodedMessage,
    Payload,
    Receipt,
    WireError,
    WrongGatewayError,
    decode,
    encode_receipts,
    gateway_of,
    is_down,
    iso_time,
)

AHEAD_MS: Final = 86_400_000  # the clock of a broker may differ, but not more
UNPROVED_LIMIT: Final = 100_000  # gateways; the manifests of others are looked at with their next
BUSY_GROUPS: Final = (
    10  # while messages wait, one gateway after so many groups: receipts come first
)
FILLS_DISK: Final = frozenset({"stored", "conflict"})
TOO_FAST: Final = (
    "its gateway sends more than is stored of one; without a receipt it keeps what is beyond that, "
    "and sends it again later"
)
NO_RECEIPT: Final = frozenset({"excess", "refused"})
MESSAGES_PER_GATEWAY: Final = 5  # sentences of one gateway and kind; the rest is counted


@dataclass(slots=True)
class RecordIngestCounts:
    """What happened since the start. Records are `stored + repeats + conflicts + excess`."""

    stored: int = 0
    repeats: int = 0
    conflicts: int = 0
    excess: int = 0  # beyond what is kept of a gateway: no receipt
    foreign: int = 0  # named another gateway or site than their own: no receipt
    undecodable: int = 0
    unfit: int = 0  # of those stored: their bodies fit no table of PostgreSQL
    others: int = 0  # status, meta, last, answers
    commits: int = 0
    proved: int = 0  # manifests that hold
    receipts: int = 0  # messages
    receipts_unsent: int = 0  # that RabbitMQ did not take: those records come again
    reconnections: int = 0


class RecordIngest:
    """Used by one thread at a time. `report` gets sentences for people, few about each gateway.

    `sites` knows which sites a gateway may file under, None: any. `rate` says how much each may
    send, None: the usual. `keep_notices` stores what
    gateways say of themselves, None: nobody does; it raises RecordStoreError.
    """

    def __init__(
        self,
        store: RecordStore,
        *,
        report: Callable[[str], None],
        prefix: str = TOPIC_PREFIX,
        sites: AllowedSites | None = None,
        keep_notices: Callable[[Sequence[GatewayNotice]], None] | None = None,
        rate: IntakeRate | None = None,
    ) -> None:
        self.counts = RecordIngestCounts()
        self.report = report
        self._store, self._prefix, self._sites = store, prefix, sites
        self._keep_notices = keep_notices
        self._rate = IntakeRate(IntakeLimit()) if rate is None else rate
        self._reported = KeepQuota(MESSAGES_PER_GATEWAY)
        self._unproved: OrderedDict[str, None] = OrderedDict()  # gateways with new manifests

    def take(
        self, group: Iterable[ArrivedMessage], mono_ns: int, wall_ns: int
    ) -> list[tuple[str, Payload]]:
        """Store them; the receipts that are owed then, with their topics.

        What gateways say of themselves is committed first, then all records and refused messages.
        Raises RecordStoreError: then the group is to be given again, and what is stored of it is a
        repeat, or changes nothing.
        """
        entries: list[ReceivedRecord] = []
        refused: list[RefusedMessage] = []
        if self._sites is not None and (why := self._sites.look(mono_ns)):
            self.report(why)
        received = iso_time(wall_ns)
        notices: list[GatewayNotice] = []
        others = 0
        for came in group:
            found = self._sort(came, received, entries, refused)
            others += len(found)
            notices += (made for each in found if (made := _notice(each, came, wall_ns)))
        if notices and self._keep_notices is not None:
            self._keep_notices(notices)
        done: list[CommittedRecord] = []
        if entries or refused:
            done = self._commit(entries, refused, mono_ns)
            self.counts.commits += 1
        for message in refused:
            self._count_refused(message)
        for each in done:
            self._count(each)
        self.counts.others += others
        return encode_receipts_of(each.entry for each in done if each.verdict not in NO_RECEIPT)

    def _commit(
        self, entries: Sequence[ReceivedRecord], refused: Sequence[RefusedMessage], mono_ns: int
    ) -> list[CommittedRecord]:
        """What their gateways may send; of the others only that they came."""
        taken: list[ReceivedRecord] = []
        beyond: list[ReceivedRecord] = []
        for entry in entries:
            fits = self._rate.take(entry.key[0], entry.size, mono_ns)
            (taken if fits else beyond).append(entry)
        done: list[CommittedRecord] = []
        try:
            done = self._store.commit(taken, [*refused, *map(_beyond_rate, beyond)])
        finally:
            new = {id(each.entry) for each in done if each.verdict in FILLS_DISK}
            for entry in taken:
                if id(entry) not in new:
                    self._rate.give_back(entry.key[0], entry.size)
        for entry in beyond:
            self.counts.excess += 1
            if self._reported.count(entry.key[0], RATE) == 1:
                self.report(f"rate: {record_name(*entry.key)} is not stored: {TOO_FAST}")
        return done

    def prove_later(self, gateways: Iterable[str]) -> None:
        """Whose manifests have come and nobody has looked at."""
        self._unproved.update(dict.fromkeys(islice(gateways, UNPROVED_LIMIT)))

    @property
    def unproved(self) -> int:
        """Gateways with manifests that nobody has looked at."""
        return len(self._unproved)

    def prove(self) -> None:
        """The manifests of one gateway, or some of them. What is not proved, an audit has to read,
        and nothing else follows; so it may wait until there is time."""
        if not self._unproved:
            return
        gw, _ = self._unproved.popitem(last=False)
        try:
            held, more = prove_some(self._store, gw)
            self.counts.proved += held
            if more:  # after the others
                self._unproved[gw] = None
        except RecordStoreError as error:
            self._report_limited("not proved", gw, f"{gw}: {error}")

    def prove_when_due(self) -> None:
        """After each group while there is no other time."""
        if self.counts.commits % BUSY_GROUPS == 0:
            self.prove()

    def _count_refused(self, each: RefusedMessage) -> None:
        if each.kind == "foreign":
            self.counts.foreign += 1
        else:
            self.counts.undecodable += 1
        self._report_limited(each.kind, each.gw, f"{each.topic:.200}: {each.why:.200}")

    def _count(self, each: CommittedRecord) -> None:
        counts, gw = self.counts, each.entry.key[0]
        if each.verdict == "stored" and each.entry.key[2] == "manifest":
            self._unproved[gw] = None
            if len(self._unproved) > UNPROVED_LIMIT:
                self._unproved.popitem(last=False)
        match each.verdict:
            case "stored":
                counts.stored += 1
                if each.unfit:
                    counts.unfit += 1
                    text = f"stored, but in no table by kind: {each.unfit}"
                    self._report_limited("unfit", gw, f"{record_name(*each.entry.key)} {text}")
            case "repeat":
                counts.repeats += 1
            case "conflict":
                counts.conflicts += 1
                text = "arrived again with another content; both are kept"
                self._report_limited("conflict", gw, f"{record_name(*each.entry.key)} {text}")
            case "excess":
                counts.excess += 1
                name, why = record_name(*each.entry.key), EXCESS[each.excess]
                text = f"{name} is not stored and gets no receipt: {why}"
                self._report_limited("excess", gw, text)
            case "refused":
                counts.undecodable += 1
                text = f"{record_name(*each.entry.key)} is not stored: {each.unfit:.200}"
                self._report_limited("undecodable", gw, text)

    def _sort(
        self,
        came: ArrivedMessage,
        received: str,
        entries: list[ReceivedRecord],
        refused: list[RefusedMessage],
    ) -> list[DecodedMessage]:
        """Those of its messages that are neither."""
        if is_down(came.topic, self._prefix):
            return []
        try:
            found = decode(came.topic, came.payload, came.content_type, prefix=self._prefix)
            for message in found:  # none: a retained `last` was taken away
                self._at_home(message)
        except WrongGatewayError as error:
            refused.append(self._refused("foreign", came, error, received))
            return []
        except WireError as error:
            refused.append(self._refused("undecodable", came, error, received))
            return []
        records = [message for message in found if message.kind == "record"]
        for message in records:
            entries.append(
                make_received(message, came.topic, came.payload, came.content_type, received)
            )
        return [message for message in found if message.kind != "record"]

    def _at_home(self, message: DecodedMessage) -> None:
        """Raises WrongGatewayError."""
        place = message.topic
        if self._sites is not None and (why := self._sites.refusal(place.gw, place.site)):
            raise WrongGatewayError(why)

    def _refused(
        self,
        kind: Literal["foreign", "undecodable"],
        came: ArrivedMessage,
        why: WireError,
        received: str,
    ) -> RefusedMessage:
        gw, payload = gateway_of(came.topic, self._prefix), came.payload
        text = f"{why}".encode("utf-8", "backslashreplace").decode()
        return RefusedMessage(
            kind, gw, came.topic, text, len(payload), payload[:REFUSED_PAYLOAD_KEPT], received
        )

    def _report_limited(self, kind: str, gw: str, text: str) -> None:
        """One gateway must not hide another one's sentences behind its own."""
        if self._reported.keep(gw, kind, 0):
            self.report(f"{kind}: {text}")
        elif self._reported.of(gw, kind).not_kept == 1:
            who = gw or "other senders"
            self.report(
                f"{kind}: further messages of {who} are counted, but not reported one by one"
            )


def _beyond_rate(entry: ReceivedRecord) -> RefusedMessage:
    """Nothing of it is kept."""
    return RefusedMessage(
        RATE, entry.key[0], entry.topic, record_name(*entry.key), len(entry.payload), b"",
        entry.received,
    )  # fmt: skip


def _notice(message: DecodedMessage, came: ArrivedMessage, wall_ns: int) -> GatewayNotice | None:
    """None for an answer, or the last record of a source."""
    kind, published = message.kind, came.published_ms
    if kind not in ("status", "meta"):
        return None
    now_ms = wall_ns // 1_000_000
    if published is None or not 0 < published < now_ms + AHEAD_MS:
        published = now_ms
    return GatewayNotice(
        "status" if kind == "status" else "meta",
        message.topic.gw,
        message.topic.branch,
        published,
        message.sent,
    )


def encode_receipts_of(entries: Iterable[ReceivedRecord]) -> list[tuple[str, Payload]]:
    """Topic and payload of the receipts for these records: few messages, ranges merged."""
    gateways: dict[tuple[str, str], dict[tuple[int, str], set[int]]] = {}
    for entry in entries:
        gw, epoch, stream, seq = entry.key
        streams = gateways.setdefault((f"{entry.branch}/down/receipt", gw), {})
        streams.setdefault((epoch, stream), set()).add(seq)
    return [
        (topic, payload)
        for (topic, gw), streams in gateways.items()
        for payload in encode_receipts(
            gw,
            [
                Receipt(epoch, stream, merge_numbers(seqs))
                for (epoch, stream), seqs in streams.items()
            ],
        )
    ]
