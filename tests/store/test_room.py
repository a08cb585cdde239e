"""Room is made when there is too little, and not before."""

from pathlib import Path

from edge.core import Stream
from edge.store.room import make_room
from edge.store.rows import CLASSES
from tests.store.test_outbox import LIMIT, drafts, everything, opened


def test_room_that_is_just_enough_is_enough_and_one_byte_less_costs_the_oldest(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    rows = outbox.commit([*drafts(300, size=400), *drafts(3, Stream.EVENT)])
    disk = outbox._disk
    assert disk is not None
    highest = CLASSES[Stream.EVENT]
    for more, left in ((0, rows), (1, None)):
        need = disk.room() + more
        assert make_room(disk, need, highest, LIMIT, outbox._lose, lambda: False)
        if left is not None:
            assert everything(outbox) == left
    found = everything(outbox)
    lost = len(rows) - len(found)
    assert 0 < lost < 300
    assert found == rows[lost:], "those of the lowest class, and of these the oldest"
    outbox.close()
