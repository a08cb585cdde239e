"""The schema of a scenario takes what the reader takes, and refuses what is wrong in one value."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from edge.rig.scenario import TABLES
from edge.rig.scenarioschema import scenario_schema
from tests.rig.test_scenariofile import RIGHT

jsonschema = pytest.importorskip("jsonschema")
LIBRARY = Path(__file__).parents[2] / "edge" / "rig" / "library"


def errors(data: dict[str, Any]) -> list[str]:
    schema = scenario_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    found = jsonschema.Draft202012Validator(schema).iter_errors(data)
    return [".".join(map(str, one.absolute_path)) for one in found]


@pytest.mark.parametrize("text", [RIGHT, (LIBRARY / "incident.toml").read_text(encoding="utf-8")])
def test_a_right_scenario_fits(text: str) -> None:
    assert errors(tomllib.loads(text)) == []


@pytest.mark.parametrize(
    ("was", "now", "path"),
    [
        ("duration_s = 300\n", "", "scenario"),
        ("duration_s = 300", "duration_s = 0", "scenario.duration_s"),
        ("settle_s = 60", 'layers = ["sin"]', "scenario.layers.0"),
        ("per_hour = 600", "per_hour = 4000", "traffic.0.per_hour"),
        ('kind = "latency"', 'kind = "latent"', "fault.1.kind"),
        ('name = "meter_dies"', 'name = "The meter"', "fault.0.name"),
        ("for_s = 120", "for_s = 0", "fault.0.for_s"),
        ("above = 10", "over = 10", "fault.1.when.0"),
        ("[60, 231.5]", "[60]", "value.0.curve.1"),
        ("tolerance = 2", "tolerance = -2", "expect.2.tolerance"),
        ("[[value]]", "[[valve]]", ""),
    ],
)
def test_what_is_wrong_in_one_value_is_refused(was: str, now: str, path: str) -> None:
    assert was in RIGHT
    assert path in errors(tomllib.loads(RIGHT.replace(was, now, 1)))


def test_every_key_has_a_meaning() -> None:
    defs = scenario_schema()["$defs"]
    named = {model.__name__ for _, model in TABLES.values()} | {"About", "Condition", "Detector"}
    assert set(defs) == named
    for table in defs.values():
        assert all(each.get("description") for each in table["properties"].values())
