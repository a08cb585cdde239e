"""What the platform misses: looked for in few walks, and never called gone when it is there."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core import Record, RecordKey, Stream
from edge.outbox import StoredRecord
from edge.uplink import resend as module
from edge.uplink.resend import cluster_ranges, find_for_resend
from edge.wire import Command, WireError


class NumberedRows:
    """Holds these numbers of stream air, and counts how often it is looked through."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers, self.walks = numbers, 0

    async def find(
        self, epoch: int, stream: str, first: int, last: int, limit: int
    ) -> list[StoredRecord]:
        self.walks += 1
        if epoch == 666:
            raise OSError(5, "the disk does not work")
        return [
            StoredRecord(n, Record(RecordKey(epoch, Stream.AIR, n), "hut", 1, 0, 1, {}))
            for n in self.numbers
            if first <= n <= last and stream == "air"
        ][:limit]


async def ask(store: Any, ranges: list[list[int]], epoch: int = 5) -> tuple[dict[str, int], Any]:
    wanted = [{"epoch": epoch, "stream": "air", "ranges": ranges}]
    answer, rows = await find_for_resend(store, Command("resend", 5, "x", {"ranges": wanted}))
    return dict(answer), rows


@given(st.lists(st.tuples(st.integers(1, 3000), st.integers(0, 40)), min_size=1, max_size=30))
def test_clusters_hold_the_same_numbers_in_order(pairs: list[tuple[int, int]]) -> None:
    ranges = [(first, first + more) for first, more in pairs]
    truth = {n for first, last in ranges for n in range(first, last + 1)}
    flat = [each for cluster in cluster_ranges(ranges) for each in cluster]
    assert [n for first, last in flat for n in range(first, last + 1)] == sorted(truth)


async def test_near_ranges_are_one_walk() -> None:
    store = NumberedRows(range(1, 100))
    answer, rows = await ask(store, [[n, n] for n in range(1, 99, 2)])
    assert answer == {"resent": 49, "gone": 0}
    assert rows == list(range(1, 99, 2))
    assert store.walks == 1


async def test_what_is_not_here_is_gone() -> None:
    answer, rows = await ask(NumberedRows([2, 3]), [[1, 4]])
    assert (answer, rows) == ({"resent": 2, "gone": 2}, [2, 3])


async def test_what_was_not_looked_for_is_not_called_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESEND_LIMIT", 10)
    answer, rows = await ask(NumberedRows(range(1, 31)), [[1, 30]])
    assert (answer, len(rows)) == ({"resent": 10, "gone": 0, "left": 20}, 10)
    answer, _ = await ask(NumberedRows([*range(1, 7), *range(2001, 2011)]), [[1, 6], [2001, 2010]])
    assert answer == {"resent": 10, "gone": 0, "left": 6}
    monkeypatch.setattr(module, "SEARCH_LIMIT", 2)
    answer, _ = await ask(NumberedRows([1]), [[1, 1], [2000, 2000], [4000, 4001]])
    assert answer == {"resent": 1, "gone": 1, "left": 2}


async def test_a_disk_that_does_not_work_is_an_answer() -> None:
    with pytest.raises(WireError, match="the outbox cannot be read now"):
        await ask(NumberedRows([]), [[1, 1]], epoch=666)


async def test_wrong_ranges_are_refused() -> None:
    command = Command("resend", 5, "x", json.loads('{"ranges": 5}'))
    with pytest.raises(WireError):
        await find_for_resend(NumberedRows([]), command)  # type: ignore[arg-type]
