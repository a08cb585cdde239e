"""Which broker, and when, in virtual time."""

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from edge.core import Stamp
from edge.uplink.broker import Broker
from edge.uplink.reconnect import MAX_BACKOFF_S, RETURN_TO_FIRST_S, ReconnectPolicy
from edge.uplink.sender import Sender
from tests.kit.clock import NONE

S = 1_000_000_000
A, B, C = (Broker(name, 1883, "gw") for name in "abc")
MONTH = 30 * 86_400 * S


def made(*brokers: Broker, seed: object = 1) -> ReconnectPolicy:
    return ReconnectPolicy(brokers or (A, B, C), random.Random(str(seed)))


def waits(fleet: list[ReconnectPolicy], now_ns: int) -> list[float]:
    return [(one.next.at_ns - now_ns) / S for one in fleet]


def test_the_first_attempt_is_at_once() -> None:
    assert ReconnectPolicy([A, B], random.Random(1), 5 * S).next.at_ns == 5 * S
    with pytest.raises(ValueError, match="no broker"):
        ReconnectPolicy([], random.Random(1))


def test_a_failed_broker_is_followed_at_once_by_the_next() -> None:
    one, now = made(), 100 * S
    seen = []
    for _ in range(3):
        seen.append(one.next.broker)
        if one.next.broker is not A:
            assert one.next.at_ns == now
        one.failed(now)
    assert seen == [A, B, C]
    assert one.next.broker is A
    assert now <= one.next.at_ns <= now + S
    assert one.next == one.next, "asking changes nothing"


def test_rounds_in_which_all_fail_wait_longer_up_to_30_seconds() -> None:
    longest = [0.0] * 12
    for seed in range(300):
        one, now = made(A, B, seed=seed), 0
        for turn in range(12):
            one.failed(now)
            one.failed(now)
            wait = (one.next.at_ns - now) / S
            assert 0 <= wait <= min(MAX_BACKOFF_S, 2.0**turn)
            longest[turn] = max(longest[turn], wait)
            now = one.next.at_ns
    assert all(seen > 0.9 * min(MAX_BACKOFF_S, 2.0**turn) for turn, seen in enumerate(longest))


@pytest.mark.parametrize(("spread_s", "interval_s"), [(0.0, 1.0), (300.0, 300.0), (9999.0, 3600.0)])
def test_500_gateways_that_lose_their_broker_together_do_not_come_together(
    spread_s: float, interval_s: float
) -> None:
    now = MONTH
    fleet = [made(seed=f"gw-{number:04}:{7 << 32 | 1}") for number in range(500)]
    for one in fleet:
        one.spread_s = spread_s
        one.connected(0)
        one.ended(now)
        assert one.next.broker is A
    found = waits(fleet, now)
    assert min(found) >= 0
    assert max(found) <= interval_s
    tenths = Counter(int(10 * wait / interval_s) for wait in found)
    assert len(tenths) == 10
    assert max(tenths.values()) < 90, "50 would be even"
    assert len(set(found)) == 500


def test_a_fleet_whose_broker_stays_away_spreads_further_with_each_round() -> None:
    """All 500 try; in no second after the first half minute come more than a tenth of them."""
    fleet = [made(A, seed=f"gw-{number}:1") for number in range(500)]
    attempts: Counter[int] = Counter()
    for one in fleet:
        one.connected(0)
        one.ended(MONTH)
        while one.next.at_ns < MONTH + 300 * S:
            attempts[(one.next.at_ns - MONTH) // S] += 1
            one.failed(one.next.at_ns)
    assert max(attempts[second] for second in range(30, 300)) < 65
    assert sum(attempts.values()) > 500 * 10


@pytest.mark.parametrize("code", [0x88, 0x89, 0x97, 0x9F, 0x9C, 0x9D, 0x9A, 0x9B])
def test_a_broker_that_asks_for_it_is_left_alone_and_the_others_are_tried(code: int) -> None:
    one, now = made(A, B), 100 * S
    one.failed(now, code)
    away = set()
    tried: Counter[str] = Counter()
    for _ in range(100):
        now = one.next.at_ns
        tried[one.next.broker.host] += 1
        if one.next.broker is A:
            away.add((now - 100 * S) / S)
            break
        one.failed(now)
    assert tried["b"] > 10
    assert 300 <= away.pop() <= 340  # 300 to 330, and the rest of a pause


def test_when_all_ask_for_it_nobody_is_disturbed() -> None:
    one, now = made(A, B), 0
    one.failed(now, 0x97)
    one.failed(now, 0x97)
    assert 300 * S <= one.next.at_ns <= 330 * S


def test_brokers_that_asked_for_it_do_not_get_all_back_at_once() -> None:
    fleet = [made(A, seed=number) for number in range(300)]
    for one in fleet:
        one.failed(0, 0x9F)
    found = waits(fleet, 0)
    assert (min(found) < 302, max(found) > 328) == (True, True)


def test_another_code_is_a_failure_like_any_other() -> None:
    one = made(A)
    one.failed(0, 0x87)
    assert one.next.at_ns <= S


def test_after_15_minutes_with_another_broker_the_first_is_tried_again() -> None:
    dues = []
    for seed in range(300):
        one = made(seed=seed)
        one.failed(0)
        assert one.next.broker is B
        one.connected(0)
        second = next(s for s in range(3600) if one.return_due(s * S))
        dues.append(second)
        now = second * S
        one.ended(now)
        assert (one.next.broker, one.next.at_ns) == (A, now)
        # it is still away: back to the second at once, and for another quarter of an hour
        one.failed(now)
        assert (one.next.broker, one.next.at_ns) == (B, now)
        one.connected(now)
        assert not one.return_due(now + 400 * S)
        assert one.return_due(now + 1351 * S)
    assert 0.5 * RETURN_TO_FIRST_S <= min(dues) < 0.55 * RETURN_TO_FIRST_S
    assert 1.45 * RETURN_TO_FIRST_S < max(dues) <= 1.5 * RETURN_TO_FIRST_S


@pytest.mark.parametrize("in_flight", [True, False])
def test_nobody_leaves_a_broker_while_it_has_not_answered_all(in_flight: bool) -> None:
    """What is on its way would go to the other one once more."""
    one = made()
    one.failed(0)
    one.connected(0)
    sender: Any = SimpleNamespace(
        _reconnect=one,
        _clock=SimpleNamespace(now=lambda: Stamp(MONTH, 0, NONE)),
        _table=SimpleNamespace(in_flight=int(in_flight)),
    )
    assert Sender._returns(sender) is not in_flight


def test_with_the_first_there_is_nothing_to_return_to() -> None:
    one = made()
    one.connected(0)
    assert not one.return_due(MONTH)


def test_nobody_returns_to_a_broker_that_asked_to_be_left_alone() -> None:
    one = made()
    one.failed(0, 0x97)
    one.connected(0)
    assert not one.return_due(299 * S)


def test_a_broker_that_lets_in_and_throws_out_is_a_failure() -> None:
    """Two boxes of one name throw each other out: that must not become a storm."""
    one, now = made(A), 0
    spans = []
    for _ in range(12):
        now = one.next.at_ns
        one.connected(now)
        now += S
        one.ended(now)
        spans.append((one.next.at_ns - now) / S)
    assert max(spans) > 5
    now = one.next.at_ns
    one.connected(now)
    one.ended(now + 3600 * S)
    assert one.next.at_ns - now - 3600 * S <= S, "a good one resets it"
