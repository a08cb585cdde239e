"""Which incidents a simulated street had, and which of them its loops could show to anybody.

An incident is a vehicle, or a work site, that stands in one or more lanes for a time. Whether it is
visible is said by the truth and by where loops lie, never by what a detector made of it. There must
be loops upstream of it (on its link or the one before) and downstream (its link or the next), and

- "lane": it stands in a lane that has a loop of the same link within NEAR_M, or
- "jam": while it lasts a congestion begins on its own link or the one before, where loops are.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from models.congestion.scenarios.simstreet import SimStreet

NEAR_M: Final = 150.0
AFTER_S: Final = 120.0  # a jam of it may begin, and an alarm for it may come, so long after its end
JAM_S: Final = 60.0  # a shorter congestion is none

Sight = Literal["lane", "jam", "none"]


class StreetIncident(NamedTuple):
    """One that stands in `lanes` of a link; those that overlap on a link are one."""

    link: str
    lanes: tuple[int, ...]
    at_m: float
    begin_s: float
    end_s: float

    def lasts_at(self, at_s: float) -> bool:
        return self.begin_s <= at_s <= self.end_s + AFTER_S


def incidents_of(street: SimStreet) -> list[StreetIncident]:
    """In order of link and time."""
    known = {link.name for link in street.links}
    rows = sorted(
        (str(link), float(begin), float(begin + length), int(lane), float(at_m))
        for link, lane, at_m, begin, length in street.about.get("incidents", [])
        if link in known
    )
    out: list[StreetIncident] = []
    for link, begin, end, lane, at_m in rows:
        last = out[-1] if out else None
        if last is not None and last.link == link and last.lasts_at(begin):
            lanes = tuple(sorted({*last.lanes, lane}))
            out[-1] = last._replace(lanes=lanes, end_s=max(last.end_s, end))
        else:
            out.append(StreetIncident(link, (lane,), at_m, begin, end))
    return out


def sight_of(street: SimStreet, incident: StreetIncident) -> Sight:
    """By what loops could show it."""
    here = [loop for loop in street.loops if loop.link == incident.link]
    looped = {loop.link for loop in street.loops}
    before = [link.name for link in street.links if link.downstream == incident.link]
    watched = [incident.link] if any(loop.at_m < incident.at_m for loop in here) else []
    watched += [name for name in before if name in looped]
    beyond = street.link(incident.link).downstream in looped
    if not watched or not (beyond or any(loop.at_m > incident.at_m for loop in here)):
        return "none"
    if any(
        loop.index in incident.lanes and abs(loop.at_m - incident.at_m) <= NEAR_M for loop in here
    ):
        return "lane"
    jams = (
        (begin, end)
        for name in watched
        for begin, end in (*street.link(name).events, *street.link(name).short)
    )
    return "jam" if any(incident.lasts_at(a) and b - a >= JAM_S for a, b in jams) else "none"
