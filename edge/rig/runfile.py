"""A run as a file: one JSON document of a `RunLog`, with the scenario's text in it.

So a run is judged and shown again without the box, the rig and the folder in which it was made.
"""

from pathlib import Path
from typing import Final

import msgspec

from edge.core import ConfigError
from edge.core.printable import quote_name
from edge.core.tomltext import TomlError, parse_toml
from edge.durable.readfile import read_beginning
from edge.rig.runlog import RunLog
from edge.rig.scenario import TABLES, About, Scenario

RUN_LIMIT: Final = 1 << 30  # bytes; a day of 64 lanes has some 400 MB


def read_run(path: Path) -> tuple[Scenario, RunLog]:
    """Raises ConfigError, which says what is wrong with the file."""
    name = quote_name(str(path))
    try:
        data = read_beginning(path, RUN_LIMIT + 1)
    except OSError as error:
        raise ConfigError(f"{name} cannot be read: {error.strerror or error}") from error
    if len(data) > RUN_LIMIT:
        raise ConfigError(f"{name} has more than {RUN_LIMIT} bytes")
    try:
        log = msgspec.json.decode(data, type=RunLog)
        return scenario_of(log), log
    except (msgspec.DecodeError, TomlError, RecursionError) as error:
        raise ConfigError(f"{name} is no run of the rig: {error}") from error


def write_run(path: Path, log: RunLog) -> None:
    """The same run gives the same bytes. Raises OSError."""
    path.write_bytes(msgspec.json.encode(log) + b"\n")


def scenario_of(log: RunLog) -> Scenario:
    """As it was run. It was checked then; here only its form is. Raises TomlError, and
    msgspec.ValidationError for what is no scenario."""
    tables = parse_toml(log.scenario)
    arrays = {
        field: msgspec.convert(tables.get(name, ()), tuple[model, ...])  # type: ignore[valid-type]
        for name, (field, model) in TABLES.items()
    }
    about = msgspec.convert(tables.get("scenario", {}), About)
    return Scenario(file="", about=about, **arrays)
