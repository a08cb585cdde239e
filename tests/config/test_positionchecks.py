"""Positions, roads and bearings: what is refused, and what is hardly meant."""

import zoneinfo
from pathlib import Path

import pytest

from edge.config import positionchecks, site_warnings
from edge.config.positionchecks import (
    apart_deg,
    direction_deg,
    distance_km,
    zone_position,
)
from edge.config.site import Position
from tests.config.conftest import RIGHT, Read, Wrong

BERLIN = Position(52.52, 13.405)


def at(latitude: object, longitude: object, zone: str = "Europe/Berlin") -> str:
    """RIGHT with its place: latitude on line 3, longitude on line 4, zone on line 5."""
    place = f'latitude = {latitude}\nlongitude = {longitude}\nzone = "{zone}"\n'
    return RIGHT.replace('id = "stadtmitte"\n', f'id = "stadtmitte"\n{place}')


def way(approach: str, **keys: object) -> str:
    """A lane and a table of its approach."""
    number = {"north": 17, "bridge": 22, "east": 23, "west": 24}[approach]
    lane = f'[lane.{approach}_1]\napproach = "{approach}"\nbus = "loops"\nlead = "GPIO{number}"\n'
    table = f"[approach.{approach}]\n" + "".join(
        f"{key} = {value}\n" for key, value in keys.items()
    )
    return ("" if approach == "north" else lane) + table


def said(read: Read, text: str) -> list[str]:
    return [f"{p.key}: {p.text}" for p in site_warnings(read(text))]


def test_a_place_is_kept_and_nothing_is_said_of_it(read: Read) -> None:
    text = at(52.51627, 13.3777) + way(
        "north", name='"Nordstraße"', road='"B 96"', bearing_deg=180, latitude=52.5168,
        longitude=13.37765,
    )  # fmt: skip
    site = read(text)
    assert site_warnings(site) == []
    assert (site.place.latitude, site.place.longitude) == (52.51627, 13.3777)
    north = site.ways["north"]
    assert (north.road, north.bearing_deg, north.downstream) == ("B 96", 180, None)
    assert site.names == {"north": "Nordstraße"}


@pytest.mark.parametrize(
    ("latitude", "longitude", "found"),
    [
        (91.5, 13.4, "3: site.latitude: 91.5 is not between -90.0 and 90.0"),
        (52.5, 180.5, "4: site.longitude: 180.5 is not between -180.0 and 180.0"),
        ("nan", 13.4, "3: site.latitude: nan is not between"),
        ('"52.5"', 13.4, '3: site.latitude: "52.5" does not fit; a number'),
        (-87.65 * 2, 41.85, "4: site.longitude: latitude and longitude may be exchanged"),
    ],
)
def test_what_is_on_no_globe_is_refused(
    wrong: Wrong, latitude: object, longitude: object, found: str
) -> None:
    assert any(each.startswith(found) for each in wrong(at(latitude, longitude)))


def test_half_a_position_is_refused(wrong: Wrong) -> None:
    text = at(52.5163, 13.3777).replace("longitude = 13.3777\n", "")
    assert wrong(text) == ["1: site.longitude: is missing; a position has latitude and longitude"]
    assert wrong(RIGHT + way("north", longitude=13.3777)) == [
        "16: approach.north.latitude: is missing; a position has longitude and latitude"
    ]


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("bearing_deg", 361, "361 is not between 0.0 and 360.0"),
        ("bearing_deg", -1, "-1 is not between"),
        ("bearing_deg", '"N"', "does not fit; a number"),
        ("road", '"a\\u202Eb"', "right-to-left override"),
        ("name", '"a\\u001Bb"', "U+001B"),
    ],
)
def test_what_is_no_bearing_road_or_name_is_refused(
    wrong: Wrong, key: str, value: object, found: str
) -> None:
    (problem,) = wrong(RIGHT + way("north", **{key: value}))
    assert problem.startswith(f"17: approach.north.{key}: ")
    assert found in problem


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone", "found"),
    [
        (0, 0, "Europe/Berlin", "0, 0 lies in the Atlantic"),
        (0.0, 0.0, "UTC", "lies in the Atlantic"),
        (13.3777, 52.5163, "Europe/Berlin", "latitude = 52.5163, longitude = 13.3777 would fit"),
        (11.5755, 48.1372, "Europe/Berlin", "may be exchanged"),
        (72.8777, 19.076, "Asia/Kolkata", "may be exchanged"),
        (41.8781, 87.6298, "America/Chicago", "west of Greenwich is negative"),
        (33.8688, 151.2093, "Australia/Sydney", "south of the equator is negative"),
        (38.7223, 9.1393, "Europe/Lisbon", "west of Greenwich is negative"),
        (52.5163, 13.3777, "Pacific/Auckland", "one of them is wrong"),
        (52, 13, "Europe/Berlin", "exact to 111 km only; 4 decimals are exact to 11 m"),
        (52.5, 13.4, "Europe/Berlin", "exact to 11 km only"),
        (52.516, 13.378, "Europe/Berlin", "exact to 111 m only"),
    ],
)
def test_what_is_hardly_meant_is_said(
    read: Read, latitude: object, longitude: object, zone: str, found: str
) -> None:
    text = said(read, at(latitude, longitude, zone))
    assert text
    assert text[0].startswith("site.latitude: ")
    assert found in text[0]


