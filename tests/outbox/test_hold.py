"""The file of the outbox is copied while the gateway goes on: it stays as it is, and is whole."""

import shutil
from pathlib import Path

import pytest

from edge.core import Draft, Stream
from edge.outbox import Outbox
from edge.outbox.database import DATABASE_NAME, HELD_WAL_BYTES
from edge.outbox.outboxglance import glance
from edge.process.merge import merge_bodies

S = 1_000_000_000


def opened(folder: Path) -> Outbox:
    return Outbox.open(
        folder / "store", limit_bytes=64 << 20, boot_id="b1", ballast_bytes=0, owner="town/gw-1",
        merge=merge_bodies,
    )  # fmt: skip


def drafts(first: int, count: int, size: int = 300) -> list[Draft]:
    return [
        Draft(Stream.RAW, "hut", n * S, (n + 1) * S, {"n": n, "x": bytes([n % 251]) * size})
        for n in range(first, first + count)
    ]


def test_a_copy_has_all_that_was_committed_before_and_nothing_of_later(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(0, 40))
    size = outbox.hold()
    assert size is not None
    file = tmp_path / "store" / DATABASE_NAME
    before = file.read_bytes()
    assert len(before) == size
    for n in range(30):
        outbox.commit(drafts(100 + 10 * n, 10, 3000))  # far more than a checkpoint waits for
    assert file.read_bytes() == before
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copyfile(file, copy / DATABASE_NAME)
    seen = glance(copy, check=True)
    assert (seen.owner, seen.rows, seen.damage) == ("town/gw-1", 40, None)
    assert outbox.let_go()
    outbox.commit(drafts(5000, 10))
    assert not outbox.let_go(), "it was not held any more"
    outbox.close()
    assert glance(tmp_path / "store", check=True).rows == 350
    assert file.read_bytes() != before


def test_who_copies_too_slowly_hears_of_it_and_the_log_stays_bounded(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(0, 40))
    assert outbox.hold() is not None
    log, largest = tmp_path / "store" / f"{DATABASE_NAME}-wal", 0
    for n in range(60):
        outbox.commit(drafts(100 + 100 * n, 100, 6000))
        largest = max(largest, log.stat().st_size)
    assert HELD_WAL_BYTES // 2 < largest < HELD_WAL_BYTES + (4 << 20)
    assert not outbox.let_go()
    outbox.close()


def test_what_lies_in_a_copy_merges_no_more(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(0, 5))
    assert outbox._handover.ranges.spans[0][0] <= outbox._numbers.row
    outbox.hold()
    assert outbox._handover.ranges.spans[0][0] > outbox._numbers.row
    word = outbox._storage.ask(lambda disk: str(disk.meta("unsent", "")), "")
    assert word == outbox._handover.ranges.text, "and the disk knows it"
    outbox.linked(0)
    outbox.commit(drafts(10, 5))
    copied = outbox._numbers.row
    outbox.hold()
    outbox.unlinked(0)
    assert outbox._handover.ranges.spans[0][0] > copied
    outbox.close()


@pytest.mark.parametrize("copied", [False, True])
def test_rows_of_a_box_whose_card_may_still_send_them_never_merge(
    tmp_path: Path, copied: bool
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(0, 5))
    row = outbox._numbers.row
    outbox.close()
    again = Outbox.open(
        tmp_path / "store", limit_bytes=64 << 20, boot_id="b2", ballast_bytes=0,
        owner="town/gw-1", merge=merge_bodies, copied=copied,
    )  # fmt: skip
    again.begin()
    assert (again._handover.ranges.spans[0][0] > row) is copied
    again.close()
