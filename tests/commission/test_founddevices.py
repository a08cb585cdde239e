"""What a search has found, beside the site file."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

import drivers
from edge.commission.founddevices import (
    FOUND_LIMIT,
    OfferedDevice,
    judge_scan,
    matched_device,
    parse_scan,
    remember,
)
from edge.config import Site, load_site

SITE = """
[site]
id = "quay"
gateway = "gw-1"
[uplink]
url = "mqtt://a"
[bus.air]
kind = "i2c"
path = "/dev/i2c-1"
[device.hut]
driver = "sht4x"
bus = "air"
"""
PLACES = {"/dev/i2c-1": "air"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    return load_site(file, drivers.catalogue())


def scanned(*drivers_: str, place: str = "/dev/i2c-1", refused: str = "") -> dict[str, Any]:
    return {
        "places": [
            {
                "place": place, "refused": refused, "whole": True,
                "devices": [
                    {"driver": name, "what": f"a {name}", "options": {"address": 0x44 + n},
                     "serial": "7", "line": ""}
                    for n, name in enumerate(drivers_)
                ],
            }
        ]
    }  # fmt: skip


def test_all_that_answered_stand_in_the_site_file(site: Site) -> None:
    places, found = parse_scan(scanned("sht4x"))
    assert matched_device(site, PLACES, found[0]) == "hut"
    (told,) = judge_scan(site, PLACES, places, found)
    assert told.kind == "scan_done"


def test_one_that_nobody_names_is_offered_until_somebody_decides(site: Site) -> None:
    places, found = parse_scan(scanned("sht4x", "bme280"))
    kept = remember([], found, places)
    (told,) = judge_scan(site, PLACES, places, kept)
    assert told.kind == "unmatched"
    assert told.figures["id"] == kept[1].id
    decided = [kept[0], OfferedDevice(**{f: getattr(kept[1], f) for f in kept[1].__struct_fields__
                                       if f not in ("state", "name")}, state="named",
                                    name="roof")]  # fmt: skip
    again = remember(decided, found, places)
    assert again[1].name == "roof", "what a person has said stays"
    (told,) = judge_scan(site, PLACES, places, again)
    assert (told.kind, told.verdict) == ("named_only", "unproven"), "the site file has it not yet"
    gone = [again[0], msgspec.structs.replace(again[1], state="dismissed", name="")]
    done, left = judge_scan(site, PLACES, places, gone)
    assert "2 answered; the site file names 1 of them" in done.text
    assert (left.kind, left.verdict) == ("dismissed", "passed"), "the sheet says so"


def test_one_at_a_place_that_is_not_searched_now_is_not_forgotten(site: Site) -> None:
    _, found = parse_scan(scanned("bme280", place="/dev/ttyUSB0"))
    places, none = parse_scan(scanned())
    assert remember(found, none, places) == found
    gone, _ = parse_scan(scanned(place="/dev/ttyUSB0"))
    assert remember(found, none, gone) == [], "it did not answer a whole search any more"
    refused, _ = parse_scan(scanned(place="/dev/ttyUSB0", refused="the daemon uses it"))
    assert remember(found, none, refused) == found


def test_a_device_of_the_file_that_did_not_answer(site: Site) -> None:
    places, found = parse_scan(scanned("bme280"))
    assert "not_answered" in [each.kind for each in judge_scan(site, PLACES, places, found)]


def test_places_that_were_not_searched_prove_nothing(site: Site) -> None:
    places, found = parse_scan(scanned(refused="the running daemon uses it"))
    assert judge_scan(site, PLACES, places, found)[0].kind == "not_scanned"
    assert judge_scan(site, PLACES, [], [])[0].kind == "not_scanned"


@pytest.mark.parametrize(
    "found",
    [None, {}, {"places": 3}, {"places": [3]}, {"places": [{"place": "x"}]}, {"places": None},
     {"places": [{"place": "/x", "refused": "", "whole": True, "devices": [{"options": 3}]}]}],
)  # fmt: skip
def test_what_is_no_scan_is_refused(found: Any) -> None:
    with pytest.raises(ValueError, match="kerbstone scan"):
        parse_scan(found)


def test_there_is_an_end_to_what_is_remembered() -> None:
    with pytest.raises(ValueError, match="more than"):
        parse_scan(scanned(*["bme280"] * (FOUND_LIMIT + 1)))
    _, many = parse_scan(scanned(*["bme280"] * FOUND_LIMIT))
    _, more = parse_scan(scanned("sht4x", place="/dev/ttyUSB7"))
    assert len(remember(many, more, [])) == FOUND_LIMIT
