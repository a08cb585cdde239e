"""What the cuts and the kills have found, as small as it gets."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest

from edge.acquire.stage import PREFIX, find_segments
from edge.core import Stream
from edge.outbox import Outbox
from edge.outbox import deliveryjournal as journals
from edge.outbox.deliveryjournal import DeliveryJournal, RecoveredJournal
from edge.outbox.quarantine import QUARANTINE
from tests.crash.scenes import drafts, mark, opened
from tests.kit.power import PowerCut
from tests.kit.promises import everything


@pytest.fixture
def dying() -> Iterator[list[Outbox]]:
    """Outboxes whose process dies: what they hold open is closed, and nothing else is done."""
    outboxes: list[Outbox] = []
    yield outboxes
    for outbox in outboxes:
        if outbox._storage.disk is not None:
            outbox._storage.disk.close()
        outbox.journal.close()


def test_a_first_start_that_ends_behind_its_epoch_file_has_lost_nothing(
    tmp_path: Path, dying: list[Outbox]
) -> None:
    dying.append(opened(tmp_path))
    with (
        mock.patch("edge.outbox.outbox.write_epoch", side_effect=PowerCut),
        pytest.raises(PowerCut),
    ):
        dying[0].begin()
    dying[0]._storage.disk.close()  # type: ignore[union-attr]
    outbox = opened(tmp_path)
    assert outbox.opened.damage is None
    outbox.close()


def test_what_the_journal_knows_to_be_confirmed_is_no_row_that_was_sent(tmp_path: Path) -> None:
    journal = DeliveryJournal(tmp_path, "site/gw")
    journal.continue_from(RecoveredJournal(token=1))
    journal.sent([3, 4])
    journal.confirmed([4])
    journal.close()
    left = journals.recover_journal(tmp_path, "site/gw")
    assert left == RecoveredJournal(token=1, sent=frozenset({3}), confirmed=frozenset({4}))


def test_a_confirmed_row_is_not_declared_lost_by_the_commit_that_lets_it_go(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    at = 0
    while outbox.counts().dropped == 0:
        outbox.commit(drafts(10, at, Stream.RAW, size=900), clock=mark(1000 + at))
        at += 10
    before = sum(drop.count or 0 for drop in outbox._losses.pending.values())
    rows = [stored.row for stored in everything(outbox)]
    made = outbox.commit(drafts(40, at, Stream.RAW, size=900), {}, rows, mark(2000 + at))
    declared = [s.record.body["count"] for s in made if s.record.body.get("event") == "drop"]
    assert sum(declared) == before, "all rows had arrived"
    outbox.close()


def test_a_folder_in_which_nothing_was_put_aside_is_no_quarantined_database(
    tmp_path: Path,
) -> None:
    """The process was killed between making the place and moving the database there."""
    opened(tmp_path).close()
    store = tmp_path / "store"
    (store / QUARANTINE / "000001").mkdir(parents=True)
    (store / "outbox.db").write_bytes(b"?" * 4096)
    outbox = opened(tmp_path)
    assert outbox.opened.quarantined is not None
    outbox.begin()
    assert outbox.counts().quarantined == 1
    outbox.close()


def test_a_stage_of_zeros_holds_no_entry(tmp_path: Path) -> None:
    """Eight zeros are the frame of an entry of no bytes with the right checksum."""
    (tmp_path / f"{PREFIX}00000001").write_bytes(bytes(4096))
    assert find_segments(tmp_path, "b1") == []
