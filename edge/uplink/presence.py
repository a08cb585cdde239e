"""What the gateway says of itself on the broker: birth, will, goodbye, description, answers; and
the retained messages: status, meta, and the last record of each source.

A last record is the present one, or there is none: while bytes are spared records go late, so what
is retained of each source is taken away (an empty message) and comes back when they go at once. It
is taken away, too, where none is wanted: a former configuration may have left one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core import Record, Stream
from edge.uplink.commands import CommandAnswer as Reply
from edge.uplink.mqtt import (
    BrokerRefusedError,
    ConnectionLostError,
    MqttConnection,
    PublishAnswer,
    Will,
)
from edge.wire import JSON, Topics, WireError, encode_json

SOURCES_LIMIT: Final = 1000  # whose last record is known
LAST_STREAMS: Final = frozenset(stream for stream in Stream if stream.retained)
REPLIES_LIMIT: Final = (
    64  # answers to commands that wait for room; more are dropped, and asked for again
)

StatusSource = Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class ClearedTopic:
    """The token of a message that takes away what is retained."""

    topic: str


class RetainedMessages:
    """What is to be published, the newest of each topic. `failed(topic kind, text)` is called.

    A message that was refused, or cannot be written, is not tried again before it is a new one.
    Why is in `refused`, by topic, until one is taken there.
    """

    def __init__(
        self, topics: Topics, failed: Callable[[str, str], None], refused: dict[str, str],
        *, last_s: int,
    ) -> None:  # fmt: skip
        """`last_s`: so long at least lies between two last records of a source; 0: none."""
        self._last_ns = last_s * 1_000_000_000
        self._topics, self._failed, self._reasons = topics, failed, refused
        self._waiting: dict[str, Mapping[str, Any] | None] = {}  # by topic; None: an empty message
        self._last: dict[str, tuple[int, int]] = {}  # source -> epoch and end of what is retained
        self._data_saver = False
        self._emptied: set[str] = set()  # topics of last records, since bytes are spared
        self._unacknowledged: set[str] = set()  # of these: nobody knows yet whether they are empty
        self._in_flight: Counter[str] = Counter()  # messages by topic, on this connection
        self._refused: set[str] = set()  # topics whose newest message will not arrive

    @property
    def waits(self) -> bool:
        """Something is to be published."""
        return bool(self._waiting)

    def put(self, topic: str, data: Mapping[str, Any]) -> None:
        self._waiting[topic] = data

    def arrived(self, topic: str) -> bool:
        """The newest that was put there is at the broker, once its answer was a good one."""
        known = topic not in self._waiting and not self._in_flight[topic]
        return known and topic not in self._refused

    def refused(self, topic: str) -> bool:
        """The newest that was put there will not arrive."""
        return topic in self._refused

    def clear(self) -> None:
        """A new connection: nothing waits but what has to be taken away."""
        self._in_flight.clear()
        self._refused.clear()
        self._waiting = dict.fromkeys(self._unacknowledged)

    def set_data_saver(self, data_saver: bool) -> None:
        """Records go late from now on, or at once again."""
        self._data_saver = data_saver
        if not self._last_ns:
            return
        if not data_saver:
            self._emptied.clear()
            return
        for source in self._last:
            self._take_away(source)
        self._last.clear()

    def put_last(
        self, record: Record, data: Callable[[], Mapping[str, Any]], *, backfilled: bool
    ) -> None:
        """A record of a stream in LAST_STREAMS, as it went out; a backfilled one, or one that is
        not `last_s` newer than what is retained, stays out."""
        source, place = record.source, (record.key.epoch, record.to_ns)
        if self._data_saver or not self._last_ns:
            self._take_away(source)  # a process before this one may have left one
            return
        known = source in self._last or len(self._last) < SOURCES_LIMIT
        epoch, end_ns = self._last.get(source, (-1, 0))
        wait_ns = self._last_ns if epoch == record.key.epoch else 0
        due = (epoch, end_ns + wait_ns) <= place
        if not backfilled and known and due:
            self._last[source] = place
            topic = self._topics.last(source)
            self._unacknowledged.discard(topic)
            self._waiting[topic] = data()

    def _take_away(self, source: str) -> None:
        topic = self._topics.last(source)
        if topic not in self._emptied and len(self._emptied) < SOURCES_LIMIT:
            self._emptied.add(topic)
            self._unacknowledged.add(topic)
            self._waiting[topic] = None

    def publish(self, link: MqttConnection, only: str | None = None) -> None:
        """As much as there is room for: one message a source, so records have their turn.

        `only` is a topic: nothing else is published then.
        """
        while link.room:
            topic = next(iter(self._waiting), None) if only is None else only
            if topic is None or topic not in self._waiting:
                return
            data = self._waiting.pop(topic)
            self._refused.discard(topic)
            try:
                payload = b"" if data is None else encode_json(data)
            except WireError as error:
                self._report(topic, error)
                continue
            token: Hashable = topic if data is not None else ClearedTopic(topic)
            self._in_flight[topic] += 1
            answer = link.publish(token, topic, payload, JSON, retain=True)
            if answer is not None:
                self.answered(token, answer)

    def answered(self, token: Hashable, answer: PublishAnswer) -> None:
        """The token of a retained message is its topic, or `ClearedTopic`."""
        topic = token.topic if isinstance(token, ClearedTopic) else str(token)
        if self._in_flight[topic]:
            self._in_flight[topic] -= 1
        if isinstance(token, ClearedTopic) and not isinstance(answer, ConnectionLostError):
            self._unacknowledged.discard(topic)
        if isinstance(answer, BrokerRefusedError):
            self._report(topic, answer)
        elif topic not in self._refused and not isinstance(answer, ConnectionLostError):
            self._reasons.pop(topic, None)

    def _report(self, topic: str, error: Exception) -> None:
        self._refused.add(topic)
        self._reasons[topic] = str(error)
        kind = topic.removeprefix(f"{self._topics.up}/").partition("/")[0]
        self._failed(kind, f"{topic}: {error}")


class PresencePublisher:
    """All that is not a record. `failed(topic kind, text)` is called for what is refused."""

    def __init__(
        self, topics: Topics, gw: str, boot: int, status: StatusSource, meta: StatusSource,
        failed: Callable[[str, str], None], refused: dict[str, str],
        status_arrived: Callable[[], None] = lambda: None, *, last_s: int = 0,
    ) -> None:  # fmt: skip
        """`refused` is told which retained topics the broker does not take, and why.
        `status_arrived`: the status as it was put last is at the broker."""
        self._status_arrived = status_arrived
        self._topics, self._gw, self._boot = topics, gw, boot
        self._status, self._meta = status, meta
        self._retained = RetainedMessages(topics, failed, refused, last_s=last_s)
        self._replies: list[Reply] = []
        self.passed_over = False  # there was no room for any of the rest: it goes before a backlog

    @property
    def will(self) -> Will:
        """What the broker says of us when the connection breaks."""
        return Will(self._topics.status, encode_json(self._offline("lost")), JSON)

    @property
    def status_arrived(self) -> bool | None:
        """Whether the newest status is at the broker; False: refused, None: on its way."""
        if self._retained.refused(self._topics.status):
            return False
        return self._retained.arrived(self._topics.status) or None

    def publish_birth(self) -> None:
        """A new connection: everything is said anew."""
        self._retained.clear()
        self.put_status()
        self.put_meta()

    def put_status(self) -> None:
        birth = {"state": "online", "boot": self._boot, **self._status()}
        self._retained.put(self._topics.status, {"v": 1, "gw": self._gw, **birth})

    def put_meta(self) -> None:
        self._retained.put(self._topics.meta, {"v": 1, "gw": self._gw, **self._meta()})

    def put_last(
        self, record: Record, data: Callable[[], Mapping[str, Any]], *, backfilled: bool
    ) -> None:
        """A record of its source, as it went out; `backfilled`: not right after its commit."""
        self._retained.put_last(record, data, backfilled=backfilled)

    def set_data_saver(self, data_saver: bool) -> None:
        """Records go late from now on, or at once again: no last record is an old one."""
        self._retained.set_data_saver(data_saver)

    def reply(self, replies: list[Reply]) -> None:
        """Answers that are to be sent; those that find no room wait, over connections too."""
        self._replies = [*self._replies, *replies][-REPLIES_LIMIT:]

    def publish_status_and_replies(self, link: MqttConnection) -> None:
        """What goes before alarms: the birth, and answers to commands. All of it is short."""
        self._retained.publish(link, only=self._topics.status)
        while self._replies and link.room:
            answer = self._replies.pop(0)
            topic = self._topics.answer(answer.verb)
            link.publish(topic, topic, encode_json({"v": 1, "gw": self._gw, **answer.data}), JSON)

    def publish(self, link: MqttConnection) -> None:
        """The rest, as much as there is room for: it may be long."""
        self.passed_over = not link.room and self._retained.waits
        self._retained.publish(link)

    def answered(self, topic: Hashable, answer: PublishAnswer) -> None:
        """The token of these messages names their topic."""
        self._retained.answered(topic, answer)
        status = self._topics.status
        good = not isinstance(answer, ConnectionLostError | BrokerRefusedError)
        if topic == status and good and self._retained.arrived(status):
            self._status_arrived()

    def publish_offline(self, link: MqttConnection) -> None:
        """The last word of a clean end."""
        topic = self._topics.status
        self._status_arrived = lambda: None  # what arrives from now on is not the status
        said = encode_json(self._offline("stopped"))
        link.publish(topic, topic, said, JSON, retain=True, waits=False)

    def _offline(self, why: str) -> dict[str, Any]:
        return {"v": 1, "gw": self._gw, "state": "offline", "why": why}
