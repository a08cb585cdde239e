"""A database that is older than what was numbered from it: whoever goes on from its states is told.

A bit of its log flips, its log is cut or gone, or a copy of an earlier day is put back: in the boot
in which it happened the run directory knows; after a reboot what stands beside the database does,
to within a quarter of an hour, and the log itself.
"""

import shutil
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from edge.core import Draft, Stream
from edge.store import Mark, Outbox
from edge.store.database import NAME as DB
from edge.store.highwater import NAME, UNKNOWN, HighWater, Reached
from edge.store.rows import Former, Past, Tail
from edge.store.wal import judge, look

S = 1_000_000_000
MINUTE = 60 * S


def test_the_card_hears_at_once_of_numbers_that_are_on_it_again(tmp_path: Path) -> None:
    """Not only a quarter of an hour later: until then it would say that nobody knows."""
    water = HighWater(tmp_path, None)
    told = [(10, True), (11, False), (12, False), (13, True), (14, True)]
    heard = []
    for second, (count, on_disk) in enumerate(told):
        water.commit(Reached(1 << 32, count), second * S, on_disk=on_disk)
        (found,) = HighWater(tmp_path, None).found
        heard.append(found.count)
    assert heard == [10, UNKNOWN, UNKNOWN, 13, 13]


OPENED: list[Outbox] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """A connection that nobody closes is a warning, in whatever test comes then."""
    yield
    while OPENED:
        disk = OPENED.pop()._medium.disk
        if disk is not None:
            disk.close()


class Box:
    """One gateway's folders. Its state is how many windows it has closed."""

    def __init__(self, folder: Path) -> None:
        self.store, self.run = folder / "store", folder / "run"
        self.run.mkdir()
        self.boot = 1
        self.windows = 0
        self.now_ns = S
        self.past: Past = "known"
        self.outbox: Outbox | None = None

    def start(self) -> Past:
        self.outbox = Outbox.open(
            self.store, limit_bytes=8 << 20, boot_id=f"boot-{self.boot}", run_dir=self.run,
            ballast_bytes=0,
        )  # fmt: skip
        OPENED.append(self.outbox)
        self.past = self.outbox.begin().past
        return self.past

    def close_windows(self, count: int) -> None:
        assert self.outbox is not None
        for _ in range(count):
            self.windows += 1
            self.now_ns += MINUTE
            draft = Draft(Stream.ENERGY, "m", self.now_ns - MINUTE, self.now_ns, {"n": 1})
            state = {"engine": (1, b"%d" % self.windows)}
            self.outbox.commit([draft], state, (), Mark(self.now_ns, 0, "none"))

    @property
    def state(self) -> int:
        assert self.outbox is not None
        found = self.outbox.state("engine")
        return 0 if found is None else int(found[1])

    def kill(self) -> None:
        """What lies on the card stays as it is: closing the connection would tidy it up."""
        assert self.outbox is not None
        kept = self.store.with_name("kept")
        shutil.copytree(self.store, kept)
        assert self.outbox._medium.disk is not None
        self.outbox._medium.disk.close()
        shutil.rmtree(self.store)
        kept.rename(self.store)

    def fall(self) -> None:
        """The disk fails, and goes on failing."""
        assert self.outbox is not None
        self.outbox._medium.fall(OSError(5, "Input/output error"))
        self.outbox._medium.probe = lambda *_, **__: None  # type: ignore[method-assign]

    def stop(self) -> None:
        assert self.outbox is not None
        self.outbox.close()

    def reboot(self) -> None:
        """Power was cut: nothing is left of the run directory."""
        self.boot += 1
        shutil.rmtree(self.run)
        self.run.mkdir()

    @property
    def log(self) -> Path:
        return self.store / "outbox.db-wal"


@pytest.fixture
def box(tmp_path: Path) -> Box:
    one = Box(tmp_path)
    assert one.start() == "known"
    one.stop()  # so that the database is one without its log, too
    assert one.start() == "known"
    return one


