"""Opens the store of the platform: an SQLite database or a JSON-lines file, chosen by the name."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.platform.jsonlstore import JsonLinesStore
from edge.platform.recordstore import RecordStore
from edge.platform.sqlite_store import SqliteStore

SQLITE: Final = frozenset({".db", ".sqlite", ".sqlite3"})
LINES: Final = frozenset({".jsonl", ".ndjson"})


def open_store(
    path: Path, *, write: bool, progress: Callable[[int], None] = lambda _records: None
) -> RecordStore:
    """Raises ConfigError for what is no store, RecordStoreError for what cannot be read.

    A database of an earlier version is converted when it is opened to write: `progress` hears how
    many records that were so far.
    """
    if path.suffix not in SQLITE | LINES:
        raise ConfigError(f"{path}: a store's name ends in .db (SQLite) or .jsonl (JSON lines)")
    if not write and not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    if write and not path.parent.is_dir():
        raise ConfigError(f"{path}: the folder {path.parent} does not exist; make it")
    if path.suffix in SQLITE:
        return SqliteStore(path, write=write, progress=progress)
    return JsonLinesStore(path, write=write)
