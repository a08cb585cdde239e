"""The roll of brokers and of the city's programs: what each was given, and what has ended."""

from datetime import datetime
from typing import Any

from edge.provision.database import Database
from edge.provision.rows import Kind, Named, from_text, to_text


class TakenError(Exception):
    """A box has this name, or this key was revoked; the text says which."""


class Roll:
    """Used by any number of threads. All raise StoreError."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, new: Named) -> None:
        """Raises TakenError."""
        with self._db.change():
            if self._db.rows("SELECT 1 FROM asked WHERE gateway = ? LIMIT 1", new.name):
                raise TakenError(f"a box is called {new.name}: choose another name")
            if self._named("spki = ? AND revoked IS NOT NULL", new.spki):
                raise TakenError(f"the key for {new.name} was revoked once: make a new key")
            life = (to_text(new.begins), to_text(new.ends))
            values = (f"{new.serial:x}", str(new.kind), *new[2:5], *life, None, None)
            self._db.put("named", values)

    def knows(self, name: str) -> bool:
        """Inside of a change only."""
        return bool(self._db.rows("SELECT 1 FROM named WHERE name = ? LIMIT 1", name))

    def find(self, name: str) -> list[Named]:
        """All that this name was given, the newest last."""
        with self._db.look():
            return self._named("name = ? ORDER BY ROWID", name)

    def live(self) -> list[Named]:
        """What is not revoked, of everybody, the newest of a name last; it may have expired."""
        with self._db.look():
            return self._named("revoked IS NULL ORDER BY kind, name, ROWID")

    def revoke(self, name: str, reason: str, now: datetime) -> list[Named]:
        """All that this name has; what has ended with it is returned."""
        with self._db.change():
            ended = self._named("revoked IS NULL AND name = ? ORDER BY ROWID", name)
            sql = "UPDATE named SET revoked = ?, reason = ? WHERE revoked IS NULL AND name = ?"
            self._db.rows(sql, to_text(now), reason, name)
            return ended

    def _named(self, where: str, *values: object) -> list[Named]:
        found = self._db.rows(f"SELECT * FROM named WHERE {where}", *values)
        return [_to_named(*row) for row in found]


def _to_named(serial: str, kind: str, *row: Any) -> Named:
    *first, begins, ends, revoked, reason = row
    when = None if revoked is None else from_text(revoked)
    life = (from_text(begins), from_text(ends))
    return Named._make((int(serial, 16), Kind(kind), *first, *life, when, reason))
