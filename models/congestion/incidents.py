"""Scores the suspicion of incidents on simulated streets; prints a table in Markdown.

    python -m models.congestion.incidents --streets DIR [--streets DIR] [--below SEED]
        [--since SEED] [--faulty] [--tune] [--all]

An incident is found when an alarm that names its link goes on between its begin and two minutes
after its end; all other alarms are false. Which incidents could be found says `incidenttruth`. The
usual day of a street, on which nothing happens, is played after nothing: a detector begins cold.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from edge.infer.blockedlane import BlockageLimits
from edge.infer.incident import IncidentLimits
from edge.infer.observation import ticks_by_slot
from models.congestion.approachrows import Health, all_sound
from models.congestion.incidentrules import (
    Alarm,
    CaliforniaRule,
    DeviateRule,
    FormerRule,
    IncidentRule,
    shipped_rule,
)
from models.congestion.incidenttruth import Sight, StreetIncident, incidents_of, sight_of
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.scene import USUAL_SEED
from models.congestion.scenarios.simstreet import (
    OPEN_ROADS,
    SimStreet,
    find_streets,
    load_street,
    load_usual,
)
from models.congestion.simulatedhealth import HEALTHS

WEEK_H: Final = 168.0
FAULTY: Final = 0.3  # of the loops, where loops are injured
SEED: Final = 211  # of those faults
ANY_SEED: Final = range(10**10)

RULES: Final[Mapping[str, Callable[[SimStreet], IncidentRule]]] = {
    "the gateway": shipped_rule,
    "the rule of 0.2.0": FormerRule,
    "California #7": lambda street: CaliforniaRule(street, 0.4, 0.7, 0.15),
    "standard normal deviate": lambda street: DeviateRule(street, 4.5),
}

STATIONS: Final[Mapping[str, tuple[float, ...]]] = {
    "congested": (0.2, 0.25, 0.35, 0.4), "flow": (0.2, 14 / 60, 0.3, 20 / 60),
    "persist_s": (30.0, 60.0, 120.0),
}  # fmt: skip
SIGNALS: Final[Mapping[str, tuple[float, ...]]] = {
    "lost": (3.5, 4.0, 5.0), "share": (0.45, 0.5, 0.6), "growth": (1.5, 3.0),
    "stands": (0.5, 0.6, 0.7), "beyond": (0.3, 0.5), "persist_s": (30.0, 90.0, 120.0),
}  # fmt: skip


def changed_limits() -> dict[str, Callable[[SimStreet], IncidentRule]]:
    """The gateway's rules, and those with one limit changed at a time: how wide an optimum is."""
    stations, signals = IncidentLimits(), BlockageLimits()
    of: dict[str, tuple[IncidentLimits, BlockageLimits]] = {"the gateway": (stations, signals)}
    for name, values in STATIONS.items():
        for x in values:
            of[f"stations, {name} {x:.2f}"] = replace(stations, **{name: x}), signals
    for name, values in SIGNALS.items():
        for x in values:
            of[f"signals, {name} {x:.2f}"] = stations, replace(signals, **{name: x})
    return {name: partial(_limited_rule, limits=limits) for name, limits in of.items()}


def _limited_rule(street: SimStreet, limits: tuple[IncidentLimits, BlockageLimits]) -> IncidentRule:
    return shipped_rule(street, *limits)


@dataclass
class IncidentCounts:
    """Of one rule on one kind of streets."""

    incidents: int = 0
    visible: int = 0
    found: int = 0
    found_visible: int = 0
    false: dict[str, int] = field(default_factory=lambda: {"rush": 0, "usual": 0})
    hours: dict[str, float] = field(default_factory=lambda: {"rush": 0.0, "usual": 0.0})
    delays_s: list[float] = field(default_factory=list)

    def add(
        self,
        street: SimStreet,
        truth: Sequence[tuple[StreetIncident, Sight]],
        alarms: Sequence[tuple[float, Alarm]],
    ) -> list[bool]:
        """Count a day of a street; gives of each incident whether it was found."""
        day = "rush" if street.about.get("cause") != "none" or truth else "usual"
        right: set[int] = set()
        out = []
        for incident, sight in truth:
            mine = [
                i
                for i, (at_s, names) in enumerate(alarms)
                if incident.link in names and incident.lasts_at(at_s)
            ]
            right.update(mine)
            self.incidents += 1
            self.visible += sight != "none"
            self.found += bool(mine)
            self.found_visible += bool(mine) and sight != "none"
            self.delays_s += [alarms[mine[0]][0] - incident.begin_s] if mine else []
            out.append(bool(mine))
        self.false[day] += len(alarms) - len(right)
        self.hours[day] += street.hours
        return out


def play_day(
    street: SimStreet, rules: Mapping[str, IncidentRule], *, faulty: bool = False
) -> dict[str, list[tuple[float, Alarm]]]:
    """The alarms of each rule, and the ends of their windows."""
    health: Health = all_sound
    if faulty:
        street, faults = inject_faults(street, SEED, FAULTY)
        health = HEALTHS["judged"](street, faults, SEED)
    out: dict[str, list[tuple[float, Alarm]]] = {name: [] for name in rules}
    for end_s, ticks in play_ticks(street):
        for end_ns, _, slot in ticks_by_slot(ticks):
            scores = health(end_ns, slot)
            for name, rule in rules.items():
                out[name] += [(end_s, alarm) for alarm in rule.step(slot, scores)]
    return out


