"""What commands on a city's database have in common: its address, what they need, and days."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from typing import TYPE_CHECKING, Final

from edge.core import ConfigError
from edge.platform.openstore import POSTGRES
from edge.terminal import progress

if TYPE_CHECKING:
    import psycopg

NEEDED: Final = "this needs the extra `city`: pip install 'kerbstone[city]'"
MEGABYTE: Final = 1_000_000


def check_address(database: str) -> None:
    """Of `--database`. Raises ConfigError."""
    if not database.startswith(POSTGRES):
        raise ConfigError(f"--database {database}: write postgresql://USER@HOST/DATABASE")


@contextmanager
def city_database(address: str) -> "Iterator[psycopg.Connection]":
    """Open, with all that old days need. A row that shows how far it is has gone when this ends.

    Raises ConfigError, RecordStoreError.
    """
    check_address(address)
    try:
        import_module("pyarrow")
        from edge.platform.postgres.opendatabase import open_database, store_errors
    except ImportError as error:
        raise ConfigError(f"{NEEDED} ({error})") from error
    try:
        with store_errors(), open_database(address) as db:
            yield db
    finally:
        progress("")


def utc_day(text: str) -> date:
    """Of an option."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no date; write it as 2026-11-26") from None


def megabytes(size: int) -> str:
    """As people read it."""
    return f"{size / MEGABYTE:.1f} MB"
