"""The JSON Schema (draft 2020-12) of a scenario file, for editors and other programs.

It has what stands in one value: types, bounds, words. What several values say together, and whether
the site has what is named, only `kerbstone rig check` knows.
"""

from typing import Any, Final

import msgspec

from edge.rig.faultcatalogue import FAULT_KINDS
from edge.rig.scenario import TABLES, VERSION, About

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
REF: Final = "#/$defs/{name}"
Schema = dict[str, Any]


def scenario_schema() -> Schema:
    """The whole document. A TOML file has no null: a key that says nothing is left out."""
    models = [About, *(model for _, model in TABLES.values())]
    refs, defs = msgspec.json.schema_components(models, ref_template=REF)
    tables = dict(zip(("scenario", *TABLES), refs, strict=True))
    defs = {name: _strict(each) for name, each in sorted(defs.items())}
    defs["Fault"]["properties"]["kind"]["enum"] = sorted({row.name for row in FAULT_KINDS})
    return {
        "$schema": DRAFT,
        "$id": f"urn:kerbstone:rig:v{VERSION}:scenario",
        "title": "A scenario of the rig",
        "type": "object",
        "properties": {
            "version": {"const": VERSION},
            "scenario": tables["scenario"],
            **{name: {"type": "array", "items": tables[name]} for name in TABLES},
        },
        "required": ["scenario", "expect"],
        "additionalProperties": False,
        "$defs": defs,
    }


def _strict(schema: Schema) -> Schema:
    return {**_plain(schema), "additionalProperties": False}


def _plain(node: Any) -> Any:
    """Without null, with patterns of the whole text, and descriptions in one line."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    choices = node.get("anyOf")
    if isinstance(choices, list):
        left = [each for each in choices if each != {"type": "null"}]
        if len(left) == 1:
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return _plain({**rest, **left[0]})
    made = {key: _plain(value) for key, value in node.items() if (key, value) != ("default", None)}
    if isinstance(made.get("pattern"), str):
        made["pattern"] = f"^(?:{made['pattern']})$"
    if isinstance(made.get("description"), str):
        made["description"] = " ".join(made["description"].split())
    return made
