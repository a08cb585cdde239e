"""The command `resend`: rows that the platform misses go out again, if they are still here."""

from collections.abc import Mapping
from typing import Any, Final

from edge.core import Record
from edge.core.numbers import stepped
from edge.uplink.pages import Backlog
from edge.uplink.wire import Command, parse_ranges

MOST: Final = 10_000  # rows of one command


async def resend(backlog: Backlog, command: Command) -> tuple[Mapping[str, Any], list[int]]:
    """What to answer, and which rows are to go out again. Raises WireError for a wrong command.

    `again` counts rows, `gone` the numbers that no row here stands for: they were confirmed, or
    declared lost.
    """
    rows: dict[int, None] = {}
    asked = found = 0
    for wanted in parse_ranges(command.arguments.get("ranges"), "ranges"):
        for first, last in wanted.ranges:
            asked += last - first + 1
            left = MOST - len(rows)
            if left <= 0:
                break
            stored = await backlog.find(wanted.epoch, wanted.stream, first, last, left)
            found += sum(_within(each.record, first, last) for each in stored)
            rows.update(dict.fromkeys(each.row for each in stored))
    return {"again": len(rows), "gone": asked - found}, list(rows)


def _within(record: Record, first: int, last: int) -> int:
    """How many of these numbers a record stands for."""
    covers = record.body.get("covers")
    numbers = [record.key.seq] if covers is None else stepped(covers)
    return sum(first <= number <= last for number in numbers)
