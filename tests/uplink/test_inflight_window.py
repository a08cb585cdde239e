"""The window on links of all kinds, in virtual time: full on fast ones, short on slow ones."""

import heapq
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.uplink.inflight import (
    IDLE_S,
    MIN_BYTES,
    QUEUE_S,
    START_BYTES,
    START_MESSAGES,
    TARGET_RTTS,
    TARGET_S,
    InFlightWindow,
)


@dataclass
class SlowLink:
    """A queue of `rate` bytes/s and a round trip; there is always more to send."""

    window: InFlightWindow
    rate: float
    round_trip_s: float
    size: int = 360
    now: float = 0.0
    free_s: float = 0.0  # when the last byte given to the link has left
    answers: list[tuple[float, float]] = field(default_factory=list)
    queue: list[tuple[float, float]] = field(default_factory=list)  # when, how many seconds long
    sent: int = 0
    answered: int = 0

    def fill(self, most: int = 10**9) -> None:
        while self.window.has_room(self.size) and most:
            most -= 1
            self.sent += 1
            self.window.sent(self.now, self.size)
            self.free_s = max(self.free_s, self.now) + self.size / self.rate
            self.queue.append((self.now, self.free_s - self.now))
            heapq.heappush(self.answers, (self.free_s + self.round_trip_s, self.now))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        self.fill()
        while self.answers and self.answers[0][0] <= end:
            self.now, sent_s = heapq.heappop(self.answers)
            self.window.answered(self.now, sent_s, self.size)
            self.answered += 1
            self.fill()
        self.now = end

    def longest_queue(self, since: float = 0.0) -> float:
        return max(length for when, length in self.queue if when >= since)


def test_a_round_trip_of_50_ms_has_its_200_messages_within_half_a_second() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=10e6, round_trip_s=0.05)
    link.run(0.5)
    assert link.window.limit == 200
    link.run(10)
    assert link.window.limit == 200
    assert link.answered > 0.9 * 10 * 200 / 0.05


@pytest.mark.parametrize("round_trip_s", [0.05, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("size", [150, 360, 900])
def test_2_kilobytes_a_second_never_hide_an_alarm_behind_3_seconds(
    round_trip_s: float, size: int
) -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=2000, round_trip_s=round_trip_s, size=size)
    link.run(10)
    # at the start nothing is known: 8 messages, and two more until the first late answer
    assert link.longest_queue() <= max(3.0, (START_MESSAGES + 2) * size / 2000)
    start = link.answered
    link.run(290)
    assert link.longest_queue(since=10) <= 2.5
    # and the link is never idle: the queue is short, not empty
    assert (link.answered - start) * size / 290 > 0.95 * 2000


def test_large_messages_are_bounded_by_their_bytes() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=2000, round_trip_s=0.3, size=2000)
    link.run(30)
    link.run(270)
    assert link.longest_queue(since=30) <= 3.0


def test_a_message_larger_than_the_window_goes_alone() -> None:
    window = InFlightWindow(200, 4 << 20)
    assert window.has_room(100_000)
    window.sent(0.0, 100_000)
    assert (window.room, window.room_bytes, window.has_room(1)) == (0, 0, False)
    window.answered(0.1, 0.0, 100_000)
    assert window.room_bytes == 2 * START_BYTES, "it may double, no more"


def test_what_is_in_flight_is_never_more_than_the_window_by_a_single_byte() -> None:
    window = InFlightWindow(200, 4 << 20)
    window.sent(0.0, START_BYTES - 100)
    assert (window.room, window.has_room(100), window.has_room(101)) == (7, True, False)
    window.sent(0.0, 100)
    assert (window.room, window.room_bytes, window.has_room(1)) == (0, 0, False)
    window.answered(0.1, 0.0, 100)
    assert window.has_room(window.room_bytes)
    assert not window.has_room(window.room_bytes + 1)


def test_nor_are_more_messages_in_flight_however_small() -> None:
    window = InFlightWindow(200, 4 << 20)
    for _ in range(START_MESSAGES):
        assert window.has_room(1)
        window.sent(0.0, 1)
    assert (window.room, window.has_room(1)) == (0, False)


def test_a_link_that_slows_down_is_understood_with_the_first_late_answers() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=1e6, round_trip_s=0.05)
    link.run(5)
    assert link.window.limit == 200
    link.rate = 2000
    link.run(60)  # what was on the way in that moment has to go through: 200 messages, 36 s
    changed = link.now
    link.run(60)
    assert link.longest_queue(since=changed) <= 2.5
    link.rate = 1e6
    link.run(10)
    assert link.window.limit == 200, "and it comes back"


def test_a_broker_that_pauses_for_5_seconds_is_forgiven_within_3() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=10e6, round_trip_s=0.05)
    link.run(2)
    link.free_s = link.now + 5
    link.run(5.06)
    assert link.window.limit < 100
    link.run(3)
    assert link.window.limit == 200


def test_a_satellite_is_not_taken_for_a_queue() -> None:
    """A round trip of 2.5 s is above the target; the least that was seen raises it."""
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=100_000, round_trip_s=2.5)
    link.run(120)
    assert link.window.target_s == pytest.approx(2.5 + QUEUE_S, abs=0.2)
    assert link.window.limit == 200


def test_one_message_now_and_then_says_nothing_about_many() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=2000, round_trip_s=0.3)
    for _ in range(500):
        link.fill(most=1)
        assert link.answers
        link.now, sent_s = heapq.heappop(link.answers)
        link.window.answered(link.now, sent_s, link.size)
    assert link.window.limit == START_MESSAGES


