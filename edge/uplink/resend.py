"""The command `resend`: rows that the platform misses go out again, if they are still here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from edge.core import Record
from edge.core.numbers import Range, decode_steps
from edge.uplink.sendqueue import Backlog, StoredRow
from edge.wire import Command, Receipt, WireError, parse_ranges

RESEND_LIMIT: Final = 10_000  # rows of one command
SEARCH_LIMIT: Final = (
    50  # through an epoch, which may be long; further ones are left to the next command
)
CLUSTER_GAP: Final = 500  # numbers between two ranges that one walk finds together


async def find_for_resend(
    backlog: Backlog, command: Command, beat: Callable[[], None] = lambda: None
) -> tuple[Mapping[str, Any], list[int]]:
    """What to answer, and which rows are to go out again. Raises WireError for a wrong command.

    `resent` counts rows; `gone` the numbers that no row here stands for: they were confirmed, or
    declared lost; `left` those that were not looked for: ask again.
    """
    rows: dict[int, None] = {}
    found = gone = left = walks = 0
    for wanted in parse_ranges(command.arguments.get("ranges"), "ranges"):
        for walk in cluster_ranges(wanted.ranges):
            asked = sum(last - first + 1 for first, last in walk)
            if walks == SEARCH_LIMIT or len(rows) >= RESEND_LIMIT:
                left += asked
                continue
            walks += 1
            beat()
            stored = await _find(backlog, wanted, walk[0][0], walk[-1][1], RESEND_LIMIT - len(rows))
            whole = len(stored) < RESEND_LIMIT - len(rows)
            here = {each.row: _within(each.record, walk) for each in stored}
            rows.update(dict.fromkeys(row for row, count in here.items() if count))
            found = sum(here.values())
            gone, left = (gone + asked - found, left) if whole else (gone, left + asked - found)
    answer = {"resent": len(rows), "gone": max(0, gone)}
    return answer | ({"left": left} if left > 0 else {}), list(rows)


def cluster_ranges(ranges: Sequence[Range]) -> list[list[Range]]:
    """Ranges without overlaps, in order, together with those that are near."""
    found: list[list[Range]] = []
    for first, last in sorted(ranges):
        before = found[-1][-1] if found else None
        if before is not None and first <= before[1] + 1:
            found[-1][-1] = before[0], max(last, before[1])
        elif before is not None and first - before[1] <= CLUSTER_GAP:
            found[-1].append((first, last))
        else:
            found.append([(first, last)])
    return found


async def _find(
    backlog: Backlog, wanted: Receipt, first: int, last: int, most: int
) -> Sequence[StoredRow]:
    try:
        return await backlog.find(wanted.epoch, wanted.stream, first, last, most)
    except OSError as error:
        raise WireError(f"the outbox cannot be read now: {error}") from error


def _within(record: Record, ranges: Sequence[Range]) -> int:
    """How many of these numbers a record stands for."""
    covers = record.body.get("covers")
    numbers = [record.key.seq] if covers is None else decode_steps(covers)
    return sum(first <= number <= last for number in numbers for first, last in ranges)