def most_per_week(count: int, weeks: float) -> float:
    """The upper end of the 95 % interval (one-sided) of a rate of which `count` were seen."""
    if weeks <= 0.0:
        return math.inf
    low, high = 1e-9, 10.0 * (count + 3)
    for _ in range(60):
        mean = (low + high) / 2
        seen = sum(
            math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)
        )
        low, high = (mean, high) if seen > 0.05 else (low, mean)
    return high / weeks


def table(counts: Mapping[tuple[str, str], IncidentCounts]) -> Iterable[str]:
    yield (
        "| streets | rule | incidents | visible | found | found of the visible | false, rush days "
        "| false, usual days | false a week (at most, 95 %) | delay: 25, 50, 75 % |"
    )
    yield "|---" * 10 + "|"
    for (kind, name), one in counts.items():
        weeks = {day: hours / WEEK_H for day, hours in one.hours.items()}
        false, whole = sum(one.false.values()), sum(weeks.values())
        delay = "-"
        if one.delays_s:
            delay = ", ".join(f"{q:.0f}" for q in np.percentile(one.delays_s, (25, 50, 75))) + " s"
        share = f"{one.found_visible / one.visible:.0%}" if one.visible else "-"
        yield (
            f"| {kind} | {name} | {one.incidents} | {one.visible} | {one.found} | "
            f"{one.found_visible} ({share}) | {one.false['rush']} in {weeks['rush']:.2f} weeks | "
            f"{one.false['usual']} in {weeks['usual']:.2f} weeks | "
            f"{false / max(whole, 1e-9):.1f} ({most_per_week(false, whole):.1f}) | {delay} |"
        )


def kind_of(street: SimStreet) -> str:
    return "roads without signals" if street.kind in OPEN_ROADS else "streets with signals"


def days_of(place: Path) -> list[SimStreet]:
    """A street, and its usual day if there is one."""
    street, usual = load_street(place), load_usual(place)
    return [street] if usual is None else [street, usual]


def tables(args: argparse.Namespace) -> Iterator[str]:
    """All of the card that a command gives, line by line: of `args.streets`."""
    places = find_streets(args.streets, final=getattr(args, "final", False))
    counts, _ = score_places(places[::5] if getattr(args, "quick", False) else places, RULES)
    yield from table(counts)


def score_places(
    places: Iterable[Path],
    made: Mapping[str, Callable[[SimStreet], IncidentRule]],
    seeds: range = ANY_SEED,
    *,
    faulty: bool = False,
) -> tuple[dict[tuple[str, str], IncidentCounts], list[str]]:
    """Counts by kind of street and rule, and what the gateway missed or raised for nothing."""
    counts: dict[tuple[str, str], IncidentCounts] = {
        (kind, name): IncidentCounts()
        for kind in ("roads without signals", "streets with signals")
        for name in made
    }
    said = []
    for place in places:
        for street in days_of(place):
            if street.seed % USUAL_SEED not in seeds:
                continue
            truth = [(one, sight_of(street, one)) for one in incidents_of(street)]
            rules = {name: make(street) for name, make in made.items()}
            for name, alarms in play_day(street, rules, faulty=faulty).items():
                found = counts[kind_of(street), name].add(street, truth, alarms)
                if name == "the gateway":
                    said += _said(street, truth, alarms, found)
    return counts, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, action="append", required=True)
    parser.add_argument("--below", type=int, default=ANY_SEED.stop, help="leave out from here on")
    parser.add_argument("--since", type=int, default=0, help="leave out seeds before this one")
    parser.add_argument("--faulty", action="store_true", help="injure loops, judge their health")
    parser.add_argument("--all", action="store_true", help="say each missed incident, each false")
    parser.add_argument("--tune", action="store_true", help="change one limit at a time")
    args = parser.parse_args()
    counts, said = score_places(
        [place for folder in args.streets for place in find_streets(folder)],
        changed_limits() if args.tune else RULES,
        range(args.since, args.below),
        faulty=args.faulty,
    )
    print("\n".join([*table(counts), *(["", *said] if args.all else [])]))


def _said(
    street: SimStreet,
    truth: Sequence[tuple[StreetIncident, Sight]],
    alarms: Sequence[tuple[float, Alarm]],
    found: Sequence[bool],
) -> list[str]:
    missed = [
        f"missed: {street.name} {one.link} from {one.begin_s:.0f} s, visible by {sight}"
        for (one, sight), was in zip(truth, found, strict=True)
        if not was
    ]
    false = [
        f"false: {street.name} {street.about.get('cause')} {names[0]} to {names[1]} at {at_s:.0f} s"
        for at_s, names in alarms
        if not any(one.link in names and one.lasts_at(at_s) for one, _ in truth)
    ]
    return missed + false


if __name__ == "__main__":
    main()
