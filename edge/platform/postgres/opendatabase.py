"""Opens the database of a city, and says what its server refuses."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from edge.core import ConfigError
from edge.platform.postgres.connection import connect
from edge.platform.postgres.migrate import check_version
from edge.platform.recordstore import RecordStoreError


def open_database(url: str) -> psycopg.Connection:
    """In autocommit. Raises ConfigError for an address that is none, and for a database whose
    tables are not those of this version; psycopg.Error for what the server says."""
    try:
        connection = connect(url)
    except psycopg.ProgrammingError as error:
        raise ConfigError(f"this is no address of a database: {error}") from error
    try:
        check_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def store_errors() -> Iterator[None]:
    """Raises RecordStoreError for what the server says."""
    try:
        yield
    except psycopg.Error as error:
        raise RecordStoreError(f"database: {' '.join(str(error).split())}") from error
