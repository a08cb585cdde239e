"""The enrolment server's memory: one SQLite file, one transaction a change.

asked   a claim, and the one key that asked with it; its state is what the operator decided
issued  every certificate, also when it has been revoked or has expired

The server and the operator's commands open it side by side: SQLite orders them.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from edge.core import ConfigError
from edge.provision.rows import Asked, Issued, State, from_text, to_text

APPLICATION: Final = 0x4B65_7250  # "KerP"
VERSION: Final = 1
BUSY_MS: Final = 10_000
SCHEMA: Final = """
CREATE TABLE asked (claim TEXT PRIMARY KEY, digest BLOB NOT NULL, site TEXT NOT NULL,
    role TEXT NOT NULL, gateway TEXT NOT NULL, spki BLOB NOT NULL, csr BLOB NOT NULL,
    state TEXT NOT NULL, asked TEXT NOT NULL, address TEXT NOT NULL, decided TEXT) WITHOUT ROWID;
CREATE TABLE issued (serial TEXT PRIMARY KEY, claim TEXT NOT NULL, gateway TEXT NOT NULL,
    site TEXT NOT NULL, role TEXT NOT NULL, spki BLOB NOT NULL, der BLOB NOT NULL,
    begins TEXT NOT NULL, ends TEXT NOT NULL, revoked TEXT, reason TEXT) WITHOUT ROWID;
