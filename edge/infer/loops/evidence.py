"""What one slot says about each loop: counts of what sound loops do not do, and of what they do.

Pure functions over the ticks of one slot. Everything is a sum, so slots of any length can be added
up and forgotten at any pace (see `features`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

from edge.core.looptick import LoopTick, Stay

LoopKey = tuple[str, str]  # lane, part
LaneGroup = tuple[str, str]  # approach, position

NS: Final = 1_000_000_000
NEAR_NS: Final = 40_000_000  # two begins this close are one cause, unless it is chance
LONG_NS: Final = 2_000_000_000  # what lies longer on a loop proves nothing about the one beside
BROKEN_NS: Final = 80_000_000  # no second vehicle follows this close (facts D.1)
CLOSE_NS: Final = 250_000_000  # and hardly one this close
TINY_NS: Final = 60_000_000  # a motorcycle at 150 km/h
QUICK_NS: Final = 1_500_000_000  # a car at 16 km/h: only up to here is a pair's order certain
PART_NS: Final = 1_000_000_000  # a car at 23 km/h: slower ones queue, as near as parts of one
FREE_NS: Final = 600_000_000  # a car at 40 km/h: slower ones change speed between the two loops
APART_NS: Final = 800_000_000  # lead to trail, 4 m at 18 km/h
CAP: Final = 25.0  # vehicles that a slot of 30 s can hold: 3,000 an hour
CROWD_NS: Final = 30 * NS // 37  # from begin to begin: more than 37 in 30 s cannot be vehicles
TAIL: Final = 8  # stays of earlier slots that are kept for matching
FAR_NS: Final = 1 << 62


def is_crowded(stays: Sequence[Stay]) -> bool:
    """Whether several came faster than vehicles can: a contact that chatters shows nothing of the
    other loop of its pair, also before its chatter is called so."""
    return len(stays) > 1 and stays[-1].on_ns - stays[0].on_ns < CROWD_NS * (len(stays) - 1)


class E:
    """The sums, by place. Shares and ratios of them are the features.

    Plain numbers: members of an enumeration would take a third of the time of a slot.
    """

    N: Final = 0  # stays that ended
    ON: Final = 1  # seconds occupied
    SEEN: Final = 2  # seconds watched
    SHORT: Final = 3  # stays below 0.45 of the loop's usual one
    TINY: Final = 4
    BROKEN: Final = 5  # begun less than BROKEN_NS after the one before
    TAILED: Final = 6  # of these, the shorter second part of two
    CLOSE: Final = 7
    NEAR: Final = 8  # begun within NEAR_NS of a begin on a loop beside
    NEAR_LUCK: Final = 9  # as many would by chance
    NEAR_SHORT: Final = 10  # of NEAR, shorter than the other
    MIDST: Final = 11  # with its middle near the middle of a stay beside
    MIDST_LUCK: Final = 12
    MIDST_SHORT: Final = 13  # of MIDST, shorter than the other
    ECHO: Final = 14  # stays beside that have a begin here
    AMID: Final = 15  # stays beside that have a middle here
    BESIDE: Final = 16  # stays beside
    LONE: Final = 17  # quick ones without a partner on the pair's other loop
    PAIRED: Final = 18  # quick ones with one
    BEFORE: Final = 19  # of these, where the trail loop was first
    RATIO: Final = 20  # sum of log(own time / partner's time), of FREE
    RATIO2: Final = 21
    LONE_NEAR: Final = 22  # of LONE, those that are NEAR too
    LONE_MIDST: Final = 23
    LOG: Final = 24  # sum of log seconds of quick ones
    QUICK: Final = 25
    CAPPED: Final = 26  # N, but no more than can pass
    FREE: Final = 27  # pairs of which both were short enough to compare


SIZE: Final = E.FREE + 1
Sums = list[float]


class LoopSurroundings(NamedTuple):
    """What a loop has around it.

    `beside` are the next lanes' loops of the same part, `partner` is the other of its pair,
    `along` the same lane at the approach's other positions and at the next stations.
    """

    beside: tuple[LoopKey, ...] = ()
    partner: LoopKey | None = None
    along: tuple[LoopKey, ...] = ()
    group: LaneGroup = ("", "")
    mode: Literal["presence", "pulse"] = "presence"


def filled_sums(surroundings: LoopSurroundings) -> tuple[int, ...]:
    """Which sums of a loop can be other than 0."""
    columns = [*range(E.CLOSE + 1), E.LOG, E.QUICK, E.CAPPED]
    if surroundings.beside:
        columns += range(E.NEAR, E.BESIDE + 1)
    if surroundings.partner is not None:
        columns += (*range(E.LONE, E.LONE_MIDST + 1), E.FREE)
    return tuple(sorted(columns))


class LoopStays(NamedTuple):
    """A loop's stays in order of time: some old ones, those of this slot, the one that lasts."""

    tick: LoopTick
    begins: list[int]
    ends: list[int]  # FAR_NS for the one that lasts
    fresh: int  # where those of this slot begin


