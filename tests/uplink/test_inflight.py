"""What is on its way: one answer for each message, and how long one may be waited for."""

import pytest

from edge.uplink import inflight as module
from edge.uplink.inflight import (
    ALLOWANCE_BYTES,
    SLOWEST_BYTES_S,
    START_BYTES,
    START_MESSAGES,
    ConnectionLostError,
    InFlight,
    PublishAnswer,
)


def in_flight(limit: int = 200) -> tuple[InFlight, list[tuple[object, PublishAnswer]]]:
    reported: list[tuple[object, PublishAnswer]] = []
    return InFlight(limit, lambda token, answer: reported.append((token, answer))), reported


def test_each_message_has_one_answer_and_others_have_none() -> None:
    made, reported = in_flight()
    for number in (1, 2, 3):
        made.sent(number, f"m{number}", 100, 0.0)
    made.answered(2, 0, 0.1)
    made.answered(2, 0, 0.1)
    made.answered(9, 0, 0.1)
    assert (reported, len(made)) == ([("m2", 0)], 2)
    lost = ConnectionLostError("gone")
    made.fail_all(lost)
    made.fail_all(lost)
    assert reported == [("m2", 0), ("m1", lost), ("m3", lost)]
    assert len(made) == 0


def test_what_does_not_fit_is_next_and_nothing_passes_it() -> None:
    made, reported = in_flight()
    went: list[str] = []

    def wait(token: str, size: int, number: int) -> None:
        def send() -> None:
            went.append(token)
            made.sent(number, token, size, 1.0)

        assert not made.has_room(size)
        made.wait(token, size, send)

    made.sent(1, "a", START_BYTES // 2, 0.0)
    made.sent(2, "b", START_BYTES // 4, 0.0)
    wait("large", 5 * START_BYTES, 3)
    assert (made.room, made.has_room(1)) == (0, False)
    wait("small", 1, 4)
    made.answered(2, 0, 0.1)
    made.answered(1, 0, 0.1)
    assert (went, made.room, made.has_room(1)) == (["large"], 0, False)
    made.answered(3, 0, 1.1)
    assert went == ["large", "small"]
    assert made.room == made.limit - 1
    assert [token for token, _ in reported] == ["b", "a", "large"]


def test_what_waits_keeps_to_what_the_broker_takes_without_an_answer() -> None:
    made, _ = in_flight(2)
    for number in (1, 2):
        made.sent(number, number, 10, 0.0)
    went: list[int] = []
    for number in (3, 4):
        made.wait(number, 10, lambda number=number: went.append(number))  # type: ignore[misc]
    assert went == []
    made.answered(1, 0, 0.1)
    assert went == [3, 4], "a message that was not sent after all takes no place"


def test_what_waits_is_lost_with_the_connection_in_its_turn() -> None:
    made, reported = in_flight()
    lost = ConnectionLostError("gone")
    made.sent(1, "a", 2 * START_BYTES, 0.0)
    for token in ("b", "c"):
        made.wait(token, 10, lambda: lost)
    made.answered(1, 0, 0.1)
    assert reported == [("a", 0), ("b", lost), ("c", lost)], "the socket is gone: none remains"
    made.sent(2, "d", 2 * START_BYTES, 0.2)
    made.wait("e", 10, lambda: None)
    made.fail_all(lost)
    assert reported[3:] == [("d", lost), ("e", lost)]


def test_a_message_may_take_the_longer_the_more_was_sent_before_it() -> None:
    made, _ = in_flight()
    assert made.overdue_s(1000.0, 20.0) is None, "nothing is waited for"
    made.sent(1, "a", 3 * SLOWEST_BYTES_S, 100.0)  # three seconds of the slowest link
    made.sent(2, "b", 5 * SLOWEST_BYTES_S, 110.0)
    assert made.overdue_s(123.0, 20.0) is None
    assert made.overdue_s(123.0005, 20.0) == pytest.approx(23.0005)
    made.answered(1, 0, 124.0)
    assert made.overdue_s(138.0, 20.0) is None, "eight seconds lay before its end"
    assert made.overdue_s(138.5, 20.0) == 28.5
    made.answered(2, 0, 139.0)
    made.sent(3, "c", SLOWEST_BYTES_S, 200.0)
    assert made.overdue_s(221.0, 20.0) is None
    assert made.overdue_s(221.5, 20.0) == 21.5, "what was answered is not before it any more"
    made.sent(4, "d", 10 * ALLOWANCE_BYTES, 300.0)
    made.answered(3, 0, 300.0)
    bound_s = 20.0 + ALLOWANCE_BYTES / SLOWEST_BYTES_S
    assert made.overdue_s(300.0 + bound_s, 20.0) is None
    assert made.overdue_s(300.5 + bound_s, 20.0) is not None, "without a bound nobody would end it"


@pytest.mark.parametrize(("limit", "messages"), [(1, 0), (2, 1), (3, 1), (8, 2)])
def test_a_backlog_leaves_a_quarter_but_may_always_send_one(limit: int, messages: int) -> None:
    assert in_flight(limit)[0].backlog_leaves == (messages, START_BYTES // 4)


def test_room_is_what_broker_and_link_allow_whichever_is_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, _ = in_flight(3)
    assert (made.limit, made.room) == (3, 3)
    for number in (1, 2, 3):
        made.sent(number, number, 10, 0.0)
    assert (made.room, made.room_bytes) == (0, START_BYTES - 30)
    wide, _ = in_flight()
    assert (wide.limit, wide.room) == (START_MESSAGES, START_MESSAGES)
    monkeypatch.setattr(module, "IN_FLIGHT_MAX_BYTES", 1000)
    assert in_flight()[0].room_bytes == 1000
