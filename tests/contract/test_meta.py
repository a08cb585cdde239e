"""The description says what the numbers of lanes, approaches and bays rest on, as declared."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

import drivers
from edge.config import Site, load_site
from edge.gateway.gatewaymeta import source_names, street_meta
from edge.wire.contract.bay import BayMeta
from edge.wire.contract.meta import ApproachMeta, LaneMeta

EXAMPLE = Path(__file__).parents[2] / "deploy/site.example.toml"
FORMS = {"lanes": LaneMeta, "approaches": ApproachMeta, "bays": BayMeta}


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site(EXAMPLE, drivers.catalogue())


def told(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(street_meta(site))
    return found


def test_all_of_it_is_declared(site: Site) -> None:
    reported = told(site)
    assert reported.keys() == FORMS.keys()
    for key, form in FORMS.items():
        assert reported[key]
        msgspec.convert(reported[key], dict[str, form])  # type: ignore[valid-type]


def test_a_lane_tells_its_limits_and_classes(site: Site) -> None:
    lanes = told(site)["lanes"]
    north = lanes["north_1"]
    assert (north["limit_kmh"], north["tailgate_s"], north["stopped_s"]) == (50, 0.9, 10)
    assert north["classes"] == [
        {"name": "short", "to_m": 6.5},
        {"name": "medium", "to_m": 14.9},
        {"name": "long", "to_m": None},
    ]
    assert "effective_m" not in north
    assert "classes" not in lanes["north_2"], "one loop tells no length"
    assert lanes["north_2"]["spacing_m"] is None


def test_without_a_word_the_usual_classes_are_told(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8")
    begin = text.index("classes = [")
    file.write_text(text[:begin] + text[text.index("]", begin) + 1 :], encoding="utf-8")
    classes = told(load_site(file, drivers.catalogue()))["lanes"]["north_1"]["classes"]
    assert classes[0] == {"name": "shortest", "to_m": 1.7}
    assert classes[-1] == {"name": "long", "to_m": None}
    assert len(classes) == 6


def test_an_approach_tells_what_lies_after_it_and_who_tells_its_signal(site: Site) -> None:
    assert told(site)["approaches"] == {
        "north": {
            "name": "Nordstraße", "road": "B 96", "bearing_deg": 180, "latitude": 52.51702,
            "longitude": 13.37771, "downstream": "bridge", "distance_m": 220,
            "signal": {"green": "north_green"},
        },
        "bridge": {"downstream": None, "distance_m": None},
    }  # fmt: skip


def test_sources_tell_their_display_names(site: Site) -> None:
    assert source_names(site) == {
        "north_1": "Nordstraße, rechte Spur",
        "hut_air": "Luft am Schaltschrank",
        "bakery": "Bäckerei",
    }


def test_a_bay_tells_its_limit_or_that_it_has_none(site: Site, tmp_path: Path) -> None:
    assert told(site)["bays"] == {
        "bakery": {"kind": "loading", "max_stay_min": 30, "min_stay_s": 10}
    }
    file = tmp_path / "site.toml"
    text = EXAMPLE.read_text(encoding="utf-8").replace("\nmax_stay_min = 30", "\nmax_stay_min = 0")
    file.write_text(text, encoding="utf-8")
    assert told(load_site(file, drivers.catalogue()))["bays"]["bakery"]["max_stay_min"] is None
