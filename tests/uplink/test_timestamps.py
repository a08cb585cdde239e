"""The clock maps of the boots that are sent from: each is asked for once, and so many are kept."""

import asyncio
from typing import Any

import pytest

from edge.core import Record, RecordKey, Stamp, Stream
from edge.uplink.timestamps import (
    BOOTS,
    BOOTS_LIMIT,
    MOMENTS_OWNER,
    REREAD_NS,
    VERSION,
    Timestamper,
    UsedMoments,
    manifest_moment,
)
from edge.wire.clockmoments import Moment
from edge.wire.keptstate import pack_state
from tests.kit.clock import NONE, NTP, NTS, RTC
from tests.uplink.test_sendqueue_order import StoredRows

S = 1_000_000_000
WALL = 1_790_000_000 * S


class MarkedRows(StoredRows):
    """Each boot but 0 has a mark; `asked` tells the boots whose map was fetched, in order."""

    def __init__(self) -> None:
        super().__init__([])
        self.asked: list[int] = []
        self.kept: list[dict[str, tuple[int, bytes]]] = []

    async def marks(self, boot: int) -> list[Stamp]:
        self.asked.append(boot)
        return [Stamp(boot * S, WALL + boot * S, NTP)] if boot else []

    async def state(self, owner: str) -> tuple[int, bytes] | None:
        return self.kept[-1].get(owner) if self.kept else None

    async def keep(self, states: Any) -> None:
        self.kept.append(dict(states))


def record(boot: int, epoch: int = 1) -> Record:
    return Record(RecordKey(epoch, Stream.AIR, 1), "hut", boot, 2 * S, 3 * S, {})


