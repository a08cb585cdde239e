"""A file that says where the messages of somebody's box have what (TOML), for `--adapter FILE`:

topics = ["traffic/+/counts"]

[[message]]
topic = "traffic/+/counts"      # the level of `+` is the source
stream = "traffic"
from = "start"                  # keys of its JSON: seconds since 1970, or ISO 8601
to = "end"
sent = "ts"
seq = "n"
fields = { volume = "count" }   # ours = theirs; `a.b` is b of the object a
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct, ValidationError, convert, field

from edge.core import ConfigError
from edge.core.tomltext import TomlError, parse_toml
from edge.durable.readfile import NotAFileError, read_beginning
from edge.rig.box import ReaderAdapter, Said

FILE_LIMIT: Final = 64 * 1024
ANY: Final = r"([^/]+)"
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class MessageTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One kind of message."""

    topic: Text
    stream: Text
    source: str = ""
    """If no level of its topic is `+`."""
    from_: str = field(default="", name="from")
    to: str = ""
    sent: str = ""
    seq: str = ""
    epoch: str = ""
    fields: dict[str, str] = {}


class BoxTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole file."""

    topics: Annotated[list[Text], Meta(min_length=1)]
    message: Annotated[list[MessageTable], Meta(min_length=1)]


def load_table(path: Path) -> ReaderAdapter:
    """Raises ConfigError that says what is wrong."""
    try:
        text = read_beginning(path, FILE_LIMIT).decode()
        table = convert(parse_toml(text), BoxTable)
    except (OSError, NotAFileError, UnicodeError, TomlError, ValidationError) as error:
        raise ConfigError(f"{path}: {error}") from error
    kinds = [(re.compile(re.escape(one.topic).replace(r"\+", ANY)), one) for one in table.message]

    def read(topic: str, payload: bytes) -> Sequence[Said]:
        for pattern, kind in kinds:
            if found := pattern.fullmatch(topic):
                return [_said(kind, found[1] if found.groups() else kind.source, payload)]
        return []

    return ReaderAdapter(table.topics, read)


def _said(kind: MessageTable, source: str, payload: bytes) -> Said:
    """Raises ValueError for a payload that is something else."""
    data = json.loads(payload, parse_float=_finite, parse_constant=_finite)
    if not isinstance(data, dict):
        raise ValueError("the payload is not a JSON object")
    body = {ours: _at(data, theirs) for ours, theirs in kind.fields.items()}
    epoch, seq = _at(data, kind.epoch), _at(data, kind.seq)
    return Said(
        stream=kind.stream, source=source, body={**data, **body},
        epoch="" if epoch is None else str(epoch), seq=seq if type(seq) is int else 0,
        from_s=_moment(data, kind.from_), to_s=_moment(data, kind.to),
        sent_s=_moment(data, kind.sent),
    )  # fmt: skip


def _finite(text: str) -> float:
    """Raises ValueError: JSON has neither NaN nor 1e999, and a file of a run has neither."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is no number")
    return value


def _at(data: Mapping[str, Any], key: str) -> Any:
    found: Any = data
    for part in key.split(".") if key else ():
        found = found.get(part) if isinstance(found, dict) else None
    return found if key else None


def _moment(data: Mapping[str, Any], key: str) -> float | None:
    """Seconds since 1970. Raises ValueError."""
    value = _at(data, key)
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return datetime.fromisoformat(str(value)).timestamp()
