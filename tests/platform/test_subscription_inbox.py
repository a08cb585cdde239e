"""What waits to be looked at is bounded, and nothing else is thrown away."""

import tracemalloc

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.platform.subscription import ArrivedMessage, Inbox


def message(payload: bytes | None, topic: str = "k/s/g/up/air") -> aiomqtt.Message:
    return aiomqtt.Message(topic, payload, 1, False, 1, None)  # type: ignore[arg-type]


def test_what_is_one_too_many_is_counted_and_thrown_away() -> None:
    waiting = Inbox(3, 1000)
    for n in range(5):
        waiting.put_nowait(message(b"%d" % n))
    assert (waiting.qsize(), waiting.thrown_away) == (3, 2)
    assert waiting.get_nowait() == ArrivedMessage("k/s/g/up/air", b"0", None, retained=False)
    assert [waiting.get_nowait().payload for _ in range(2)] == [b"1", b"2"]


def test_bytes_have_room_again_when_they_are_taken() -> None:
    waiting = Inbox(100, 14)  # each topic takes one
    for payload in (b"1234", b"123456", b"12", None, b""):
        waiting.put_nowait(message(payload, "t"))
    assert (waiting.qsize(), waiting.thrown_away) == (4, 1)
    assert waiting.get_nowait().payload == b"1234"
    for payload in (b"12345", b"1234", b""):
        waiting.put_nowait(message(payload, "t"))
    assert (waiting.qsize(), waiting.thrown_away) == (4, 3)
    left = [waiting.get_nowait().payload for _ in range(4)]
    assert left == [b"123456", b"", b"", b"1234"]
    waiting.put_nowait(message(b"1234567890123", "t"))
    assert waiting.qsize() == 1, "all of the room is there again"


def test_topic_and_content_type_take_room_and_what_nobody_reads_is_not_kept() -> None:
    """A client may put a megabyte of properties on a message without a payload."""
    waiting = Inbox(1000, 20_000)
    tracemalloc.start()
    try:
        for _ in range(100):
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.UserProperty = [("a" * 100, "b" * 10_000)]
            properties.ContentType = "c" * 90
            waiting.put_nowait(aiomqtt.Message("t" * 110, b"", 1, False, 1, properties))
        del properties
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (waiting.qsize(), waiting.thrown_away) == (100, 0)
    assert taken < 200_000
    waiting.put_nowait(message(b"x", "t"))
    assert waiting.thrown_away == 1
