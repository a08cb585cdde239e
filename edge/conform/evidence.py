"""What a run has seen of a gateway at the broker, and what it did there. The checks judge this."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal

import msgspec

from edge.conform.product import Product
from edge.platform.auditreport import AuditFinding
from edge.platform.completeness import judge_completeness
from edge.platform.receivedranges import ReceivedRanges
from edge.platform.receivedrecord import Key
from edge.wire import (
    JSON,
    MAX_PAYLOAD,
    DecodedMessage,
    Topic,
    WireError,
    decode,
    parse_topic,
)
from edge.wire.contract.catalogue import EVENTS, DeclaredMessage, declared
from edge.wire.contract.points import Gauge, Total, point_hook
from edge.wire.contract.recordtypes import ANY_EVENT
from edge.wire.decode import MAX_NUMBER
from edge.wire.strict import load_json, load_msgpack

MESSAGE_BYTES: Final = 500  # that a message takes beside its topic and payload
ADDED_LIMIT: Final = 200  # fields of one message that this version of the contract does not know
UNKNOWN_FIELD: Final = "Object contains unknown field `"  # how msgspec begins to say it
Part = Literal["topic", "format", "header", "fields"]


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as the broker gave it. `at_s` is our clock; `retain` as the gateway sent it."""

    at_s: float
    topic: str
    payload: bytes
    content_type: str | None
    qos: int
    retain: bool

    @property
    def size(self) -> int:
        """Bytes that count towards what is kept."""
        return MESSAGE_BYTES + len(self.topic) + len(self.payload)


@dataclass(frozen=True, slots=True)
class Heard:
    """An arrival and what it says. `fault` names the first part that breaks the contract."""

    arrival: Arrival
    place: Topic | None
    message: DecodedMessage | None = None
    part: Part | None = None
    why: str = ""
    loose: tuple[int, str, int] | None = None  # epoch, stream, number of what cannot be decoded

    @property
    def at_s(self) -> float:
        return self.arrival.at_s

    @property
    def fault(self) -> str:
        return f"{self.arrival.topic}: {self.why}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command of ours. `label` names the step; `epoch` is None when it was no command at all."""

    at_s: float
    label: str
    verb: str
    id: str


@dataclass(slots=True)
class Evidence:
    """Of one run. Read it when the run has ended."""

    product: Product
    heard: list[Heard] = field(default_factory=list)
    held: dict[str, Heard] = field(default_factory=dict)  # retained, seen by a new subscriber
    looked_for: set[str] = field(default_factory=set)  # topics, so far as this was asked
    receipted: dict[Key, float] = field(default_factory=dict)  # when we receipted it
    withheld: set[Key] = field(default_factory=set)
    resent: Key | None = None  # what the command resend asked for
    asked: list[Asked] = field(default_factory=list)
    joined: int | None = None  # the epoch of the status when we came
    dropped_s: float | None = None  # when its connection was to be ended
    drop_ended_s: float | None = None  # when the hook that ends it was done
    restarted_s: float | None = None
    ended_s: float = 0.0


