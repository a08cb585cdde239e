"""Where a site and its approaches lie: what of it cannot be, and what is hardly meant.

Latitude and longitude have a key each, never a list: GeoJSON writes the longitude first, most maps
show the latitude first, and nothing in a pair of numbers tells which it is. Where the time zone has
a place of its own in the zone database, that tells them apart.
Sources: WGS 84; tz-link and zone.tab of the IANA time zone database (coordinates in ISO 6709).
"""

import math
import re
import zoneinfo
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from edge.config.build import SiteDraft
from edge.config.problem import Problem
from edge.config.site import Position, Site
from edge.durable.readfile import NotAFileError, read_beginning

EARTH_KM: Final = 6371.0
DEGREE_KM: Final = math.pi * EARTH_KM / 180
NULL_DEG: Final = 0.1  # so near to (0, 0) is the open sea, and what programs write for "not known"
DECIMALS: Final = 4  # of a degree: 11 m
ZONE_FAR_KM: Final = 1500.0  # few zones reach farther from their place
ZONE_WRONG_KM: Final = 6000.0  # and none so far
TIMES_LONGER: Final = 5.0  # a road, than the straight line; 500 m may go round a block
ROUND_KM: Final = 0.5
BOX_KM: Final = 2.0  # cables of loops are shorter
ROAD_KM: Final = 0.03  # two positions are not exact, and a road is as straight as it can be
BEHIND_DEG: Final = 135.0  # from a bearing to the way to what its traffic reaches
NEAR_KM: Final = 0.02  # a direction between two points means nothing below it
BEFORE_A_LINE: Final = ("stop", "advance")
SAME_DEG: Final = 1.0
TAB_LIMIT: Final = 64 * 1024
ISO_6709: Final = re.compile(r"([+-])(\d\d)(\d\d)(\d\d)?([+-])(\d{3})(\d\d)(\d\d)?")


def check_positions(draft: SiteDraft) -> None:
    """Errors: half a position, and one that is on no globe."""
    for path in (("site",), *(("approach", name) for name in draft.names("approach"))):
        table = draft.data
        for part in path:
            table = table.get(part, {})
        if not isinstance(table, dict):
            continue
        for key, other in (("latitude", "longitude"), ("longitude", "latitude")):
            if key in table and other not in table:
                draft.report((*path, other), f"is missing; a position has {key} and {other}")
        wrong = table.get("latitude")
        known = draft.get(*path, "longitude") is not None  # so it may be a latitude as well
        if known and isinstance(wrong, int | float) and 90 < abs(wrong) <= 180:
            draft.report((*path, "longitude"), "latitude and longitude may be exchanged")


def position_warnings(site: Site) -> Iterator[Problem]:
    """What may be right, and hardly is."""
    positions = site.positions
    place = positions.pop("", None)
    if place is not None:
        yield from _plain(site, ("site",), place)
        yield from _zone(site, place)
    for name, at in positions.items():
        yield from _plain(site, ("approach", name), at)
        yield from _far(site, name, at, place)
    yield from _bearings(site)


def distance_km(one: Position, other: Position) -> float:
    """On a sphere (haversine): half a percent is enough here."""
    (lat, lon), (lat2, lon2) = (map(math.radians, each) for each in (one, other))
    a = math.sin((lat2 - lat) / 2) ** 2
    a += math.cos(lat) * math.cos(lat2) * math.sin((lon2 - lon) / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, a)))


def direction_deg(one: Position, other: Position) -> float:
    """From one to the other, clockwise from north, in [0, 360)."""
    (lat, lon), (lat2, lon2) = (map(math.radians, each) for each in (one, other))
    east = math.sin(lon2 - lon) * math.cos(lat2)
    north = math.cos(lat) * math.sin(lat2) - math.sin(lat) * math.cos(lat2) * math.cos(lon2 - lon)
    return math.degrees(math.atan2(east, north)) % 360


def apart_deg(one: float, other: float) -> float:
    """Between two directions, 0 to 180."""
    return abs((one - other + 180) % 360 - 180)


def _plain(site: Site, path: tuple[str, ...], at: Position) -> Iterator[Problem]:
    """What one position says of itself."""
    if abs(at.latitude) <= NULL_DEG and abs(at.longitude) <= NULL_DEG:
        yield site.remark(
            (*path, "latitude"),
            f"{_text(at)} lies in the Atlantic, and is what programs write when they do not know "
            "where they are; leave both out, or write where it is",
        )
        return
    decimals = max(map(_decimals, at))
    if decimals < DECIMALS:
        error = DEGREE_KM / 10**decimals
        size = f"{error:.0f} km" if error >= 1 else f"{error * 1000:.0f} m"
        yield site.remark(
            (*path, "latitude"),
            f"{_text(at)} is exact to {size} only; {DECIMALS} decimals are exact to 11 m",
        )


def _decimals(degrees: float) -> int:
    return len(f"{degrees:.7f}".rstrip("0").partition(".")[2])


