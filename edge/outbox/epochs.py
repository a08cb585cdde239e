"""Starts of the daemon: each is an epoch, and belongs to a boot of the machine. In it every draft
gets the next number of its stream, in order. The file `epochs` beside the database survives it.
"""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from edge.core import RecordKey, Stream
from edge.durable.atomicwrite import new_name, replace_file
from edge.durable.checkedline import add_checksum, remove_checksum
from edge.durable.readfile import is_regular_file, read_beginning
from edge.outbox.clockmap import forget_before
from edge.outbox.database import OWNER_KEY, encode_owner
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.drops import PendingDrops
from edge.outbox.quarantine import quarantine_obstacle
from edge.outbox.rowformat import StoredRecord, try_record
from edge.wire.contract.boxevent import PreviousEpoch

START_COUNT_WRAP: Final = 1 << 21  # the counter of starts wraps, so that an epoch stays below 2**53

# A start that can read neither database nor epoch file is blind: nothing shows how many there were.
# It takes its number from here, at random: no ordinary start comes that far by counting, so ids of
# rows never meet, and it sorts behind all starts before it. Counting goes on from it, so those
# behind it sort behind it. Boots likewise. Only a second blind start on the same box may sort
# before its forerunners; then the higher counts stay.
BLIND_STARTS: Final = range(1 << 20, 3 << 19)
WRAP_WINDOW: Final = 1024  # starts around the wrap

PAST: Final = "past"  # in the table `meta`: what states that lie there are worth, if not "known"

READBACK_ROWS: Final = 20_000  # rows that are read back before they go
READBACK_BYTES: Final = 8 << 20  # of their bodies
STALE_NOTICE: Final = (
    "The outbox is older than what was numbered from it: its log was lost or damaged, an older "
    "copy was put in its place, or it went on in memory. What had not been delivered is lost, and "
    "totals do not go on from it."
)
HIGH_WATER_UNSAVED: Final = (
    "The card takes not even the word that the outbox goes on in memory. Should the power be cut "
    "now, what totals grow by would be counted again: until it takes it, their growth is told as "
    "uncertain. Replace the card."
)
TORN_COMMIT_NOTICE: Final = (
    "The last commit in the outbox's log is not whole: it was under way when the power went, or it "
    "is damaged and what was in it is lost. The growth of totals up to here is uncertain."
)

PastState = Literal["known", "doubtful", "older"]
"""What the states in the database are worth. `doubtful`: the last commit may be missing, and may
have been sent; `older`: numbers were given after them, so what they count on from is past."""

EPOCH_FILE: Final = "epochs"
EPOCH_FILE_LIMIT: Final = 4096  # characters; more is damage


@dataclass(frozen=True, slots=True)
class EpochFile:
    """Counts that must survive the loss of the database: they keep epochs and boots apart."""

    starts: int = 0
    boots: int = 0
    boot_id: str = ""
    epoch: int = 0  # of the latest start
    owner: str = ""  # whose epoch that is; "": nobody has said so


def read_epoch_file(folder: Path) -> EpochFile:
    """What the last start wrote; an empty one when it is missing or damaged."""
    try:
        text = read_beginning(folder / EPOCH_FILE, EPOCH_FILE_LIMIT).decode("ascii")
        starts, boots, epoch, owner, boot_id = remove_checksum(text.rstrip("\n")).split(" ")
        return EpochFile(int(starts), int(boots), boot_id, int(epoch), owner.removeprefix("-"))
    except (OSError, ValueError):
        return EpochFile()


def write_epoch_file(folder: Path, epoch_file: EpochFile) -> None:
    """Replace the file so that a power cut leaves the old one or the new one. Raises OSError."""
    counts = f"{epoch_file.starts} {epoch_file.boots} {epoch_file.epoch}"
    line = f"{counts} {epoch_file.owner or '-'} {epoch_file.boot_id}"
    path = folder / EPOCH_FILE
    for each in (new_name(path), path):
        if os.path.lexists(each) and not is_regular_file(each):
            quarantine_obstacle(each, folder)
    replace_file(path, f"{add_checksum(line)}\n".encode("ascii"), 0o666)


@dataclass(frozen=True, slots=True)
class PreviousStart:
    """The last start that numbered anything: its epoch, its boot, its last number per stream."""

    epoch: int
    boot: int
    last: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Epoch:
    """This start of the daemon. `unclean`: the former one ended without a goodbye.
    `previous_epoch`: the epoch of the one before where nothing else is known of it."""

    epoch: int
    boot: int
    same_boot: bool
    former: PreviousStart | None
    unclean: bool
    previous_epoch: int | None = None
    past: PastState = "known"

    @property
    def succeeds(self) -> PreviousEpoch | None:
        """The epoch before, as this one names it, and its last numbers: none when they are lost
        with its outbox. None: no epoch is known, at a first start or on a new card."""
        if self.former is not None:
            return PreviousEpoch(epoch=self.former.epoch, last=dict(self.former.last))
        if self.previous_epoch is None:
            return None
        return PreviousEpoch(epoch=self.previous_epoch, last={})


@dataclass(frozen=True, slots=True)
class EpochStart:
    """One start. `previous_epoch` is the epoch of the one before, also when its database is lost;
    0: it is not known, or another owner's."""

    number: int
    epoch: int
    boot: int
    boot_id: str
    same_boot: bool
    former: PreviousStart | None
    unclean: bool
    previous_epoch: int
    stale: bool = False  # the database does not know of the start before
    owner: str = ""


NO_START: Final = EpochStart(0, 0, 0, "", False, None, False, 0)


