"""Devices that answered a search: those of the site file, and others, which are offered.

One that nobody names is not forgotten: it stays until it is named, dismissed, or stands in the site
file.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct, to_builtins

from edge.commission.verdict import StepFinding, finding
from edge.config import Site
from edge.core.printable import printable

FOUND_LIMIT: Final = 128
WORDS: Final = 200  # characters of what a device says of itself
ADDRESS_KEYS: Final = ("address", "unit")

FoundState = Literal["open", "named", "dismissed"]


class OfferedDevice(Struct, frozen=True):
    """One device at a place, as `kerbstone scan --json` tells it. `id` is made of its place."""

    id: str
    place: str
    driver: str
    what: str
    options: dict[str, int | float | bool | str] = {}
    serial: str = ""
    line: str = ""
    state: FoundState = "open"
    name: str = ""


class ScannedPlace(Struct, frozen=True):
    """A place that was searched; `refused` says why it was not."""

    place: str
    count: int = 0
    refused: str = ""
    whole: bool = True


def parse_scan(found: Any) -> tuple[list[ScannedPlace], list[OfferedDevice]]:
    """Of what `kerbstone scan --json` printed. Raises ValueError for anything else."""
    try:
        rows = found["places"]
        places, devices = [], []
        for row in rows:
            refused, whole = str(row["refused"])[:WORDS], bool(row["whole"])
            here = [_parse_device(str(row["place"])[:WORDS], one) for one in row["devices"]]
            places.append(ScannedPlace(str(row["place"])[:WORDS], len(here), refused, whole))
            devices += here
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"this is not what `kerbstone scan --json` prints: {error!r}") from error
    if len(devices) > FOUND_LIMIT or len(places) > FOUND_LIMIT:
        raise ValueError(f"more than {FOUND_LIMIT} devices or places")
    return places, devices


def _parse_device(place: str, one: Mapping[str, Any]) -> OfferedDevice:
    options = {
        str(key)[:64]: value if isinstance(value, int | float) else str(value)[:WORDS]
        for key, value in list(one["options"].items())[:16]
    }
    if not all(math.isfinite(each) for each in options.values() if not isinstance(each, str)):
        raise TypeError("an option is a number that JSON has not")
    driver = str(one["driver"])[:64]
    return OfferedDevice(
        found_id(place, driver, options),
        place,
        driver,
        printable(str(one["what"]), WORDS),
        options,
        printable(str(one.get("serial") or ""), 64),
        str(one.get("line") or "")[:64],
    )


def found_id(place: str, driver: str, options: Mapping[str, Any]) -> str:
    """Short, for a person to type; the same for the same device at the same place."""
    address = {key: options[key] for key in ADDRESS_KEYS if key in options}
    text = json.dumps([place, driver, address], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def remember(
    known: Sequence[OfferedDevice], found: Iterable[OfferedDevice], places: Iterable[ScannedPlace]
) -> list[OfferedDevice]:
    """What is known after a search: what answered, and what was found before at places that were
    not searched to their end now. What a person has said of a device stays."""
    searched = {one.place for one in places if one.whole and not one.refused}
    before = {one.id: one for one in known}
    kept = [one for one in known if one.place not in searched]
    new = []
    for one in found:
        old = before.get(one.id)
        if old is not None:
            one = OfferedDevice(**{**to_builtins(one), "state": old.state, "name": old.name})
        new.append(one)
    fresh = {one.id for one in new}
    return [*(one for one in kept if one.id not in fresh), *new][-FOUND_LIMIT:]


def matched_device(site: Site, places: Mapping[str, str], one: OfferedDevice) -> str:
    """The device of the site file that it is; "" for none. `places`: place -> bus of the site."""
    bus = places.get(one.place, "")
    for name, device in site.devices_on(bus).items() if bus else ():
        same = all(
            device.options.get(key, one.options[key]) == one.options[key]
            for key in ADDRESS_KEYS
            if key in one.options
        )
        if device.driver == one.driver and same:
            return name
    return ""


def judge_scan(
    site: Site,
    places: Mapping[str, str],
    searched: Sequence[ScannedPlace],
    found: Sequence[OfferedDevice],
) -> list[StepFinding]:
    """Of the last search, and of all that has been found."""
    if not searched:
        return [finding("not_scanned")]
    results: list[StepFinding] = []
    matched = {matched_device(site, places, one) for one in found}
    decided: list[StepFinding] = []
    for one in found:
        if matched_device(site, places, one):
            continue
        words = {"what": one.what, "place": one.place}
        if one.state == "open":
            results.append(finding("unmatched", **words, id=one.id))
        elif one.state == "named":
            results.append(finding("named_only", **words, id=one.id, name=one.name))
        else:
            decided.append(finding("dismissed", **words))
    whole = [one for one in searched if one.whole and not one.refused]
    for one_place in whole:
        bus = places.get(one_place.place, "")
        results += [
            finding("not_answered", device=name, place=one_place.place)
            for name in (site.devices_on(bus) if bus else ())
            if name not in matched
        ]
    if not whole:
        return [finding("not_scanned"), *results]
    if not results:
        count = sum(one.count for one in whole)
        names = ", ".join(one.place for one in whole[:4])
        here = {one.place for one in whole}
        known = sum(one.place in here and matched_device(site, places, one) != "" for one in found)
        results.append(finding("scan_done", places=names, count=count, matched=known))
    return [*results, *decided]
