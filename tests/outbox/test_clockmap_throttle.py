"""Which marks of the clock are worth a page of the card, and what a power cut takes of them."""

import shutil
from pathlib import Path

import pytest

from edge.core import Stamp, TimeQuality
from edge.core.walltime import SAME_NS
from edge.outbox.clockmap import MARK_NS, STEP_NS
from tests.kit.clock import NTP, NTS, RTC
from tests.kit.outbox import drafts, opened

S = 1_000_000_000
WALL = 1_790_000_000 * S


def mark(second: int, tq: TimeQuality = NTP, off_ns: int = 0) -> Stamp:
    return Stamp(second * S, WALL + second * S + off_ns, tq)


def after_a_power_cut(tmp_path: Path, given: list[Stamp]) -> list[Stamp]:
    """What is known of a boot that committed these, and never said goodbye."""
    outbox = opened(tmp_path / "box", boot="b1")
    number = outbox.begin().boot
    for each in given:
        outbox.commit(drafts(1), clock=each)
    shutil.copytree(tmp_path / "box", tmp_path / "later")
    outbox.close()
    later = opened(tmp_path / "later", boot="b2")
    later.begin()
    found = later.marks(number)
    later.close()
    return found


def test_a_power_cut_takes_at_most_five_minutes_of_the_last_mark(tmp_path: Path) -> None:
    minutes = [mark(60 * n) for n in range(1, 61)]
    first, *_, last = sorted(after_a_power_cut(tmp_path, minutes))
    assert first == minutes[0]
    assert last in minutes
    assert minutes[-1].mono_ns - last.mono_ns < MARK_NS


@pytest.mark.parametrize(
    "news",
    [
        mark(61, NTS),
        mark(61, RTC),
        mark(61, off_ns=SAME_NS + 1),
        mark(61, off_ns=-STEP_NS),
    ],
    ids=["better", "worse", "set a little", "set"],
)
def test_what_is_new_about_the_clock_is_written_at_once(tmp_path: Path, news: Stamp) -> None:
    assert news in after_a_power_cut(tmp_path, [mark(60), news])


def test_a_mark_without_news_waits(tmp_path: Path) -> None:
    assert after_a_power_cut(tmp_path, [mark(60), mark(120, off_ns=SAME_NS)]) == [mark(60)]


def test_the_goodbye_writes_the_last_mark(tmp_path: Path) -> None:
    outbox = opened(tmp_path, boot="b1")
    number = outbox.begin().boot
    for each in (mark(60), mark(120)):
        outbox.commit(drafts(1), clock=each)
    outbox.close()
    later = opened(tmp_path, boot="b2")
    later.begin()
    assert later.marks(number) == [mark(120), mark(60)]
    assert later.bounds(number + 1) == (mark(120).wall_ns, None)
    later.close()


def test_another_database_gets_the_mark_at_once(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    number = outbox.begin().boot
    outbox.commit(drafts(1), clock=mark(60))
    disk = outbox._storage.disk
    assert disk is not None
    with disk.transaction():
        disk.rows("DELETE FROM clock")
    other = tmp_path / "other"
    other.mkdir()
    outbox._storage.disk = type(disk)(other, 4 << 20, 1 << 20)
    disk.close()
    outbox.commit([], {"x": (1, b"")}, clock=mark(61))
    assert outbox.marks(number) == [mark(61)]
    outbox.close()