def slots_of(ticks: Sequence[LoopTick]) -> list[dict[LoopKey, LoopTick]]:
    """Ticks by slot, in the order of time."""
    out: dict[int, dict[LoopKey, LoopTick]] = {}
    for tick in ticks:
        out.setdefault(tick.to_ns, {})[tick.lane, tick.part] = tick
    return [out[end] for end in sorted(out)]


def loop_stays(tick: LoopTick, tail: Sequence[Stay]) -> LoopStays:
    """`tail` are the last stays of earlier slots."""
    stays = [*tail, *tick.stays]
    begins, ends = map(list, zip(*stays, strict=True)) if stays else ([], [])
    if tick.since_ns is not None:
        begins.append(tick.since_ns)
        ends.append(FAR_NS)
    return LoopStays(tick, begins, ends, len(tail))


def slot_sums(
    key: LoopKey,
    all_heard: Mapping[LoopKey, LoopStays],
    surroundings: LoopSurroundings,
    usual_ns: float,
) -> Sums:
    """The slot's sums of one loop. `usual_ns` is how long it is usually occupied, 0 unknown."""
    h = all_heard[key]
    tick = h.tick
    out = [0.0] * SIZE
    n = len(tick.stays)
    out[E.N] = float(n + tick.stays_left_out)
    out[E.ON] = tick.on_ns / NS
    out[E.SEEN] = tick.seen_ns / NS
    out[E.CAPPED] = min(out[E.N], CAP * max(1.0, tick.length_s / 30.0))
    presence = surroundings.mode == "presence"
    if presence:
        _lengths(out, h, usual_ns)
    beside = [all_heard[k] for k in surroundings.beside if k in all_heard]
    near, midst = [False] * n, [False] * n
    for other in beside:
        _add_beside(out, h, other, near, midst, presence)
    out[E.NEAR], out[E.MIDST] = float(sum(near)), float(sum(midst))
    mate = all_heard.get(surroundings.partner) if surroundings.partner is not None else None
    if mate is not None and presence:
        free_ns = min(FREE_NS, 1.3 * usual_ns) if usual_ns else FREE_NS
        _pair(out, h, mate, near, midst, key[1] == "trail", free_ns)
    return out


def _lengths(out: Sums, h: LoopStays, usual_ns: float) -> None:
    begins, ends, first = h.begins, h.ends, h.fresh
    brief, short, quick, log = 0.45 * usual_ns, 0, 0, 0.0
    for i in range(first, first + len(h.tick.stays)):
        length = ends[i] - begins[i]
        if length < brief:
            short += 1
        if length < TINY_NS:
            out[E.TINY] += 1.0
        if length < QUICK_NS:
            quick += 1
            log += math.log(max(length, 1_000_000) / NS)
        if i and length < PART_NS:
            gap, before = begins[i] - ends[i - 1], ends[i - 1] - begins[i - 1]
            if gap < CLOSE_NS and before < PART_NS:
                out[E.CLOSE] += 1.0
                if gap < BROKEN_NS:
                    out[E.BROKEN] += 1.0
                    out[E.TAILED] += float(length < before)
    out[E.SHORT], out[E.QUICK], out[E.LOG] = float(short), float(quick), log


