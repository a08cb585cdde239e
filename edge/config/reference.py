"""The reference of the configuration, written from the model. `make docs` puts it into docs/."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from edge.config.model import (
    BUSES,
    SECTIONS,
    Approach,
    Bay,
    Calibration,
    Cell,
    Class,
    Device,
    Lane,
    Phase,
)
from edge.config.problem import show_value
from edge.config.valuerules import ValueRule, model_rules, option_rule
from edge.core.driver import DriverSpec

PAGE_HEAD: Final = """\
# Configuration

One TOML file describes a site; `kerbstone check FILE` lists every error, with its line and the \
correct form. A complete example with comments is \
[deploy/site.example.toml](../deploy/site.example.toml).

This page is made from the code by `make docs`; do not edit it.

`version = 1`, before the first table, is the version of the file's format and may be left out.
"""
NAMES_TEXT: Final = """\
Names (of buses, devices, lanes, approaches and bays) are 1 to 64 of a-z, 0-9, _ and -. A \
device, a lane and a bay must not share a name: records are told apart by it. Each names its bus \
with `bus`.
"""


def render_reference(catalogue: Mapping[str, DriverSpec]) -> str:
    """The whole page."""
    return "\n".join(_page(catalogue)) + "\n"


def _page(catalogue: Mapping[str, DriverSpec]) -> Iterator[str]:
    yield PAGE_HEAD
    for name, model in SECTIONS.items():
        yield from render_section(f"[{name}]", model)
    yield "## Buses, devices, lanes, bays\n"
    yield NAMES_TEXT
    for kind, bus in BUSES.items():
        yield from render_section(f'[bus.NAME] with kind = "{kind}"', bus, 3)
    yield from render_section("[device.NAME]", Device, 3)
    yield from render_section("phase = {}, in [device.NAME]", Phase, 4)
    yield from render_section("[lane.NAME]", Lane, 3)
    yield from render_section("classes = [{}, ...], in [lane.NAME]", Class, 4)
    yield from render_section("[approach.NAME]", Approach, 3)
    yield from render_section("[bay.NAME]", Bay, 3)
    yield from render_section("[calibration.NAME]", Calibration, 3)
    yield from render_section("[cell.NAME]", Cell, 3)
    yield "## Drivers and their options\n"
    for spec in catalogue.values():
        if spec.name != "loop":  # what a lane is made of; it is configured there
            yield from _driver(spec)


def render_section(header: str, model: type[msgspec.Struct], level: int = 2) -> Iterator[str]:
    """A heading, what the model is, and its keys."""
    yield f"{'#' * level} `{header}`\n"
    yield f"{inspect.cleandoc(model.__doc__ or '')}\n"  # 3.13 strips it itself
    yield from _table(rule for key, rule in model_rules(model).items() if key != "options")


def _driver(spec: DriverSpec) -> Iterator[str]:
    yield f"### `{spec.name}` ({spec.wiring})\n"
    rules = [option_rule(key, option) for key, option in spec.options.items()]
    if rules:
        yield from _table(rules)
    else:
        yield "No options.\n"


def _table(rules: Iterable[ValueRule]) -> Iterator[str]:
    rows = list(rules)
    texts = any(rule.text for rule in rows)
    yield "| key | what it may be | default |" + (" meaning |" if texts else "")
    yield "| --- | --- | --- |" + (" --- |" if texts else "")
    for rule in rows:
        cells = [f"`{rule.key}`", rule.what, _default(rule), *([rule.text] if texts else [])]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def _default(rule: ValueRule) -> str:
    if rule.required:
        return "needed"
    return "none" if rule.default in (None, ()) else f"`{show_value(rule.default, rule.key)}`"