class DecodedEvidence:
    """What the checks ask of the evidence."""

    def __init__(self, evidence: Evidence) -> None:
        self.product, self.raw = evidence.product, evidence
        self.heard, self.held = evidence.heard, evidence.held

    def records(self) -> Iterator[tuple[Heard, DecodedMessage]]:
        """Records with a header that counts."""
        yield from self.of("record")

    def of(self, kind: str, source: str = "") -> Iterator[tuple[Heard, DecodedMessage]]:
        """Live messages of a kind (`record`, `status`, `answer` ...)."""
        for each in self.heard:
            message = each.message
            if (
                message is not None
                and message.kind == kind
                and source in ("", message.topic.source)
            ):
                yield each, message

    def answers(self, label: str) -> list[DecodedMessage]:
        """To the command of this step."""
        wanted = [each for each in self.raw.asked if each.label == label]
        return [
            message
            for heard, message in self.of("answer")
            for asked in wanted
            if message.data.get("id") == asked.id and heard.at_s >= asked.at_s
        ]

    def statuses(self, after_s: float, before_s: float = float("inf")) -> list[dict[str, Any]]:
        """What was published as status within this time."""
        return [
            message.data for heard, message in self.of("status") if after_s <= heard.at_s < before_s
        ]

    @cached_property
    def epochs(self) -> list[int]:
        """Of the status when we came, and of those since, in their order."""
        joined = self.raw.joined
        epochs = [] if joined is None else [joined]
        epochs += [
            message.data["epoch"]
            for _, message in self.of("status")
            if isinstance(message.data.get("epoch"), int)
        ]
        return list(dict.fromkeys(epochs))

    @property
    def held_status(self) -> dict[str, Any] | None:
        found = self.held.get(self.product.topics.status)
        return found.message.data if found is not None and found.message is not None else None

    @cached_property
    def audit(self) -> list[AuditFinding]:
        """What an audit says of numbers and times, from the first live record on."""
        received = ReceivedRanges(self.product.gateway, self._joined)
        found: list[AuditFinding] = []
        seen: set[Key] = set()
        for heard in self.heard:
            if heard.loose is not None and self._counts(*heard.loose):
                received.add_number(*heard.loose)
            message = heard.message
            if message is None or message.kind != "record" or message.key in seen:
                continue
            key = message.key
            if not self._counts(*key[1:]):
                continue
            seen.add(key)
            received.add_number(*key[1:])
            found += received.add_record(message.topic.source, message.sent)
            if key[2] == "manifest":
                received.add_seal(key, message.sent)
        findings, _ = judge_completeness(received, [])
        return found + findings

    @cached_property
    def _joined(self) -> int:
        """The epoch that ran when we came."""
        if self.epochs:
            return self.epochs[0]
        return next((message.key[1] for _, message in self.records()), 0)

    @cached_property
    def _begins(self) -> dict[tuple[int, str], int]:
        """Of each epoch and stream the first number that went live: below, others have listened."""
        found: dict[tuple[int, str], int] = {}
        for _, message in self.records():
            data = message.data
            if not (data.get("redelivered") or data.get("backfilled")):
                place, seq = message.key[1:3], message.key[3]
                found[place] = min(seq, found.get(place, seq))
        return found

    def _counts(self, epoch: int, stream: str, seq: int) -> bool:
        if epoch in self.epochs[1:]:
            return True  # it began while we listened
        begin = self._begins.get((epoch, stream))
        return epoch == self._joined and begin is not None and seq >= begin


def read(arrival: Arrival, product: Product) -> Heard:
    """Decode one message, and say where it breaks the contract."""
    try:
        place = parse_topic(arrival.topic, product.prefix)
    except WireError as error:
        return Heard(arrival, None, part="topic", why=str(error))
    if not arrival.payload and place.kind == "last":
        return Heard(arrival, place)  # what was retained there is taken away
    loose = None
    try:
        data = _loaded(arrival, product)
        loose = _loose_key(place, data)
        shown = declared(place.kind, data if place.kind not in ("record", "last") else
                         {**data, "stream": place.stream or data.get("stream")})  # fmt: skip
        _check_content_type(arrival, place, shown, product)
    except WireError as error:
        return Heard(arrival, place, part="format", why=str(error), loose=loose)
    except LookupError:
        return Heard(arrival, place, part="topic", why="no message is declared for it")
    try:
        (message,) = decode(
            arrival.topic, arrival.payload, arrival.content_type, prefix=product.prefix
        )
    except WireError as error:
        return Heard(arrival, place, part="header", why=str(error), loose=loose)
    try:
        _check_fields(shown, message.sent)
    except msgspec.ValidationError as error:
        return Heard(arrival, place, message, "fields", str(error))
    return Heard(arrival, place, message)