@pytest.mark.parametrize(
    ("latitude", "longitude", "zone"),
    [
        (39.4704, 75.9898, "Asia/Shanghai"),  # Kashgar: far from the place of its zone
        (25.7617, -80.1918, "America/New_York"),
        (-31.9523, 115.8613, "Australia/Perth"),
        (28.1235, -15.4363, "Atlantic/Canary"),
        (9.0765, 7.3986, "Africa/Lagos"),  # near the diagonal nothing can be told
        (5.6037, -0.187, "Africa/Accra"),
        (51.4779, -0.0015, "UTC"),
        (64.1466, -21.9426, "UTC"),  # Reykjavik has no other
    ],
)
def test_a_place_far_from_that_of_its_zone_may_be_right(
    read: Read, latitude: float, longitude: float, zone: str
) -> None:
    assert said(read, at(latitude, longitude, zone)) == []


def test_approaches_kilometres_apart_are_said(read: Read) -> None:
    place = at(52.5163, 13.3777)
    text = place + way("north", latitude=52.6163, longitude=13.3777)
    assert said(read, text) == [
        "approach.north.latitude: 52.6163, 13.3777 is 11 km away from the site; its loops are "
        "wired to this box"
    ]
    bridge = way("bridge", latitude=52.5163, longitude=13.3787)
    far = way("north", latitude=52.5263, longitude=13.3777, downstream='"bridge"', distance_m=220)
    assert said(read, place + far + bridge) == [
        "approach.north.latitude: 52.5263, 13.3777 is 1.1 km away from bridge in a straight line, "
        "and distance_m says 220 m; no road is shorter"
    ]
    longer = far.replace("220", "1200")
    assert said(read, place + longer + bridge) == []


def test_two_approaches_of_a_junction_have_two_bearings(read: Read) -> None:
    text = RIGHT + way("north", bearing_deg=180) + way("east", bearing_deg=180)
    assert said(read, text) == [
        "approach.east.bearing_deg: approach north has the bearing 180, too, and neither is "
        "downstream of the other"
    ]
    round_ = RIGHT + way("north", bearing_deg=0) + way("east", bearing_deg=360)
    assert len(said(read, round_)) == 1
    after = way("north", bearing_deg=180, downstream='"bridge"', distance_m=200)
    assert said(read, RIGHT + after + way("bridge", bearing_deg=180)) == []
    assert said(read, RIGHT + way("north", bearing_deg=180) + way("east", bearing_deg=270)) == []


def test_a_bearing_that_says_from_where_is_said(read: Read) -> None:
    place = at(52.5163, 13.3777)
    north = {"latitude": 52.5172, "longitude": 13.3777}
    assert said(read, place + way("north", bearing_deg=180, **north)) == []
    away = place + way("north", bearing_deg=0, **north)
    assert said(read, away) == [], "its loops may lie behind the junction"
    (found,) = said(read, away.replace('"GPIO17"', '"GPIO17"\nposition = "stop"'))
    assert found.startswith("approach.north.bearing_deg: 0 degrees leads away from the site")
    # traffic of the approach downstream drives away from the junction: nothing is wrong with that
    text = way("north", bearing_deg=180, downstream='"bridge"', distance_m=300, **north)
    bridge = way("bridge", bearing_deg=180, latitude=52.5152, longitude=13.3777)
    assert said(read, place + text + bridge) == []
    (found,) = said(read, place + text.replace("= 180", "= 10") + bridge)
    assert "10 degrees leads away from bridge" in found


def test_two_of_one_name_are_said(read: Read) -> None:
    text = RIGHT + 'name = "Nord"\n' + way("east").replace('"GPIO23"', '"GPIO23"\nname = "Nord"')
    assert said(read, text) == ['lane.east_1.name: lane.north_1 is called "Nord", too']


def test_distances_and_directions_on_the_globe() -> None:
    paris = Position(48.8566, 2.3522)
    assert distance_km(BERLIN, paris) == pytest.approx(878, rel=0.01)
    assert distance_km(BERLIN, BERLIN) == 0
    assert direction_deg(Position(0, 0), Position(1, 0)) == 0
    assert direction_deg(Position(0, 179.5), Position(0, -179.5)) == pytest.approx(90)
    assert direction_deg(paris, Position(47, 2.3522)) == pytest.approx(180)
    assert apart_deg(359, 1) == 2
    assert apart_deg(10, 190) == 180


def test_the_place_of_a_zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not positionchecks._zone_table():
        pytest.skip("this machine has no zone.tab")
    found = zone_position("Europe/Berlin")
    assert found is not None
    assert distance_km(found, BERLIN) < 30
    sydney = zone_position("Australia/Sydney")
    assert sydney is not None
    assert sydney.latitude < 0 < sydney.longitude
    assert zone_position("UTC") is None
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path),))
    monkeypatch.setattr(positionchecks, "files", _nothing)
    assert zone_position("Europe/Berlin") is None


def _nothing(_name: str) -> Path:
    raise ModuleNotFoundError
