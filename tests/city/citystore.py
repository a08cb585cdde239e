"""What a database has stored, counted by its records, beside what the fleets have sent."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import psycopg

from edge.core.numbers import Range, count_in_ranges, ranges_without
from edge.platform.postgres.ranges import ranges_in
from tests.kit.platform import COMMAND, ROOT

StreamKey = tuple[str, int, str]
"""Gateway, epoch and stream."""

STORED: Final = """
SELECT g.gw, l.epoch, l.stream, count(*), range_agg(int8range(r.seq, r.seq, '[]'))::text
FROM kerbstone.record AS r JOIN kerbstone.ledger AS l ON l.id = r.ledger
JOIN kerbstone.gateway AS g ON g.id = l.gateway GROUP BY 1, 2, 3"""
ASIDE: Final = """
SELECT (SELECT count(*) FROM kerbstone.conflict), (SELECT count(*) FROM kerbstone.refused)"""


def stored_rows(url: str) -> int:
    """So far."""
    with psycopg.connect(url) as db:
        found = db.execute("SELECT count(*) FROM kerbstone.record").fetchone()
    assert found is not None
    return int(found[0])


class SentNumbers(NamedTuple):
    sent: list[Range]
    acknowledged: list[Range]


def sent_numbers(ledgers: Iterable[Path]) -> dict[StreamKey, SentNumbers]:
    """Of all epochs of all fleets."""
    return {
        (line["gw"], line["epoch"], line["stream"]): SentNumbers(
            [(first, last) for first, last in line["sent"]],
            [(first, last) for first, last in line["acknowledged"]],
        )
        for path in ledgers
        for line in map(json.loads, path.read_text().splitlines())
    }


class StoredNumbers(NamedTuple):
    rows: int
    numbers: list[Range]


class CityStore:
    """Read once, when it is made."""

    def __init__(self, url: str) -> None:
        self._url = url
        with psycopg.connect(url) as db:
            self.found: dict[StreamKey, StoredNumbers] = {
                (gw, epoch, stream): StoredNumbers(rows, ranges_in(numbers))
                for gw, epoch, stream, rows, numbers in db.execute(STORED)
            }
            counted = db.execute(ASIDE).fetchone()
        assert counted is not None
        self.conflicts, self.refused = counted

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.found.values())

    @property
    def twice(self) -> int:
        """Rows beyond the first of a key."""
        return self.rows - sum(count_in_ranges(each.numbers) for each in self.found.values())

    def lost(self, sent: dict[StreamKey, SentNumbers]) -> dict[StreamKey, list[Range]]:
        """What the broker has acknowledged and nobody has stored."""
        found = {
            key: ranges_without(each.acknowledged, self._numbers(key)) for key, each in sent.items()
        }
        return {key: ranges for key, ranges in found.items() if ranges}

    def invented(self, sent: dict[StreamKey, SentNumbers]) -> dict[StreamKey, list[Range]]:
        """What is stored and was never sent."""
        nothing = SentNumbers([], [])
        found = {
            key: ranges_without(each.numbers, sent.get(key, nothing).sent)
            for key, each in self.found.items()
        }
        return {key: ranges for key, ranges in found.items() if ranges}

    def audited(self) -> dict[str, tuple[int, int]]:
        """Of each gateway, what `kerbstone audit --numbers` says: numbers and findings."""
        done = subprocess.run(
            [*COMMAND, "audit", "--numbers", "--json", "--store", self._url],
            capture_output=True, text=True, cwd=ROOT,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return {
            each["gw"]: (each["numbers"], each["findings"])
            for each in lines
            if "gw" in each and "numbers" in each
        }

    def by_gateway(self) -> dict[str, tuple[int, int]]:
        """The same, counted here: all numbers that are stored, and nothing found."""
        found: dict[str, int] = {}
        for (gw, _, _), each in self.found.items():
            found[gw] = found.get(gw, 0) + count_in_ranges(each.numbers)
        return {gw: (count, 0) for gw, count in found.items()}

    def _numbers(self, key: StreamKey) -> list[Range]:
        found = self.found.get(key)
        return found.numbers if found is not None else []