def _loaded(arrival: Arrival, product: Product) -> dict[str, Any]:
    payload, content_type = arrival.payload, arrival.content_type
    if len(payload) > MAX_PAYLOAD:
        raise WireError(f"{len(payload)} bytes; {MAX_PAYLOAD} are allowed")
    if product.mqtt == "5" and not content_type:
        raise WireError("it has no content type")
    is_json = payload[:1] == b"{" if not content_type else content_type.endswith("json")
    data = load_json(payload) if is_json else load_msgpack(payload)
    if not isinstance(data, dict):
        raise WireError("the payload is not a map")
    return data


def _check_content_type(
    arrival: Arrival, place: Topic, shown: DeclaredMessage, product: Product
) -> None:
    if product.mqtt != "5":
        return
    allowed = (JSON,) if place.kind == "last" else shown.content_types
    if arrival.content_type not in allowed:
        raise WireError(
            f"content type {arrival.content_type!r:.80}; the contract has {', '.join(allowed)}"
        )


def _loose_key(place: Topic, data: dict[str, Any]) -> tuple[int, str, int] | None:
    """A number that is not missing, though its record cannot be used."""
    epoch, seq = data.get("epoch"), data.get("seq")
    if place.kind != "record" or not isinstance(epoch, int) or not isinstance(seq, int):
        return None
    return (epoch, place.stream, seq) if 0 <= epoch < MAX_NUMBER and 0 < seq < MAX_NUMBER else None


def _check_fields(shown: DeclaredMessage, sent: dict[str, Any]) -> None:
    """Raises ValidationError. Fields, and kinds of events, that are not known may be there."""
    kind: Any = shown.type
    data = msgspec.to_builtins(sent, builtin_types=(bytes,))
    if shown.name == "event" and isinstance(data.get("event"), str) and data["event"] not in EVENTS:
        kind = ANY_EVENT
        data["event"] = ANY_EVENT.__struct_config__.tag
    for _ in range(ADDED_LIMIT):
        try:
            msgspec.convert(data, kind, dec_hook=_open_point)
            return
        except msgspec.ValidationError as error:
            if not _taken_away(data, str(error)):
                raise
    raise msgspec.ValidationError(f"more than {ADDED_LIMIT} fields that are not declared")


def _open_point(kind: type, value: Any) -> Gauge | Total:
    """As `point_hook`, of the fields that it knows."""
    if isinstance(value, dict):
        known = (Total if "delta" in value else Gauge).__struct_encode_fields__
        value = {name: each for name, each in value.items() if name in known}
    return point_hook(kind, value)


def _taken_away(data: dict[str, Any], error: str) -> bool:
    """Whether the error was a field that nobody has declared; then it is gone.

    The gateway chooses the name, and it may look like the end of the sentence: ``x` - at `$.seq``.
    """
    if not error.startswith(UNKNOWN_FIELD):
        return False
    rest = error.removeprefix(UNKNOWN_FIELD).removesuffix("`")
    if _remove(data, (), rest):
        return True
    name, _, path = rest.rpartition("` - at `$")
    return _remove(data, _steps(path), name)


def _steps(path: str) -> Sequence[str]:
    return [each for each in path.replace("[", ".[").split(".") if each]


def _remove(node: Any, steps: Sequence[str], name: str) -> bool:
    """Where the path is not unique (`[...]`), everywhere below it."""
    if not isinstance(node, dict | list):
        return False
    if not steps:
        return isinstance(node, dict) and node.pop(name, name) is not name
    step, rest = steps[0], steps[1:]
    if step == "[...]":
        nodes = list(node.values()) if isinstance(node, dict) else node
        return any([_remove(each, rest, name) for each in nodes])
    if isinstance(node, dict):
        return step in node and _remove(node[step], rest, name)
    number = step.strip("[]")
    return number.isdecimal() and int(number) < len(node) and _remove(node[int(number)], rest, name)
