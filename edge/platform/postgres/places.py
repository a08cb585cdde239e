"""The numbers that stand in rows for long names: of branches, gateways, and rows of the ledger.

They never change, so each is asked for once and then remembered.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import psycopg

from edge.platform.postgres.names import Names, remember

OPENED_AHEAD: Final = timedelta(hours=6)
BRANCHES_OF_GATEWAY: Final = 16  # a box moves to another site now and then
BRANCH_LOCK: Final = 7_234_017_283_807_667_304  # new ones are made by one group at a time
EPOCHS_A_DAY: Final = 1_000  # a gateway that starts anew more often has no more rows that day

LedgerKey = tuple[str, int, str]
"""Gateway, epoch and stream."""

AHEAD_WAIT: Final = "SET LOCAL lock_timeout = '100ms'"
FIND_BRANCHES: Final = "SELECT branch, id FROM branch WHERE branch = ANY (%s)"
COUNT_BRANCHES: Final = "SELECT gw, count(*) FROM branch WHERE gw = ANY (%s) GROUP BY gw"
NEW_BRANCHES: Final = "INSERT INTO branch (branch) SELECT * FROM unnest(%s::text[])"
NEW_GATEWAYS: Final = """
INSERT INTO gateway (gw, joined_epoch) SELECT * FROM unnest(%s::text[], %s::bigint[]) ORDER BY 1
ON CONFLICT DO NOTHING"""
WANTED: Final = """
SELECT n.gw, n.epoch, n.stream, g.id AS gateway
FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS n (gw, epoch, stream)
JOIN gateway AS g USING (gw)"""
NEW_LEDGER_ROWS: Final = f"""
INSERT INTO ledger (gateway, epoch, stream)
SELECT w.gateway, w.epoch, w.stream FROM ({WANTED}) AS w ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING"""
LEDGER_IDS: Final = f"""
SELECT w.gw, w.epoch, w.stream, l.id FROM ({WANTED}) AS w
JOIN ledger AS l ON (l.gateway, l.epoch, l.stream) = (w.gateway, w.epoch, w.stream)"""
KNOWN_EPOCHS: Final = f"""
SELECT DISTINCT w.gw, w.epoch FROM ({WANTED}) AS w
JOIN ledger AS l ON (l.gateway, l.epoch) = (w.gateway, w.epoch)"""
EPOCHS_TODAY: Final = """
SELECT g.gw, count(DISTINCT l.epoch) FROM gateway AS g JOIN ledger AS l ON l.gateway = g.id
WHERE g.gw = ANY (%s) AND l.opened > now() - interval '1 day' GROUP BY g.gw"""


class Places:
    """Of one connection to the database; made anew after a transaction that failed."""

    def __init__(self) -> None:
        self._branches: OrderedDict[str, int] = OrderedDict()
        self._ledger: OrderedDict[LedgerKey, int] = OrderedDict()
        self._days: set[str] = set()
        self.names = Names()

    def open_days(self, connection: psycopg.Connection, days: Iterable[str]) -> None:
        """There is a partition for each of these UTC days (2026-11-26) afterwards."""
        for day in set(days) - self._days:
            connection.execute("SELECT open_day(%s)", (day,))
            self._days.add(day)

    def open_ahead(self, connection: psycopg.Connection, received: str) -> None:
        """Of the day that begins in a few hours, so that at midnight nobody waits for anybody.

        In a transaction of its own. When it would have to wait, the next group tries again.
        """
        day = (datetime.fromisoformat(received) + OPENED_AHEAD).date().isoformat()
        if day in self._days:
            return
        try:
            with connection.transaction():
                connection.execute(AHEAD_WAIT)
                connection.execute("SELECT open_day(%s)", (day,))
        except psycopg.errors.LockNotAvailable:
            return
        self._days.add(day)

    def branches(self, connection: psycopg.Connection, names: Collection[str]) -> dict[str, int]:
        """The numbers of these beginnings of topics, made where they are new. Left out is what is
        beyond the bound of its gateway."""
        found = {name: self._branches[name] for name in names if name in self._branches}
        if missing := set(names) - found.keys():
            found |= self._find_branches(connection, missing)
            missing -= found.keys()
            if missing and self._with_room(connection, missing):
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (BRANCH_LOCK,))
                found |= self._find_branches(connection, missing)
                if made := self._with_room(connection, missing - found.keys()):
                    connection.execute(NEW_BRANCHES, (made,))
                    found |= self._find_branches(connection, made)
        return found

    def _find_branches(
        self, connection: psycopg.Connection, names: Collection[str]
    ) -> dict[str, int]:
        found: dict[str, int] = dict(connection.execute(FIND_BRANCHES, (list(names),)).fetchall())
        remember(self._branches, found)
        return found

    def _with_room(self, connection: psycopg.Connection, names: Collection[str]) -> list[str]:
        """Those of these new ones that their gateways may have."""
        gateways: dict[str, list[str]] = {}
        for name in sorted(names):
            gateways.setdefault(name.rpartition("/")[2], []).append(name)
        counts: dict[str, int] = dict(
            connection.execute(COUNT_BRANCHES, (list(gateways),)).fetchall()
        )
        return [
            name
            for gw, wanted in gateways.items()
            for name in wanted[: max(0, BRANCHES_OF_GATEWAY - counts.get(gw, 0))]
        ]

    def ledger_rows(
        self, connection: psycopg.Connection, keys: Iterable[LedgerKey]
    ) -> dict[LedgerKey, int]:
        """The same of rows of the ledger. Left out are new epochs of gateways that have had too
        many of them today."""
        wanted = dict.fromkeys(keys)  # in order: a gateway joins in the epoch that came first
        if missing := [key for key in wanted if key not in self._ledger]:
            self._find(connection, missing)
            if missing := [key for key in missing if key not in self._ledger]:
                self._make(connection, missing)
        return {key: self._ledger[key] for key in wanted if key in self._ledger}

    def _find(self, connection: psycopg.Connection, keys: Sequence[LedgerKey]) -> None:
        rows = connection.execute(LEDGER_IDS, _columns(keys)).fetchall()
        remember(self._ledger, {(gw, epoch, stream): id_ for gw, epoch, stream, id_ in rows})

    def _make(self, connection: psycopg.Connection, keys: Sequence[LedgerKey]) -> None:
        joined: dict[str, int] = {}
        for gw, epoch, _ in keys:
            joined.setdefault(gw, epoch)
        connection.execute(NEW_GATEWAYS, (list(joined), list(joined.values())))
        today: dict[str, int] = dict(connection.execute(EPOCHS_TODAY, (list(joined),)).fetchall())
        allowed = set(connection.execute(KNOWN_EPOCHS, _columns(keys)).fetchall())
        for gw, epoch, _ in keys:
            if (gw, epoch) not in allowed and today.get(gw, 0) < EPOCHS_A_DAY:
                today[gw] = today.get(gw, 0) + 1
                allowed.add((gw, epoch))
        keys = [key for key in keys if key[:2] in allowed]
        connection.execute(NEW_LEDGER_ROWS, _columns(keys))
        self._find(connection, keys)


def _columns(keys: Sequence[LedgerKey]) -> tuple[list[Any], list[Any], list[Any]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]
