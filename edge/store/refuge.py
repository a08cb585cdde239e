"""In memory while the disk gives trouble, and back: what is kept meanwhile, and what is made of
what a process before this one had to leave there."""

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from edge.core.numbers import Numbers
from edge.store.beside import keep_memory, of_owner
from edge.store.catchup import News, catch_up, combine
from edge.store.disk import Disk
from edge.store.drops import Drop, Drops
from edge.store.files import Ledger, read_ledger
from edge.store.handover import WORD, behind
from edge.store.holdings import Holdings
from edge.store.journal import Journal, left_behind
from edge.store.medium import Medium
from edge.store.memory import States
from edge.store.place import Place
from edge.store.rows import INFINITE, DamagedError, Mark, Row, Stored, readable
from edge.store.spool import ABSORBED, Commit, Left, Spool, read_left
from edge.store.spool import NAME as SPOOL
from edge.store.starts import Start, keep_ledger, plan
from edge.store.thin import Merge

SPARED_NS: Final = 3_600_000_000_000  # so long states of a start that was blind stay off the disk
RESTART: Final = (
    "The outbox could not be read at this start and works now. Restart the daemon, so that it "
    "goes on from the totals that lie there."
)


TORN: Final = (
    "What the outbox had kept in memory is damaged in the run directory: some of it is lost."
)