def events(box: Box) -> list[str]:
    """What a start says of the outbox."""
    assert box.outbox is not None
    rows = box.outbox.commit([], {}, (), Mark(box.now_ns + S, 0, "none"))
    return [row.record.body["text"] for row in rows if row.record.body["event"] == "storage"]


def frames(log: Path) -> Iterator[tuple[int, bool]]:
    """Where each begins, and whether it ends a transaction."""
    data = log.read_bytes()
    for at in range(32, len(data), 24 + 1024):
        yield at, struct.unpack_from(">I", data, at + 4)[0] != 0


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        one = file.read(1)[0]
        file.seek(at)
        file.write(bytes([one ^ 4]))


def commits(log: Path) -> list[int]:
    return [at for at, ends in frames(log) if ends]


@pytest.mark.parametrize("back", [1, 5])
def test_a_bit_in_the_log_is_seen_in_the_same_boot(box: Box, back: int) -> None:
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-back] + 40)
    assert box.start() == "older"
    assert box.state == 10 - back
    [text] = events(box)  # one damage, one event
    assert "totals do not go on from it" in text


def test_a_bit_in_the_log_is_seen_after_a_reboot_if_another_commit_follows(box: Box) -> None:
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-5] + 40)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 5
    [text] = events(box)
    assert "log of the outbox is damaged" in text


def test_a_bit_in_the_last_commit_leaves_the_past_in_doubt_after_a_reboot(box: Box) -> None:
    """It may be what was under way when the power went."""
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-1] + 40)
    box.reboot()
    assert box.start() == "doubtful"
    [text] = events(box)
    assert "is not whole" in text


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("lost_mark", [False, True])
@pytest.mark.parametrize("back", [1, 2, 6])
def test_one_damage_is_one_event_and_one_loss(
    box: Box, back: int, lost_mark: bool, reboot: bool
) -> None:
    """Whoever finds it: the log itself, or the numbers that were given and are not there."""
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-back] + 40)
    if reboot:
        box.reboot()
    if lost_mark:
        (box.run / NAME).unlink(missing_ok=True)
    torn = back == 1 and (reboot or lost_mark)
    assert box.start() == ("doubtful" if torn else "older")
    assert box.outbox is not None
    rows = box.outbox.commit([], {}, [1], Mark(box.now_ns + S, 0, "none"))
    told = sorted(row.record.body["event"] for row in rows)
    assert told == (["storage"] if torn else ["drop", "storage"])


@pytest.mark.parametrize("at", [2, 9, 17, 22, 25])
def test_a_bit_in_the_head_of_the_log_leaves_the_past_in_doubt(box: Box, at: int) -> None:
    box.close_windows(3)
    box.kill()
    flip(box.log, at)
    box.reboot()
    assert box.start() in ("doubtful", "older")


def test_any_bit_of_the_log_is_known_or_harmless(box: Box, tmp_path: Path) -> None:
    """Whatever SQLite forgets for it, nobody goes on from it as if nothing had been."""
    box.close_windows(4)
    box.kill()
    kept, whole = tmp_path / "before", box.log.stat().st_size
    shutil.copytree(box.store, kept)
    seen: dict[str, int] = {}
    for at in (*range(0, 56), *range(56, whole, 61)):
        shutil.rmtree(box.store)
        shutil.copytree(kept, box.store)
        flip(box.log, at)
        box.reboot()
        past = box.start()
        seen[past] = seen.get(past, 0) + 1
        assert past != "known" or box.state == 4, f"bit at {at}"
        box.kill()
    assert seen.keys() >= {"older", "doubtful"}, seen


def test_a_copy_that_is_put_back_after_a_stop_is_seen_even_after_a_reboot(
    box: Box, tmp_path: Path
) -> None:
    box.close_windows(3)
    box.kill()
    copy = tmp_path / "copy"
    shutil.copytree(box.store, copy)
    box.start()
    box.close_windows(3)
    box.stop()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copy(copy / name, box.store / name)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 3


