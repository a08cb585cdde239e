"""The outbox: records get their numbers here and stay until they are confirmed.

Used from exactly one thread. Opening never fails, except when another process holds the database:
what cannot be read is moved to quarantine, and when the disk does not work at all the outbox goes
on in memory, says so, and tries the disk again.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from edge.core import Draft
from edge.outbox.activestorage import ActiveStorage
from edge.outbox.clockmap import MarkThrottle, write_mark
from edge.outbox.diskoutbox import DiskOutbox
from edge.outbox.downsample import MergeBodies
from edge.outbox.drops import DropRange, PendingDrops, storage_event_draft
from edge.outbox.epochs import (
    HIGH_WATER_UNSAVED,
    PAST,
    STALE_NOTICE,
    TORN_COMMIT_NOTICE,
    EpochStart,
    assign_numbers,
    confirmed_leftovers,
    write_epoch,
)
from edge.outbox.eviction import PackedDraft, fit_drafts
from edge.outbox.failover import FailoverStorage
from edge.outbox.highwater import HighWaterFiles, HighWaterMark
from edge.outbox.memoryoutbox import OwnerStates as OwnerStates
from edge.outbox.mergeable import META_KEY
from edge.outbox.outboxfolder import OutboxFolder
from edge.outbox.rowformat import (
    MAX_BODY,
    ClockMark,
    Epoch,
    OutboxRow,
    PastState,
    StoredRecord,
    pack_body,
)

BALLAST_BYTES: Final = 16 << 20  # bytes

NO_OWNER_STATES: Final[OwnerStates] = {}


class Outbox(FailoverStorage):
    """`open`, then `begin`, then the rest."""

    def __init__(
        self,
        place: OutboxFolder,
        boot_id: str,
        run_dir: Path | None,
        merge: MergeBodies | None,
        ballast_bytes: int,
    ) -> None:
        storage = ActiveStorage(place, ballast_bytes)
        super().__init__(place, storage, merge, boot_id, run_dir)
        self._water = HighWaterFiles(place.folder, run_dir, self._owner)
        self._marking = MarkThrottle()
        self._heard = False  # somebody confirms: a declaration would be heard of
        self._doubted = False  # the word `past` on disk says that its states are in doubt

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        limit_bytes: int,
        boot_id: str,
        run_dir: Path | None = None,
        merge: MergeBodies | None = None,
        ballast_bytes: int = BALLAST_BYTES,
        owner: str | None = None,
    ) -> "Outbox":
        """Open or create. Raises OutboxBusyError, and nothing else; `opened` says what was found.

        `owner` is the gateway whose records these are, with its site: what belongs to another one
        is put aside. None asks nobody. Without `merge` nothing is downsampled. The ballast lies
        outside of `limit_bytes`.
        """
        place = OutboxFolder(folder, limit_bytes, boot_id, owner)
        return cls(place, boot_id, run_dir, merge, ballast_bytes)

    # -- a start of the daemon --------------------------------------------------------------------

    def begin(self) -> Epoch:
        """A new epoch. Confirmations that the last process could not commit count from now on, and
        ride in the first commit: `handed` is lost with this process, so it must be found again."""
        storage, start = self._storage, self._plan()
        self._start, self._row = start, start.number << 32
        found, left = self._past(start), self._left_in_doubt()
        past: PastState = (
            "older" if "older" in (found, left) else left if found == "known" else found
        )
        self._doubted = past != "known"
        if self.opened.foreign:
            storage.add_notice(True, self.opened.foreign)
        # what one that had been kept does not know lies beside it
        behind = found == "older" and not self.opened.newer
        damage = self.opened.damage or (STALE_NOTICE if behind else None)
        if damage or past == "doubtful" or (past == left == "older"):
            storage.add_notice(
                True, damage or (TORN_COMMIT_NOTICE if past == "doubtful" else STALE_NOTICE)
            )
        # of an outbox that was kept beside another one's the epoch file does not know
        last = start.previous_epoch or (start.former.epoch if start.former is not None else 0)
        if damage and last:
            self._drops[last, "*", "damage"] = DropRange(1, None, None)
        # else nobody knows what was handed over
        known = past == "known"
        word = self._ask(lambda disk: str(disk.meta(META_KEY, "")), "") if known else ""
        # a disk that can be read and not written has its journal, too
        token = self._query(lambda disk: disk.token, None)
        sent = self._sent_before = self._sent_before.for_start(self._row, token)
        self.journal.continue_from(sent)
        self._mergeable.begin(word, self._row, sent.last_sent)
        self._arrived = sent.confirmed
        if token is None:
            self._arrived &= storage.memory.rows.keys()  # the others are none of this place
        self.handed += self._query(lambda disk: confirmed_leftovers(disk, self._arrived), [])
        self.arrived = len(self.handed)
        self._ask(
            lambda disk: storage.attempt(
                disk, lambda disk: write_epoch(disk, start, self._drops, past)
            ),
            None,
        )
        self._begun()
        self._keep_epoch_file()
        if self.opened.in_memory:
            storage.add_notice(True, self.opened.in_memory)
        storage.ballast.build()
        before = start.previous_epoch or None if start.former is None else None
        former, unclean = start.former, start.unclean or past != "known"
        return Epoch(start.epoch, start.boot, start.same_boot, former, unclean, before, past)

    def _past(self, start: EpochStart) -> PastState:
        """What the database's states are worth. Of memory's nobody doubts: they go with it."""
        if self._storage.disk is None or not self._storage.disk.used:
            return "known"
        ahead = any(reached.ahead_of(start.former) for reached in self._water.found)
        if start.stale or ahead or self.opened.log == "damaged":
            return "older"
        # what was given last the run directory knows without the log
        return "doubtful" if self.opened.log == "torn" and not self._water.run else "known"

    def _left_in_doubt(self) -> PastState:
        """What a start before this one found, and did not live to commit states of its own."""
        word = self._ask(lambda disk: str(disk.meta(PAST, "")), "")
        return "older" if word == "older" else "doubtful" if word == "doubtful" else "known"

    # -- writing ----------------------------------------------------------------------------------

    def commit(
        self,
        drafts: Sequence[Draft],
        states: OwnerStates = NO_OWNER_STATES,
        confirmed: Iterable[int] = (),
        clock: ClockMark | None = None,
        flying: Collection[int] = frozenset(),
    ) -> list[StoredRecord]:
        """Number and keep `drafts`, keep `states`, forget `confirmed`: all of it or nothing. Of two
        rows of a class one that is `flying`, sent and not answered, makes room last.

        What comes back may hold more than `drafts`: the outbox declares its own losses and
        troubles as events. A draft that cannot be kept gets a number, and is declared lost.
        """
        gone = (*confirmed, *self._arrived)
        self._heard = self._heard or bool(gone)
        if clock is not None:
            self._retry_disk(clock)
        now_ns = clock.mono_ns if clock else max((draft.to_ns for draft in drafts), default=0)
        self._mergeable.tick(now_ns)
        notices = self._storage.notices.due(now_ns) if now_ns else ()
        own = [storage_event_draft(now_ns, on, text) for on, text in notices]
        packed = [(draft, pack_body(draft)) for draft in (*drafts, *own)]
        lost = {n: "size" for n, (_, body) in enumerate(packed) if len(body) > MAX_BODY}
        lost.update(dict.fromkeys(self._crowded(packed, lost, gone, flying), "full"))
        drops = self._drops.copy()
        declared = bool(drops) and self._heard and now_ns > 0
        if declared:
            packed.extend((draft, pack_body(draft)) for draft in drops.event_drafts(now_ns))
            drops = PendingDrops()
        rows, stored, following = assign_numbers(
            packed, lost, self._start, self._row, self._next, drops
        )
        self._write(rows, following, states, gone, clock, drops, flying)
        self._arrived, self.arrived = frozenset(), 0
        self._row += len(rows)
        self._mergeable.committed(now_ns, self._row)
        self._next |= following
        if following:
            self._save_high_water(now_ns)
        self._drops = drops
        self._stats.dropped += len(lost)
        self._stats.committed(rows, clock.mono_ns if clock else None)
        self._storage.notices.mark_reported(len(notices), now_ns)
        self._heard = self._heard and not declared
        return stored

    def _crowded(
        self,
        packed: list[PackedDraft],
        lost: Mapping[int, str],
        gone: tuple[int, ...],
        flying: Collection[int],
    ) -> list[int]:
        """The places of drafts for which there is no room, after older rows have made some."""
        places = [place for place in range(len(packed)) if place not in lost]
        fitting = [packed[place] for place in places]
        limit, lose = self._place.limit_bytes, partial(self._lose, arrived=frozenset(gone))
        spared = flying.__contains__
        crowded: set[int] = self._ask(
            lambda disk: fit_drafts(
                disk, fitting, limit, lose, partial(self._downsample, disk), spared
            ),
            set(),
        )
        return [places[place] for place in crowded]

    def _write(
        self,
        rows: list[OutboxRow],
        following: Mapping[str, int],
        states: OwnerStates,
        gone: tuple[int, ...],
        clock: ClockMark | None,
        drops: PendingDrops,
        flying: Collection[int],
    ) -> None:
        start, mergeable, word = self._start, self._mergeable, self._mergeable_text()
        durable, marking = self._without_withheld(states, clock), self._marking
        settled = self._doubted and bool(durable) and not self._withheld  # others lie there now

        def write(disk: DiskOutbox) -> None:
            mark = clock if clock is not None and marking.due(disk, clock) else None
            with disk.transaction():
                disk.delete(gone)
                disk.count_up(start.epoch, start.boot, self._next, following)
                disk.insert(rows)
                disk.set_states(durable)
                if mark is not None:
                    write_mark(disk, start.boot, mark)
                if drops != self._drops:
                    disk.set_drops(drops)
                if word != mergeable.text_on_disk:
                    disk.set_meta({META_KEY: word})
                if settled:
                    disk.set_meta({PAST: "known"})
            mergeable.text_on_disk = word
            self._doubted = self._doubted and not settled
            if mark is not None:
                marking.written(disk, mark)

        if rows or following or states or gone or drops != self._drops:
            # when it fails it is unknown whether the transaction is on disk; the same rows with
            # the same numbers go to memory, so both answers are right
            self._ask(lambda disk: self._storage.attempt(disk, write), None)
        if self._disk is None:
            self._commit_to_memory(rows, states, gone, following, drops, clock, flying)

    def _save_high_water(self, now_ns: int) -> None:
        before = self._water.high_water_unsaved
        self._water.commit(self._reached, now_ns, on_disk=self._disk is not None)
        if self._water.high_water_unsaved and not before:
            self._storage.add_notice(True, HIGH_WATER_UNSAVED)

    @property
    def high_water_unsaved(self) -> bool:
        """What was committed last would go with the power, and nothing on the card has it: a
        start behind that counts on from before it, and knows of no doubt."""
        return self._water.high_water_unsaved

    @property
    def _reached(self) -> HighWaterMark:
        return HighWaterMark(self._start.epoch, sum(number - 1 for number in self._next.values()))

    def close(self) -> None:
        """The goodbye: the next start is not called unclean."""
        self._retry_disk_at_end()
        self._storage.readonly_disk.end()
        disk = self._disk
        if disk is not None:
            try:
                with disk.transaction():
                    if self._clock is not None:
                        write_mark(disk, self._start.boot, self._clock)
                    disk.set_meta({"clean": 1})
                if self._next:
                    self._water.write_at_end(self._reached)
            except sqlite3.Error:
                pass  # then the next start says so
            disk.close()
            self._storage.disk = None
        self.journal.close()  # if nobody has: whoever sends has ended