CREATE INDEX issued_claim ON issued (claim);
"""
SAME_BOX: Final = "((site = ? AND role = ?) OR gateway = ?)"


class UsedError(Exception):
    """The claim belongs to another key, or there is another claim with this number."""


class ClosedError(Exception):
    """The claim or the certificate gives nothing any more; the text says why."""


class StoreError(Exception):
    """The file cannot be read or written."""


class Store:
    """Used by any number of threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            self._db = _connect(path)
        try:
            with self._told():
                self._prepare()
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def take(self, new: Asked) -> Asked:
        """The claim belongs to this key from now on. Raises UsedError if it is another's."""
        with self._change():
            old = self._asked("claim = ?", new.claim)
            if not old:
                values = (*new[:7], str(new.state), to_text(new.asked), new.address, None)
                self._db.execute(f"INSERT INTO asked VALUES ({_slots(11)})", values)
                return new
            if old[0].digest != new.digest or old[0].spki != new.spki:
                raise UsedError
            return old[0]

    def find(self, word: str) -> list[Asked]:
        """By the claim's number or its beginning, or by the gateway's name."""
        with self._look():
            start = "substr(claim, 1, length(?)) = ?"
            found = self._asked(start, word, word) if len(word) >= 4 else []
            return found or self._asked("gateway = ? ORDER BY asked", word)

    def asked(self, claim: str) -> Asked | None:
        with self._look():
            return next(iter(self._asked("claim = ?", claim)), None)

    def taken(self, spki: bytes) -> str:
        """The claim that this key used last. Raises ClosedError."""
        with self._look():
            found = self._asked("spki = ? ORDER BY asked DESC", spki)
            if not found:
                raise ClosedError("no claim was used by this key")
            return found[0].claim

    def pending(self) -> list[Asked]:
        with self._look():
            return self._asked("state = ? ORDER BY asked, claim", str(State.PENDING))

    def approve(self, claim: str, now: datetime) -> list[Issued]:
        """The role moves to this box: what the former one had is revoked, and returned."""
        with self._change():
            row = self._one(claim)
            if row.state is State.APPROVED:
                return []
            if row.state is not State.PENDING:
                raise ClosedError(f"claim {claim} is {row.state}: write a new one")
            same = (row.site, row.role, row.gateway)
            closed = f"UPDATE asked SET state = ?, decided = ? WHERE state = ? AND {SAME_BOX}"
            self._db.execute(
                closed, (str(State.REPLACED), to_text(now), str(State.APPROVED), *same)
            )
            former = self._issued(f"revoked IS NULL AND claim != ? AND {SAME_BOX}", claim, *same)
            self._revoke(former, "superseded", now)
            self._decide(claim, State.APPROVED, now)
            return former

    def refuse(self, claim: str, now: datetime, reason: str) -> list[Issued]:
        """Nothing more for this claim; the certificates it gave are revoked, and returned."""
        with self._change():
            self._one(claim)
            live = self._issued("revoked IS NULL AND claim = ?", claim)
            self._revoke(live, reason, now)
            self._decide(claim, State.REFUSED, now)
            return live

    def issue(
        self, claim: str, spki: bytes, again: Callable[[Issued], bool], make: Callable[[], Issued]
    ) -> Issued:
        """A certificate for this key: the last one it got if `again` says so, else a new one.

        Raises ClosedError when the claim is not approved (any more).
        """
        with self._change():
            row = self._one(claim)
            if row.state is not State.APPROVED:
                raise ClosedError(f"claim {claim} is {row.state}")
            own = "claim = ? AND spki = ? ORDER BY ends DESC, begins DESC"
            last = next(iter(self._issued(own, claim, spki)), None)
            if last is not None and again(last):
                return last
            new = make()
            values = (
                f"{new.serial:x}", *new[1:7], to_text(new.begins), to_text(new.ends), None, None,
            )  # fmt: skip
            self._db.execute(f"INSERT INTO issued VALUES ({_slots(11)})", values)
            return new

    def certificate(self, serial: int) -> Issued | None:
        with self._look():
            return next(iter(self._issued("serial = ?", f"{serial:x}")), None)

    def certificates(self, claim: str) -> list[Issued]:
        with self._look():
            return self._issued("claim = ? ORDER BY begins", claim)

    def revoked(self) -> list[Issued]:
        """Also those that have expired since: a list that only grows hides no mistake."""
        with self._look():
            return self._issued("revoked IS NOT NULL ORDER BY revoked, serial")

    # -- inside ------------------------------------------------------------------------------------

    def _one(self, claim: str) -> Asked:
        found = self._asked("claim = ?", claim)
        if not found:
            raise ClosedError(f"claim {claim} is not known")
        return found[0]

    def _asked(self, where: str, *values: object) -> list[Asked]:
        rows = self._db.execute(f"SELECT * FROM asked WHERE {where}", values)
        return [_to_asked(*row) for row in rows.fetchall()]

    def _issued(self, where: str, *values: object) -> list[Issued]:
        rows = self._db.execute(f"SELECT * FROM issued WHERE {where}", values)
        return [_to_issued(*row) for row in rows.fetchall()]

    def _revoke(self, which: Sequence[Issued], reason: str, now: datetime) -> None:
        sql = "UPDATE issued SET revoked = ?, reason = ? WHERE serial = ?"
        self._db.executemany(sql, [(to_text(now), reason, f"{each.serial:x}") for each in which])

    def _decide(self, claim: str, state: State, now: datetime) -> None:
        sql = "UPDATE asked SET state = ?, decided = ? WHERE claim = ?"
        self._db.execute(sql, (str(state), to_text(now), claim))

    def _prepare(self) -> None:
        (application,) = self._db.execute("PRAGMA application_id").fetchone()
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        (tables,) = self._db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if not tables and not application:
            self._db.executescript(
                f"BEGIN;{SCHEMA}PRAGMA application_id = {APPLICATION};"
                f"PRAGMA user_version = {VERSION};COMMIT;"
            )
        elif application != APPLICATION or version != VERSION:
            raise ConfigError(f"{self._path}: no store of an enrolment server, version {VERSION}")

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._look():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    @contextmanager
    def _look(self) -> Iterator[None]:
        with self._lock, self._told():
            yield

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


def _slots(count: int) -> str:
    return ", ".join("?" * count)


def _to_asked(*row: Any) -> Asked:
    *first, state, asked, address, decided = row
    when = None if decided is None else from_text(decided)
    return Asked._make((*first, State(state), from_text(asked), address, when))


def _to_issued(serial: str, *row: Any) -> Issued:
    *first, begins, ends, revoked, reason = row
    when = None if revoked is None else from_text(revoked)
    return Issued._make((int(serial, 16), *first, from_text(begins), from_text(ends), when, reason))
