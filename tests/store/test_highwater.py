"""The card hears how far the numbers have come: seldom, but at once when it matters."""

import os
from pathlib import Path

import pytest

from edge.store.highwater import EVERY_NS, NAME, UNKNOWN, HighWater, Reached
from edge.store.rows import Former

EPOCH = 5 << 32


def told(folder: Path, owner: str = "") -> int | None:
    """What the card says to the next start."""
    found = HighWater(folder, None, owner).found
    return found[0].count if found else None


def test_the_card_hears_at_first_and_then_each_quarter_of_an_hour(tmp_path: Path) -> None:
    mark = HighWater(tmp_path, None)
    for now_ns, count, said in (
        (7, 1, 1), (8, 2, 1), (6 + EVERY_NS, 3, 1), (7 + EVERY_NS, 4, 4), (8 + EVERY_NS, 5, 4),
        (3, 6, 6),  # the clock has begun anew
        (4, 7, 6),
    ):  # fmt: skip
        mark.commit(Reached(EPOCH, count), now_ns, on_disk=True)
        assert told(tmp_path) == said
    mark.goodbye(Reached(EPOCH, 8))
    assert told(tmp_path) == 8


def test_what_goes_on_in_memory_is_said_at_once_and_so_is_its_end(tmp_path: Path) -> None:
    """Else a power cut would leave a count that looks like the last word."""
    mark = HighWater(tmp_path, None)
    mark.commit(Reached(EPOCH, 1), 0, on_disk=True)
    mark.commit(Reached(EPOCH, 2), 1, on_disk=False)
    assert told(tmp_path) == UNKNOWN
    mark.commit(Reached(EPOCH, 3), 2, on_disk=True)
    assert told(tmp_path) == 3
    mark.commit(Reached(EPOCH, 4), 3, on_disk=True)
    assert told(tmp_path) == 3, "and then seldom again"


def test_a_card_that_does_not_take_the_word_is_asked_again_with_the_next_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = HighWater(tmp_path, None)
    mark.commit(Reached(EPOCH, 1), 0, on_disk=True)

    def full(*_: object) -> int:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        mark.commit(Reached(EPOCH, 2), 1, on_disk=False)
    assert told(tmp_path) == 1
    mark.commit(Reached(EPOCH, 2), 2, on_disk=False)
    assert told(tmp_path) == UNKNOWN
    (tmp_path / NAME).unlink()
    mark.commit(Reached(EPOCH, 2), 3, on_disk=False)
    assert told(tmp_path) is None, "it has heard it: no block more for each commit"


def test_the_run_directory_hears_of_each_and_is_believed_before_the_card(tmp_path: Path) -> None:
    card, run = tmp_path / "card", tmp_path / "run"
    card.mkdir()
    run.mkdir()
    mark = HighWater(card, run)
    for count in (1, 2, 3):
        mark.commit(Reached(EPOCH, count), count, on_disk=True)
    again = HighWater(card, run)
    assert (again.run, again.found) == (Reached(EPOCH, 3), [Reached(EPOCH, 3)])
    mark.goodbye(Reached(EPOCH + (1 << 32), 9))  # the card is of another start: both count
    assert HighWater(card, run).found == [Reached(EPOCH, 3), Reached(EPOCH + (1 << 32), 9)]


def test_what_is_not_whole_or_not_ours_says_nothing(tmp_path: Path) -> None:
    HighWater(tmp_path, None, "site/gw").goodbye(Reached(EPOCH, 3))
    assert (told(tmp_path, "site/gw"), told(tmp_path, "site/other")) == (3, None)
    path = tmp_path / NAME
    whole = path.read_bytes()
    for place in range(len(whole.rstrip())):
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
        assert told(tmp_path, "site/gw") in (None, 3)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    HighWater(tmp_path, None, "site/gw").goodbye(Reached(EPOCH, 4))
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("count", "former", "ahead"),
    [
        (0, None, False), (1, None, True), (3, Former(EPOCH, 1, {"air": 1, "event": 2}), False),
        (4, Former(EPOCH, 1, {"air": 1, "event": 2}), True), (1, Former(EPOCH - 1, 1, {}), True),
        (0, Former(EPOCH - 1, 1, {}), False), (9, Former(EPOCH + (1 << 32), 1, {}), False),
    ],
)  # fmt: skip
def test_a_database_that_knows_less_than_was_numbered_is_older(
    count: int, former: Former | None, ahead: bool
) -> None:
    assert Reached(EPOCH, count).ahead_of(former) is ahead
