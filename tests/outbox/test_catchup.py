"""Rows that go from memory back to the disk: in batches, each of one class."""

from edge.core import Draft, RecordKey, Stream
from edge.outbox import catchup
from edge.outbox.memoryoutbox import MemoryOutbox
from edge.outbox.rowformat import make_row, pack_body

CLASSES = (Stream.AIR, Stream.EVENT, Stream.RAW, Stream.EVENT, Stream.AIR, Stream.HEALTH)


def test_each_batch_is_of_one_class_the_highest_first() -> None:
    """What does not fit on the disk is of a lower class than what went before."""
    memory = MemoryOutbox(1 << 20)
    for number, stream in enumerate(CLASSES, 1):
        draft = Draft(stream, "a", number, number + 1, {"n": number})
        key = RecordKey(1 << 32, stream, number)
        memory.rows[number] = make_row(number, key, draft, 1, pack_body(draft))
    found = [[row.id for row in batch] for batch in catchup._batches(memory)]
    levels = [memory.rows[batch[0]].level for batch in found]
    assert found[0] == [2, 4]
    assert [1, 5] in found
    assert levels == sorted(set(levels), reverse=True), "one batch for each class"
