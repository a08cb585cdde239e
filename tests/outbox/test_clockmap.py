"""The clock map: few marks, the right ones, and what they prove of boots without any."""

from pathlib import Path

import pytest

from edge.core import Stamp, TimeQuality
from edge.outbox import AsyncOutbox, Outbox
from edge.outbox.clockmap import BOOTS, WHOLE_BOOTS
from tests.kit.clock import FLOOR, NONE, NTP, NTS, RTC
from tests.kit.outbox import drafts, opened

S = 1_000_000_000
WALL = 1_790_000_000 * S


def mark(second: int, tq: TimeQuality, wall_s: float = 0) -> Stamp:
    return Stamp(second * S, WALL + second * S + int(wall_s * S), tq)


def reported(folder: Path, marks: list[Stamp], boot: str = "b1") -> int:
    outbox = opened(folder, boot=boot)
    number = outbox.begin().boot
    for each in marks:
        outbox.commit([], {"x": (1, b"")}, clock=each)
    outbox.close()
    return number


def marks(folder: Path, number: int) -> list[Stamp]:
    outbox = opened(folder, boot="later")
    outbox.begin()
    found = outbox.marks(number)
    outbox.close()
    return found


def test_each_side_of_a_step_keeps_a_mark(tmp_path: Path) -> None:
    before = [mark(n, RTC) for n in range(1, 5)]
    between = [mark(n, NTP, 30) for n in range(5, 9)]
    after = [mark(n, NTP, 30 - 3600) for n in range(9, 12)]
    number = reported(tmp_path, [*before, *between, *after])
    assert marks(tmp_path, number) == [after[-1], after[0], between[0], before[0]]


def test_drift_and_slewing_are_no_steps_until_they_are_a_second(tmp_path: Path) -> None:
    given = [mark(n, NTP, n * 0.3) for n in range(1, 8)]
    number = reported(tmp_path, given)
    assert marks(tmp_path, number) == [given[6], given[4], given[0]]


def test_the_first_trusted_mark_is_kept_and_untrusted_steps_are_not(tmp_path: Path) -> None:
    given = [
        mark(1, NONE), mark(2, FLOOR, 500), mark(3, NONE, -500), mark(4, NTP, 9),
        mark(5, NONE, 700), mark(6, NTP, 9.5), mark(7, FLOOR),
    ]  # fmt: skip
    number = reported(tmp_path, given)
    assert marks(tmp_path, number) == [given[5], given[3], given[6], given[0]]


def test_a_mark_that_is_trusted_more_stays_when_its_clock_is_set(tmp_path: Path) -> None:
    """What it held for is dated by it in the next process, too, and not by the one after it."""
    given = [mark(1, NONE), mark(2, RTC), mark(3, NTP), mark(4, NTP, 30)]
    number = reported(tmp_path, given)
    assert marks(tmp_path, number) == [given[3], given[2], given[1], given[0]]


def test_a_clock_that_jumps_for_ever_costs_sixteen_marks(tmp_path: Path) -> None:
    given = [mark(n, NTP, n % 7 * 100) for n in range(1, 200)]
    number = reported(tmp_path, given)
    found = marks(tmp_path, number)
    assert len(found) <= 16
    assert found == [*sorted(given[-13:], reverse=True), given[0]]


@pytest.fixture
def boots(tmp_path: Path) -> Path:
    """Boots 1 to 6, each with a row of its own; 1, 4 and 6 knew the time."""
    known = {1: (mark(100, NTP), mark(200, NTP)), 4: (mark(9, NTS, 5000),),
             6: (mark(7, NTP, 9000),)}  # fmt: skip
    for number in range(1, 7):
        outbox = opened(tmp_path, boot=f"b{number}")
        outbox.begin()
        for each in known.get(number, (mark(3, RTC, -9999),)):
            outbox.commit(drafts(1), clock=each)
        outbox.close()
    return tmp_path


