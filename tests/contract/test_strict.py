"""Strict validators take the schemas and the AsyncAPI document."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from docs import promise
from edge.wire.contract.catalogue import BY_NAME
from edge.wire.contract.schemas import schema_of

ROOT: Final = Path(__file__).parents[2]
NODE_PATH: Final = os.environ.get("NODE_PATH") or str(ROOT / ".venv-node" / "node_modules")
# draft 2020-12, as far as we use it; a strict validator refuses a keyword that it does not know
KEYWORDS: Final = frozenset(
    {"$schema", "$id", "$ref", "$defs", "title", "description", "type", "enum", "const", "not",
     "anyOf", "properties", "required", "additionalProperties", "propertyNames", "items",
     "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "minProperties", "pattern",
     "format", "contentEncoding", "uniqueItems", "minimum", "maximum", "exclusiveMinimum",
     "exclusiveMaximum", "default"}
)  # fmt: skip
MAPS: Final = ("$defs", "properties")  # their keys are names
VALUES: Final = ("enum", "const", "default")  # what is in them is no schema


def keywords(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for each in schema:
            yield from keywords(each)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield key
            if key in MAPS:
                yield from keywords(list(value.values()))
            elif key not in VALUES and not key.startswith("x-"):
                yield from keywords(value)


@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_schema_has_only_keywords_of_its_draft_and_our_own(name: str) -> None:
    found = {key for key in keywords(schema_of(BY_NAME[name])) if not key.startswith("x-")}
    assert found <= KEYWORDS


@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_schema_is_one_of_its_draft(name: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema_of(BY_NAME[name]))


def test_validators_of_others_find_no_fault() -> None:
    """ajv in strict mode, and the schema of AsyncAPI 3.1."""
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    if not all((Path(NODE_PATH) / each).is_dir() for each in ("ajv", "@asyncapi/specs")):
        pytest.skip("npm's ajv and @asyncapi/specs are not there: .ci/tools installs them")
    done = subprocess.run(
        [node, str(Path(__file__).with_name("strictvalidators.js")), str(promise.HERE)],
        env={**os.environ, "NODE_PATH": NODE_PATH},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