def test_after_a_pause_the_window_starts_small() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=10e6, round_trip_s=0.05)
    link.run(2)
    while link.answers:
        link.now, sent_s = heapq.heappop(link.answers)
        link.window.answered(link.now, sent_s, link.size)
    link.now += IDLE_S + 1
    link.fill(most=1)
    assert link.window.limit == START_MESSAGES


def test_the_brokers_limit_stands() -> None:
    for limit in (1, 7, 20):
        link = SlowLink(InFlightWindow(limit, 4 << 20), rate=10e6, round_trip_s=0.05)
        link.run(5)
        assert link.window.limit == limit


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 300_000), st.booleans()), max_size=200),
    st.integers(1, 1000),
)
def test_whatever_happens_it_can_go_on(steps: list[tuple[float, int, bool]], limit: int) -> None:
    window = InFlightWindow(limit, 4 << 20)
    now, flying = 0.0, list[tuple[float, int]]()
    for wait_s, size, sends in steps:
        now += wait_s
        if sends and window.has_room(size):
            assert not flying or sum(each for _, each in flying) + size <= window.limit_bytes
            window.sent(now, size)
            flying.append((now, size))
        elif flying:
            sent_s, size = flying.pop(0)
            window.answered(now, sent_s, size)
        assert 1 <= window.limit <= max(1, limit)
        assert 0 <= window.room <= limit
        assert window.target_s >= TARGET_S
        assert window.limit_bytes >= MIN_BYTES
        if not flying:
            assert window.room >= 1
            assert window.room_bytes == window.limit_bytes


def test_one_delay_counts_once_however_many_messages_it_held_up() -> None:
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=10e6, round_trip_s=0.05)
    link.run(2)
    held = link.answers
    for _, sent_s in held:
        link.window.answered(link.now + 5, sent_s, link.size)
    assert link.window.limit == pytest.approx(200 * 0.7 * TARGET_S / 5, abs=2)


def test_after_a_pause_it_doubles_again() -> None:
    """Nobody knows the link then: it starts small, but must not grow by quarters from there."""
    link = SlowLink(InFlightWindow(200, 4 << 20), rate=10e6, round_trip_s=0.05)
    link.run(1)
    while link.answers:  # all late: the doubling is over
        link.now, sent_s = heapq.heappop(link.answers)
        link.now += 5
        link.window.answered(link.now, sent_s, link.size)
    link.now += IDLE_S + 1
    link.run(0.001)
    assert link.window.limit <= START_MESSAGES
    link.run(0.5)
    assert link.window.limit == 200


def test_one_message_that_fills_it_is_known_to_be_carried() -> None:
    """Full is what was full at any time since a message left, and when it left."""
    window = InFlightWindow(200, 4 << 20)
    window.sent(1.0, START_BYTES)
    window.answered(1.1, 1.0, START_BYTES)
    assert window.room_bytes == 2 * START_BYTES, "a message of the size of the window doubles it"
    assert window.limit == START_MESSAGES, "one of eight was not in use"
    for _ in range(START_MESSAGES // 2):
        window.sent(2.0, 1)
    window.answered(2.1, 2.0, 1)
    assert window.limit == START_MESSAGES + 1


def test_a_late_answer_ends_the_doubling() -> None:
    """However quick those are that follow: from there the window grows by quarters."""
    window = InFlightWindow(200, 4 << 20)
    limits = []
    for sent_s, took_s in ((0.0, 0.1), (1.0, 5.0), (7.0, 0.1)):
        flying = min(START_MESSAGES, window.limit)
        for _ in range(flying):
            window.sent(sent_s, 1)
        for _ in range(flying):
            window.answered(sent_s + took_s, sent_s, 1)
        limits.append(window.limit)
    assert limits == [2 * START_MESSAGES, 7, 9]


def test_of_bytes_half_of_the_window_must_have_been_in_use() -> None:
    window = InFlightWindow(200, 4 << 20)
    window.sent(1.0, START_BYTES // 2 - 1)
    window.answered(1.1, 1.0, START_BYTES // 2 - 1)
    assert window.room_bytes == START_BYTES
    window.sent(2.0, START_BYTES // 2)
    window.answered(2.1, 2.0, START_BYTES // 2)
    assert window.room_bytes == START_BYTES + START_BYTES // 2


def test_a_late_answer_shrinks_the_bytes_as_it_does_the_messages() -> None:
    window = InFlightWindow(200, 4 << 20)
    window.sent(0.0, 1)
    window.answered(0.1, 0.0, 1)
    window.sent(1.0, 1)
    window.sent(1.5, 1)
    window.answered(3.5, 1.5, 1)
    assert window.room_bytes == pytest.approx(START_BYTES * 0.7 * TARGET_S / 2, abs=2)


def test_only_a_message_that_went_alone_raises_what_the_bare_link_needs() -> None:
    """By a quarter of the way, since it may have had bad luck."""
    window = InFlightWindow(200, 4 << 20)
    for sent_s, took_s, best_s in ((0.0, 1.0, 1.0), (5.0, 3.0, 1.5), (9.0, 0.75, 0.75)):
        window.sent(sent_s, 1)
        window.answered(sent_s + took_s, sent_s, 1)
        assert window.target_s == min(TARGET_RTTS * best_s, best_s + QUEUE_S)
    window.sent(12.0, 1)
    window.sent(12.5, 1)
    window.answered(15.5, 12.5, 1)
    assert window.target_s == 0.75 + QUEUE_S, "it may have waited behind the other"
