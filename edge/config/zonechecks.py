"""Time zones: what only looks like the zone of a place.

Sources: backward and etcetera of the IANA time zone database.
"""

import re
from collections.abc import Iterator
from typing import Final

from edge.config.positionchecks import nearest_zone
from edge.config.problem import Problem
from edge.config.site import Site

# abbreviations on a clock or a telephone; a zone is a place, which has both its seasons
SEASON_PLACES: Final = {
    "CEST": "Europe/Berlin", "MESZ": "Europe/Berlin", "MEZ": "Europe/Berlin",
    "BST": "Europe/London", "IST": "Asia/Kolkata", "WEST": "Europe/Lisbon",
    "EEST": "Europe/Helsinki", "MSK": "Europe/Moscow", "CST": "America/Chicago",
    "PST": "America/Los_Angeles", "EDT": "America/New_York", "CDT": "America/Chicago",
    "MDT": "America/Denver", "PDT": "America/Los_Angeles", "JST": "Asia/Tokyo",
    "AEST": "Australia/Sydney", "AEDT": "Australia/Sydney", "SGT": "Asia/Singapore",
}  # fmt: skip
FIXED_PLACES: Final = {
    "EST": "America/New_York", "MST": "America/Denver", "HST": "Pacific/Honolulu",
    "GMT": "Europe/London", "Etc/GMT": "Europe/London",
}  # fmt: skip
# in the database for old programs: they follow the rules of some place, and do not say which
OLD_PLACES: Final = {
    "CET": "Europe/Berlin", "MET": "Europe/Berlin", "EET": "Europe/Helsinki",
    "WET": "Europe/Lisbon", "EST5EDT": "America/New_York", "CST6CDT": "America/Chicago",
    "MST7MDT": "America/Denver", "PST8PDT": "America/Los_Angeles",
}  # fmt: skip
OTHER_UTC: Final = ("Zulu", "UCT", "Universal", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/Universal")
OFFSET: Final = re.compile(r"(?:Etc/)?(?:UTC|GMT)[+-]?[0-9]{1,2}(?::?[0-9]{2})?")
REVERSED: Final = re.compile(r"Etc/GMT([+-])([0-9]{1,2})")
HOUR_DEG: Final = 15.0  # of longitude
FAR_DEG: Final = HOUR_DEG / 2  # from Greenwich: there clocks are an hour from UTC, or nearly

# west of 7.5 degrees, and their clocks show UTC all the year
UTC_PLACES: Final = (
    "Atlantic/Reykjavik", "Africa/Abidjan", "Africa/Bamako", "Africa/Banjul", "Africa/Bissau",
    "Africa/Conakry", "Africa/Dakar", "Africa/Freetown", "Africa/Monrovia", "Africa/Nouakchott",
    "America/Danmarkshavn",
)  # fmt: skip


def unknown_zone(zone: str) -> str:
    """What to write in place of a zone that is none; empty where that is not known."""
    if zone.upper() in SEASON_PLACES:
        return f'it is the offset of a season; write a place: "{SEASON_PLACES[zone.upper()]}"'
    if OFFSET.fullmatch(zone):
        return 'it is an offset; a zone is a place, such as "Europe/Berlin"'
    return ""


def zone_warnings(site: Site) -> Iterator[Problem]:
    """A zone of the database that is hardly that of a street."""
    zone, path = site.place.zone, ("site", "zone")
    if place := FIXED_PLACES.get(zone):
        yield site.remark(
            path,
            f'{zone} is an offset without summer time; a place has both, such as "{place}"',
        )
    elif place := OLD_PLACES.get(zone):
        yield site.remark(
            path, f'{zone} is an old name for the rules of some places; write yours: "{place}"'
        )
    elif zone in OTHER_UTC:
        yield site.remark(path, f'{zone} is another name of UTC; write "UTC", or a place')
    elif (found := REVERSED.fullmatch(zone)) and int(found[2]):
        sign = "-" if found[1] == "+" else "+"
        yield site.remark(
            path,
            f"{zone} is UTC{sign}{found[2]}: its sign is the other way round; a place is clear, "
            'such as "Europe/Berlin"',
        )
    at = site.positions.get("")
    if at is not None and zone in ("UTC", *OTHER_UTC) and abs(at.longitude) > FAR_DEG:
        place = nearest_zone(at)
        hint = f'; write zone = "{place}"' if place else ""
        if place not in UTC_PLACES:
            yield site.remark(
                path, f"UTC is no clock of a street at longitude {at.longitude:g}{hint}"
            )