@dataclass(slots=True)
class Numbering:
    """How far a start has come with its rows and the numbers of its streams."""

    start: EpochStart = NO_START  # until one has begun
    row: int = 0  # the last one
    counters: dict[str, int] = field(default_factory=dict)  # the next numbers, as they are on disk

    def next_keys(self, streams: Sequence[Stream]) -> tuple[list[RecordKey], dict[str, int]]:
        """The next number of its stream for each in turn, and the counters that move by it."""
        keys: list[RecordKey] = []
        following: dict[str, int] = {}
        for stream in streams:
            word = str(stream)
            seq = following.get(word, self.counters.get(word, 1))
            following[word] = seq + 1
            keys.append(RecordKey(self.start.epoch, stream, seq))
        return keys, following

    @property
    def given(self) -> int:
        """How many numbers, of all streams together."""
        return sum(number - 1 for number in self.counters.values())


def later_count(one: int, two: int) -> int:
    """Of two counts of starts the one that came later: the higher, except around the wrap."""
    low, high = sorted((one, two))
    return low if high - low > START_COUNT_WRAP - WRAP_WINDOW else high


def plan_epoch(
    disk: DiskOutbox | None,
    folder: Path,
    boot_id: str,
    others: Iterable[EpochFile] = (),
    former: PreviousStart | None = None,
    owner: str | None = None,
) -> EpochStart:
    """The next start. Database and epoch file both count, and `others`; the highest one is right,
    whoever wrote it.

    `former`: the start before, when it is not in the database. Raises sqlite3.Error.
    """
    epoch_file = max((read_epoch_file(folder), *others), key=lambda each: each.starts)
    known = max((epoch_file, *others), key=lambda each: each.boots)
    ours = owner is None or epoch_file.owner in ("", owner)
    starts, boots, id_, clean = epoch_file.starts, known.boots, known.boot_id, 1
    behind = False
    if disk is not None:
        # the epoch file is written behind the database: one that is ahead has seen a start whose
        # log is lost, or that ran in memory
        counted = _read_count(disk, "starts")
        behind = ours and 0 < counted < starts
        starts = later_count(starts, counted)
        if _read_count(disk, "boots") > boots:
            boots, id_ = _read_count(disk, "boots"), str(disk.meta("boot_id", ""))
        clean = disk.word("clean", 1)
        found = disk.former()
        if former is None and found is not None:
            former = PreviousStart(*found)
    if disk is None and starts == 0:
        starts, boots = secrets.choice(BLIND_STARTS), secrets.choice(BLIND_STARTS)
    number = (starts + 1) % START_COUNT_WRAP
    same = boots > 0 and id_ == boot_id
    epoch = number << 32 | secrets.randbits(32)
    boot = boots if same else boots + 1
    unclean = behind or not clean
    before = epoch_file.epoch if ours else 0
    return EpochStart(
        number,
        epoch,
        boot,
        boot_id,
        same,
        former,
        unclean,
        before,
        behind,
        owner or epoch_file.owner,
    )


def _read_count(disk: DiskOutbox, word: str) -> int:
    """A count of starts or boots; 0 when its page is damaged: then the epoch file counts."""
    found = disk.word(word, 0)
    return found if 0 <= found < START_COUNT_WRAP else 0


def update_epoch_file(folder: Path, start: EpochStart) -> None:
    """What is written down never falls. Raises OSError."""
    old = read_epoch_file(folder)
    boot, id_ = (start.boot, start.boot_id) if start.boot >= old.boots else (old.boots, old.boot_id)
    starts = later_count(old.starts, start.number)
    write_epoch_file(folder, EpochFile(starts, boot, id_, start.epoch, start.owner))


def write_epoch(disk: DiskOutbox, start: EpochStart, drops: PendingDrops, past: PastState) -> None:
    """Write the start down, and what is known to be lost, and what its states are worth: what told
    so may be gone when this start ends before new ones lie there. Raises sqlite3.Error."""
    with disk.transaction():
        mark_running(disk, start)
        if past != "known":
            disk.set_meta({PAST: past})
        disk.set_drops(drops)
        boots = [start.boot]
        if start.former is not None:
            disk.forget_counters(start.former.epoch)
            boots.append(start.former.boot)
        oldest = disk.oldest_boot()
        if oldest is not None:
            boots.append(oldest)
        # it also forgets by number, and boots before a blind one are far from it by number: not
        # while rows of them wait for their times
        if start.boot < BLIND_STARTS.start or min(boots) >= BLIND_STARTS.start:
            forget_before(disk, min(boots))


def confirmed_leftovers(disk: DiskOutbox, confirmed: Iterable[int]) -> list[StoredRecord]:
    """Rows that were confirmed and are still there: bounded, the oldest first.

    Raises sqlite3.Error.
    """
    found: list[StoredRecord] = []
    size = 0
    for number in sorted(confirmed)[-READBACK_ROWS:]:
        row = disk.row(number)
        record = None if row is None else try_record(row)
        if row is not None and record is not None:
            size += len(row.body)
            if size > READBACK_BYTES:
                break
            found.append(StoredRecord(row.id, record, redelivered=True))
    return found


def mark_running(disk: DiskOutbox, start: EpochStart) -> None:
    """Inside a transaction: this start runs. A count that is higher stays."""
    words: dict[str, int | str] = {
        "clean": 0,
        "starts": later_count(start.number, _read_count(disk, "starts")),
    }
    if start.boot >= _read_count(disk, "boots"):
        words |= {"boots": start.boot, "boot_id": start.boot_id}
    if start.owner:
        words[OWNER_KEY] = encode_owner(start.owner)
    disk.set_meta(words)
