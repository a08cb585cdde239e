"""docs/contract/README.md: every message as a table that a person can read."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from edge.core import Condition, Quantity, Reason
from edge.wire.contract.catalogue import BY_NAME, LAST, MESSAGES, DeclaredMessage
from edge.wire.contract.schemas import Schema, schema_of

Examples = Mapping[str, Sequence[Mapping[str, Any]]]

HEAD: Final = """# The contract

The messages that a gateway publishes and receives. `make docs` generates this folder from the declarations in `edge/wire/contract/`: correct errors there.

- [asyncapi.json](asyncapi.json): topics, operations and messages, AsyncAPI 3.0.
- [schemas/](schemas/): a JSON Schema (draft 2020-12) per message, with examples that were published by running code. `x-unit` is the unit of a value.
- `released/`: the schemas that the last release promises. `make release` writes them, and a test fails on a change that breaks them.

Rules for changes: a field may be added at any time, so ignore fields that you do not know. These changes need a new `v`: a removed field; another type, unit or topic; a wider range; a value that becomes null or optional.
Lists of words (reasons, conditions, states) are closed: a new word needs a new `v`, too. Some lists may grow at any time: kinds of events (for an unknown kind only the header and `text` are promised), quantities, units, and lists that a table marks with *and more to come* (`x-grows` in a schema). Show a word that you do not know; do not reject the message.
For messages to the gateway (*down*), the opposite holds: under the same `v` the gateway never requires more than before, and never accepts less.

A message on `up/traffic/{source}` is a `loop_card` when it has `points`, else a `lane`. The stream `register` is reserved: nothing is sent on it yet.
JSON and MessagePack hold the same map; a field of type *bytes* exists only in MessagePack. Fields marked *optional* are left out when they do not apply; all other fields are always present, and may be null where the table says so.
"""  # noqa: E501
TOPICS: Final = """## Topics

All messages have QoS 1. The gateway publishes *up* messages and receives *down* messages. Each topic begins with `{prefix}/{site}/{gateway}/`; the prefix is `kerbstone/v1` unless configured otherwise. `up/last/{source}` is published only with `uplink.last_s`; without it an empty message deletes there what an older version has left.

| topic | | retained | message | content type |
|---|---|---|---|---|
"""  # noqa: E501
HEADER: Final = """## Header

