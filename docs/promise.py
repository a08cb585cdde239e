"""docs/contract: the AsyncAPI document and the JSON Schemas, made from the declarations.

    python docs/generate.py            writes them, with everything else that is generated
    python docs/generate.py --release  seals the schemas as what this release has promised

`make release` calls the latter. Until a version is made nothing is promised: what changes is then
compared with the last commit, and told.

Examples were captured from running code (`python -m tests.contract.capture`).
"""

import io
import json
import subprocess
import tarfile
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from docs import breaking, contractpages
from edge.wire.contract.catalogue import BY_NAME, LAST, MESSAGES, DeclaredMessage
from edge.wire.contract.schemas import VERSION, Schema, schema_of
from edge.wire.records import JSON

ROOT: Final = Path(__file__).parents[1]
HERE: Final = ROOT / "docs/contract"
EXAMPLES: Final = HERE / "examples"
RELEASED: Final = HERE / "released" / f"v{VERSION}"
MARK: Final = "RELEASE"
DRAFT_FORMAT: Final = "application/schema+json;version=draft-2020-12"
BINDING: Final = "0.2.0"
ABOUT: Final = (
    "What a Kerbstone gateway says to a city's platform, and what it listens to. Made from the"
    " code (`make docs`). Operations are from the gateway's point of view: it sends what is up, and"
    " receives what is down. All is published with QoS 1 over MQTT 5; with MQTT 3.1.1 there is no"
    " content type, and a payload that begins with { is JSON."
)
LEVELS: Final = {
    "prefix": "`kerbstone/v1`, unless a site is configured otherwise: one or more levels.",
    "site": "Id of the site.",
    "gateway": "Id of the gateway; `gw` in every payload.",
    "source": "The lane, bay, device or part of the gateway; of a manifest the stream it seals.",
    "verb": "The verb of the command that is answered.",
}


def documents() -> dict[str, Callable[[], str]]:
    """Each file with what writes it."""
    found: dict[str, Callable[[], str]] = {
        "docs/contract/asyncapi.json": lambda: dumped(asyncapi()),
        "docs/contract/README.md": lambda: contractpages.page(examples()),
    }
    for message in MESSAGES:
        found[f"docs/contract/schemas/{message.name}.json"] = partial(_schema, message)
    return found


