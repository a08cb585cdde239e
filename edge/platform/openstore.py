"""Opens the store of the platform: an SQLite database, a JSON-lines file or a PostgreSQL database,
chosen by the name.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.core import ConfigError
from edge.platform.jsonlstore import JsonLinesStore
from edge.platform.recordstore import RecordStore
from edge.platform.sqlite_store import SqliteStore

SQLITE: Final = frozenset({".db", ".sqlite", ".sqlite3"})
LINES: Final = frozenset({".jsonl", ".ndjson"})
POSTGRES: Final = ("postgresql://", "postgres://")
StorePlace = Path | str
"""A file, or the address of a database."""


def store_place(text: str) -> StorePlace:
    """What stands behind `--store`."""
    return text if text.startswith(POSTGRES) else Path(text)


def open_store(
    place: StorePlace, *, write: bool, progress: Callable[[int], None] = lambda _records: None
) -> RecordStore:
    """Raises ConfigError for what is no store, RecordStoreError for what cannot be read.

    A file of an earlier version is converted when it is opened to write: `progress` hears how many
    records that were so far.
    """
    if isinstance(place, str):
        return _open_postgres(place, write=write)
    if place.suffix not in SQLITE | LINES:
        raise ConfigError(
            f"{place}: a store's name ends in .db (SQLite) or .jsonl (JSON lines), or begins with "
            "postgresql://"
        )
    if not write and not place.is_file():
        raise ConfigError(f"{place}: there is no such file")
    if write and not place.parent.is_dir():
        raise ConfigError(f"{place}: the folder {place.parent} does not exist; make it")
    if place.suffix in SQLITE:
        return SqliteStore(place, write=write, progress=progress)
    return JsonLinesStore(place, write=write)


def _open_postgres(url: str, *, write: bool) -> RecordStore:
    try:
        from edge.platform.postgres.store import PostgresStore
    except ImportError as error:
        raise ConfigError(
            f"a store in PostgreSQL needs the extra `city`: pip install 'kerbstone[city]' ({error})"
        ) from error
    return PostgresStore(url, write=write)
