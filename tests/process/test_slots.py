"""Slots of thirty seconds: what every loop did, to the nanosecond, however its edges came."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.edge import Contact
from edge.core.looptick import STAYS_LIMIT, LoopTick, Stay
from edge.process.debounce import Debouncer, LineChange, LineEvent
from edge.process.engine import Engine, LaneSetup
from edge.process.occupancycounter import OccupancyCounter
from edge.process.traffic.slots import SLOT_NS, LoopSlots, slot_ends
from tests.kit.asread import as_read
from tests.kit.engine import (
    MINUTE,
    MS,
    PAIR,
    SINGLE,
    S,
    body,
    car,
    engine,
    found,
    presences,
)
from tests.kit.randomsite import SITE, SiteInput, worlds
from tests.process.windows import SLOW, feed, packed


def play(
    world: SiteInput, chance: random.Random | None = None, *, kills: bool = False
) -> tuple[list[LoopTick], list[dict[str, int]]]:
    """The ticks of a world, and of each window the on time of its lanes, where it is known."""
    made = Engine(SITE)
    made.start(0)
    ticks: list[LoopTick] = []
    on_us: list[dict[str, int]] = []
    left = {name: list(items) for name, items in world.sources.items()}
    for end in world.ends:
        while any(items and items[0].mono_ns < end for items in left.values()):
            items = left[chance.choice(list(left)) if chance else next(iter(left))]
            if chance is None:
                for each in left.values():
                    due = [one for one in each if one.mono_ns < end]
                    feed(made, due)
                    del each[: len(due)]
                break
            size = chance.randint(0, 7)
            feed(made, items[:size])
            del items[:size]
        if kills and chance is not None and chance.random() < 0.7:
            pending = made.pending()
            state = made.snapshot()
            made = Engine(SITE)
            made.restore(packed(state))
            assert made.ticks == ()
            made.contacts(pending[0])
            made.sweeps(pending[1])
        records = made.close(end)
        ticks += made.ticks
        on_us.append({
            each.source: as_read(each)["on_us"]
            for each in records
            if as_read(each).get("on_us") is not None
        })  # fmt: skip
    return ticks, on_us


@SLOW
@given(worlds(), st.randoms(use_true_random=False), st.booleans())
def test_the_ticks_do_not_depend_on_batches_and_kills(
    world: SiteInput, chance: random.Random, kills: bool
) -> None:
    assert play(world, chance, kills=kills) == play(world)


@SLOW
@given(worlds())
def test_the_slots_of_a_loop_follow_each_other_and_add_up(world: SiteInput) -> None:
    ticks, on_us = play(world)
    for lane, part in (("north_1", "lead"), ("north_1", "trail"), ("east_1", "lead")):
        mine = [each for each in ticks if (each.lane, each.part) == (lane, part)]
        assert [each.from_ns for each in mine] == [0, *(each.to_ns for each in mine)][: len(mine)]
        for each in mine:
            assert 0 <= each.on_ns <= each.seen_ns <= each.to_ns - each.from_ns
            assert each.length_s >= 20
            assert len(each.stays) == STAYS_LIMIT or not each.stays_left_out
            assert all(each.from_ns <= one.off_ns < each.to_ns for one in each.stays)
            assert each.since_ns is None or each.since_ns < each.to_ns
    # All windows before the last slot's end, if none of them was void.
    lead = [each for each in ticks if (each.lane, each.part) == ("east_1", "lead")]
    over = [
        reported.get("east_1") for reported, end in zip(on_us, world.ends, strict=True)
        if lead and end <= lead[-1].to_ns
    ]  # fmt: skip
    if over and None not in over:
        reported_us = sum(each for each in over if each is not None)
        assert abs(sum(each.on_ns for each in lead) / 1000 - reported_us) <= len(over)


@given(st.integers(0, 10**15), st.lists(st.integers(1, 400 * S), min_size=1, max_size=30))
def test_slots_end_with_windows_or_divide_them(begin: int, steps: Sequence[int]) -> None:
    slot = start = begin
    for step in steps:
        end = start + step
        ends = slot_ends(slot, start, end)
        if end - slot < SLOT_NS:
            assert ends == []
        else:
            assert ends[-1] == end
            assert ends == sorted(set(ends))
            assert all(each >= start for each in ends)
            lengths = [b - a for a, b in zip([slot, *ends], ends, strict=False)]
            assert max(lengths) - min(lengths) <= 1
            assert min(lengths) > 22 * S
            assert max(lengths) < 60 * S
            slot = end
        start = end


def test_a_minute_has_two_slots_and_five_seconds_are_gathered() -> None:
    assert slot_ends(0, 0, MINUTE) == [30 * S, 60 * S]
    assert slot_ends(0, 25 * S, 30 * S) == [30 * S]
    assert slot_ends(0, 20 * S, 25 * S) == []
    assert slot_ends(0, 0, 300 * S) == [30 * S * n for n in range(1, 11)]
    assert slot_ends(7, 7, 44 * S + 7) == [44 * S + 7]
    assert slot_ends(0, 29 * S, 50 * S) == [
        50 * S
    ]  # a border at 25 s would cut a window that is closed


def lead(made: Engine, end_ns: int = MINUTE) -> list[LoopTick]:
    made.close(end_ns)
    return [each for each in made.ticks if each.part == "lead"]


def single(*contacts: Contact, setup: LaneSetup = SINGLE) -> Engine:
    made = engine(setup)
    made.contacts([*found("east_1.lead"), *contacts])
    return made


def test_a_stay_belongs_to_the_slot_in_which_it_ended() -> None:
    first, second = lead(single(*presences("east_1.lead", (5, 6), (28, 33), (50, 70))))
    assert (first.from_ns, first.to_ns, first.seen_ns) == (0, 30 * S, 30 * S)
    assert (first.stays, first.on_ns, first.since_ns) == ((Stay(5 * S, 6 * S),), 3 * S, 28 * S)
    assert second.stays == (Stay(28 * S, 33 * S),)
    assert (second.on_ns, second.since_ns) == (13 * S, 50 * S)


def test_what_lasts_at_the_end_of_a_window_is_told() -> None:
    made = single(*presences("east_1.lead", (50, 60)))
    made.contacts([Contact("east_1.lead", True, 65 * S)])
    assert lead(made)[1].since_ns == 50 * S  # what falls at the border falls in the next window
    third, fourth = lead(made, 2 * MINUTE)
    assert (third.stays, third.on_ns, third.since_ns) == ((Stay(50 * S, 60 * S),), 25 * S, 65 * S)
    assert (fourth.stays, fourth.on_ns, fourth.since_ns) == ((), 30 * S, 65 * S)


def test_an_edge_at_the_border_of_two_slots_belongs_to_the_second() -> None:
    first, second = lead(single(*presences("east_1.lead", (20, 30), (40, 41))))
    assert (first.stays, first.on_ns, first.since_ns) == ((), 10 * S, 20 * S)
    assert [each.off_ns for each in second.stays] == [30 * S, 41 * S]
    assert second.on_ns == S
    first, second = lead(single(*presences("east_1.lead", (30, 31))))
    assert (first.on_ns, first.since_ns, second.on_ns) == (0, None, S)


def test_bounce_is_merged_and_counted_and_a_broken_vehicle_is_two_stays() -> None:
    bouncing = [
        Contact("east_1.lead", n % 2 == 0, 10 * S + n * 2 * MS) for n in range(5)
    ]  # up in the end
    made = single(
        *bouncing,
        Contact("east_1.lead", False, 10 * S + 400 * MS),
        *presences("east_1.lead", (10.43, 10.8)),
    )
    record = body(made.close(MINUTE), "east_1")
    first = made.ticks[0]
    assert (record["volume"], record["breakups"]) == (1, 1)
    assert [each.on_ns for each in first.stays] == [10 * S, 10 * S + 430 * MS]
    assert (first.bounced, made.ticks[1].bounced) == (4, 0)


def test_what_was_found_begins_when_it_was_seen() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead", at_s=5, on=True))
    made.contacts([Contact("east_1.lead", False, 9 * S)])
    first, _ = lead(made)
    assert (first.stays, first.on_ns, first.seen_ns) == ((Stay(5 * S, 9 * S),), 4 * S, 25 * S)


def test_a_stay_whose_end_is_lost_is_none_and_its_time_counts() -> None:
    made = engine(SINGLE)
    made.contacts(found("east_1.lead"))
    made.contacts([Contact("east_1.lead", True, 5 * S)])
    made.mark_gap(8 * S, 35 * S)
    made.contacts(found("east_1.lead", at_s=35))
    first, second = lead(made)
    assert (first.stays, first.on_ns, first.seen_ns, first.since_ns) == ((), 3 * S, 8 * S, None)
    assert (second.on_ns, second.seen_ns) == (0, 25 * S)


def test_missing_edges_are_told_where_they_are_noticed() -> None:
    made = single(*presences("east_1.lead", (5, 6)))
    made.contacts([Contact("east_1.lead", True, 40 * S, lost=6)])
    made.contacts([Contact("east_1.lead", False, 41 * S)])
    first, second = lead(made)
    assert (first.lost_edges, second.lost_edges) == (0, 6)
    assert (first.seen_ns, second.seen_ns) == (6 * S, 20 * S)
    assert second.stays == (Stay(40 * S, 41 * S),)


def test_more_stays_than_a_tick_carries_are_counted() -> None:
    made = single(*presences("east_1.lead", *((1 + i * 0.2, 1.1 + i * 0.2) for i in range(100))))
    first, _ = lead(made)
    assert (len(first.stays), first.stays_left_out) == (STAYS_LIMIT, 100 - STAYS_LIMIT)
    assert first.stays[0].on_ns == S
    assert first.on_ns == pytest.approx(10 * S, abs=1)


def test_short_windows_gather_in_a_slot_over_a_restart() -> None:
    made = single(*presences("east_1.lead", (4, 6), (12, 13), (28, 29)))
    for end in range(5, 30, 5):
        made.close(end * S)
        assert made.ticks == ()
        contacts, swept = made.pending()
        again = Engine(made.setup)
        again.restore(packed(made.snapshot()))
        again.contacts(contacts)
        again.sweeps(swept)
        made = again
    made.close(30 * S)
    (tick,) = made.ticks
    assert (tick.from_ns, tick.to_ns, tick.seen_ns, tick.on_ns) == (0, 30 * S, 30 * S, 4 * S)
    assert [each.on_ns for each in tick.stays] == [4 * S, 12 * S, 28 * S]
    made.close(30 * S)  # nothing, and no tick twice
    assert made.ticks == ()


def test_ticks_come_in_the_order_of_time_then_lane_then_lead_before_trail() -> None:
    made = engine(PAIR, SINGLE)
    made.contacts([*found("north_1.lead", "north_1.trail", "east_1.lead"), *car("north_1", 3, 50)])
    made.close(MINUTE)
    assert [(each.from_ns // S, each.lane, each.part) for each in made.ticks] == [
        (at, lane, part)
        for at in (0, 30)
        for lane, part in (("north_1", "lead"), ("north_1", "trail"), ("east_1", "lead"))
    ]
    assert all(len(each.stays) == 1 for each in made.ticks[:2])
    made.start(70 * S)
    assert not made.ticks
    made.close(100 * S)
    assert [each.from_ns for each in made.ticks] == [70 * S] * 3


SPANS = st.lists(st.integers(0, 60_000), max_size=24, unique=True).map(
    lambda cuts: [
        (a * MS, b * MS) for a, b in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False)
    ]
)


@given(SPANS, SPANS)
def test_green_is_counted_to_the_nanosecond(
    on: list[tuple[int, int]], green: list[tuple[int, int]]
) -> None:
    loop = OccupancyCounter(300 * S)
    loop.begin(0)
    for begin, end in on:
        loop.apply(LineEvent(begin, LineChange.RISE))
        if end < MINUTE:
            loop.apply(LineEvent(end, LineChange.FALL))
    loop.end_window(MINUTE)
    ticks = LoopSlots("x", "lead").close(loop, (), (0, MINUTE), (0, [30 * S, MINUTE]), green)
    for tick in ticks:
        lit: list[tuple[int, int]] = [(max(a, tick.from_ns), min(b, tick.to_ns)) for a, b in green]
        assert tick.green_ns == sum(max(0, b - a) for a, b in lit)
        shared = [min(b, off) - max(a, since) for a, b in lit for since, off in on]
        assert tick.green_on_ns == sum(max(0, each) for each in shared)


def test_without_a_phase_nothing_is_green() -> None:
    first, second = lead(single(*presences("east_1.lead", (5, 6)), setup=replace(SINGLE)))
    assert first.green_ns is second.green_ns is None
    assert first.green_on_ns == 0


def test_bounces_count_in_the_slot_in_which_their_run_began() -> None:
    """And one that was folded ahead of its window waits for it, over a restart, too."""
    runs = [Contact("east_1.lead", n % 2 == 0, at + n * MS)
            for at in (40 * S, 70 * S) for n in range(4)]  # fmt: skip
    first, second = lead(single(*runs[:4]))
    assert (first.bounced, second.bounced) == (0, 3)
    line = Debouncer(15 * MS)
    line.fold([*found("east_1.lead"), *runs], 0)
    assert line.bounces(MINUTE) == [(40 * S, 3)]
    again = Debouncer(15 * MS)
    again.restore(packed(line.snapshot()))
    assert again.bounces(2 * MINUTE) == [(70 * S, 3)]
    assert again.bounces(2 * MINUTE) == []
