"""Reads what the city has kept, of either kind of store. Written as `reader` is."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.compat.reader import digest, message, open_copy


class CityRow(NamedTuple):
    """A record as the city keeps it; `digest` is of what it means."""

    gw: str
    epoch: int
    stream: str
    seq: int
    topic: str
    payload: bytes


def read_city(path: Path) -> list[CityRow]:
    """The records of a store, of either kind, in the order of their keys."""
    return sorted(_city_lines(path) if path.suffix == ".jsonl" else _city_rows(path))


def _city_rows(path: Path) -> Iterator[CityRow]:
    with open_copy(path) as database:
        yield from map(
            CityRow._make,
            database.execute("SELECT gw, epoch, stream, seq, topic, payload FROM record"),
        )


def _city_lines(path: Path) -> Iterator[CityRow]:
    head, *lines = map(json.loads, path.read_text("utf-8").splitlines())
    assert head["kind"] == "store"
    for line in lines:
        if line["kind"] == "record":
            text = line.get("payload")
            payload = text.encode() if text is not None else base64.b64decode(line["payload_b64"])
            key = line["gw"], line["epoch"], line["stream"], line["seq"]
            yield CityRow(*key, line["topic"], payload)


def city_version(path: Path) -> list[int]:
    if path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            return [json.loads(file.readline())["v"]]
    with open_copy(path) as database:
        pragmas = ("application_id", "user_version")
        return [database.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]


def told_of_city(path: Path) -> dict[str, Any]:
    rows = read_city(path)
    streams = Counter(row.stream for row in rows)
    contents = [[*row[:5], message(row.payload)] for row in rows]
    return {
        "version": city_version(path),
        "streams": dict(sorted(streams.items())),
        "digest": digest(contents),
    }
