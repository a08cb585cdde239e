"""Draws an incident as text: what each lane's loop saw, minute by minute, and when it was told.

    python -m models.congestion.incidenttimeline STREET LINK [--nth 0] [--before 4] [--after 12]

A cell is vehicles and occupancy in percent, of the minute that begins so long after the incident.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from models.congestion.incidentrules import shipped_rule
from models.congestion.incidents import play_day
from models.congestion.incidenttruth import StreetIncident, incidents_of, sight_of
from models.congestion.scenarios.simstreet import TRUTH_S, Floats, SimStreet, load_street

MINUTE_S = 60


def timeline(street: SimStreet, incident: StreetIncident, minutes: range) -> Iterator[str]:
    """Lines of a table; `minutes` count from the begin of the incident."""
    lanes = ", ".join(str(lane) for lane in incident.lanes)
    yield (
        f"{street.name}: lane {lanes} of {incident.link} is blocked at {incident.at_m:.0f} m, "
        f"{incident.begin_s:.0f} to {incident.end_s:.0f} s; visible by {sight_of(street, incident)}"
    )
    alarms = play_day(street, {"": shipped_rule(street)})[""]
    told = [f"{at_s - incident.begin_s:.0f} s" for at_s, names in alarms if incident.link in names]
    yield f"told after: {', '.join(told) or 'never'}"
    yield f"{'minute':>24} " + " ".join(f"{m:6d}" for m in minutes)
    before = [link.name for link in street.links if link.downstream == incident.link]
    after = street.link(incident.link).downstream
    for name in (*before, incident.link, *([after] if after else [])):
        yield from _link(street, name, incident.begin_s, minutes)


def _link(street: SimStreet, name: str, begin_s: float, minutes: range) -> Iterator[str]:
    found = [
        (loop.at_m, loop.index, loop.position, stays)
        for loop, stays in zip(street.loops, street.stays, strict=True)
        if loop.link == name and loop.part == "lead"
    ]
    for at_m, index, position, stays in sorted(found, key=lambda one: one[:2]):
        cells = (_minute(stays, begin_s + m * MINUTE_S) for m in minutes)
        yield f"{name:>8} {position:>8} {at_m:4.0f} {index} " + " ".join(cells)
    speed = street.link(name).speed
    of_minute = MINUTE_S // TRUTH_S
    at = [int((begin_s + m * MINUTE_S) // TRUTH_S) for m in minutes]
    means = [float(np.mean(speed[i : i + of_minute])) * 3.6 if i >= 0 else 0.0 for i in at]
    yield f"{name:>8}   true speed km/h " + " ".join(f"{mean:6.0f}" for mean in means)


def _minute(stays: Floats, from_s: float) -> str:
    to_s = from_s + MINUTE_S
    inside = np.clip(stays, from_s, to_s)
    occupied = float((inside[:, 1] - inside[:, 0]).sum()) / MINUTE_S
    count = int(((stays[:, 1] >= from_s) & (stays[:, 1] < to_s)).sum())
    return f"{count:2d}/{100 * occupied:3.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("street", type=Path)
    parser.add_argument("link")
    parser.add_argument("--nth", type=int, default=0, help="of the incidents on this link")
    parser.add_argument("--before", type=int, default=4)
    parser.add_argument("--after", type=int, default=12)
    args = parser.parse_args()
    street = load_street(args.street)
    incident = [one for one in incidents_of(street) if one.link == args.link][args.nth]
    print("\n".join(timeline(street, incident, range(-args.before, args.after))))


if __name__ == "__main__":
    main()