async def test_the_clock_of_a_boot_is_asked_for_once() -> None:
    store = MarkedRows()
    dating = Timestamper(store, 9, 1)
    for boots in ({1, 9}, {1, 9}, {1}):
        await dating.load_boots(boots)
    assert sorted(store.asked) == [1, 9]
    dated, (by,) = dating.date(record(1), backfilled=True, redelivered=False)
    assert (dated.from_wall_ns, dated.tq, dated.backfilled) == (WALL + 2 * S, "ntp", True)
    assert by == Moment(1, S // 1000, (WALL + S) // 1000, NTP)


async def test_when_the_time_is_known_the_boots_before_are_looked_up_again_twice() -> None:
    """At once, and when the store has surely heard of it: it bounds what they can have been."""
    store = MarkedRows()
    dating = Timestamper(store, 9, 1)
    await dating.load_boots({1})
    known = Stamp(50 * S, WALL + 59 * S, NTP)
    dating.see(known)
    for ahead_ns, times in ((0, 2), (1, 2), (REREAD_NS - 1, 2), (REREAD_NS, 3), (2 * REREAD_NS, 3)):
        dating.see(Stamp(known.mono_ns + ahead_ns, known.wall_ns + ahead_ns, NTP))
        await dating.load_boots({1})
        assert store.asked.count(1) == times, ahead_ns


async def test_so_many_boots_are_kept_and_those_that_are_sent_from_whatever_their_number() -> None:
    store = MarkedRows()
    dating = Timestamper(store, 99, 1)
    for boot in range(1, BOOTS_LIMIT + 3):
        await dating.load_boots({boot})
    await dating.load_boots({BOOTS_LIMIT + 2})
    await dating.load_boots({1})  # had to make room
    await dating.load_boots({4})  # had not
    assert (store.asked.count(1), store.asked.count(4)) == (2, 1)
    many = set(range(100, 100 + 2 * BOOTS_LIMIT))
    await dating.load_boots(many)
    for boot in many:
        dating.date(record(boot), backfilled=False, redelivered=False)


async def test_a_boot_that_never_knew_the_time_is_dated_by_what_is_known_around_it() -> None:
    assert manifest_moment(3, None, (5_000, 7_000)) == Moment(3, 0, 0, NONE, 5, 7)
    assert manifest_moment(3, Stamp(2_000, 9_000, RTC), (5_000, None)) == Moment(3, 2, 9, RTC)
    dating = Timestamper(MarkedRows(), 9, 1)
    await dating.load_boots({0})
    dated, (by,) = dating.date(record(0), backfilled=False, redelivered=True)
    assert (dated.tq, dated.to_wall_ns - dated.from_wall_ns, dated.redelivered) == ("none", S, True)
    assert by == Moment(0, 0, 0, NONE)


@pytest.mark.parametrize("before", [True, False])
async def test_the_running_boot_is_dated_by_what_its_clock_shows_now(before: bool) -> None:
    """Whether its map was fetched before the clock was set, or after."""
    dating = Timestamper(MarkedRows(), 9, 1)
    if before:
        await dating.load_boots({9})
    dating.see(Stamp(60 * S, WALL + 100 * S, NTS))  # set on by 40 s
    await dating.load_boots({9})
    late = Record(RecordKey(1, Stream.AIR, 2), "hut", 9, 70 * S, 80 * S, {})
    assert dating.date(late, backfilled=False, redelivered=False)[0].from_wall_ns == WALL + 110 * S
    early = Record(RecordKey(1, Stream.AIR, 1), "hut", 9, 10 * S, 20 * S, {})
    assert dating.date(early, backfilled=False, redelivered=False)[0].from_wall_ns == WALL + 10 * S


async def test_what_dates_a_record_is_kept_before_it_goes_and_once() -> None:
    store = MarkedRows()
    dating = Timestamper(store, 9, 2)
    dating.see(Stamp(S, WALL + S, NTP))
    for _ in range(2):
        await dating.prepare([record(1), record(9, 2), record(0)])
        assert len(store.kept) == 1
    dating.see(Stamp(2 * S, WALL + 9 * S, NTP))
    await dating.prepare([record(1)])
    assert len(store.kept) == 1, "nothing is dated by the new mark yet"
    later = Record(RecordKey(2, Stream.AIR, 2), "hut", 9, 3 * S, 4 * S, {})
    await dating.prepare([later])
    _, (by,) = dating.date(later, backfilled=False, redelivered=False)
    assert len(store.kept) == 2
    assert by in UsedMoments(store.kept[-1][MOMENTS_OWNER]).former(9)


async def test_a_record_is_prepared_when_what_dates_it_now_is_kept() -> None:
    dating = Timestamper(MarkedRows(), 9, 2)
    dating.see(Stamp(S, WALL + S, NTP))
    assert not dating.is_prepared(record(9))
    await dating.prepare([record(9)])
    assert (dating.is_prepared(record(9)), dating.is_prepared(record(1))) == (True, False)
    await dating.load_boots({1})
    assert not dating.is_prepared(record(1)), "its marks are known, but not that it goes by them"
    await dating.prepare([record(1)])
    assert dating.is_prepared(record(1))
    dating._stale = True  # this boot has become certain: it bounds those before it
    assert not dating.is_prepared(record(1))
    await dating.prepare([record(1)])
    assert dating.is_prepared(record(1))


async def test_while_a_moment_is_kept_the_clock_may_be_set_again() -> None:
    class Set(MarkedRows):
        async def keep(self, states: Any) -> None:
            await super().keep(states)
            if len(self.kept) == 1:
                dating.see(Stamp(2 * S, WALL + 60 * S, NTP))

    store = Set()
    dating = Timestamper(store, 9, 1)
    dating.see(Stamp(S, WALL, NONE))
    await dating.prepare([record(9)])
    _, (by,) = dating.date(record(9), backfilled=False, redelivered=False)
    assert by.tq == "ntp"
    assert by in UsedMoments(store.kept[-1][MOMENTS_OWNER]).former(9)


async def test_a_record_of_a_former_epoch_may_have_been_dated_by_what_former_ones_used() -> None:
    store = MarkedRows()
    stepped = Moment(1, 0, (WALL + 400 * 86_400 * S) // 1000, NTP)
    store.kept.append({MOMENTS_OWNER: pack_state(VERSION, UsedMoments().snapshot([stepped]))})
    dating = Timestamper(store, 9, 2)
    await dating.prepare([record(1), record(9), record(9, 2)])
    _, (by, *former) = dating.date(record(1), backfilled=True, redelivered=False)
    assert (by.tq, former) == ("ntp", [stepped])
    assert len(dating.date(record(9), backfilled=True, redelivered=False)[1]) == 1
    assert len(dating.date(record(9, 2), backfilled=False, redelivered=False)[1]) == 1


async def test_a_page_may_be_of_more_boots_than_are_remembered_for_the_next_process() -> None:
    """A box that starts a hundred times in a night: what is kept for one batch stays kept in it."""
    store = MarkedRows()
    dating = Timestamper(store, 999, 2)
    many = [record(boot) for boot in range(1, BOOTS + 101)]
    async with asyncio.timeout(20):
        await dating.prepare(many)
        await dating.prepare(many)
    assert len(store.kept) == 1
    kept = UsedMoments(store.kept[0][MOMENTS_OWNER])
    assert kept.former(BOOTS + 100)
    assert not kept.former(1), "the next process remembers the last ones"