def _zone(site: Site, at: Position) -> Iterator[Problem]:
    """Whether another reading of the two numbers fits the time zone, and this one does not."""
    home = zone_position(site.place.zone)
    if home is None:
        return
    far = distance_km(at, home)
    lat, lon = at
    readings = [(Position(lon, lat), "latitude and longitude may be exchanged")] * (abs(lon) <= 90)
    readings += [
        (Position(lat, -lon), "west of Greenwich is negative"),
        (Position(-lat, lon), "south of the equator is negative"),
    ]
    near, why = min(readings, key=lambda each: distance_km(each[0], home))
    if far > ZONE_FAR_KM and distance_km(near, home) < far / 2:
        yield site.remark(
            ("site", "latitude"),
            f"{_text(at)} is {far:,.0f} km away from the place of {site.place.zone}; {why}: "
            f"latitude = {near.latitude:g}, longitude = {near.longitude:g} would fit",
        )
    elif far > ZONE_WRONG_KM:
        yield site.remark(
            ("site", "latitude"),
            f"{_text(at)} is {far:,.0f} km away from the place of {site.place.zone}; one of them "
            "is wrong",
        )


def zone_position(zone: str) -> Position | None:
    """The place after which a time zone is named; None where the database of this machine has none,
    such as for UTC."""
    return _zone_places().get(zone)


def nearest_zone(at: Position) -> str:
    """The zone whose place is nearest; empty without a database."""
    places = _zone_places()
    return min(places, key=lambda zone: distance_km(at, places[zone]), default="")


def _zone_places() -> dict[str, Position]:
    found = {}
    for line in _zone_table().splitlines():
        fields = line.split("\t")
        if len(fields) > 2 and (at := ISO_6709.fullmatch(fields[1])):
            sign, degrees, minutes, seconds, sign2, degrees2, minutes2, seconds2 = at.groups()
            found[fields[2]] = Position(
                _degrees(sign, degrees, minutes, seconds),
                _degrees(sign2, degrees2, minutes2, seconds2),
            )
    return found


def _degrees(sign: str, degrees: str, minutes: str, seconds: str | None) -> float:
    size = int(degrees) + int(minutes) / 60 + int(seconds or 0) / 3600
    return -size if sign == "-" else size


def _zone_table() -> str:
    """`zone.tab`, of the system or of the package tzdata; empty without either."""
    for folder in zoneinfo.TZPATH:
        try:
            return read_beginning(Path(folder) / "zone.tab", TAB_LIMIT).decode("utf-8", "replace")
        except (OSError, NotAFileError):
            continue
    try:
        return (files("tzdata") / "zoneinfo/zone.tab").read_text(encoding="utf-8")
    except (ModuleNotFoundError, OSError):
        return ""


def _far(site: Site, name: str, at: Position, place: Position | None) -> Iterator[Problem]:
    """An approach, beside its site and the next approach."""
    way = site.ways[name]
    path = ("approach", name, "latitude")
    then = site.positions.get(way.downstream) if way.downstream else None
    if then is not None and way.distance_m is not None:
        straight = distance_km(at, then)
        if straight > way.distance_m / 1000 + ROAD_KM:
            yield site.remark(
                path,
                f"{_text(at)} is {_km(straight)} away from {way.downstream} in a straight line, "
                f"and distance_m says {way.distance_m:g} m; no road is shorter",
            )
            return
        if way.distance_m / 1000 > straight * TIMES_LONGER + ROUND_KM:
            yield site.remark(
                ("approach", name, "distance_m"),
                f"{way.distance_m:g} m is the way to {way.downstream}, which is {_km(straight)} "
                "away in a straight line; one of them is wrong",
            )
            return
    if then is None and place is not None and (gap := distance_km(at, place)) > BOX_KM:
        yield site.remark(
            path, f"{_text(at)} is {_km(gap)} away from the site; its loops are wired to this box"
        )
        return
    goal, what = then, str(way.downstream)
    if goal is None and _leads_here(site, name):
        goal, what = place, "the site"
    if way.bearing_deg is None or goal is None or distance_km(at, goal) < NEAR_KM:
        return
    if apart_deg(way.bearing_deg, direction_deg(at, goal)) > BEHIND_DEG:
        yield site.remark(
            ("approach", name, "bearing_deg"),
            f"{way.bearing_deg:g} degrees leads away from {what}; the bearing is the direction in "
            "which traffic travels, not that from which it comes",
        )


def _leads_here(site: Site, approach: str) -> bool:
    """Its loops lie before a stop line; others may lie behind the junction."""
    lanes = (lane for lane in site.lanes.values() if lane.approach == approach)
    return any(lane.position in BEFORE_A_LINE for lane in lanes)


def _bearings(site: Site) -> Iterator[Problem]:
    """Two approaches of a junction come from two sides; those one after the other do not."""
    known = [(n, way.bearing_deg) for n, way in site.ways.items() if way.bearing_deg is not None]
    for index, (name, bearing) in enumerate(known):
        for other, before in known[:index]:
            if apart_deg(bearing, before) < SAME_DEG and not (
                other in _reached(site, name) or name in _reached(site, other)
            ):
                yield site.remark(
                    ("approach", name, "bearing_deg"),
                    f"approach {other} has the bearing {before:g}, too, and neither is downstream "
                    "of the other",
                )
                break


def _reached(site: Site, name: str) -> set[str]:
    """What lies downstream; a file with a circle is refused before."""
    found: set[str] = set()
    here = site.ways.get(name)
    while here is not None and here.downstream is not None and here.downstream not in found:
        found.add(here.downstream)
        here = site.ways.get(here.downstream)
    return found


def _text(at: Position) -> str:
    return f"{at.latitude:.6g}, {at.longitude:.6g}"


def _km(gap: float) -> str:
    return f"{gap:,.0f} km" if gap >= 10 else f"{gap:.1f} km" if gap >= 1 else f"{gap * 1000:.0f} m"
