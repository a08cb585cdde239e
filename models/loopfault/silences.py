"""Counts how often lanes are called dead that nobody killed, and how long a dead one is not.

    python -m models.loopfault.silences [--days DIR] [--counts DIR] [--plays 40]

It plays `edge/infer/loops/activity.py` alone, without a model. `--days` are the older simulated
days (`legacy`), each a site: with all its places, and each place as if the others had no loops.
`--counts` are logs of signals in Parquet (`logsites.py`). Without either, the road of two lanes
that the tests use: delays by how many pass beside the lane that dies.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Final

from edge.core.looptick import LoopTick
from edge.infer.loops.activity import LaneActivity
from edge.infer.loops.looprules import Ruling
from edge.infer.sites import ApproachSite, LaneSite, Role
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.simstreet import SimStreet
from models.loopfault.playedstreets import site_of_street, ticks_by_slot

NS: Final = 1_000_000_000
SLOT_S: Final = 30
MONTH_DAYS: Final = 30.4
DAY: Final = 2880  # slots
HOURS: Final = 4  # for which a lane that was killed is waited for
KILLED_AT: Final = (2, 7, 13)  # hours of the day
MONDAY_S: Final = 1_789_948_800.0  # a Monday of 2026, midnight
Ticks = list[LoopTick]


@dataclass(frozen=True)
class SilenceSite:
    """A place with loops. `play` gives the ticks of a slot and the wall clock, or a gap's seconds.

    `play` takes the number of the slot with which it begins.
    """

    name: str
    lanes: tuple[LaneSite, ...]
    approaches: tuple[ApproachSite, ...]
    days: float
    play: Callable[[int], Iterator[tuple[Ticks, float | None] | float]]


@dataclass(frozen=True)
class SilenceAlarm:
    """A lane was called dead, `idle_s` after it fell silent."""

    lane: str
    at_s: float
    idle_s: float
    text: str


def make_activity(site: SilenceSite) -> LaneActivity:
    """A new judge of silence."""
    return LaneActivity(site.lanes, site.approaches, lambda key: None)


def silence_alarms(
    site: SilenceSite, activity: LaneActivity | None = None, first: int = 0
) -> Iterator[SilenceAlarm]:
    """Each silence that is called a fault, once."""
    activity = activity or make_activity(site)
    up: set[str] = set()
    for each in site.play(first):
        if isinstance(each, float):
            activity.missing(each)
            continue
        ticks, wall_s = each
        rulings = activity.step({(t.lane, t.part): t for t in ticks}, {}, wall_s)
        dead = {key[0]: ruling for key, ruling in rulings.items()}
        for lane in dead.keys() - up:
            yield _alarm(lane, ticks[0], dead[lane])
        up = (up & {t.lane for t in ticks if not (t.stays_left_out or t.stays)}) | dead.keys()


def _alarm(lane: str, tick: LoopTick, ruling: Ruling) -> SilenceAlarm:
    idle_s = (tick.to_ns - (ruling.since_ns or 0)) / NS
    return SilenceAlarm(lane, tick.to_ns / NS, idle_s, ruling.evidence)


def silence_lane(ticks: Ticks, lane: str) -> Ticks:
    """The same slot, but nothing comes from this lane."""
    return [
        t._replace(stays=(), stays_left_out=0, on_ns=0, since_ns=None) if t.lane == lane else t
        for t in ticks
    ]


def naming_delays(
    site: SilenceSite, killed_at: Iterable[int]
) -> Iterator[tuple[str, float, float, float | None]]:
    """Each lane is killed at each of these slots, alone.

    Gives the lane, vehicles a minute beside it, its share of them in the two hours before, and
    the minutes until it is named (None: not within HOURS).
    """
    judge, at, stops = make_activity(site), 0, set(killed_at)
    recent: list[dict[str, float]] = []
    for each in site.play(0):
        if at in stops:
            yield from _killed(site, judge, at, recent)
            stops.discard(at)
        if not stops:
            return
        at += 1
        if isinstance(each, float):
            judge.missing(each)
            continue
        ticks, wall_s = each
        judge.step({(t.lane, t.part): t for t in ticks}, {}, wall_s)
        recent = [*recent[-239:], {t.lane: float(len(t.stays) + t.stays_left_out) for t in ticks}]


def _killed(
    site: SilenceSite, activity: LaneActivity, at: int, recent: Sequence[Mapping[str, float]]
) -> Iterator[tuple[str, float, float, float | None]]:
    kept = activity.snapshot()
    places: dict[tuple[str, str], list[str]] = {}
    for lane in site.lanes:
        places.setdefault((lane.approach, lane.position), []).append(lane.name)
    count = {lane.name: sum(slot.get(lane.name, 0.0) for slot in recent) for lane in site.lanes}
    for lane in site.lanes:
        beside = [n for n in places[lane.approach, lane.position] if n != lane.name]
        most = max((count[n] for n in beside), default=0.0)
        if not most or not count[lane.name]:
            continue
        one = make_activity(site)
        one.restore(kept)

        def dying(
            first: int, name: str = lane.name
        ) -> Iterator[tuple[Ticks, float | None] | float]:
            for i, each in enumerate(site.play(first)):
                if i >= HOURS * 120:
                    return
                yield each if isinstance(each, float) else (silence_lane(each[0], name), each[1])

        named = next(
            (a for a in silence_alarms(replace(site, play=dying), one, at) if a.lane == lane.name),
            None,
        )
        yield (
            lane.name,
            most / (len(recent) * SLOT_S / 60.0),
            count[lane.name] / most,
            None if named is None else named.at_s / 60.0 - at * SLOT_S / 60.0,
        )


# -- sites -----------------------------------------------------------------------------------------


def ticks_of(end_s: float, counts: Mapping[str, float]) -> Ticks:
    """A slot in which so many vehicles came."""
    end, begin = round(end_s * NS), round((end_s - SLOT_S) * NS)
    return [
        LoopTick(lane, "lead", begin, end, end - begin, int(n) * NS // 3, (), int(n))
        for lane, n in counts.items()
    ]


def random_road(
    by_hour: Callable[[float], Mapping[str, float]],
    days: float,
    seed: int = 1,
    roles: Mapping[str, Role] | None = None,
) -> SilenceSite:
    """Lanes beside each other in which vehicles come by chance: `by_hour` says how many a minute.

    It is asked with the hours since Monday, midnight.
    """
    lanes = tuple(
        LaneSite(name, "road", "corridor", role=(roles or {}).get(name, "mainline"))
        for name in by_hour(12.0)
    )

    def play_(first: int) -> Iterator[tuple[Ticks, float | None] | float]:
        for slot in range(first, round(days * DAY)):
            chance = random.Random(seed * 1_000_003 + slot)
            pace = by_hour(slot * SLOT_S / 3600.0)
            counts = {lane: by_chance(chance, a_minute / 2.0) for lane, a_minute in pace.items()}
            end_s = (slot + 1) * SLOT_S
            yield ticks_of(end_s, counts), MONDAY_S + end_s

    return SilenceSite("road", lanes, (), days, play_)


def by_chance(chance: random.Random, mean: float) -> int:
    """A count of vehicles that come independently."""
    at, count = chance.expovariate(1.0), 0
    while at < mean:
        at += chance.expovariate(1.0)
        count += 1
    return count


def simulated(street: SimStreet, *, alone: bool = False) -> SilenceSite:
    """A simulated day. `alone`: each place by itself.

    Where a corridor has more lanes than elsewhere, the right one is auxiliary.
    """
    lanes, approaches = site_of_street(street)
    names: dict[tuple[str, str], list[str]] = {}
    for lane in lanes:
        names.setdefault((lane.approach, lane.position), []).append(lane.name)
    least = min(len(some) for some in names.values())
    extra = {some[0] for some in names.values() if len(some) > least}
    if street.kind == "corridor":  # whose loops have no roles
        lanes = [replace(x, role="auxiliary") if x.name in extra else x for x in lanes]
    if alone:
        lanes = [replace(x, approach=f"{x.approach}.{x.position}") for x in lanes]
        approaches = []
    whole = [slot for _, ticks in play_ticks(street) for slot in ticks_by_slot(ticks)]

    def play_(first: int) -> Iterator[tuple[Ticks, float | None] | float]:
        return ((slot, None) for slot in whole[first:])

    name = f"{street.name}{', each place alone' if alone else ''}"
    return SilenceSite(name, tuple(lanes), tuple(approaches), street.hours / 24.0, play_)


# -- what is printed -------------------------------------------------------------------------------


def count_sites(sites: Iterable[SilenceSite], show: Callable[[str], None]) -> None:
    """Alarms of each site, and of all together, and delays of lanes that are killed.

    Those of recorded days are false only if the lane lived: look at what it counted.
    """
    found, days = 0, 0.0
    named: list[tuple[float, float, float | None]] = []
    for of in sites:
        site_alarms = list(silence_alarms(of))
        found, days = found + len(site_alarms), days + of.days
        show(
            f"{of.name}: {len(of.lanes)} lanes, {of.days:.1f} days, {len(site_alarms)} called dead"
        )
        for alarm in site_alarms:
            when = f"day {alarm.at_s / 86_400:.2f}, after {alarm.idle_s / 60:.0f} min"
            show(f"    {alarm.lane}: {when}: {alarm.text}")
        day = max(0, min(15, int(of.days) - 1))
        at = [day * DAY + hour * 120 for hour in KILLED_AT]
        named += [(beside, share, m) for _, beside, share, m in naming_delays(of, at)]
    if days:
        show(
            f"all: {found} called dead in {days:.1f} days of a site: "
            f"{found / days * MONTH_DAYS:.2f} a month and site"
        )
    for low, high in ((8.0, 999.0), (2.0, 8.0), (0.5, 2.0)):
        some = [m for beside, share, m in named if low <= beside < high and share >= 0.5]
        show(f"dead lanes of at least half the traffic beside, {low:g} to {high:g} a minute there: "
             f"{delay_text(some)}")  # fmt: skip


def delay_text(minutes: Sequence[float | None]) -> str:
    """Median and worst of what was named."""
    known = sorted(m for m in minutes if m is not None)
    if not known:
        return f"0 of {len(minutes)} named within {HOURS} h"
    late = known[min(len(known) - 1, round(0.95 * len(known)))]
    return (
        f"{len(known)} of {len(minutes)} named within {HOURS} h, median {median(known):.1f} min, "
        f"95 % within {late:.1f} min, all within {known[-1]:.1f} min"
    )


def after_a_day(a_minute: float, share: float, plays: int, role: Role = "mainline") -> str:
    """Minutes until a lane is named that dies when a day was learned."""
    found: list[float | None] = []
    for seed in range(plays):
        of = random_road(
            lambda hour: {"beside": a_minute, "dying": a_minute * share},
            1.0 + HOURS / 24.0,
            seed,
            {"dying": role, "beside": "bicycle" if role == "bicycle" else "mainline"},
        )
        found += [m for lane, _, _, m in naming_delays(of, [DAY]) if lane == "dying"]
    return delay_text(found)


def main() -> None:
    """Print figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--days", type=Path, help="simulated days")
    parser.add_argument("--counts", type=Path, help="logs of signals")
    parser.add_argument("--plays", type=int, default=40, help="of each synthetic death")
    args = parser.parse_args()

    def show(line: str) -> None:
        print(line, flush=True)

    for role, a_minute, share in (
        ("mainline", 10.0, 1.0), ("mainline", 10.0, 0.5), ("mainline", 1.0, 1.0),
        ("mainline", 1.0, 0.5), ("turn", 10.0, 0.2), ("auxiliary", 10.0, 0.2),
        ("bus", 10.0, 0.05), ("bicycle", 10.0, 0.5),
    ):  # fmt: skip
        delay = after_a_day(a_minute, share, args.plays, role)  # type: ignore[arg-type]
        show(f"{role}, {a_minute:g} a minute beside, a share of {share:g}: {delay}")
    if args.days:
        streets = load_legacy(args.days)
        count_sites([simulated(street) for street in streets], show)
        count_sites([simulated(street, alone=True) for street in streets], show)
    if args.counts:
        from models.loopfault.logsites import logged_sites  # it needs pyarrow

        count_sites(logged_sites(args.counts), show)


if __name__ == "__main__":
    main()