def test_a_copy_of_some_minutes_ago_that_is_put_back_after_a_stop_is_seen_after_a_reboot(
    box: Box, tmp_path: Path
) -> None:
    box.close_windows(3)
    copy = tmp_path / "copy"
    shutil.copytree(box.store, copy)
    box.close_windows(2)
    box.stop()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copy(copy / name, box.store / name)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 3


def test_a_copy_of_the_same_start_is_seen(box: Box, tmp_path: Path) -> None:
    """A box runs for months in one start: the count of starts says nothing then."""
    box.close_windows(3)
    copy = tmp_path / "copy"
    shutil.copytree(box.store, copy)
    box.close_windows(70)
    box.kill()
    shutil.rmtree(box.store)
    copy.rename(box.store)
    assert box.start() == "older", "the run directory knows"
    box.kill()


def test_a_copy_of_an_hour_ago_is_seen_after_a_power_cut(box: Box, tmp_path: Path) -> None:
    box.close_windows(3)
    copy = tmp_path / "copy"
    shutil.copytree(box.store, copy)
    box.close_windows(70)
    box.kill()
    shutil.copy(box.store / NAME, copy / NAME)
    shutil.rmtree(box.store)
    copy.rename(box.store)
    box.reboot()
    assert box.start() == "older"


def test_a_kill_before_the_first_commit_forgets_no_doubt(box: Box) -> None:
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-3] + 40)
    assert box.start() == "older"
    box.kill()
    assert box.start() == "older"


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("back", [1, 5])
def test_a_second_power_cut_before_the_first_commit_forgets_no_doubt(
    box: Box, back: int, reboot: bool
) -> None:
    """What told of it was the log, and each start empties that."""
    box.close_windows(10)
    box.kill()
    flip(box.log, commits(box.log)[-back] + 40)
    box.reboot()
    past = box.start()
    assert past == ("doubtful" if back == 1 else "older")
    for _ in range(3):
        box.kill()
        if reboot:
            box.reboot()
        assert box.start() == past
    assert len(events(box)) == 1
    box.kill()
    assert box.start() == past, "no state was committed yet"
    box.close_windows(1)
    for _ in range(2):
        box.kill()
        if reboot:
            box.reboot()
        assert box.start() == "known"


def test_a_copy_without_a_mark_is_in_doubt_until_states_are_committed(
    box: Box, tmp_path: Path
) -> None:
    """The count of starts told of it, and the first start has moved that on."""
    box.close_windows(3)
    box.kill()
    copy = tmp_path / "copy"
    shutil.copytree(box.store, copy)
    box.start()
    box.close_windows(3)
    box.stop()
    for name in ("outbox.db", "outbox.db-wal"):
        shutil.copy(copy / name, box.store / name)
    (box.store / NAME).unlink()
    box.reboot()
    assert box.start() == "older"
    box.kill()
    box.reboot()
    assert box.start() == "older"
    assert box.outbox is not None
    rows = box.outbox.commit([], {}, [1], Mark(box.now_ns + S, 0, "none"))
    assert sorted(row.record.body["event"] for row in rows) == ["drop", "storage"]


@pytest.mark.parametrize("reboot", [False, True])
def test_an_ordinary_kill_leaves_no_doubt(box: Box, reboot: bool) -> None:
    for _ in range(4):
        box.close_windows(5)
        box.kill()
        if reboot:
            box.reboot()
        assert box.start() == "known"
        assert events(box) == []
    assert box.state == 20
    box.stop()
    assert box.start() == "known"


def test_the_card_hears_of_it_at_a_start_and_each_quarter_of_an_hour(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Path] = []
    write = Path(f"{box.store / NAME}")
    from edge.store import highwater

    real = highwater._write

    def counted(path: Path, block: bytes, *, durable: bool = False) -> bool:
        if durable:
            told.append(path)
        return real(path, block, durable=durable)

    monkeypatch.setattr(highwater, "_write", counted)
    box.close_windows(60 * 24)
    assert told == [write] * 24 * 4
    assert write.stat().st_size == 64