def test_a_boot_that_never_knew_lies_between_those_that_did(boots: Path) -> None:
    outbox = opened(boots, boot="b7")
    outbox.begin()
    end_of_one, start_of_four, start_of_six = WALL + 200 * S, WALL + 5000 * S, WALL + 9000 * S
    assert outbox.bounds(1) == (None, start_of_four)
    assert outbox.bounds(2) == outbox.bounds(3) == (end_of_one, start_of_four)
    assert outbox.bounds(5) == (WALL + 5009 * S, start_of_six)
    assert outbox.bounds(7) == (WALL + 9007 * S, None)
    outbox.close()


def test_what_bounds_the_oldest_row_outlives_its_own_rows(boots: Path) -> None:
    outbox = opened(boots, boot="b7")
    outbox.begin()
    rows = outbox.pending()
    outbox.commit([], {"x": (1, b"")}, confirmed=[s.row for s in rows if s.record.boot < 3])
    outbox.close()
    outbox = opened(boots, boot="b8")
    outbox.begin()
    assert outbox.marks(2) == [], "nothing refers to it"
    assert outbox.bounds(3) == (WALL + 200 * S, WALL + 5000 * S)
    gone = [s.row for s in outbox.pending()]
    outbox.commit(drafts(1), confirmed=gone, clock=mark(3, NONE))
    outbox.close()
    outbox = opened(boots, boot="b9")
    outbox.begin()
    assert outbox.marks(1) == outbox.marks(4) == []
    assert outbox.bounds(8) == (WALL + 9007 * S, None), "its own neighbour stays"
    outbox.close()


def test_the_marks_of_the_former_boot_stay_without_any_row(tmp_path: Path) -> None:
    outbox = opened(tmp_path, boot="b1")
    outbox.begin()
    (made,) = outbox.commit(drafts(1), clock=mark(5, RTC))
    outbox.commit([], {"x": (1, b"")}, confirmed=[made.row])
    outbox.close()
    outbox = opened(tmp_path, boot="b2")
    former = outbox.begin().former
    assert former is not None
    assert outbox.marks(former.boot) == [mark(5, RTC)]
    outbox.close()


def test_a_box_that_boots_for_ever_keeps_few_marks(tmp_path: Path) -> None:
    outbox = opened(tmp_path, boot="b1")
    outbox.begin()
    outbox.commit(drafts(1), clock=mark(1, NTP))
    disk = outbox._storage.disk
    assert disk is not None
    count = BOOTS + 1000
    with disk.transaction():
        disk._db.executemany(
            "INSERT OR REPLACE INTO clock VALUES (?, ?, 1, 2, 'ntp')",
            [(n, which) for n in range(2, count) for which in ("best", "first", "last")],
        )
    outbox.close()
    outbox = opened(tmp_path, boot="b2")
    outbox.begin()
    assert outbox._storage.disk is not None
    kept = outbox._storage.disk.one("SELECT count(*) FROM clock")
    assert kept <= BOOTS + 2 * WHOLE_BOOTS + 3
    outbox.close()


def test_a_damaged_clock_page_is_no_mark(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    number = outbox.begin().boot
    outbox.commit(drafts(1), clock=mark(1, NTP))
    assert outbox._storage.disk is not None
    outbox._storage.disk._db.execute(
        "UPDATE clock SET wall_ns = 'noon', tq = x'00' WHERE which = 'best'"
    )
    outbox._storage.disk._db.execute("UPDATE clock SET mono_ns = NULL WHERE which = 'first'")
    assert outbox.marks(number) == [mark(1, NTP)]
    assert outbox.bounds(number + 1) == (mark(1, NTP).wall_ns, None)
    outbox.commit(drafts(1), clock=mark(302, NTP))
    assert outbox.marks(number)[0] == mark(302, NTP)
    outbox.close()


async def test_the_writer_gives_bounds(boots: Path) -> None:
    made = await AsyncOutbox.start(
        boots / "outbox", limit_bytes=8 << 20, boot_id="b7", ballast_bytes=0
    )
    assert await made.bounds(2) == (WALL + 200 * S, WALL + 5000 * S)
    assert isinstance(made._outbox, Outbox)
    await made.close()
