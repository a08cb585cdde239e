"""Sums of lanes by the hour, changed in the transaction that changes their windows.

All are whole numbers, so they are the same in whatever order windows come and are taken away.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString

import psycopg

SUMS: Final = (
    "windows", "covered_ms", "counted_ms", "volume", "watched_ms", "occupied_ms", "speed_n",
    "speed_sum", "pace_n", "pace_sum", "queue_ms", "stopped",
)  # fmt: skip
LONGEST: Final = timedelta(days=2)  # beyond that a window's end says nothing of its hour

_COLUMNS: Final[LiteralString] = ", ".join(SUMS)
_ARRAYS: Final[LiteralString] = ", ".join(
    "%s::numeric[]" if name == "pace_sum" else "%s::int8[]" for name in SUMS
)
_ADDED: Final[LiteralString] = ", ".join(f"{name} = s.{name} + excluded.{name}" for name in SUMS)
ADD: Final[LiteralString] = f"""
INSERT INTO lane_sum AS s (source, hour, last, {_COLUMNS})
SELECT * FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[], {_ARRAYS}) ORDER BY 1, 2
ON CONFLICT (source, hour) DO UPDATE SET last = greatest(s.last, excluded.last), {_ADDED}"""


class LaneSums:
    """What a group changes of them."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, datetime], list[int]] = {}
        self._last: dict[tuple[int, datetime], datetime] = {}

    def add(
        self, source: int, start: datetime | None, end: datetime | None, own: Sequence[Any],
        sign: int = 1,
    ) -> None:  # fmt: skip
        """A window, or take it away again. `own` in the order of the columns of `lane`."""
        if start is None or end is None:
            return  # in no hour: nobody knows when it was
        place = source, start.replace(minute=0, second=0, microsecond=0)
        sums = self._found.setdefault(place, [0] * len(SUMS))
        for at, value in enumerate(summed(own)):
            sums[at] += sign * value
        end = place[1] + min(end - place[1], LONGEST)
        self._last[place] = max(end, self._last.get(place, end))

    def write(self, db: psycopg.Connection) -> None:
        """In order, so that two groups never wait for each other in a circle."""
        if not self._found:
            return
        places = sorted(self._found)
        columns = zip(*(self._found[place] for place in places), strict=True)
        db.execute(
            ADD,
            (
                [source for source, _ in places], [hour for _, hour in places],
                [self._last[place] for place in places], *map(list, columns),
            ),
        )  # fmt: skip


def summed(own: Sequence[Any]) -> tuple[int, ...]:
    """What one window adds, in the order of SUMS."""
    (
        pace_sum, covered, watched, volume, occupied, speed_n, speed_sum, _, _, _, _, queue,
        stopped, *_,
    ) = own  # fmt: skip
    return (
        1, covered, watched if volume is not None else 0, volume or 0,
        watched if occupied is not None else 0, occupied or 0,
        speed_n if speed_sum is not None else 0, speed_sum or 0, speed_n or 0, pace_sum or 0,
        queue or 0, stopped or 0,
    )  # fmt: skip