def _add_beside(
    out: Sums, h: LoopStays, other: LoopStays, near: list[bool], midst: list[bool], presence: bool
) -> None:
    """Adds what the loop has in common with one beside it; marks which stays are meant."""
    span = max(1, h.tick.to_ns - h.tick.from_ns)
    n, m = len(h.tick.stays), len(other.tick.stays)
    out[E.BESIDE] += min(m + other.tick.stays_left_out, CAP)
    out[E.NEAR_LUCK] += n * min(1.0, 2.0 * NEAR_NS * m / span)
    begins, ends = other.begins, other.ends
    for i in range(n):
        on, off = h.tick.stays[i]
        j = bisect_left(begins, on - NEAR_NS)
        if j < len(begins) and begins[j] <= on + NEAR_NS:
            near[i] = True
            out[E.NEAR_SHORT] += float(off - on < ends[j] - begins[j])
        if presence:
            j = _midst(begins, ends, on, off)
            if j >= 0:
                midst[i] = True
                out[E.MIDST_SHORT] += float(off - on < ends[j] - begins[j])
    begins, ends = h.begins, h.ends
    room = 0
    for on, off in other.tick.stays:
        j = bisect_left(begins, on - NEAR_NS)
        if j < len(begins) and begins[j] <= on + NEAR_NS:
            out[E.ECHO] += 1.0
        if presence and off - on < LONG_NS:
            room += (off - on) // 2
            out[E.AMID] += float(_midst(begins, ends, on, off) >= 0)
    out[E.MIDST_LUCK] += n * min(1.0, room / span)


def _midst(begins: Sequence[int], ends: Sequence[int], on: int, off: int) -> int:
    """Which of these stays has its middle near that of `on` to `off`; -1: none.

    Near is a quarter of the longer one.
    """
    if off - on >= LONG_NS:
        return -1
    middle = (on + off) // 2
    j = bisect_right(begins, middle) - 1
    if j < 0 or ends[j] < middle or ends[j] - begins[j] >= LONG_NS:
        return -1
    away = abs((begins[j] + ends[j]) // 2 - middle)
    return j if 4 * away <= max(ends[j] - begins[j], off - on) else -1


def _pair(
    out: Sums,
    h: LoopStays,
    other: LoopStays,
    near: Sequence[bool],
    midst: Sequence[bool],
    trail: bool,
    free_ns: float,
) -> None:
    """Finds each quick stay's partner: the nearest begin on the other loop."""
    theirs, theirs_end = other.begins, other.ends
    latest = h.tick.to_ns - APART_NS  # a later one may have a partner in the next slot
    for i, (begin, end) in enumerate(h.tick.stays):
        length = end - begin
        if length >= QUICK_NS or begin > latest:
            continue
        j = bisect_left(theirs, begin)
        if j == len(theirs) or (j and begin - theirs[j - 1] < theirs[j] - begin):
            j -= 1
        if j < 0 or abs(theirs[j] - begin) > APART_NS:
            out[E.LONE] += 1.0
            out[E.LONE_NEAR] += float(near[i])
            out[E.LONE_MIDST] += float(midst[i] and not near[i])
            continue
        out[E.PAIRED] += 1.0
        first_here = begin < theirs[j]
        if first_here == trail:
            out[E.BEFORE] += 1.0
        their = theirs_end[j] - theirs[j]
        if their < free_ns and length < free_ns:
            out[E.FREE] += 1.0
            ratio = math.log(max(length, 1_000_000) / max(their, 1_000_000))
            ratio = max(-1.5, min(1.5, ratio))
            out[E.RATIO] += ratio
            out[E.RATIO2] += ratio * ratio
