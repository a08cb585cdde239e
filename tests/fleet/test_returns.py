"""When the gateways of a fleet connect, and connect again; in virtual time."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from edge.fleet.fleet import Fleet
from edge.uplink.inflight import BrokerRefusedError, ConnectionLostError
from edge.uplink.reconnect import STABLE_AFTER_S
from tests.fleet.fleetstore import make_fleet
from tests.kit.broker import Mosquitto


class Waits:
    """What is asked of the loop: how long until something."""

    def __init__(self) -> None:
        self.waits_s: list[float] = []
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s

    def call_later(self, wait_s: float, *_: Any) -> None:
        self.waits_s.append(wait_s)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    found = Waits()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: found)
    return found


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the monotonic clock by which returns are planned."""
    at = [1_000_000_000_000]
    monkeypatch.setattr("edge.fleet.fleet.mono_ns", lambda: at[0])

    def move(seconds: float) -> None:
        at[0] += int(seconds * 1e9)

    return move


async def fleet_of(count: int, **words: Any) -> Fleet:
    return make_fleet(Mosquitto.__new__(Nowhere), gateways=count, **words)


class Nowhere(Mosquitto):
    port = 1


def up(fleet: Fleet) -> None:
    for one in fleet.gateways:
        fleet._connected(one)
        one.was_up = True


async def test_500_gateways_that_lose_their_broker_come_back_over_the_jitter(
    waits: Waits, now: Callable[[float], None]
) -> None:
    fleet = await fleet_of(500, jitter_s=60.0)
    up(fleet)
    now(STABLE_AFTER_S + 1)
    for one in fleet.gateways:
        fleet._lost(one, ConnectionLostError("gone"))
    assert fleet.online == 0
    assert fleet.tally.lost == {"gone": 500}
    by_second = [int(each) for each in waits.waits_s]
    assert max(by_second) <= 60
    assert max(by_second.count(second) for second in range(60)) < 30
    assert sum(1 for each in waits.waits_s if each < 30) in range(200, 300)


async def test_what_the_platform_has_set_spreads_them_further(
    waits: Waits, now: Callable[[float], None]
) -> None:
    fleet = await fleet_of(100, jitter_s=1.0)
    up(fleet)
    now(STABLE_AFTER_S + 1)
    for one in fleet.gateways:
        one.spread_s = 600.0
        fleet._lost(one, ConnectionLostError("gone"))
    assert max(waits.waits_s) > 400


async def test_while_the_broker_stays_away_waits_grow_to_half_a_minute(
    waits: Waits, now: Callable[[float], None]
) -> None:
    fleet = await fleet_of(100, jitter_s=1.0)
    rounds: list[float] = []
    for _ in range(8):
        waits.waits_s.clear()
        for one in fleet.gateways:
            fleet._lost(one, ConnectionLostError("refused"))
        rounds.append(max(waits.waits_s))
        now(40.0)
    assert rounds[0] <= 1.0
    assert 25 < rounds[-1] <= 30
    assert rounds[:5] == sorted(rounds[:5])
    assert fleet.tally.failures == {"refused": 800}
    assert fleet.gateways[0].counts.connection_failures == 8


async def test_a_broker_that_is_busy_is_left_alone_for_five_minutes(
    waits: Waits, now: Callable[[float], None]
) -> None:
    fleet = await fleet_of(50)
    for one in fleet.gateways:
        fleet._lost(one, BrokerRefusedError(0x89, "CONNACK", "server busy"))
    assert 300 <= min(waits.waits_s) <= max(waits.waits_s) <= 330


async def test_a_process_that_is_slow_still_looks_at_each_connection(
    waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of its loop takes half a second: keep-alive needs a look every three at least."""
    fleet = await fleet_of(300)
    looks = [0] * 300
    for number, one in enumerate(fleet.gateways):
        monkeypatch.setattr(
            one, "tick", lambda number=number: looks.__setitem__(number, looks[number] + 1)
        )

    async def slow(_wait_s: float) -> None:
        waits.now_s += 0.5
        if waits.now_s > 60:
            raise asyncio.CancelledError

    monkeypatch.setattr(fleet, "_sleep", slow)
    with pytest.raises(asyncio.CancelledError):
        await fleet._tick()
    assert min(looks) >= 58
    waits.now_s, looks[:] = 0.0, [0] * 300

    async def hanging(_wait_s: float) -> None:
        waits.now_s += 5.0
        if waits.now_s > 60:
            raise asyncio.CancelledError

    monkeypatch.setattr(fleet, "_sleep", hanging)
    with pytest.raises(asyncio.CancelledError):
        await fleet._tick()
    assert set(looks) == {12}  # one look a turn, and no debt


async def test_a_fault_of_ours_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = await fleet_of(2, jitter_s=60.0, minute_s=60.0)

    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(fleet.gateways[0], "tick", broken)
    async with asyncio.timeout(30):
        with pytest.raises(ZeroDivisionError):
            await fleet.run(asyncio.Event())
