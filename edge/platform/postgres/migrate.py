"""Brings a database to the version that this program reads: numbered files, each applied once."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Final, LiteralString

import psycopg

from edge.core import ConfigError

SCHEMA: Final = "kerbstone"
LOCK: Final = 7_234_017_283_807_667_300  # two that migrate at once: the second waits
OLDEST: Final = 15  # it is the first that joins multiranges: range_agg of what proofs have seen


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `migrations`: its number, its name and what it does."""

    number: int
    name: str
    statements: LiteralString


def migrations() -> list[Migration]:
    """All that there are, in order."""
    found = []
    for file in files(__package__).joinpath("migrations").iterdir():
        number, _, rest = file.name.removesuffix(".sql").partition("_")
        if file.name.endswith(".sql"):
            text = _text("migrations", file.name)
            found.append(Migration(int(number), rest.replace("_", " "), text))
    return sorted(found, key=lambda each: each.number)


def migrate(connection: psycopg.Connection) -> list[Migration]:
    """Apply those that are missing, each in a transaction of its own. Says which it applied.

    Raises ConfigError for a server that is too old, and when a newer program has been here;
    psycopg.Error for what the server says.
    """
    _check_server(connection)
    done: list[Migration] = []
    for each in migrations():
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            connection.execute("CREATE SCHEMA IF NOT EXISTS kerbstone")
            connection.execute("SET LOCAL search_path = kerbstone")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS migration (number integer PRIMARY KEY,"
                " name text NOT NULL, applied timestamptz NOT NULL DEFAULT now())"
            )
            if each.number <= applied(connection):
                continue
            connection.execute(each.statements)
            connection.execute(
                "INSERT INTO migration (number, name) VALUES (%s, %s)", (each.number, each.name)
            )
            done.append(each)
    check_version(connection)
    with connection.transaction():  # roles may have been made since
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("SET LOCAL search_path = kerbstone")
        connection.execute(_text("grants.sql"))
    return done


def applied(connection: psycopg.Connection) -> int:
    """The number of the last migration of this database; 0: it is none of ours."""
    known = connection.execute("SELECT to_regclass('kerbstone.migration') IS NOT NULL").fetchone()
    if known is None or not known[0]:
        return 0
    row = connection.execute("SELECT coalesce(max(number), 0) FROM kerbstone.migration").fetchone()
    return int(row[0]) if row is not None else 0


def check_version(connection: psycopg.Connection) -> None:
    """Raises ConfigError for a server that is too old, and when the tables are not those of this
    program."""
    _check_server(connection)
    there, wanted = applied(connection), migrations()[-1].number
    if there == wanted:
        return
    if there == 0:
        raise ConfigError("the database has no tables of Kerbstone yet: `kerbstone sink --migrate`")
    if there < wanted:
        raise ConfigError(
            f"the database has version {there}, this program needs {wanted}: `kerbstone sink "
            "--migrate` brings it there; the data stay"
        )
    raise ConfigError(
        f"the database has version {there}, this program knows {wanted}: a newer program has "
        "changed it; install that version here, too"
    )


def _check_server(connection: psycopg.Connection) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST:
        raise ConfigError(
            f"the server is PostgreSQL {version}, and Kerbstone needs {OLDEST} or newer: move the "
            "database to a newer server (`pg_upgradecluster` of Debian)"
        )


def _text(*names: str) -> LiteralString:
    return files(__package__).joinpath(*names).read_text(encoding="utf-8")
