"""The outbox: records get their numbers here and stay until they are confirmed.

Used from exactly one thread. Opening never fails, except when another process holds the database:
what cannot be read is moved to quarantine, and when the disk does not work at all the outbox goes
on in memory, says so, and tries the disk again.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from edge.core import Draft, Key
from edge.store.disk import BusyError, Disk, ForeignError
from edge.store.drops import Drop, Drops, storage_event
from edge.store.files import quarantined
from edge.store.journal import Journal
from edge.store.memory import Memory
from edge.store.place import Place, explain, failed_for_good
from edge.store.room import Packed, fit
from edge.store.rows import (
    CLASSES,
    MAX_BODY,
    Counts,
    Epoch,
    Mark,
    Row,
    Stored,
    checksum,
    pack,
    readable,
    row_of,
)
from edge.store.starts import Start, keep, keep_ledger, note, plan

PROBE_NS: Final = 30_000_000_000  # between two looks at a disk that failed
MEMORY: Final = 8 << 20  # bytes of rows kept while the disk does not work

States = Mapping[str, tuple[int, bytes]]
NO_STATES: Final[States] = {}


class Outbox:
    """`open`, then `begin`, then the rest."""

    def __init__(self, place: Place, boot_id: str, run_dir: Path | None) -> None:
        self._place, self._boot_id = place, boot_id
        self._disk, self.opened = place.open()
        self._memory = Memory(min(MEMORY, place.limit_bytes // 4))
        # without the database the journal of the last process is left as it is
        self.journal = Journal(
            run_dir if self._disk else None, self._disk.token if self._disk else 0
        )
        self._ram = self.opened.ram
        self._start: Start
        self._row = 0
        self._next: dict[str, int] = {}  # the counter rows, as they are on disk
        self._drops = self._disk.drops() if self._disk else Drops()
        self._said: list[tuple[bool, str]] = []  # trouble with the disk, not yet an event
        self._linked = False
        self._probed_ns = 0
        self._failures = 0
        self._dropped = self._damaged = 0

    @classmethod
    def open(
        cls, folder: Path, *, limit_bytes: int, boot_id: str, run_dir: Path | None = None
    ) -> "Outbox":
        """Open or create. Raises BusyError, and nothing else; `opened` says what was found."""
        return cls(Place(folder, limit_bytes), boot_id, run_dir)

    # -- a start of the daemon --------------------------------------------------------------------

    def begin(self) -> Epoch:
        """A new epoch; also applies confirmations that the last process could not commit."""
        folder, boot_id = self._place.folder, self._boot_id
        try:
            start = plan(self._disk, folder, boot_id)
        except (sqlite3.Error, ValueError) as error:
            self._fall(error)
            start = plan(None, folder, boot_id)
        self._start = start
        self._row = start.number << 32
        try:
            keep_ledger(folder, start)
        except OSError as error:
            self._said.append((True, f"The ledger of starts cannot be written: {error.strerror}."))
        if self.opened.damage:
            self._said.append((True, self.opened.damage))
            if start.before:
                self._drops[start.before, "*", "damage"] = Drop(1, None, None)
        if self._disk is not None:
            try:
                keep(self._disk, start, self.journal.was_confirmed, self._drops)
            except sqlite3.Error as error:
                self._fall(error)
        if self.opened.ram:
            self._said.append((True, self.opened.ram))
        return Epoch(start.epoch, start.boot, start.same_boot, start.former, start.unclean)

    # -- writing ----------------------------------------------------------------------------------

    def commit(
        self,
        drafts: Sequence[Draft],
        states: States = NO_STATES,
        confirmed: Iterable[int] = (),
        clock: Mark | None = None,
    ) -> list[Stored]:
        """Number and keep `drafts`, keep `states`, forget `confirmed`: all of it or nothing.

        What comes back may hold more than `drafts`: the outbox declares its own losses and
        troubles as events. A draft that cannot be kept gets a number, and is declared lost.
        """
        gone = tuple(confirmed)
        self._linked = self._linked or bool(gone)
        if clock is not None:
            self._probe(clock)
        now_ns = clock.mono_ns if clock else max((draft.to_ns for draft in drafts), default=0)
        own = [storage_event(now_ns, on, text) for on, text in self._said] if now_ns else []
        packed = [(draft, pack(draft)) for draft in (*drafts, *own)]
        lost = {n: "size" for n, (_, body) in enumerate(packed) if len(body) > MAX_BODY}
        lost.update(dict.fromkeys(self._crowded(packed, lost), "full"))
        drops = self._drops.copy()
        declared = bool(drops) and self._linked and now_ns > 0
        if declared:
            packed.extend((draft, pack(draft)) for draft in drops.drafts(now_ns))
            drops = Drops()
        rows, following = self._number(packed, lost, drops)
        self._write(rows, following, states, gone, clock, drops)
        self._row += len(rows)
        self._next |= following
        self._drops = drops
        self._dropped += len(lost)
        if own:
            self._said.clear()
        self._linked = self._linked and not declared
        return [Stored(row.id, record) for row in rows for record in (readable(row),) if record]

    def _crowded(self, packed: list[Packed], lost: Mapping[int, str]) -> list[int]:
        """The places of drafts for which there is no room, after older rows have made some."""
        places = [place for place in range(len(packed)) if place not in lost]
        if self._disk is None:
            return []
        try:
            fitting = [packed[place] for place in places]
            crowded = fit(self._disk, fitting, self._place.limit_bytes, self._lose)
        except sqlite3.Error as error:
            self._fall(error)
            return []
        return [places[place] for place in crowded]

    def _number(
        self, packed: Sequence[Packed], lost: Mapping[int, str], drops: Drops
    ) -> tuple[list[Row], dict[str, int]]:
        """Every draft gets a number, in order; what is lost gets it for its declaration."""
        following: dict[str, int] = {}
        rows: list[Row] = []
        epoch, boot = self._start.epoch, self._start.boot
        for place, (draft, body) in enumerate(packed):
            stream = str(draft.stream)
            seq = following.get(stream, self._next.get(stream, 1))
            following[stream] = seq + 1
            if place in lost:
                drops.add(epoch, stream, seq, lost[place])
                continue
            key = Key(epoch, draft.stream, seq)
            rows.append(row_of(self._row + 1 + len(rows), key, draft, boot, body))
        return rows, following

    def _write(
        self,
        rows: list[Row],
        following: Mapping[str, int],
        states: States,
        gone: tuple[int, ...],
        clock: Mark | None,
        drops: Drops,
    ) -> None:
        disk = self._disk
        if disk is not None and (rows or following or states or gone or drops != self._drops):
            try:
                with disk.transaction():
                    disk.delete(gone)
                    disk.count_up(self._start.epoch, self._start.boot, self._next, following)
                    disk.insert(rows)
                    disk.set_states(states)
                    if clock is not None:
                        disk.set_mark(self._start.boot, clock)
                    if drops != self._drops:
                        disk.set_drops(drops)
            except sqlite3.Error as error:
                # whether the transaction is on disk is unknown; the same rows with the same
                # numbers go to memory, so both answers are right
                self._fall(error)
        if self._disk is None:
            before = sum(drop.count or 0 for drop in drops.values())
            self._memory.write(rows, states, gone, drops)
            self._dropped += sum(drop.count or 0 for drop in drops.values()) - before

    def dead(self, row: int, why: str) -> None:
        """Give up a row that the broker refuses; its number is declared lost."""
        if self._disk is None:
            found = self._memory.rows.get(row)
            if found is not None:
                self._memory.remove(row)
                self._drops.add(found.epoch, found.stream, found.seq, "refused")
            return
        try:
            found = self._disk.row(row)
            if found is not None:
                self._lose([found], "refused", why)
        except sqlite3.Error as error:
            self._fall(error)

    def _lose(self, rows: Sequence[Row], reason: str = "full", why: str | None = None) -> None:
        """Take rows out and remember their numbers, in one transaction. Raises sqlite3.Error."""
        disk = self._disk
        if disk is None:
            return
        for row in rows:
            if row.stream in CLASSES and isinstance(row.epoch, int) and isinstance(row.seq, int):
                self._drops.add(row.epoch, row.stream, row.seq, reason)
        self._dropped += len(rows)
        # the losses are known before they happen: a commit that fails may have reached the disk
        with disk.transaction():
            for row in rows:
                if why is not None:
                    disk.bury(row, why)
            disk.delete(row.id for row in rows)
            disk.set_drops(self._drops)

    # -- reading ----------------------------------------------------------------------------------

    def pending(self, after_row: int = 0, limit: int = 200) -> list[Stored]:
        """Rows that are not confirmed, the oldest first; damaged ones are declared lost."""
        found: list[Stored] = []
        while not found:
            rows = self._after(after_row, limit)
            if not rows:
                break
            damaged = []
            for row in rows:
                record = readable(row)
                if record is None:
                    damaged.append(row)
                else:
                    found.append(Stored(row.id, record, self._maybe_sent(row.id)))
            self._damaged += len(damaged)
            after_row = rows[-1].id
            try:
                if damaged and self._disk is not None:
                    self._lose(damaged, "damage", "checksum")
            except sqlite3.Error as error:
                self._fall(error)
        return found

    def _after(self, row: int, limit: int) -> list[Row]:
        if self._disk is not None:
            try:
                return self._disk.after(row, limit)
            except sqlite3.Error as error:
                self._fall(error)
        return self._memory.after(row, limit)

    def _maybe_sent(self, row: int) -> bool:
        if self.journal.found:
            return row in self.journal.was_sent
        return row <= self._start.number << 32

    def state(self, owner: str) -> tuple[int, bytes] | None:
        """What `owner` kept last: version and bytes. None when there is none, or it is damaged."""
        found = self._memory.states.get(owner)
        if found is not None or self._disk is None:
            return found
        try:
            kept = self._disk.state(owner)
        except sqlite3.Error as error:
            self._fall(error)
            return None
        if kept is None:
            return None
        version, data, crc = kept
        if checksum(owner, version, data) != crc:
            self._damaged += 1
            return None
        return version, data

    def marks(self, boot: int) -> list[Mark]:
        """The clock map of a boot: the mark that is trusted most, then the latest; or nothing."""
        try:
            return self._disk.marks(boot) if self._disk else []
        except sqlite3.Error as error:
            self._fall(error)
            return []

    def counts(self) -> Counts:
        """How full it is, and what has happened since the start."""
        kept, in_quarantine = quarantined(self._place.folder)
        disk, streams, dead, size = self._disk, self._memory.tally(), 0, in_quarantine
        first = self._after(0, 1)
        try:
            if disk is not None:
                streams, dead, size = disk.tally(), disk.dead(), size + disk.size()
        except sqlite3.Error as error:
            self._fall(error)
        return Counts(
            rows=sum(streams.values()),
            streams=streams,
            size=size,
            limit=self._place.limit_bytes,
            oldest=(first[0].boot, first[0].from_ns) if first else None,
            dropped=self._dropped,
            damaged=self._damaged,
            dead=dead,
            quarantined=kept,
            ram=self._ram,
        )

    def close(self) -> None:
        """The goodbye: the next start is not called unclean."""
        if self._disk is not None:
            try:
                with self._disk.transaction():
                    self._disk.set_meta({"clean": 1})
            except sqlite3.Error:
                pass  # then the next start says so
            self._disk.close()
            self._disk = None
        self.journal.close()

    # -- a disk that fails -------------------------------------------------------------------------

    def _fall(self, error: Exception) -> None:
        """Go on in memory. Nothing on disk is touched: CORRUPT after an I/O error heals."""
        if self._disk is not None:
            self._disk.close()
            self._disk = None
        self._ram = f"The outbox goes on in memory: {explain(error)}."
        self._said.append((True, self._ram))
        self._probed_ns = 0

    def _probe(self, clock: Mark) -> None:
        """Try a failed disk again, twice a minute."""
        if self._disk is not None:
            return
        if self._probed_ns == 0:
            self._probed_ns = clock.mono_ns
        if clock.mono_ns - self._probed_ns < PROBE_NS:
            return
        self._probed_ns = clock.mono_ns
        try:
            disk = self._place.connect(whole=True)
        except (sqlite3.Error, ForeignError, BusyError, OSError, ValueError) as error:
            self._failures = self._failures + 1 if failed_for_good(error) else 0
            if self._failures < 2:
                return
            replacement = self._replace(error)
            if replacement is None:
                return
            disk = replacement
        self._resume(disk, clock)

    def _replace(self, error: Exception) -> Disk | None:
        """The database is damaged, and not only out of reach: quarantine, and a new one."""
        try:
            self._place.move_away()
            disk = self._place.connect()
        except (sqlite3.Error, ForeignError, BusyError, OSError):
            return None
        self._said.append(
            (True, f"The outbox was damaged and has been replaced: {explain(error)}.")
        )
        self._drops[self._start.epoch, "*", "damage"] = Drop(1, None, None)
        return disk

    def _resume(self, disk: Disk, clock: Mark) -> None:
        memory, start = self._memory, self._start
        try:
            keep_ledger(self._place.folder, start)
            with disk.transaction():
                note(disk, start)
                disk.delete((*memory.gone, *self.journal.was_confirmed))
                disk.set_counters(self._start.epoch, self._start.boot, self._next)
                disk.insert(memory.rows.values())
                disk.set_states(memory.states)
                disk.set_mark(self._start.boot, clock)
                disk.set_drops(self._drops)
        except (sqlite3.Error, OSError):
            disk.close()
            return
        self._disk = disk
        self._memory = Memory(min(MEMORY, self._place.limit_bytes // 4))
        self._ram, self._failures = None, 0
        self._said.append((False, "The outbox is on disk again."))