class Refuge(Holdings):
    """Holdings with a second place to lie in."""

    def __init__(
        self,
        place: Place,
        medium: Medium,
        merge: Merge | None,
        boot_id: str,
        run_dir: Path | None,
    ) -> None:
        # who asks for nobody's in particular goes on in the journal of whose database it is
        owner = place.owner or (medium.disk.owner if medium.disk is not None else "")
        self._owner = owner
        super().__init__(place, medium, Journal(run_dir, owner), merge)
        self._sent_before = left_behind(run_dir, owner)
        self.opened = medium.opened
        self.handed: list[Stored] = []  # confirmed before the last process was killed
        self._boot_id, self._run_dir = boot_id, run_dir
        self._row = 0
        self._next: dict[str, int] = {}  # the counter rows, as they are on disk
        declared = self._ask(Disk.drops, None)
        self._unread = declared is None  # nobody knows what the disk has to declare
        self._drops = Drops() if declared is None else declared
        self._spool = Spool(run_dir)
        self._clock: Mark | None = None
        # owners that could go on from their states; None: all, because the disk was there
        self._known: frozenset[str] | None = None
        self._missed: set[str] = set()  # owners who asked for their state in vain
        self._spared: set[str] = set()  # owners whose state on disk is better than the new one
        self._spared_ns = 0  # since when

    @property
    def restart(self) -> str | None:
        """Why the daemon should be started anew, as a sentence for people."""
        return RESTART if self._spared else None

    # -- a start ----------------------------------------------------------------------------------

    def _plan(self) -> Start:
        """The next start, with what the one before it has left in memory."""
        medium, folder = self._medium, self._place.folder
        left, torn = self._left_in_memory()
        if left is not None and self._ask(lambda disk: disk.word(ABSORBED, 0), 0) == left.token:
            left = None  # it is on disk, and was not removed any more
        others = [] if self._run_dir is None else [read_ledger(self._run_dir)]
        former = None
        if left is not None:
            others.append(Ledger(left.number, left.boot, left.boot_id, left.epoch))
            former = left.latest()
            if left.unread:
                combine(left.drops, self._drops)
            # else it had read them, and has declared some of them since
            self._unread = self._unread and left.unread
            self._drops = left.drops
            self._absorb(left)
        try:
            start = plan(medium.disk, folder, self._boot_id, others, former, self._place.owner)
        except sqlite3.Error as error:
            medium.fall(error)
            start = plan(None, folder, self._boot_id, others, former, self._place.owner)
        if torn:
            medium.say(True, TORN)
            if start.before:
                self._drops[start.before, "*", "damage"] = Drop(1, None, None)
        if left is not None and medium.disk is None:
            self._adopt(left)
            start = replace(start, unclean=not left.clean)
        elif left is not None or medium.disk is not None:
            self._spool.remove()
        return start

    def _left_in_memory(self) -> tuple[Left | None, bool]:
        """What the process before had no disk for, and whether some of it cannot be read. What is
        another owner's is put aside."""
        owner = self._place.owner
        try:
            left = read_left(self._run_dir, self._medium.empty())
        except DamagedError:
            return None, True
        if left is None or owner is None or left.owner in ("", owner):
            return left, left is not None and left.damaged
        self._keep_memory_of(left)
        return None, False

    def _keep_memory_of(self, left: Left) -> None:
        """Of another owner. On the disk, if it works: a tmpfs goes with the power."""
        if self._run_dir is None:
            return
        path, where = self._run_dir / SPOOL, self._place.folder
        text = f"{path} is {left.owner}'s, with {len(left.memory.rows)} records"
        try:
            to = where if self._disk is not None else self._run_dir
            kept = keep_memory(path, to, of_owner(left.owner))
        except OSError as error:
            self._medium.say(True, f"{text}; it cannot be kept: {error.strerror}.")
        else:
            self._medium.say(True, f"{text}: it is kept as {kept}.")

    def _absorb(self, left: Left) -> None:
        """To the disk, if it works."""
        start = Start(
            left.number, left.epoch, left.boot, left.boot_id, False, None, False, 0,
            owner=left.owner,
        )  # fmt: skip
        known = left.known
        words: dict[str, int | str] = {"clean": int(left.clean), WORD: ""}
        news = News(
            start, left.memory, left.counters, self._drops, (), left.mark, left.token,
            spared=lambda owner: known is not None and owner not in known, words=words,
        )  # fmt: skip
        self._ask(lambda disk: bool(self._bring(disk, news)), False)

    def _adopt(self, left: Left) -> None:
        """Its rows lie in memory still, and go on lying there."""
        self._medium.memory = left.memory
        self._known = frozenset(left.memory.states) if left.known is None else left.known
        for number in sorted(self._sent_before.confirmed & left.memory.rows.keys()):
            record = readable(left.memory.rows[number])
            if record is not None:
                self.handed.append(Stored(number, record, again=True))

    def _begun(self) -> None:
        """At the end of a start."""
        if self._disk is None:
            self._known = self._known or frozenset()
            self._remember((), {}, (), {}, self._drops, None, ())

    def _keep_ledger(self) -> None:
        """Behind the database: one that is behind its ledger has lost its last start."""
        try:
            self._medium.rescued(partial(keep_ledger, self._place.folder, self._start))
        except OSError as error:
            text = f"The ledger of starts cannot be written: {error.strerror}."
            self._medium.say(True, text)
        if self._run_dir is not None:  # for a start that finds no disk in this boot
            with contextlib.suppress(OSError):
                keep_ledger(self._run_dir, self._start)

    # -- meanwhile --------------------------------------------------------------------------------

    def state(self, owner: str) -> tuple[int, bytes] | None:
        found = super().state(owner)
        if found is None and self._disk is None:
            self._missed.add(owner)
        return found

    def _better(self, owner: str) -> bool:
        """Whether a state on disk would be the better one: nobody could go on from it."""
        unread = self._known is not None and owner not in self._known
        return unread or owner in self._missed

    def _without_spared(self, states: States, clock: Mark | None) -> States:
        """What of them may go to the disk."""
        if not self._spared:
            return states
        if clock is not None and not 0 <= clock.mono_ns - self._spared_ns < SPARED_NS:
            self._spared.clear()  # nobody has started the daemon anew: these totals are the truth
        return {owner: state for owner, state in states.items() if owner not in self._spared}

    def _remember(
        self,
        rows: Sequence[Row],
        states: States,
        gone: Iterable[int],
        following: Mapping[str, int],
        drops: Drops,
        clock: Mark | None,
        flying: Collection[int],
    ) -> None:
        """One commit while the disk does not work."""
        memory = self._medium.memory
        # the commit that failed may be on disk all the same
        memory.reached = memory.reached or self._row + len(rows)
        memory.reached = max(memory.reached, self._medium.stranded.top)
        forgotten = memory.forgotten
        self._counting.dropped += memory.write(rows, states, gone, drops, flying.__contains__)
        if memory.forgotten and not forgotten:
            self._medium.say(True, "So much was confirmed meanwhile that some of it is sent again.")
        out, memory.out = memory.out.ranges(), Numbers()
        kept = [row for row in rows if row.id in memory.rows]
        counters = {**self._next, **following}
        was, reached = self._spool.trouble, memory.reached
        self._spool.commit(
            self._start,
            self._known,
            self._unread,
            memory.size,
            Commit(kept, states, out, reached, following, drops, clock),
            Commit(
                memory.rows.values(), memory.states, memory.gone.ranges(), reached, counters, drops,
                clock or self._clock,
            ),
        )  # fmt: skip
        if self._spool.trouble is not None and was is None:
            self._medium.say(True, self._spool.trouble)

    # -- a disk that works again ------------------------------------------------------------------

    def _look_again(self, clock: Mark) -> None:
        medium, self._clock = self._medium, clock
        medium.look_again(clock.mono_ns)
        disk = medium.probe(clock.mono_ns)
        if disk is not None:
            self._return_to(disk)
        if medium.disk is None and (disk := medium.replace()) is not None:
            if medium.lost:
                self._drops[self._start.epoch, "*", "damage"] = Drop(1, None, None)
            self._return_to(disk)

    def _look_for_the_last_time(self) -> None:
        """The process ends: what the disk does not take stays in tmpfs, for the next one."""
        disk = self._medium.probe(self._clock.mono_ns if self._clock else 0, now=True)
        if disk is not None:
            self._return_to(disk)
        self._spool.said_goodbye()

    def _return_to(self, disk: Disk) -> None:
        """Raises nothing: when it fails again, all of it stays in memory."""
        word = self._word()
        before = self._sent_before.for_start(self._start.number << 32, disk.token)
        news = News(
            self._start, self._medium.memory, self._next, self._drops, before.confirmed,
            self._clock, self._spool.token, self._unread, self._better, {WORD: word},
        )  # fmt: skip
        spared: set[str] = set()
        if not self._medium.resume(disk, lambda disk: spared.update(self._bring(disk, news))):
            return
        if before != self._sent_before:
            self._sent_before = before
            self.journal.go_on(before)
        self._keep_ledger()
        self._spool.remove()
        self._handover.stored = word
        self._spared_ns = self._clock.mono_ns if self._clock else 0
        self._spared, self._unread, self._known = spared, False, None
        self._missed.clear()
        if self._ask(lambda disk: disk.word("starts", 0), 0) != self._start.number:
            self._thinner = None  # rows behind ours were handed over, nobody knows how many

    def _bring(self, disk: Disk, news: News) -> set[str]:
        """Whose states were spared. Raises sqlite3.Error."""
        lost, spared = catch_up(
            disk, news, self._place.limit_bytes, self._medium.attempt, partial(self._thin, disk)
        )
        self._counting.dropped += lost
        return spared

    def thin(self) -> bool:
        """As below, though there is room: each byte on the way costs. While the sender holds no
        row at all, not even one that was just committed."""
        return bool(self._ask(lambda disk: self._thin(disk, INFINITE), False))

    def _thin(self, disk: Disk, settled: int | None = None) -> bool:
        """One step of thinning; whether another one may gain more. Raises sqlite3.Error."""
        thinner = self._thinner
        if thinner is None:
            return False
        spans = self._handover.spans
        if settled == INFINITE and self._start.unclean and not self._start.same_boot:
            # the disk may have been read-only at the end, and rows gone from it: see `Stranded`
            spans = behind(spans, self._start.number << 32)
        settled = self._handover.settled if settled is None else settled
        return self._medium.attempt(disk, lambda disk: thinner.step(disk, spans, settled))
