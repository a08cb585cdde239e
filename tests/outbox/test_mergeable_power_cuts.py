"""The same on a card whose power goes at any write: what was handed over stays as it has gone.

The lives are those of `tests/crash`, with a sender that drains slowly: minutes merge behind it.
"""

import ctypes
import os
from pathlib import Path
from unittest import mock

import pytest

from edge.core import Record
from edge.outbox import Outbox
from edge.outbox.rowformat import INFINITE
from tests.crash.life import OutboxLife
from tests.crash.vfs import CardVfs, library
from tests.kit.promises import everything
from tests.long import more, size
from tests.outbox.test_downsample import covered

LIVES = int(os.environ.get("HANDED_LIVES") or size(1, 3))
DEATHS = 5


class BackloggedLife(OutboxLife):
    """Links are up for long, and of the backlog a few rows go at each commit."""

    def __init__(self, sqlite: ctypes.CDLL, root: Path, seed: int) -> None:
        super().__init__(sqlite, root, seed)
        self.handed: dict[tuple[int, str, int], Record] = {}
        self._up = False

    def _begin(self, outbox: Outbox) -> bool:
        self._up, self._taken, self._after = False, 0, 0
        self._busy = 0.3
        begun = super()._begin(outbox)
        if begun:
            self._compare(outbox)
        return begun

    def _confirm(self, outbox: Outbox) -> None:
        if not self._up:
            outbox.linked(INFINITE)
            self._up, self._after = True, 0
        elif self.rng.random() < 0.1:
            outbox.unlinked(self._taken)
            self._up = False
            return
        rows = outbox.take(self._after, self.rng.randrange(1, 20))
        if self.card.dead or not rows:
            return  # the process is dead, too
        self._after = rows[-1].row
        self._taken = max(self._taken, self._after)
        for stored in rows:
            key = stored.record.key
            self.handed[key.epoch, str(key.stream), key.seq] = stored.record
        self._compare(outbox)

    def _compare(self, outbox: Outbox) -> None:
        for stored in everything(outbox):
            key = stored.record.key
            for number in covered(stored):
                reported = self.handed.get((key.epoch, str(key.stream), number))
                if reported is not None and reported != stored.record:
                    self._say([f"{number} of {key.stream} has gone, and is in {key} now"])


@pytest.fixture
def sqlite(tmp_path: Path) -> ctypes.CDLL:
    found = library()
    if found is None or not CardVfs.reaches(found, tmp_path):
        pytest.skip("this Python's sqlite3 has SQLite linked in: nothing can be put below it")
    return found


@more
def test_no_cut_changes_a_row_that_was_handed_over(tmp_path: Path, sqlite: ctypes.CDLL) -> None:
    merged = handed = 0
    with mock.patch("edge.outbox.mergeable.STRIDE", 20):
        for seed in range(LIVES):
            home = tmp_path / str(seed)
            home.mkdir()
            life = BackloggedLife(sqlite, home, seed)
            tally = life.live(DEATHS)
            assert not tally.wrong
            merged += tally.merged
            handed += len(life.handed)
    assert min(handed, merged) > 50 * LIVES, "the lives are those that they should be"
