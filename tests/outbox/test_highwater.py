"""The card hears how far the numbers have come: seldom, but at once when it matters."""

import os
from pathlib import Path

import pytest

from edge.outbox import highwater
from edge.outbox.epochs import PreviousStart
from edge.outbox.highwater import EVERY_NS, HIGHWATER_NAME, UNKNOWN, HighWaterFiles, HighWaterMark
from tests.kit.rolledback import RolledBackGateway, S

EPOCH = 5 << 32


def reported(folder: Path, owner: str = "") -> int | None:
    """What the card says to the next start."""
    found = HighWaterFiles(folder, None, owner).found
    return found[0].count if found else None


def test_the_card_hears_at_first_and_then_each_quarter_of_an_hour(tmp_path: Path) -> None:
    mark = HighWaterFiles(tmp_path, None)
    for now_ns, count, said in (
        (7, 1, 1), (8, 2, 1), (6 + EVERY_NS, 3, 1), (7 + EVERY_NS, 4, 4), (8 + EVERY_NS, 5, 4),
        (3, 6, 6),  # the clock has begun anew
        (4, 7, 6),
    ):  # fmt: skip
        mark.commit(HighWaterMark(EPOCH, count), now_ns, on_disk=True)
        assert reported(tmp_path) == said
    mark.write_at_end(HighWaterMark(EPOCH, 8))
    assert reported(tmp_path) == 8


def test_what_goes_on_in_memory_is_said_at_once_and_so_is_its_end(tmp_path: Path) -> None:
    """Else a power cut would leave a count that looks like the last word."""
    mark = HighWaterFiles(tmp_path, None)
    mark.commit(HighWaterMark(EPOCH, 1), 0, on_disk=True)
    mark.commit(HighWaterMark(EPOCH, 2), 1, on_disk=False)
    assert reported(tmp_path) == UNKNOWN
    mark.commit(HighWaterMark(EPOCH, 3), 2, on_disk=True)
    assert reported(tmp_path) == 3
    mark.commit(HighWaterMark(EPOCH, 4), 3, on_disk=True)
    assert reported(tmp_path) == 3, "and then seldom again"


