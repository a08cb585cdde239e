"""The retained messages: status, meta, and the last record of each source."""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from edge.core import Record, Stream
from edge.uplink.mqtt import Answer, Connection, RefusedError
from edge.uplink.wire import JSON, Topics, WireError, encode_json

SOURCES: Final = 1000  # whose last record is known
LAST: Final = frozenset({Stream.TRAFFIC, Stream.BAY, Stream.AIR, Stream.ENERGY, Stream.REGISTER})


class Retained:
    """What is to be published, the newest of each topic. `failed(topic kind, text)` is told.

    A message that was refused, or cannot be written, is not tried again before it is a new one.
    """

    def __init__(self, topics: Topics, failed: Callable[[str, str], None]) -> None:
        self._topics, self._failed = topics, failed
        self._waiting: dict[str, Mapping[str, Any]] = {}  # by topic
        self._last: dict[str, tuple[int, int]] = {}  # source -> epoch and end of what is retained

    def put(self, topic: str, data: Mapping[str, Any]) -> None:
        self._waiting[topic] = data

    def clear(self) -> None:
        self._waiting.clear()

    def put_last(self, record: Record, data: Mapping[str, Any]) -> None:
        """A record of a stream in LAST, as it went out; an older one than is retained stays out."""
        source, place = record.source, (record.key.epoch, record.to_ns)
        known = source in self._last or len(self._last) < SOURCES
        if known and self._last.get(source, (0, 0)) < place:
            self._last[source] = place
            self._waiting[self._topics.last(source)] = data

    def publish(self, link: Connection, only: str | None = None) -> None:
        """As much as there is room for: one message a source, so records have their turn.

        `only` is a topic: nothing else is published then.
        """
        while link.room:
            topic = next(iter(self._waiting), None) if only is None else only
            if topic is None or topic not in self._waiting:
                return
            data = self._waiting.pop(topic)
            try:
                payload = encode_json(data)
            except WireError as error:
                self._tell(topic, error)
                continue
            answer = link.publish(topic, topic, payload, JSON, retain=True)
            if answer is not None:
                self.answered(topic, answer)

    def answered(self, topic: Hashable, answer: Answer) -> None:
        """The token of a retained message is its topic."""
        if isinstance(answer, RefusedError):
            self._tell(str(topic), answer)

    def _tell(self, topic: str, error: Exception) -> None:
        kind = topic.removeprefix(f"{self._topics.up}/").partition("/")[0]
        self._failed(kind, f"{topic}: {error}")
