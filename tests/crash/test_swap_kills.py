"""SIGKILL at each system call of a swap, and power cuts: a restore is all or nothing, and a repeat
ends it.

`CRASH_KILLS=all` takes every boundary; without it there is a handful. `CRASH_CUTS=300` for so many
power cuts.
"""

import contextlib
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.diagnose.backupfile import BackupFileError
from edge.diagnose.restoring import check_backup
from tests.crash.calls import watching
from tests.crash.card import PowerCutCard
from tests.crash.killing import STRACE, Stage
from tests.crash.scenes import ENDED
from tests.crash.swaps import (
    SITE,
    WhatIsThere,
    is_marked,
    places,
    prepared_swap,
    restore,
    what_is_there,
)
from tests.crash.test_kills import HANDFUL, WHOLE, fresh
from tests.kit.power import PowerCut

OWN = tuple(range(900, 904))
THEIRS = tuple(range(100, 112))
NOTHING = WhatIsThere(OWN, None, False, 1)
ALL = WhatIsThere(THEIRS, 4, True, 3)
CUTS = int(os.environ.get("CRASH_CUTS", "40"))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    if not Path(STRACE).exists():
        pytest.skip("strace is not installed: apt-get install strace")
    one = Stage()
    yield one
    one.close()


def boundaries(stage: Stage, name: str, folder: Path) -> list[tuple[str, int]]:
    calls = stage.count(name, folder)
    assert (folder / "far").read_bytes()[0] == ENDED
    found = [(call, n + 1) for call, count in sorted(calls.items()) for n in range(count)]
    return found if WHOLE else random.Random(name).sample(found, HANDFUL)


def test_a_restore_that_is_killed_is_all_or_nothing_and_a_repeat_ends_it(
    tmp_path: Path, stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    prepared_swap(made)
    chosen = boundaries(stage, "restore", fresh(tmp_path, made))
    done = 0
    for call, number in chosen:
        folder = fresh(tmp_path, made)
        assert stage.kill("restore", folder, call, number) != ENDED
        found = what_is_there(folder / "new")
        assert found in (NOTHING, ALL), f"killed at {call} {number}"
        done += found == ALL
        restore(folder)
        again = what_is_there(folder / "new")
        assert again.waiting == THEIRS
        assert again.told
        assert again.kept_aside == 4
        assert again.succeeds == 3, "the last start that numbered anything, of the old box"
        assert places(folder / "new").own_site_file.read_bytes() == SITE
        store = folder / "new" / "store"
        assert not [each.name for each in store.iterdir() if each.name.startswith("restore.")]
    with capsys.disabled():
        print(f"\nrestore: {len(chosen)} kills, {done} of them behind the rename that decides")


def test_a_backup_that_is_killed_leaves_no_file_that_is_taken_for_one(
    tmp_path: Path, stage: Stage
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    prepared_swap(made)
    (made / "swap.kerbstone").unlink()
    for call, number in boundaries(stage, "backup", fresh(tmp_path, made)):
        folder = fresh(tmp_path, made)
        assert stage.kill("backup", folder, call, number) != ENDED
        file = folder / "swap.kerbstone"
        if file.exists():
            assert is_marked(folder), "first the mark, then the file"
            with file.open("rb") as opened:
                try:
                    check_backup(opened, lambda name, done: None)
                except BackupFileError:
                    continue


def test_power_that_goes_during_a_restore_leaves_all_of_it_or_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcomes = {NOTHING: 0, ALL: 0}
    for seed in range(CUTS):
        rng = random.Random(seed)
        card = PowerCutCard(tmp_path / str(seed), rng)
        with watching(card):
            prepared_swap(card.folder)
            card.settle()
            card.arm(rng.randrange(1, 50))
            with contextlib.suppress(PowerCut):
                restore(card.folder)
            card.cut()
        card.close()
        shutil.rmtree(card.folder / "new" / "run")
        (card.folder / "new" / "run").mkdir()
        found = what_is_there(card.folder / "new")
        assert found in outcomes, f"seed {seed}"
        outcomes[found] += 1
    with capsys.disabled():
        print(f"\nrestore: {outcomes[NOTHING]} cuts before it, {outcomes[ALL]} behind")
    assert all(outcomes.values())
