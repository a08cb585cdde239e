"""What waits to be stored is bounded, and nothing else is thrown away."""

from typing import Any

import aiomqtt
import pytest

from edge.platform import collector
from edge.platform.collector import Inbox


def message(payload: Any) -> aiomqtt.Message:
    return aiomqtt.Message("k/s/g/up/air", payload, 1, False, 1, None)


def test_what_is_one_too_many_is_counted_and_thrown_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "INBOX_MESSAGES", 3)
    waiting = Inbox()
    came = [message(b"%d" % n) for n in range(5)]
    for each in came:
        waiting.put_nowait(each)
    assert (waiting.qsize(), waiting.thrown_away) == (3, 2)
    assert [waiting.get_nowait() for _ in range(3)] == came[:3]


def test_bytes_have_room_again_when_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "INBOX_BYTES", 10)
    waiting = Inbox()
    for payload in (b"1234", b"123456", b"1", None, b""):  # the last two take none
        waiting.put_nowait(message(payload))
    assert (waiting.qsize(), waiting.thrown_away) == (4, 1)
    assert waiting.get_nowait().payload == b"1234"
    for payload in (b"12345", b"1234", b"1"):
        waiting.put_nowait(message(payload))
    assert (waiting.qsize(), waiting.thrown_away) == (4, 3)
    left = [waiting.get_nowait().payload for _ in range(4)]
    assert left == [b"123456", None, b"", b"1234"]
    waiting.put_nowait(message(b"1234567890"))
    assert waiting.qsize() == 1, "all of the room is there again"