def dumped(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def examples() -> dict[str, list[dict[str, Any]]]:
    """Message -> `{"topic", "content_type", "payload"}`, as captured."""
    return {
        name: json.loads(path.read_text(encoding="utf-8"))
        for name in BY_NAME
        if (path := EXAMPLES / f"{name}.json").exists()
    }


def _schema(message: DeclaredMessage) -> str:
    payloads = [each["payload"] for each in examples().get(message.name, ())]
    schema = schema_of(message)
    defs = schema.pop("$defs")
    return dumped({**schema, **({"examples": payloads} if payloads else {}), "$defs": defs})


# -- AsyncAPI ---------------------------------------------------------------------------------


def asyncapi() -> dict[str, Any]:
    """The document, AsyncAPI 3.1."""
    told = examples()
    channels, operations = dict[str, Any](), dict[str, Any]()
    for message in MESSAGES:
        _place(channels, operations, message.address, message.name, message)
    for name in LAST:
        _place(channels, operations, "up/last/{source}", f"{name}_last", BY_NAME[name])
    return {
        "asyncapi": "3.1.0",
        "id": f"urn:kerbstone:v{VERSION}",
        "info": {
            "title": "Kerbstone gateway",
            "version": release(),
            "description": ABOUT,
            "license": {
                "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": JSON,
        "servers": {
            "broker": {
                "host": "{broker}",
                "protocol": "secure-mqtt",
                "protocolVersion": "5.0",
                "description": "The city's broker. A gateway may write only below its own up/, and"
                " read only below its own down/.",
                "variables": {"broker": {"description": "Host and port."}},
            }
        },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                key: value
                for message in MESSAGES
                for key, value in _messages(message, told.get(message.name, ()))
            },
            "messageTraits": {
                "Record": {
                    "tags": [{"name": "record", "description": "Named for ever by its key."}],
                    "correlationId": {
                        "description": "With gw, epoch and stream: the key of a record.",
                        "location": "$message.payload#/seq",
                    },
                }
            },
            "operationTraits": {
                "Published": {"bindings": {"mqtt": _mqtt(retain=False)}},
                "Retained": {"bindings": {"mqtt": _mqtt(retain=True)}},
            },
            "parameters": {name: {"description": text} for name, text in LEVELS.items()},
        },
    }  # fmt: skip


def _mqtt(*, retain: bool) -> dict[str, Any]:
    return {"qos": 1, "retain": retain, "bindingVersion": BINDING}


def _place(
    channels: dict[str, Any],
    operations: dict[str, Any],
    address: str,
    key: str,
    told: DeclaredMessage,
) -> None:
    """A channel with its message (channels may have several) and the operation on it."""
    name = address.replace("/", "_").replace("{", "").replace("}", "")
    path = f"{{prefix}}/{{site}}/{{gateway}}/{address}"
    channel = channels.setdefault(name, {"address": path, "messages": {}, "parameters": {}})
    last = key != told.name
    # a retained copy is JSON, whatever the record was
    types = (JSON,) if last else told.content_types
    for each in types:
        message = _message_name(told, each)
        channel["messages"][message] = {"$ref": f"#/components/messages/{message}"}
    for level in LEVELS:
        if f"{{{level}}}" in path:
            channel["parameters"][level] = {"$ref": f"#/components/parameters/{level}"}
    retained = told.retained or last
    operations[key] = {
        "action": "send" if told.direction == "up" else "receive",
        "channel": {"$ref": f"#/channels/{name}"},
        "title": f"{told.title}: the newest, retained" if last else told.title,
        "messages": [
            {"$ref": f"#/channels/{name}/messages/{_message_name(told, each)}"} for each in types
        ],
        "traits": [
            {"$ref": f"#/components/operationTraits/{'Retained' if retained else 'Published'}"}
        ],
    }


def _message_name(message: DeclaredMessage, content_type: str) -> str:
    return message.name if content_type == JSON else f"{message.name}_msgpack"


def _messages(
    message: DeclaredMessage, told: list[dict[str, Any]] | tuple[()]
) -> list[tuple[str, dict[str, Any]]]:
    """One for each encoding; the schema is the same."""
    found = []
    for content_type in message.content_types:
        one: dict[str, Any] = {
            "name": message.name,
            "title": message.title,
            "contentType": content_type,
            "payload": {
                "schemaFormat": DRAFT_FORMAT,
                "schema": {"$ref": f"schemas/{message.name}.json"},
            },
        }
        if message.address.startswith("up/") and "stream" in message.fields:
            one["traits"] = [{"$ref": "#/components/messageTraits/Record"}]
        payloads = [each["payload"] for each in told if each["content_type"] == content_type]
        if payloads:
            one["examples"] = [{"payload": payload} for payload in payloads[:2]]
        found.append((_message_name(message, content_type), one))
    return found


# -- releases -----------------------------------------------------------------------------------


def release() -> str:
    """The version of this distribution."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["version"])


def released_by() -> str | None:
    """The version that has sealed what is promised under this `v`; None: nothing is yet."""
    mark = RELEASED / MARK
    return mark.read_text(encoding="utf-8").strip() if mark.exists() else None


def released() -> Mapping[str, Schema]:
    """What the former release has promised, by message; empty while none is made under this `v`."""
    files = sorted(RELEASED.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in files}


def committed(root: Path = ROOT) -> Mapping[str, Schema]:
    """What the last commit has declared, by message; empty where git does not know."""
    command = ["git", "-C", str(root), "archive", "HEAD", "docs/contract/schemas"]
    try:
        told = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return {}
    found = {}
    with tarfile.open(fileobj=io.BytesIO(told)) as archive:
        for member in archive:
            if (file := archive.extractfile(member)) and member.name.endswith(".json"):
                found[Path(member.name).stem] = json.loads(file.read())
    return found


def changed() -> list[str]:
    """Of what nobody was promised yet: what breaks those who followed the last commit."""
    return [] if released() else breaks(committed())


def broken() -> list[str]:
    """What of the present declarations breaks what was released under the same `v`."""
    return breaks(released())


def breaks(former: Mapping[str, Schema]) -> list[str]:
    """What of the present declarations breaks those who rely on former ones."""
    found = []
    for name, old in former.items():
        if name not in BY_NAME:
            found.append(f"{name}: the message is gone")
        else:
            found += [
                f"{name}: {each}" for each in breaking.breaking(old, schema_of(BY_NAME[name]))
            ]
    return found


def seal() -> list[str]:
    """Write the present schemas as released. Refuses breaks of another release; gives them."""
    found = broken()
    if found and released_by() not in (None, release()):
        return found
    RELEASED.mkdir(parents=True, exist_ok=True)
    for path in RELEASED.glob("*.json"):
        path.unlink()
    for message in MESSAGES:
        text = dumped(schema_of(message))
        (RELEASED / f"{message.name}.json").write_text(text, encoding="utf-8")
    (RELEASED / MARK).write_text(f"{release()}\n", encoding="utf-8")
    return []
