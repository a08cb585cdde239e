"""What the gateway says of itself on the broker: birth, will, goodbye, description, answers."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from edge.core import Record
from edge.uplink.commands import CommandAnswer as Reply
from edge.uplink.mqtt import MqttConnection, PublishAnswer, Will
from edge.uplink.retained import RetainedMessages
from edge.wire import JSON, Topics, encode_json

REPLIES_LIMIT: Final = (
    64  # answers to commands that wait for room; more are dropped, and asked for again
)

StatusSource = Callable[[], Mapping[str, Any]]


class PresencePublisher:
    """All that is not a record. `failed(topic kind, text)` is called for what is refused."""

    def __init__(
        self, topics: Topics, gw: str, boot: int, status: StatusSource, meta: StatusSource,
        failed: Callable[[str, str], None],
    ) -> None:  # fmt: skip
        self._topics, self._gw, self._boot = topics, gw, boot
        self._status, self._meta = status, meta
        self._retained = RetainedMessages(topics, failed)
        self._replies: list[Reply] = []

    @property
    def will(self) -> Will:
        """What the broker says of us when the connection breaks."""
        return Will(self._topics.status, encode_json(self._offline("lost")), JSON)

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

    def put_last(self, record: Record, data: Mapping[str, Any], *, backfilled: bool) -> None:
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
        self._retained.publish(link)

    def answered(self, topic: Hashable, answer: PublishAnswer) -> None:
        """The token of these messages names their topic."""
        self._retained.answered(topic, answer)

    def publish_offline(self, link: MqttConnection) -> None:
        """The last word of a clean end."""
        topic = self._topics.status
        link.publish(topic, topic, encode_json(self._offline("stopped")), JSON, retain=True)

    def _offline(self, why: str) -> dict[str, Any]:
        return {"v": 1, "gw": self._gw, "state": "offline", "why": why}
