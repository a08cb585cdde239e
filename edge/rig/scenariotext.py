"""A scenario as the text of its file: what `edge.rig.scenariofile` reads, it writes."""

import json
from typing import Any, Final

from msgspec.structs import asdict, fields

from edge.rig.scenario import TABLES, Scenario

DELETE: Final = "\x7f"  # JSON lets it stand, and TOML forbids it


def scenario_text(scenario: Scenario) -> str:
    """Without the keys that have their default."""
    parts = ["[scenario]", *_keys(scenario.about)]
    for name, (field, _) in TABLES.items():
        for each in getattr(scenario, field):
            parts += ["", f"[[{name}]]", *_keys(each)]
    return "\n".join(parts) + "\n"


def _keys(table: Any) -> list[str]:
    default = {each.name: each.default for each in fields(table)}
    return [
        f"{key} = {_value(value)}"
        for key, value in asdict(table).items()
        if value is not None and value != default[key]
    ]


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False).replace(DELETE, "\\u007f")
