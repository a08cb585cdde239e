"""`kerbstone ...` with an outbox that does not wait for the disk: `synchronous = OFF`.

The rig has to see the damage of this one, or it sees none at all.
"""

import sqlite3
import sys

from edge.durable import sqlitefile


def sync_never(db: sqlite3.Connection) -> None:
    """In place of `sync_each_commit`."""
    db.execute("PRAGMA journal_mode = WAL").fetchall()
    db.execute("PRAGMA synchronous = OFF")


if __name__ == "__main__":
    sqlitefile.sync_each_commit = sync_never
    from edge.cli.main import main

    sys.exit(main())
