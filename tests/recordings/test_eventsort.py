"""Events come out in order and once, however many files it takes."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.recordings import eventsort
from edge.recordings.eventsort import EventSort, LoggedEvent
from tests.long import examples

EVENTS = st.builds(
    LoggedEvent,
    st.integers(0, 3), st.integers(0, 2**48 - 1), st.integers(0, 2**16 - 1),
    st.integers(1, 2**16 - 1),
)  # fmt: skip


@given(st.lists(EVENTS, max_size=60), st.integers(1, 20), st.integers(2, 4))
@settings(max_examples=examples(200))
def test_all_events_come_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, some: list[LoggedEvent], run: int, merged: int
) -> None:
    folder = tmp_path_factory.mktemp("sort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eventsort, "RUNS_MERGED", merged)
        sort = EventSort(folder, run)
        for event in some:
            sort.take(event)
        for _ in range(2):
            assert list(sort.events()) == sorted(set(some))
            assert sort.doubled == len(some) - len(set(some))
        sort.close()
    assert list(folder.iterdir()) == []


def test_memory_holds_one_run(tmp_path: Path) -> None:
    sort = EventSort(tmp_path, 100)
    for i in range(1000):
        sort.take(LoggedEvent(0, 1000 - i, 1, 82))
        assert len(sort._open) < 100
    assert [event.t_ms for event in sort.events()] == list(range(1, 1001))
    sort.close()
    sort.close()