def test_a_power_cut_while_the_outbox_is_in_memory_is_seen(box: Box) -> None:
    box.close_windows(3)
    box.fall()
    box.close_windows(3)
    box.reboot()
    assert box.start() == "older"
    assert box.state == 3


def test_a_card_that_takes_no_word_at_first_is_told_as_soon_as_it_takes_one(box: Box) -> None:
    box.close_windows(3)
    box.fall()
    mark = box.store / NAME
    mark.rename(mark.with_name("kept"))
    mark.mkdir()
    box.close_windows(1)
    mark.rmdir()
    mark.with_name("kept").rename(mark)
    box.close_windows(2)
    box.reboot()
    assert box.start() == "older"


def test_a_kill_while_the_outbox_is_in_memory_leaves_no_doubt(box: Box) -> None:
    box.close_windows(3)
    box.fall()
    box.close_windows(3)
    assert box.start() == "known"
    assert box.state == 6


def test_marks_say_what_is_ahead() -> None:
    former = Former(5 << 32 | 7, 1, {"air": 10, "event": 2})
    assert not Reached(5 << 32 | 7, 12).ahead_of(former)
    assert Reached(5 << 32 | 7, 13).ahead_of(former)
    assert Reached(6 << 32 | 1, 1).ahead_of(former)
    assert Reached(5 << 32 | 8, 1).ahead_of(former), "another start with the same count"
    assert not Reached(4 << 32 | 1, 99).ahead_of(former)
    assert not Reached(6 << 32 | 1, 0).ahead_of(former)
    assert Reached(1 << 32, 1).ahead_of(None)
    assert Reached.parse(Reached(1 << 50, 3).packed()) == Reached(1 << 50, 3)
    assert Reached.parse(Reached(2, 3).packed("town/gw-1"), "town/gw-1") == Reached(2, 3)
    assert Reached.parse(Reached(2, 3).packed("town/gw-1"), "town/gw-2") is None


@pytest.mark.parametrize("harm", [b"", b"\0" * 64, b"1 2", b"\xff" * 64, b"9" * 5000])
def test_a_mark_that_is_none_is_not_believed(box: Box, harm: bytes) -> None:
    box.close_windows(3)
    box.kill()
    for folder in (box.store, box.run):
        (folder / NAME).write_bytes(harm)
    assert box.start() == "known"


def test_a_folder_in_the_place_of_a_mark_is_no_reason_to_stop(box: Box) -> None:
    box.kill()
    for folder in (box.store, box.run):
        (folder / NAME).unlink(missing_ok=True)
        (folder / NAME).mkdir()
    assert box.start() == "known"
    box.close_windows(2)


def tail(log: Path, ends: Sequence[int]) -> Tail:
    """Of a log that was cut somewhere, after a reboot."""
    size = log.stat().st_size
    read = sum(at + 24 + 1024 <= size for at in ends)
    frames_read = 0 if not read else (ends[read - 1] - 32) // (24 + 1024) + 1
    return judge(look(log.parent), frames_read, same_boot=False)


def test_a_log_that_is_cut_within_a_commit_is_torn_and_at_its_end_whole(
    box: Box, tmp_path: Path
) -> None:
    box.close_windows(3)
    box.kill()
    data, ends = box.log.read_bytes(), commits(box.log)
    path = tmp_path / f"{DB}-wal"
    verdicts: dict[int, Tail] = {}
    for size in range(0, len(data), 211):
        path.write_bytes(data[:size])
        verdicts[size] = tail(path, ends)
    assert set(verdicts.values()) == {"whole", "torn"}
    for end in ends:
        path.write_bytes(data[: end + 24 + 1024])
        assert tail(path, ends) == "whole"
