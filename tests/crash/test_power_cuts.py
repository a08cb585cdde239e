"""The power goes at any moment: nothing acknowledged is lost, nothing doubled, every start works.

`CRASH_CUTS=300` for so many cuts. The world is in `card` and `vfs`; what is asked of the outbox
after each cut is in `model`. What the world does not do: it keeps names in the order in which they
were changed, as the journals of ext4 and f2fs do, and it gives no file system that is broken.
"""

import contextlib
import ctypes
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.crash.calls import watching
from tests.crash.card import PowerCutCard
from tests.crash.life import LifeTally, OutboxLife, lives
from tests.crash.scenes import REPLACED, before_it_is_replaced, replaced_well
from tests.crash.vfs import CardVfs, library
from tests.kit.power import PowerCut
from tests.long import more, one_in, size

CUTS = int(os.environ.get("CRASH_CUTS") or size(6, 12))
DEATHS = 6  # of one outbox


@pytest.fixture
def sqlite(tmp_path: Path) -> ctypes.CDLL:
    found = library()
    if found is None or not CardVfs.reaches(found, tmp_path):
        pytest.skip(
            "this Python's sqlite3 has SQLite linked in: no file system can be put below it"
        )
    return found


def counted(what: str, tally: LifeTally, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{what}: {tally}")
        print("\n".join(tally.wrong))


def live(
    sqlite: ctypes.CDLL,
    folder: Path,
    cuts: int,
    first: int,
    lie: float = 0.0,
    pragmas: Sequence[str] = (),
) -> LifeTally:
    """Lives with growing seeds until there were so many cuts."""
    total = LifeTally()
    while total.cuts < cuts:
        total.add(lives(sqlite, folder, [first], DEATHS, lie, pragmas))
        first += 1
    return total


@one_in(2)
@more
@pytest.mark.parametrize("pragma", ["secure_delete = ON", "secure_delete = OFF"])
def test_no_cut_loses_or_doubles_what_was_acknowledged_and_every_start_succeeds(
    tmp_path: Path, sqlite: ctypes.CDLL, pragma: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Debian builds SQLite with `secure_delete`, others do not: other pages are written, and at
    other moments."""
    tally = live(sqlite, tmp_path, CUTS, 0, pragmas=[pragma])
    counted(f"power cuts, {pragma}", tally, capsys)
    assert not tally.wrong
    assert (tally.lost, tally.twice, tally.failed, tally.quarantined) == (0, 0, 0, 0)
    assert tally.over == 0, "what is declared lost is lost, and declared once"
    assert tally.acknowledged > 50 * CUTS
    if CUTS >= 100:  # the lives are those that they should be
        assert tally.merged > 0
        assert tally.declared > 0
        assert tally.inside > CUTS // 20


@more
def test_a_card_that_lies_about_flushes_costs_rows_but_no_start_and_gives_no_wrong_value(
    tmp_path: Path, sqlite: ctypes.CDLL, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = live(sqlite, tmp_path, CUTS, 100_000, lie=0.05)
    counted("power cuts on a card that lies", tally, capsys)
    assert not tally.wrong
    assert tally.failed == 0
    if CUTS >= 300:
        assert tally.damaged >= tally.quarantined > 0, "the card has not lied enough"


def test_what_arrives_when_the_card_dies_in_a_checkpoint_is_not_lost(
    tmp_path: Path, sqlite: ctypes.CDLL
) -> None:
    """That was what the cuts lost with `secure_delete = OFF`: the judge forgot what the journal in
    tmpfs knew, when the cut came in the checkpoint that follows a commit. SQLite does not tell
    that one, so rows were handed over and confirmed after it."""
    reached = 0
    for after in range(1, 16):
        life = OutboxLife(sqlite, tmp_path / str(after), 1)
        reached += life.linked_while_it_dies(after)
        assert not life.tally.wrong, f"after {after}"
        assert life.tally.lost == 0
    assert reached > 0, "no cut was in the checkpoint"


def test_a_card_that_keeps_nothing_is_noticed(tmp_path: Path, sqlite: ctypes.CDLL) -> None:
    """What the others assert can fail."""
    life = OutboxLife(sqlite, tmp_path, 1, lie=1.0)
    life.lies = False  # nobody is told
    tally = life.live(DEATHS)
    assert tally.lost > 0
    assert any("former" in each for each in tally.wrong)


@more
@pytest.mark.parametrize("name", REPLACED)
def test_a_cut_leaves_a_file_that_is_replaced_as_the_old_one_or_the_new_one(
    tmp_path: Path, name: str
) -> None:
    for seed in range(size(20, 60)):
        rng = random.Random(seed)
        card = PowerCutCard(tmp_path / str(seed), rng)
        with watching(card):
            before_it_is_replaced(card.folder)
            card.settle()
            card.arm(rng.randrange(1, 60 if name.startswith("configuration") else 12))
            with contextlib.suppress(PowerCut):
                REPLACED[name](card.folder)
            card.cut()
        card.close()
        assert replaced_well(name, card.folder) == [], f"seed {seed}"
