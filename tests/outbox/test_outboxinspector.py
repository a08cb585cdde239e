"""`kerbstone outbox` without a daemon: it looks, and leaves everything as it was."""

import importlib
import json
import os
import sqlite3
import time
from pathlib import Path

import pytest

from edge.core import Stamp, Stream
from edge.outbox import (
    Loss,
    Outbox,
    OutboxBusyError,
    OutboxInspection,
    QuarantinedFile,
    inspect_outbox,
)
from edge.outbox.database import UnusableOutboxError
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.outboxinspector import KEEP_OPEN, _inspect
from tests.kit.clock import NONE, NTP, RTC
from tests.kit.outbox import LIMIT, MARK, S, drafts, kill, opened

module = importlib.import_module("edge.outbox.outboxinspector")  # the function has its name

Picture = dict[str, tuple[int, int, bytes]]


def picture(folder: Path) -> Picture:
    """All that could change: names, times, contents."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            path.lstat().st_ino,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in (folder, *sorted(folder.rglob("*")))
    }


def reported_here(folder: Path, limit_bytes: int) -> OutboxInspection:
    """What a process of its own says, and this one says it too."""
    reported = inspect_outbox(folder, limit_bytes)
    assert _inspect(folder, limit_bytes) == reported
    disk = KEEP_OPEN.pop()
    assert isinstance(disk, DiskOutbox)
    disk.close()
    return reported


def copied(folder: Path, to: Path) -> Path:
    """The files of an outbox as a power cut leaves them, its log not yet in the database."""
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def test_a_look_changes_nothing_and_sees_what_is_only_in_the_log(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.commit(drafts(30), clock=MARK)
    place = copied(tmp_path / "outbox", tmp_path / "cut")
    kill(outbox)
    assert (place / "outbox.db-wal").stat().st_size > 8_000
    before = picture(place)
    for _ in range(2):
        counts = inspect_outbox(place, LIMIT)
        assert (counts.rows, counts.streams, counts.oldest) == (30, {"air": 30}, (1, 0))
        assert counts.wal == (place / "outbox.db-wal").stat().st_size
        assert counts.ballast == 0
    assert picture(place) == before


def test_a_look_does_not_release_the_ballast_or_make_one(tmp_path: Path) -> None:
    outbox = Outbox.open(tmp_path / "o", limit_bytes=LIMIT, boot_id="b", ballast_bytes=1 << 20)
    outbox.begin()
    outbox.close()
    before = picture(tmp_path / "o")
    assert inspect_outbox(tmp_path / "o", LIMIT).ballast == 1 << 20
    assert picture(tmp_path / "o") == before


def nothing(place: Path) -> None:
    place.write_bytes(b"")


def text(place: Path) -> None:
    place.write_text("no database at all" * 100)


def pipe(place: Path) -> None:
    os.mkfifo(place)


def folder(place: Path) -> None:
    place.mkdir()


@pytest.mark.parametrize("what", [nothing, text, pipe, folder])
def test_what_is_no_outbox_is_said_and_left_as_it_is(tmp_path: Path, what: object) -> None:
    what(tmp_path / "outbox.db")  # type: ignore[operator]
    before = picture(tmp_path)
    with pytest.raises(ValueError, match="cannot be read"):
        inspect_outbox(tmp_path, LIMIT)
    assert picture(tmp_path) == before


def test_a_folder_in_the_place_of_the_database_is_named_before_it_is_opened(
    tmp_path: Path,
) -> None:
    """By this process: a pipe would be waited for."""
    folder(tmp_path / "outbox.db")
    with pytest.raises(UnusableOutboxError, match="is no file"):
        _inspect(tmp_path, LIMIT)


def test_a_log_that_is_no_file_is_named(tmp_path: Path) -> None:
    opened(tmp_path).close()
    place = tmp_path / "outbox"
    (place / "outbox.db-wal").unlink(missing_ok=True)
    folder(place / "outbox.db-wal")
    with pytest.raises(ValueError, match="-wal is no file"):
        inspect_outbox(place, LIMIT)


def test_without_an_outbox_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inspect_outbox(tmp_path, LIMIT)
    assert list(tmp_path.iterdir()) == []


# -- what the files say, and what only a daemon knows ----------------------------------------------


def test_what_only_a_daemon_knows_is_not_said_and_what_is_on_disk_is(tmp_path: Path) -> None:
    outbox = opened(tmp_path, limit=1 << 20)
    epoch = outbox.begin().epoch
    for number in range(30):
        rows = outbox.commit(
            drafts(100, size=1000, at=number * 100),
            clock=Stamp((number + 1) * 100 * S, 0, NONE),
        )
    outbox.dead_letter(rows[3].row, "135 not authorized")
    outbox.commit([])
    dropped = outbox.counts().dropped
    oldest = outbox.pending(0, 1)[0]
    outbox.close()
    place = tmp_path / "outbox" / "quarantine" / "000001"
    place.mkdir(parents=True)
    (place / "outbox.db").write_bytes(bytes(70_000))
    (place / "link").symlink_to(place / "outbox.db")

    reported = reported_here(tmp_path / "outbox", 1 << 20)
    unknown = (
        reported.dropped, reported.damaged, reported.downsampled, reported.commits,
        reported.bytes_in, reported.in_memory,
        reported.forecast_s, reported.forecast_downsampled_s,
    )  # fmt: skip
    assert unknown == (None,) * 8
    full, refused = reported.undeclared
    assert (full.epoch, full.stream, full.reason, full.first) == (epoch, "air", "full", 1)
    assert (full.count, refused.reason, refused.count) == (dropped - 1, "refused", 1)
    assert (reported.dead_letters, len(reported.letters)) == (1, 1)
    letter = reported.letters[0]
    assert (letter.row, letter.epoch, letter.stream) == (rows[3].row, epoch, "air")
    assert (letter.seq, letter.source, letter.why) == (2904, "s0", "135 not authorized")
    assert letter.size > 500
    assert reported.quarantined == 1
    assert reported.quarantined_files == (QuarantinedFile("quarantine/000001/outbox.db", 70_000),)
    assert reported.oldest == (1, oldest.record.from_ns)
    assert (reported.oldest_wall_ns, reported.oldest_tq) == (None, None), (
        "that boot never learnt the time"
    )


def test_the_oldest_row_is_dated_by_the_trusted_mark_next_to_it(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    wall_ns = 1_790_000_000 * S
    outbox.commit(drafts(1, at=40), clock=Stamp(41 * S, 5, NONE))
    outbox.commit([], {"x": (1, b"")}, clock=Stamp(60 * S, wall_ns + 60 * S, RTC))
    outbox.commit([], {"x": (1, b"")}, clock=Stamp(900 * S, wall_ns + 999 * S, NTP))
    outbox.close()
    reported = reported_here(tmp_path / "outbox", LIMIT)
    assert (reported.oldest_wall_ns, reported.oldest_tq) == (wall_ns + 40 * S, "rtc")


def test_an_empty_outbox_has_nothing_to_say(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.close()
    reported = reported_here(tmp_path / "outbox", LIMIT)
    assert (reported.rows, reported.oldest, reported.oldest_wall_ns) == (0, None, None)
    assert (reported.undeclared, reported.letters, reported.quarantined_files) == ((), (), ())


def test_damaged_columns_of_what_is_looked_at_are_left_out(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    rows = outbox.commit(drafts(3), clock=MARK)
    for stored in rows[:2]:
        outbox.dead_letter(stored.row, "no")
    assert outbox._storage.disk is not None
    outbox._storage.disk._db.execute("UPDATE dead SET why = x'ff00' WHERE id = ?", (rows[0].row,))
    outbox._storage.disk._db.execute("UPDATE dropped SET first = 'x'")
    outbox.close()
    reported = reported_here(tmp_path / "outbox", LIMIT)
    assert [letter.row for letter in reported.letters] == [rows[1].row]
    assert (reported.dead_letters, reported.undeclared) == (2, ())


# -- as the process does it, in this one -----------------------------------------------------------


def looked(folder: Path, limit: int) -> OutboxInspection:
    """Without a process of its own; and the database is closed again."""
    found: OutboxInspection = module._inspect(folder, limit)
    disk = module.KEEP_OPEN.pop()
    assert isinstance(disk, DiskOutbox)
    disk.close()
    return found


def test_all_that_is_said_is_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = opened(tmp_path)
    epoch = outbox.begin().epoch
    wall_ns = 1_790_000_000 * S
    first = outbox.commit(drafts(2, at=40), clock=Stamp(41 * S, 5, NONE))
    outbox.commit(drafts(1, Stream.EVENT), clock=Stamp(60 * S, wall_ns + 60 * S, RTC))
    outbox.commit([], {"x": (1, b"")}, clock=Stamp(900 * S, wall_ns + 999 * S, NTP))
    outbox.dead_letter(first[1].row, "no")
    outbox.commit([])
    folder = tmp_path / "outbox"
    outbox.close()
    with monkeypatch.context() as patch:  # a process does not see its own locks
        patch.setattr(module, "in_use", lambda path: path == folder / "outbox.db")
        with pytest.raises(OutboxBusyError, match=r"outbox\.db is open"):
            looked(folder, LIMIT)
    place = folder / "quarantine" / "000001"
    place.mkdir(parents=True)
    (place / "outbox.db").write_bytes(bytes(7000))
    (place / "link").symlink_to(place / "outbox.db")
    (folder / "outbox.v2.db").write_bytes(bytes(500))
    size = (folder / "outbox.db").stat().st_size
    reported = looked(folder, LIMIT)
    assert (reported.rows, reported.streams) == (2, {"air": 1, "event": 1})
    assert (reported.size, reported.limit) == (size + reported.wal + 7500, LIMIT)
    assert reported.oldest == (1, 40 * S)
    assert (reported.oldest_wall_ns, reported.oldest_tq) == (wall_ns + 40 * S, "rtc")
    assert reported.undeclared == (Loss(epoch, "air", "refused", 2, 2, 1),)
    (letter,) = reported.letters
    assert (reported.dead_letters, letter.row, letter.seq, letter.why) == (1, first[1].row, 2, "no")
    assert (reported.quarantined, reported.quarantined_files) == (
        1,
        (QuarantinedFile("quarantine/000001/outbox.db", 7000),),
    )
    assert (reported.foreign_files, reported.ballast) == ((str(folder / "outbox.v2.db"),), 0)


def test_a_later_mark_dates_the_oldest_row_when_it_is_nearer(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    wall_ns = 1_790_000_000 * S
    outbox.commit([], {"x": (1, b"")}, clock=Stamp(60 * S, wall_ns + 60 * S, RTC))
    outbox.commit(drafts(1, at=850), clock=Stamp(900 * S, wall_ns + 999 * S, NTP))
    outbox.close()
    reported = looked(tmp_path / "outbox", LIMIT)
    assert (reported.oldest_wall_ns, reported.oldest_tq) == (wall_ns + 949 * S, "ntp")


def test_an_outbox_without_rows_has_no_oldest(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    outbox.begin()
    outbox.close()
    reported = looked(tmp_path / "outbox", LIMIT)
    assert (reported.rows, reported.oldest, reported.oldest_wall_ns, reported.oldest_tq) == (
        0,
        None,
        None,
        None,
    )
    (tmp_path / "outbox" / "outbox.db").write_bytes(bytes(4096))
    with pytest.raises(UnusableOutboxError, match="no outbox"):
        looked(tmp_path / "outbox", LIMIT)


class EndedError(Exception):
    """In place of the end of the process."""


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (OutboxBusyError("held"), {"busy": "held"}),
        (UnusableOutboxError("none of ours"), {"error": "none of ours"}),
        (OSError(5, "no answer"), {"error": "[Errno 5] no answer"}),
        (sqlite3.DatabaseError("malformed"), {"error": "malformed"}),
    ],
)
def test_the_process_says_what_stands_in_its_way_and_ends_without_closing_anything(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    found: Exception,
    says: dict[str, str],
) -> None:
    def fail(folder: Path, limit_bytes: int) -> OutboxInspection:
        assert (folder, limit_bytes) == (tmp_path, 70)
        raise found

    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr(module, "_inspect", fail)
    monkeypatch.setattr(module.os, "_exit", end)
    (tmp_path / "outbox.db").touch()
    monkeypatch.setattr(module.sys, "argv", ["x", str(tmp_path), "70"])
    with pytest.raises(EndedError, match="0"):
        module.inspect_main()
    assert json.loads(capfd.readouterr().out) == says


@pytest.mark.parametrize(
    ("out", "error", "why"),
    [
        (b'{"busy": "held"}', OutboxBusyError, "^held$"),
        (b'{"error": "malformed"}', ValueError, "cannot be read: malformed"),
        (b"", ValueError, "cannot be read: x{299}y$"),
    ],
)
def test_what_the_process_says_is_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: bytes, error: type[Exception], why: str
) -> None:
    (tmp_path / "outbox.db").write_bytes(b"")
    code = f"import sys; print('x' * 400 + 'y', file=sys.stderr); print({out.decode()!r})"
    monkeypatch.setattr(module, "INSPECTOR_CODE", code)
    with pytest.raises(error, match=why):
        inspect_outbox(tmp_path, LIMIT)


def test_a_disk_that_hangs_is_said_and_nobody_waits_for_the_one_who_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a disk cannot even be killed."""
    monkeypatch.setattr(module, "INSPECTOR_CODE", "import time; time.sleep(4)")
    monkeypatch.setattr(module.subprocess.Popen, "kill", lambda self: None)
    begin_s = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s: the disk is slow or hangs"):
        inspect_outbox(tmp_path, LIMIT, 0.2)
    assert time.monotonic() - begin_s < 3.0
