"""Scores the suspicion of incidents on simulated corridors; prints a table in Markdown.

    python -m models.congestion.incidents --streets DIR [--legacy DIR]

An incident is a vehicle that stands in a lane between two stations. It is found when the pair of
stations around it goes on between its begin and two minutes after its end; it matters when one of
the links beside it was truly congested then. What goes on elsewhere or at another time is false.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np

from edge.infer.incident import IncidentLimits, Incidents
from edge.infer.sites import ApproachSite
from models.congestion.approachrows import lanes_of
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.playstreet import Window, play_ticks
from models.congestion.scenarios.simstreet import OPEN_ROADS, SimStreet, load_streets

AFTER_S: Final = 120.0
Pair = tuple[str, str]


@dataclass
class IncidentCounts:
    """Counts over streets; `days` are street-days."""

    incidents: int = 0
    found: int = 0
    matter: int = 0
    found_matter: int = 0
    false: int = 0
    days: float = 0.0
    delays: list[float] = field(default_factory=list)

    @property
    def worth(self) -> float:
        """What limits are chosen by: those that matter found, less false alarms."""
        return self.found_matter / max(self.matter, 1) - 0.15 * self.false / max(self.days, 0.01)


def incidents_of(street: SimStreet) -> list[tuple[Pair, float, float]]:
    """The pair of stations around each incident, its begin and end (s)."""
    at_m = {loop.link: loop.at_m for loop in street.loops}
    after = {link.name: link.downstream for link in street.links}
    before = {down: name for name, down in after.items() if down}
    out: set[tuple[Pair, float, float]] = set()
    for link, _, place_m, from_s, length_s in street.about.get("incidents", []):
        if link not in at_m:
            continue
        above, below = (link, after[link]) if place_m > at_m[link] else (before.get(link), link)
        if above is not None and below is not None:
            out.add(((above, below), float(from_s), float(from_s + length_s)))
    return sorted(out)


def incident_alarms(
    street: SimStreet, played: Sequence[Window], limits: IncidentLimits
) -> list[tuple[Pair, float]]:
    """When which pair went on."""
    sites = [ApproachSite(link.name, link.downstream, link.distance_m) for link in street.links]
    judge = Incidents(sites, lanes_of(street).values(), limits)
    out = []
    for end_s, ticks in played:
        for v in judge.step(ticks, {}):
            if v.turn == "on":
                out.append(((v.upstream, v.downstream), end_s))
    return out


def score_street(
    street: SimStreet, pair_alarms: Sequence[tuple[Pair, float]], into: IncidentCounts
) -> None:
    true = incidents_of(street)
    right = np.zeros(len(pair_alarms), bool)
    for pair, begin, end in true:
        mine = [
            i for i, (p, at) in enumerate(pair_alarms) if p == pair and begin <= at <= end + AFTER_S
        ]
        right[mine] = True
        jam = any(
            a < end + AFTER_S and begin < b for name in pair for a, b in street.link(name).events
        )
        into.incidents += 1
        into.matter += jam
        if mine:
            into.found += 1
            into.found_matter += jam
            into.delays.append(pair_alarms[mine[0]][1] - begin)
    into.false += int((~right).sum())
    into.days += street.hours / 24


def older_corridors(folder: Path) -> list[SimStreet]:
    """The older corridors, with the incidents of their meta.json."""
    out = []
    for street in load_legacy(folder):
        meta = json.loads((folder / street.name / "meta.json").read_text(encoding="utf-8"))
        rows = [[i["edge"], 0, i["pos"], i["t0"], i["t1"] - i["t0"]] for i in meta["incidents"]]
        out.append(replace(street, about={**street.about, "incidents": rows}))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path)
    parser.add_argument("--legacy", type=Path)
    parser.add_argument("--tune", action="store_true", help="search limits, print the best")
    args = parser.parse_args()
    loaded = load_streets(args.streets) if args.streets else []
    loaded += older_corridors(args.legacy) if args.legacy else []
    streets = [street for street in loaded if street.kind in OPEN_ROADS]
    played = [list(play_ticks(street)) for street in streets]
    choices = [IncidentLimits()]
    if args.tune:
        choices = [
            IncidentLimits(difference=d, relative=r, flow=f, persist_s=p)
            for d, r, f, p in product((0.08, 0.12), (0.4, 0.5), (0.75, 0.85), (60.0, 90.0))
        ]
    results = []
    for limits in choices:
        found = IncidentCounts()
        for street, windows in zip(streets, played, strict=True):
            score_street(street, incident_alarms(street, windows, limits), found)
        results.append((found.worth, limits, found))
    results.sort(key=lambda one: -one[0])
    print("| limits | incidents | found | that jam | found | false / street-day | median delay |")
    print("|---|---|---|---|---|---|---|")
    for _, limits, f in results[:8]:
        delay = f"{np.median(f.delays):.0f} s" if f.delays else "-"
        print(
            f"| {limits.difference:g}, {limits.relative:g}, {limits.flow:g}, "
            f"{limits.persist_s:.0f} s | {f.incidents} | {f.found} | {f.matter} | "
            f"{f.found_matter} | {f.false / max(f.days, 1e-9):.2f} | {delay} |"
        )


if __name__ == "__main__":
    main()