Every record (lane, bay, loop_card, air, energy, event, health, manifest, raw) begins with these fields. `(gw, epoch, stream, seq)` is its key: if you store records under this key, duplicates do no harm.
"""  # noqa: E501
WORDS: Final = "## Closed lists\n"
LISTS: Final = {"Condition": "conditions", "Reason": "reasons"}  # where they stand on the page


def page(examples: Examples) -> str:
    """The whole document."""
    seen: set[str] = {"Header"}
    parts = [HEAD, TOPICS + "\n".join(_topics()) + "\n", HEADER + "\n" + _header()]
    parts.append("## Messages\n")
    for message in MESSAGES:
        parts += _message(message, seen, examples.get(message.name, ()))
    parts += [
        WORDS,
        _enum("Reasons", "Why a value is not good: `uncertain:REASON` or `bad:REASON`.", Reason),
    ]
    parts += [_enum("Conditions", "Conditions that a device may report.", Condition), _units()]
    return "\n".join(parts)  # fmt: skip


def _topics() -> Iterator[str]:
    for message in MESSAGES:
        yield _topic(message.address, message, message.retained, message.content_types)
    for name in LAST:
        message = BY_NAME[name]
        yield _topic("up/last/{source}", message, True, message.content_types[-1:])


def _topic(address: str, message: DeclaredMessage, retained: bool, types: Sequence[str]) -> str:
    kinds = "<br>".join(f"`{each}`" for each in types)
    link = f"[{message.name}](#{message.name})"
    return f"| `{address}` | {message.direction} | {'yes' if retained else ''} | {link} | {kinds} |"


def _header() -> str:
    header = schema_of(BY_NAME["air"])["$defs"]["Header"]
    return _table(header)


def _message(
    message: DeclaredMessage, seen: set[str], told: Sequence[Mapping[str, Any]]
) -> list[str]:
    schema = schema_of(message)
    defs: Mapping[str, Schema] = schema["$defs"]
    link = f"[schema](schemas/{message.name}.json)"
    parts = [f"### {message.name}\n", f"{message.title}. `{message.address}`, {link}.\n"]
    forms = [each["$ref"] for each in schema.get("anyOf", [schema])]
    names = [ref.removeprefix("#/$defs/") for ref in forms]
    if message.name == "event":
        parts.append(_events(defs, names))
    else:
        for name in names:
            if len(names) > 1:
                parts.append(f"**{_tag(defs[name]) or name}**\n")
            parts += [f"{defs[name].get('description', '')}\n", _table(defs[name])]
    seen.update(names)
    for name in _order(defs, names):
        if name not in seen and "properties" in defs[name]:
            seen.add(name)
            parts += [f"#### {name}\n", f"{defs[name].get('description', '')}\n"]
            parts.append(_table(defs[name]))
    if told:
        shown = json.dumps(_cut(told[0]["payload"]), ensure_ascii=False)
        parts.append(f"```json\n{shown}\n```\n")
    return parts


def _events(defs: Mapping[str, Schema], names: Sequence[str]) -> str:
    lines = ["An event has one moment (`from` equals `to`), its kind in `event`, and `text`: one"
             " sentence for people. It also has these fields:\n",
             "| event | what | fields |\n|---|---|---|"]  # fmt: skip
    for name in names:
        if (kind := _tag(defs[name])) is None:
            continue
        fields = []
        for key, each in defs[name]["properties"].items():
            if key in ("event", "text", "stream", "source") or (
                "$ref" in each and "Header" in str(each["$ref"])
            ):
                continue
            optional = "" if key in defs[name]["required"] else " (optional)"
            fields.append(f"`{key}`{optional}: {_type(each)}. {each.get('description', '')}")
        what = defs[name].get("description", "")
        lines.append(f"| `{kind}` | {what} | {'<br>'.join(map(_cell, fields))} |")
    return "\n".join(lines) + "\n"


def _tag(schema: Schema) -> str | None:
    """What tells a form from the others."""
    for key in ("event", "state"):
        words = schema["properties"].get(key, {}).get("enum", ())
        if len(words) == 1:
            return str(words[0])
    return None


def _order(defs: Mapping[str, Schema], names: Sequence[str]) -> Iterator[str]:
    """Other definitions, in the order in which they are met."""
    todo, met = list(names), set(names)
    while todo:
        found = re.findall(r"#/\$defs/(\w+)", json.dumps(defs[todo.pop(0)]))
        for name in found:
            if name not in met:
                met.add(name)
                todo.append(name)
                yield name
    yield from (name for name in defs if name not in met)  # what is packed in another


def _table(schema: Schema) -> str:
    lines = ["| field | type | unit | range | meaning |\n|---|---|---|---|---|"]
    required = schema.get("required", ())
    for key, each in schema["properties"].items():
        if str(each.get("$ref", "")).startswith("#/$defs/Header/"):
            continue
        name = f"`{key}`" if key in required else f"`{key}` *optional*"
        cells = (name, _type(each), each.get("x-unit", ""), _range(each),
                 each.get("description", ""))  # fmt: skip
        lines.append("| " + " | ".join(_cell(str(cell)) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(each: Mapping[str, Any]) -> str:
    if "$ref" in each:
        name = str(each["$ref"]).rpartition("/")[2]
        return f"[{name}](#{LISTS.get(name, name.lower())})"
    if "anyOf" in each and "type" not in each:
        return " or ".join(_type(form) for form in each["anyOf"])
    if "const" in each:
        return f"`{json.dumps(each['const'])}`"
    if "enum" in each:
        grows = " and more to come" if each.get("x-grows") else ""
        return ", ".join(f"`{word}`" for word in each["enum"]) + grows
    match each.get("type"):
        case "array" if "prefixItems" in each:
            return "[" + ", ".join(_type(item) for item in each["prefixItems"]) + "]"
        case "array" if "anyOf" in each:
            return "column"
        case "array":
            return f"list of {_type(each.get('items', {}))}"
        case "object" if isinstance(each.get("additionalProperties"), Mapping):
            return f"map to {_type(each['additionalProperties'])}"
        case "string" if each.get("contentEncoding") == "base64" and "pattern" not in each:
            return "bytes"
        case "string" if each.get("format") == "date-time":
            return "time"
        case str(kind):
            return kind
    return "any"


def _range(each: Mapping[str, Any]) -> str:
    if "prefixItems" in each:
        return next((said for item in each["prefixItems"] if (said := _range(item))), "")
    if "items" in each and isinstance(each["items"], Mapping):
        return _range(each["items"])
    if "anyOf" in each:
        return next((said for form in each["anyOf"] if (said := _range(form))), "")
    low, high, below = each.get("minimum"), each.get("maximum"), each.get("exclusiveMaximum")
    bounds: list[str] = []
    if low is not None:
        bounds.append(f"≥ {_number(low)}")
    if below is not None:
        bounds.append(f"< {_number(below)}")
    elif high is not None:
        bounds.append(f"≤ {_number(high)}")
    return ", ".join(bounds)


def _number(value: float) -> str:
    powers = {1 << 53: "2^53", (1 << 63) - 1: "2^63 - 1", -(1 << 63): "-2^63"}
    return powers.get(int(value), f"{value:g}") if value == int(value) else f"{value:g}"


def _cut(value: Any) -> Any:
    """An example for a page: long lists and maps are shown by their begin."""
    if isinstance(value, dict):
        items = list(value.items())
        short = len(items) > 12 and all(isinstance(each, dict) for _, each in items)
        return {key: _cut(each) for key, each in (items[:3] if short else items)}
    if isinstance(value, str) and len(value) > 200:
        return f"{value[:60]}..."
    return value


def _enum(title: str, about: str, kind: type[Enum]) -> str:
    """The members with the comments that stand behind them in the source."""
    source = inspect.getsource(kind)
    lines = [f"### {title}\n", f"{about}\n", "| word | meaning |\n|---|---|"]
    for member in kind:
        found = re.search(rf'^    {member.name} = "[^"]*"(?:  # (.*))?$', source, re.MULTILINE)
        lines.append(f"| `{member.value}` | {(found and found.group(1)) or ''} |")
    return "\n".join(lines) + "\n"


def _units() -> str:
    lines = ["### Quantities\n", "One unit each, everywhere; SenML symbols where they exist.\n",
             "| quantity | unit | usual step |\n|---|---|---|"]  # fmt: skip
    lines += [f"| `{q.label}` | {q.unit} | {q.resolution:g} |" for q in Quantity]
    return "\n".join(lines) + "\n"