def test_a_card_that_does_not_take_the_word_is_asked_again_with_the_next_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = HighWaterFiles(tmp_path, None)
    mark.commit(HighWaterMark(EPOCH, 1), 0, on_disk=True)

    def full(*_: object) -> int:
        raise OSError(28, "no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        mark.commit(HighWaterMark(EPOCH, 2), 1, on_disk=False)
    assert reported(tmp_path) == 1
    mark.commit(HighWaterMark(EPOCH, 2), 2, on_disk=False)
    assert reported(tmp_path) == UNKNOWN
    (tmp_path / HIGHWATER_NAME).unlink()
    mark.commit(HighWaterMark(EPOCH, 2), 3, on_disk=False)
    assert reported(tmp_path) is None, "it has heard it: no block more for each commit"


def test_the_run_directory_hears_of_each_and_is_believed_before_the_card(tmp_path: Path) -> None:
    card, run = tmp_path / "card", tmp_path / "run"
    card.mkdir()
    run.mkdir()
    mark = HighWaterFiles(card, run)
    for count in (1, 2, 3):
        mark.commit(HighWaterMark(EPOCH, count), count, on_disk=True)
    again = HighWaterFiles(card, run)
    assert (again.run, again.found) == (HighWaterMark(EPOCH, 3), [HighWaterMark(EPOCH, 3)])
    mark.write_at_end(
        HighWaterMark(EPOCH + (1 << 32), 9)
    )  # the card is of another start: both count
    assert HighWaterFiles(card, run).found == [
        HighWaterMark(EPOCH, 3),
        HighWaterMark(EPOCH + (1 << 32), 9),
    ]


def test_what_is_not_whole_or_not_ours_says_nothing(tmp_path: Path) -> None:
    HighWaterFiles(tmp_path, None, "site/gw").write_at_end(HighWaterMark(EPOCH, 3))
    assert (reported(tmp_path, "site/gw"), reported(tmp_path, "site/other")) == (3, None)
    path = tmp_path / HIGHWATER_NAME
    whole = path.read_bytes()
    for place in range(len(whole.rstrip())):
        path.write_bytes(whole[:place] + bytes((whole[place] ^ 1,)) + whole[place + 1 :])
        assert reported(tmp_path, "site/gw") in (None, 3)
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    HighWaterFiles(tmp_path, None, "site/gw").write_at_end(HighWaterMark(EPOCH, 4))
    assert not (tmp_path / "elsewhere").exists()


def test_a_mark_is_its_owners_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        HighWaterFiles(tmp_path, None).write_at_end(HighWaterMark(EPOCH, 3))
    finally:
        os.umask(old)
    assert (tmp_path / HIGHWATER_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("count", "former", "ahead"),
    [
        (0, None, False), (1, None, True), (3, PreviousStart(EPOCH, 1, {"air": 1, "event": 2}),
        False),
        (4, PreviousStart(EPOCH, 1, {"air": 1, "event": 2}), True), (1, PreviousStart(EPOCH - 1, 1,
        {}), True),
        (0, PreviousStart(EPOCH - 1, 1, {}), False), (9, PreviousStart(EPOCH + (1 << 32), 1, {}),
        False),
    ],
)  # fmt: skip
def test_a_database_that_knows_less_than_was_numbered_is_older(
    count: int, former: PreviousStart | None, ahead: bool
) -> None:
    assert HighWaterMark(EPOCH, count).ahead_of(former) is ahead


def test_the_card_hears_at_once_of_numbers_that_are_on_it_again(tmp_path: Path) -> None:
    """Not only a quarter of an hour later: until then it would say that nobody knows."""
    water = HighWaterFiles(tmp_path, None)
    reported = [(10, True), (11, False), (12, False), (13, True), (14, True)]
    heard = []
    for second, (count, on_disk) in enumerate(reported):
        water.commit(HighWaterMark(1 << 32, count), second * S, on_disk=on_disk)
        (found,) = HighWaterFiles(tmp_path, None).found
        heard.append(found.count)
    assert heard == [10, UNKNOWN, UNKNOWN, 13, 13]


def test_the_card_hears_of_it_at_a_start_and_each_quarter_of_an_hour(
    box: RolledBackGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Path] = []
    write = Path(f"{box.store / HIGHWATER_NAME}")
    real = highwater._write

    def counted(path: Path, block: bytes, *, durable: bool = False) -> bool:
        if durable:
            reported.append(path)
        return real(path, block, durable=durable)

    monkeypatch.setattr(highwater, "_write", counted)
    box.close_windows(60 * 24)
    assert reported == [write] * 24 * 4
    assert write.stat().st_size == 64


def test_marks_say_what_is_ahead() -> None:
    former = PreviousStart(5 << 32 | 7, 1, {"air": 10, "event": 2})
    assert not HighWaterMark(5 << 32 | 7, 12).ahead_of(former)
    assert HighWaterMark(5 << 32 | 7, 13).ahead_of(former)
    assert HighWaterMark(6 << 32 | 1, 1).ahead_of(former)
    assert HighWaterMark(5 << 32 | 8, 1).ahead_of(former), "another start with the same count"
    assert not HighWaterMark(4 << 32 | 1, 99).ahead_of(former)
    assert not HighWaterMark(6 << 32 | 1, 0).ahead_of(former)
    assert HighWaterMark(1 << 32, 1).ahead_of(None)
    assert HighWaterMark.parse(HighWaterMark(1 << 50, 3).packed()) == HighWaterMark(1 << 50, 3)
    assert HighWaterMark.parse(
        HighWaterMark(2, 3).packed("town/gw-1"), "town/gw-1"
    ) == HighWaterMark(2, 3)
    assert HighWaterMark.parse(HighWaterMark(2, 3).packed("town/gw-1"), "town/gw-2") is None


@pytest.mark.parametrize("harm", [b"", b"\0" * 64, b"1 2", b"\xff" * 64, b"9" * 5000])
def test_a_mark_that_is_none_is_not_believed(box: RolledBackGateway, harm: bytes) -> None:
    box.close_windows(3)
    box.kill()
    for folder in (box.store, box.run):
        (folder / HIGHWATER_NAME).write_bytes(harm)
    assert box.start() == "known"


def test_a_folder_in_the_place_of_a_mark_is_no_reason_to_stop(box: RolledBackGateway) -> None:
    box.kill()
    for folder in (box.store, box.run):
        (folder / HIGHWATER_NAME).unlink(missing_ok=True)
        (folder / HIGHWATER_NAME).mkdir()
    assert box.start() == "known"
    box.close_windows(2)
