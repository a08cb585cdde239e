"""The example and the reference say what the model says."""

import importlib.util
import re
from pathlib import Path

import msgspec
import pytest

import drivers
from edge.config import load_site, site_warnings
from edge.config.model import BUSES, SECTIONS, Approach, Bay, Class, Device, Lane, Phase
from edge.config.reference import render_reference
from edge.config.valuerules import ValueRule, model_rules
from tests.config.conftest import Wrong

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy/site.example.toml"
COMMENTED = re.compile(r"^# (?=\w+ = )", re.MULTILINE)


def test_the_example_is_a_site() -> None:
    site = load_site(EXAMPLE, drivers.catalogue())
    assert {bus.kind for bus in site.buses.values()} == set(BUSES)
    assert site.approaches == {"north": ["north_1", "north_2"], "bridge": ["bridge_1"]}
    assert site.signals == {"north": ["north_green"]}
    # the files of a real box are not here; there is nothing else to say
    assert {p.key for p in site_warnings(site)} == {"uplink.ca", "uplink.cert", "uplink.key"}


def _blocks() -> dict[str, str]:
    """Header -> the text below it, up to the next header."""
    parts = re.split(r"^\[([\w.]+)\]", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _keys(block: str) -> dict[str, str]:
    """Key -> the value that is written, live or in a comment."""
    return dict(re.findall(r"^(?:# )?(\w+) = (.+?)(?: +#.*)?$", block, flags=re.MULTILINE))


def _sections() -> list[tuple[str, dict[str, ValueRule]]]:
    blocks = _blocks()
    found = [(name, model_rules(model)) for name, model in SECTIONS.items()]
    for kind, model in BUSES.items():
        header = next(h for h, b in blocks.items() if h[:4] == "bus." and f'"{kind}"' in b)
        found.append((header, model_rules(model)))
    device = {k: rule for k, rule in model_rules(Device).items() if k not in ("options", "phase")}
    directed = {"reversed": device.pop("reversed")}
    return [
        *found,
        ("device.hut_air", device),
        ("device.main_meter", directed),
        ("lane.north_1", model_rules(Lane)),
        ("approach.north", model_rules(Approach)),
        ("bay.bakery", model_rules(Bay)),
    ]


NAMES = [header for header, _ in _sections()]


@pytest.mark.parametrize(("header", "rules"), _sections(), ids=NAMES)
def test_every_key_is_in_the_example(header: str, rules: dict[str, ValueRule]) -> None:
    assert rules.keys() - _keys(_blocks()[header]).keys() == set()


@pytest.mark.parametrize(("header", "rules"), _sections(), ids=NAMES)
def test_commented_values_are_the_defaults(header: str, rules: dict[str, ValueRule]) -> None:
    block = "\n".join(line for line in _blocks()[header].split("\n") if COMMENTED.match(line))
    for key, value in _keys(block).items():
        if rules[key].default is not None:
            written = rules[key].default
            expected = f'"{written}"' if isinstance(written, str) else str(written).lower()
            assert value == expected, key


def test_the_example_is_right_with_all_its_comments_taken_away(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(COMMENTED.sub("", EXAMPLE.read_text(encoding="utf-8")), encoding="utf-8")
    assert load_site(path, drivers.catalogue()).uplink.window == 200


def test_a_typo_in_the_example_is_found(wrong: Wrong) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("spacing_m", "spacing")
    assert any(
        "lane.north_1.spacing: unknown key; did you mean spacing_m?" in p for p in wrong(text)
    )


def test_the_reference_is_as_generated() -> None:
    """`make check` says so too; here it is part of the tests."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for name, write in generate.DOCUMENTS.items():
        assert (ROOT / name).read_text(encoding="utf-8") == write(), "run `make docs`"


def test_the_reference_tells_every_key_and_every_driver() -> None:
    page = render_reference(drivers.catalogue())
    models: list[type[msgspec.Struct]] = [
        *SECTIONS.values(), *BUSES.values(), Lane, Approach, Bay, Phase, Class
    ]  # fmt: skip
    for model in models:
        for key, rule in model_rules(model).items():
            assert f"| `{key}` |" in page
            assert rule.text, f"{model.__name__}.{key} has no description"
    for name in drivers.catalogue():
        assert f"### `{name}`" in page or name == "loop"
