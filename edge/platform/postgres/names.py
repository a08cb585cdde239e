"""The numbers that stand in rows for sources and for the points of a device; each asked for once.

A gateway may send any name: beyond a limit it gets no more numbers, and its records have no rows
but in `record`.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import psycopg

REMEMBERED: Final = 200_000  # of each; some 60 MB
SOURCES_LIMIT: Final = 1_000  # of a gateway
LISTS_LIMIT: Final = 100  # of a source: each change of its points is another list

Key = TypeVar("Key", bound=Hashable)
Source = tuple[int, str]
"""Number of the branch, and name."""
PointList = tuple[int, tuple[str, ...]]
"""Number of the source, and the names of its points."""

FIND_SOURCES: Final = """
SELECT s.branch, s.source, s.id FROM source AS s
JOIN unnest(%s::int[], %s::text[]) AS n (branch, source) USING (branch, source)"""
COUNT_SOURCES: Final = "SELECT branch, count(*) FROM source WHERE branch = ANY (%s) GROUP BY 1"
NEW_SOURCES: Final = """
INSERT INTO source (branch, source) SELECT * FROM unnest(%s::int[], %s::text[]) ORDER BY 1, 2
ON CONFLICT DO NOTHING"""
FIND_LISTS: Final = """
SELECT l.source, l.digest, l.id FROM point_list AS l
JOIN unnest(%s::int[], %s::bytea[]) AS n (source, digest) USING (source, digest)"""
COUNT_LISTS: Final = "SELECT source, count(*) FROM point_list WHERE source = ANY (%s) GROUP BY 1"
NEW_LIST: Final = """
INSERT INTO point_list (source, digest, names) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"""


class Names:
    """Of one connection to the database; made anew after a transaction that failed."""

    def __init__(self) -> None:
        self._sources: OrderedDict[Source, int] = OrderedDict()
        self._lists: OrderedDict[PointList, int] = OrderedDict()

    def sources(self, db: psycopg.Connection, wanted: Iterable[Source]) -> dict[Source, int]:
        """Made where they are new. Left out is what is beyond the limit of its gateway."""
        asked = set(wanted)
        if missing := sorted(asked - self._sources.keys()):
            columns = [key[0] for key in missing], [key[1] for key in missing]
            self._find_sources(db, columns)
            missing = [key for key in missing if key not in self._sources]
            counts: dict[int, int] = dict(
                db.execute(COUNT_SOURCES, ([key[0] for key in missing],)).fetchall()
            )
            if missing := _within(missing, counts, SOURCES_LIMIT):
                columns = [key[0] for key in missing], [key[1] for key in missing]
                db.execute(NEW_SOURCES, columns)
                self._find_sources(db, columns)
        return {key: self._sources[key] for key in asked if key in self._sources}

    def point_lists(
        self, db: psycopg.Connection, wanted: Iterable[PointList]
    ) -> dict[PointList, int]:
        """The same of lists of points."""
        asked = set(wanted)
        if missing := sorted(asked - self._lists.keys()):
            self._find_lists(db, missing)
            missing = [key for key in missing if key not in self._lists]
            counts: dict[int, int] = dict(
                db.execute(COUNT_LISTS, ([key[0] for key in missing],)).fetchall()
            )
            if missing := _within(missing, counts, LISTS_LIMIT):
                rows = sorted((key[0], _digest(key[1]), list(key[1])) for key in missing)
                with db.cursor() as cursor:
                    cursor.executemany(NEW_LIST, rows)
                self._find_lists(db, missing)
        return {key: self._lists[key] for key in asked if key in self._lists}

    def _find_sources(self, db: psycopg.Connection, columns: Sequence[list[Any]]) -> None:
        rows = db.execute(FIND_SOURCES, columns).fetchall()
        remember(self._sources, {(branch, source): id_ for branch, source, id_ in rows})

    def _find_lists(self, db: psycopg.Connection, keys: Sequence[PointList]) -> None:
        digests = {(key[0], _digest(key[1])): key for key in keys}
        rows = db.execute(FIND_LISTS, ([key[0] for key in digests], [key[1] for key in digests]))
        remember(self._lists, {digests[source, digest]: id_ for source, digest, id_ in rows})


def _within(missing: list[Any], counts: dict[int, int], most: int) -> list[Any]:
    """Those for which their owner has room."""
    found = []
    for key in missing:
        counts[key[0]] = counts.get(key[0], 0) + 1
        if counts[key[0]] <= most:
            found.append(key)
    return found


def _digest(names: Sequence[str]) -> bytes:
    return hashlib.blake2b("\0".join(names).encode(), digest_size=12).digest()


def remember(known: OrderedDict[Key, int], found: Mapping[Key, int]) -> None:
    """The oldest make room."""
    known.update(found)
    while len(known) > REMEMBERED:
        known.popitem(last=False)
