"""The outbox: records get their numbers here and stay until they are confirmed.

Used from exactly one thread. Opening never fails, except when another process holds the database:
what cannot be read is moved to quarantine, and when the disk does not work at all the outbox goes
on in memory, says so, and tries the disk again.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from edge.core import Draft
from edge.store.clockmap import set_mark
from edge.store.disk import Disk
from edge.store.drops import Drop, Drops, storage_event
from edge.store.handover import WORD
from edge.store.holdings import Holdings
from edge.store.journal import Journal
from edge.store.medium import Medium
from edge.store.numbering import number
from edge.store.place import Place
from edge.store.room import Packed, fit
from edge.store.rows import INFINITE, MAX_BODY, Epoch, Mark, Row, Stored, pack, readable
from edge.store.starts import BEHIND, handed_over, keep, keep_ledger, note, plan
from edge.store.thin import Merge

BALLAST: Final = 16 << 20  # bytes

States = Mapping[str, tuple[int, bytes]]
NO_STATES: Final[States] = {}


class Outbox(Holdings):
    """`open`, then `begin`, then the rest."""

    def __init__(
        self,
        place: Place,
        boot_id: str,
        run_dir: Path | None,
        merge: Merge | None,
        ballast_bytes: int,
    ) -> None:
        medium = Medium(place, ballast_bytes)
        disk = medium.disk
        # without the database the journal of the last process is left as it is
        journal = Journal(run_dir if disk else None, disk.token if disk else 0)
        super().__init__(place, medium, journal, merge)
        self.opened = medium.opened
        self.handed: list[Stored] = []  # confirmed before the last process was killed, then deleted
        self._boot_id = boot_id
        self._row = 0
        self._next: dict[str, int] = {}  # the counter rows, as they are on disk
        self._drops = self._ask(Disk.drops, Drops())
        self._heard = False  # somebody confirms: a declaration would be heard of

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        limit_bytes: int,
        boot_id: str,
        run_dir: Path | None = None,
        merge: Merge | None = None,
        ballast_bytes: int = BALLAST,
    ) -> "Outbox":
        """Open or create. Raises BusyError, and nothing else; `opened` says what was found.

        Without `merge` nothing is thinned. The ballast lies outside of `limit_bytes`.
        """
        return cls(Place(folder, limit_bytes), boot_id, run_dir, merge, ballast_bytes)

    # -- a start of the daemon --------------------------------------------------------------------

    def begin(self) -> Epoch:
        """A new epoch; also applies confirmations that the last process could not commit."""
        medium, folder = self._medium, self._place.folder
        try:
            start = plan(medium.disk, folder, self._boot_id)
        except sqlite3.Error as error:
            medium.fall(error)
            start = plan(None, folder, self._boot_id)
        self._start, self._row = start, start.number << 32
        damage = self.opened.damage or (BEHIND if start.behind else None)
        if damage:
            medium.say(True, damage)
            if start.before:
                self._drops[start.before, "*", "damage"] = Drop(1, None, None)
        word = self._ask(lambda disk: disk.word(WORD, INFINITE), INFINITE)
        self._handover.begin(word, self._row, max(self.journal.was_sent, default=0))
        confirmed = self.journal.was_confirmed
        self.handed = self._ask(lambda disk: handed_over(disk, confirmed), [])
        self._ask(
            lambda disk: medium.attempt(
                disk, lambda disk: keep(disk, start, confirmed, self._drops)
            ),
            None,
        )
        # behind the database: one that is behind its ledger has lost its last start
        try:
            medium.rescued(partial(keep_ledger, folder, start))
        except OSError as error:
            medium.say(True, f"The ledger of starts cannot be written: {error.strerror}.")
        if self.opened.ram:
            medium.say(True, self.opened.ram)
        medium.ballast.build()
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
        self._heard = self._heard or bool(gone)
        if clock is not None:
            self._look_again(clock)
        now_ns = clock.mono_ns if clock else max((draft.to_ns for draft in drafts), default=0)
        self._handover.tick(now_ns)
        said = tuple(self._medium.said) if now_ns else ()
        own = [storage_event(now_ns, on, text) for on, text in said]
        packed = [(draft, pack(draft)) for draft in (*drafts, *own)]
        lost = {n: "size" for n, (_, body) in enumerate(packed) if len(body) > MAX_BODY}
        lost.update(dict.fromkeys(self._crowded(packed, lost, gone), "full"))
        drops = self._drops.copy()
        declared = bool(drops) and self._heard and now_ns > 0
        if declared:
            packed.extend((draft, pack(draft)) for draft in drops.drafts(now_ns))
            drops = Drops()
        rows, following = number(packed, lost, self._start, self._row, self._next, drops)
        self._write(rows, following, states, gone, clock, drops)
        self._row += len(rows)
        self._handover.committed(now_ns, self._row)
        self._next |= following
        self._drops = drops
        self._counting.dropped += len(lost)
        self._counting.committed(rows, clock.mono_ns if clock else None)
        del self._medium.said[: len(said)]
        self._heard = self._heard and not declared
        return [Stored(row.id, record) for row in rows for record in (readable(row),) if record]

    def _crowded(
        self, packed: list[Packed], lost: Mapping[int, str], gone: tuple[int, ...]
    ) -> list[int]:
        """The places of drafts for which there is no room, after older rows have made some."""
        places = [place for place in range(len(packed)) if place not in lost]
        fitting = [packed[place] for place in places]
        limit, lose = self._place.limit_bytes, partial(self._lose, arrived=frozenset(gone))
        crowded: set[int] = self._ask(
            lambda disk: fit(disk, fitting, limit, lose, partial(self._thin, disk)), set()
        )
        return [places[place] for place in crowded]

    def _thin(self, disk: Disk) -> bool:
        """One step of thinning; whether another one may gain more. Raises sqlite3.Error."""
        thinner = self._thinner
        if thinner is None:
            return False
        handover = self._handover
        behind, settled = handover.unsent_after, handover.settled
        return self._medium.attempt(disk, lambda disk: thinner.step(disk, behind, settled))

    def _write(
        self,
        rows: list[Row],
        following: Mapping[str, int],
        states: States,
        gone: tuple[int, ...],
        clock: Mark | None,
        drops: Drops,
    ) -> None:
        start, handover, word = self._start, self._handover, self._word()

        def write(disk: Disk) -> None:
            with disk.transaction():
                disk.delete(gone)
                disk.count_up(start.epoch, start.boot, self._next, following)
                disk.insert(rows)
                disk.set_states(states)
                if clock is not None:
                    set_mark(disk, start.boot, clock)
                if drops != self._drops:
                    disk.set_drops(drops)
                if word != handover.stored:
                    disk.set_meta({WORD: word})
            handover.stored = word

        if rows or following or states or gone or drops != self._drops:
            # when it fails it is unknown whether the transaction is on disk; the same rows with
            # the same numbers go to memory, so both answers are right
            self._ask(lambda disk: self._medium.attempt(disk, write), None)
        if self._disk is None:
            before = sum(drop.count or 0 for drop in drops.values())
            self._medium.memory.write(rows, states, gone, drops)
            self._counting.dropped += sum(drop.count or 0 for drop in drops.values()) - before

    def close(self) -> None:
        """The goodbye: the next start is not called unclean."""
        disk = self._disk
        if disk is not None:
            try:
                with disk.transaction():
                    disk.set_meta({"clean": 1})
            except sqlite3.Error:
                pass  # then the next start says so
            disk.close()
            self._medium.disk = None
        self.journal.close()

    # -- a disk that works again -------------------------------------------------------------------

    def _look_again(self, clock: Mark) -> None:
        self._medium.look_again(clock.mono_ns)
        found = self._medium.probe(clock.mono_ns)
        if found is None:
            return
        disk, is_new = found
        if is_new:
            self._drops[self._start.epoch, "*", "damage"] = Drop(1, None, None)
        self._medium.resume(disk, partial(self._catch_up, clock=clock))

    def _catch_up(self, disk: Disk, clock: Mark) -> None:
        """What the disk has missed. Raises sqlite3.Error, OSError."""
        memory, start, word = self._medium.memory, self._start, self._word()
        keep_ledger(self._place.folder, start)
        with disk.transaction():
            note(disk, start)
            disk.delete((*memory.gone, *self.journal.was_confirmed))
            disk.set_counters(start.epoch, start.boot, self._next)
            disk.insert(memory.rows.values())
            disk.set_states(memory.states)
            set_mark(disk, start.boot, clock)
            disk.set_drops(self._drops)
            disk.set_meta({WORD: word})
        self._handover.stored = word
