"""Opens the database of a city, and says what its server refuses."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg

from edge.core import ConfigError
from edge.platform.postgres.connection import connect
from edge.platform.postgres.migrate import check_version
from edge.platform.recordstore import RecordStoreError

RIGHTS: Final = (
    "a login needs the rights of a member of `kerbstone_sink`, `kerbstone_archiver` or "
    "`kerbstone_reader`; the owner's `kerbstone sink --migrate` gives these roles their rights"
)


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
    except psycopg.errors.InsufficientPrivilege as error:
        raise RecordStoreError(f"database: {server_words(error)}: {RIGHTS}") from error
    except psycopg.Error as error:
        raise RecordStoreError(f"database: {server_words(error)}") from error


def server_words(error: psycopg.Error) -> str:
    """What has happened, in one line, without the place in a query of ours."""
    said = error.diag
    parts = [said.message_primary or str(error), said.message_detail, said.message_hint]
    return " ".join("; ".join(part for part in parts if part).split())
