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
    waiting = Inbox(100, 56)  # each topic takes four
    for count in (16, 24, 8, 0, 0):
        waiting.put_nowait(message(b"x" * count, "t"))
    assert (waiting.qsize(), waiting.thrown_away) == (4, 1)
    assert len(waiting.get_nowait().payload) == 16
    for count in (20, 16, 0):
        waiting.put_nowait(message(b"x" * count, "t"))
    assert (waiting.qsize(), waiting.thrown_away) == (4, 3)
    left = [len(waiting.get_nowait().payload) for _ in range(4)]
    assert left == [24, 0, 0, 16]
    waiting.put_nowait(message(b"x" * 52, "t"))
    assert waiting.qsize() == 1, "all of the room is there again"


def test_topic_and_content_type_take_room_and_what_nobody_reads_is_not_kept() -> None:
    """A client may put a megabyte of properties on a message without a payload."""
    waiting = Inbox(1000, 80_000)
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


def test_a_topic_of_wide_characters_takes_the_room_that_it_has_in_memory() -> None:
    waiting = Inbox(1000, 1 << 20)
    tracemalloc.start()
    try:
        for n in range(20):
            waiting.put_nowait(message(b"", "\U0001f6a7" + f"{n}" + "a" * 60_000))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0 < waiting.qsize() < 20
    assert taken < 1.1 * (1 << 20)
