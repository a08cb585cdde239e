"""The clock map: for each boot a few moments on both clocks, and what they prove of other boots.

Kept are the first mark of a boot, the best, the last, and one wherever the wall clock was set: each
that is trusted more than the one before it, or lies more than a second beside it. So records before
and after a step get the wall time of their side.

A time service may have been wrong. Of marks that contradict each other by more than a day the later
one counts within a boot; of boots, the latest that knew the time, and the most that agree with it
and with each other. What is overruled stays on the disk, and is not used: later boots may show that
it was right after all.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final, NamedTuple

from edge.core import Stamp, TimeQuality
from edge.core.walltime import CORRECTION_NS, SAME_NS, without_overruled
from edge.outbox.database import Database

STEP_WORD: Final = re.compile("step[0-9]{9}")
STEP_NS: Final = 1_000_000_000  # less is drift, or the setting of a clock that was right
STEPS: Final = 13  # a boot; with first, best and last there are 16. The oldest one makes room
MARK_NS: Final = 300_000_000_000  # the last mark may be so old: a page less in each commit
CERTAIN: Final = str(tuple(str(tq) for tq in TimeQuality if tq.is_synchronised))  # SQL's list
WHOLE_BOOTS: Final = 500  # the latest ones keep all of their marks,
BOOTS: Final = 5000  # the others the best one, and the oldest ones none


class Anchor(NamedTuple):
    """A boot that knew the time: wall times (Unix ns) of its begin and of its latest mark."""

    boot: int
    start_ns: int
    end_ns: int


def write_mark(database: Database, boot: int, mark: Stamp) -> None:
    """The latest mark of a boot, and what else of it is worth keeping. Inside a transaction."""
    kept = _stored_marks(database, boot)

    def keep(which: str) -> None:
        database.rows(
            "INSERT OR REPLACE INTO clock VALUES (?, ?, ?, ?, ?)",
            (boot, which, mark.mono_ns, mark.wall_ns, mark.tq),
        )

    keep("last")
    best = kept.get("best")
    if best is None or mark.tq.rank >= best.tq.rank:
        keep("best")
    steps = sorted(which for which in kept if STEP_WORD.fullmatch(which))
    before = kept.get(steps[-1]) if steps else kept.get("first")
    if "first" not in kept:
        keep("first")
    elif not mark.tq.is_guessed and (
        before is None
        or mark.tq.rank > before.tq.rank
        or abs(mark.offset_ns - before.offset_ns) > STEP_NS
    ):
        # numbered for ever, so that the order of names is the order of time
        keep(f"step{int(steps[-1][4:]) + 1 if steps else 1:09}")
        if len(steps) >= STEPS:
            database.rows("DELETE FROM clock WHERE boot = ? AND which = ?", (boot, steps[0]))


class MarkThrottle:
    """Which marks of a start are worth a page of the card: the first, one each five minutes, and at
    once those with news: another quality, or a wall clock that was set."""

    def __init__(self) -> None:
        self._last: tuple[Database, Stamp] | None = None  # where it lies; another file lacks it

    def due(self, database: Database, mark: Stamp) -> bool:
        """Whether it is to be written."""
        if self._last is None or self._last[0] is not database:
            return True
        last = self._last[1]
        return (
            mark.tq != last.tq
            or abs(mark.offset_ns - last.offset_ns) > SAME_NS
            or not 0 <= mark.mono_ns - last.mono_ns < MARK_NS
        )

    def written(self, database: Database, mark: Stamp) -> None:
        """It is on disk."""
        self._last = database, mark


def read_marks(database: Database, boot: int) -> list[Stamp]:
    """At most 16, each once: the most trusted first, and among those the latest first.

    Without those that are certain of something that later ones, or other boots, have overruled.
    """
    known = set(_stored_marks(database, boot).values())
    sure = {mark for mark in known if mark.tq.is_synchronised}
    if sure and all(anchor.boot != boot for anchor in consistent_anchors(_anchors(database))):
        known -= sure
    marks = without_overruled(known)
    return sorted(marks, key=lambda mark: (mark.tq.rank, mark.mono_ns), reverse=True)


def boot_bounds(database: Database, boot: int) -> tuple[int | None, int | None]:
    """Between which wall times (Unix ns) a boot lies that never learnt the time.

    From the latest moment that an earlier boot knew for certain to the earliest certain start of a
    later one; None where no boot proves anything.
    """
    found = consistent_anchors(_anchors(database))
    before = [anchor.end_ns for anchor in found if anchor.boot < boot]
    after = [anchor.start_ns for anchor in found if anchor.boot > boot]
    return (before[-1] if before else None), (after[0] if after else None)


def consistent_anchors(anchors: Sequence[Anchor]) -> list[Anchor]:
    """Those to be believed, by their boots: as many as can be that lie one after the other.

    The latest is always among them: the clock that made it was checked against the others, and
    nobody knows better. So what was wrong once is outvoted, or overruled by the next that is right.
    """
    # From the latest to the first, each is put behind the longest chain that it fits before.
    # `tails[n]` is the chain of n + 1 that leaves most room, `chains` who follows whom.
    tails: list[Anchor] = []
    rooms: list[int] = []  # the negated starts of `tails`, which ascend
    chains: dict[Anchor, Anchor | None] = {}
    longest: Anchor | None = None
    for anchor in sorted(anchors, reverse=True):
        fits = bisect_right(rooms, -anchor.end_ns)
        if not fits and tails:
            continue  # it contradicts the latest
        chains[anchor] = tails[fits - 1] if fits else None
        if fits == len(tails):
            longest = anchor
            tails.append(anchor)
            rooms.append(-anchor.start_ns)
        elif -anchor.start_ns < rooms[fits]:
            tails[fits], rooms[fits] = anchor, -anchor.start_ns
    chosen: list[Anchor] = []
    while longest is not None:
        chosen.append(longest)
        longest = chains[longest]
    return [anchor for anchor in sorted(anchors) if _is_consistent(anchor, chosen)]


def _is_consistent(anchor: Anchor, chosen: Sequence[Anchor]) -> bool:
    """Whether it is one of them, or contradicts its neighbours by no more than a correction."""
    at = bisect_left(chosen, anchor)
    if at < len(chosen) and chosen[at] == anchor:
        return True
    return (at == 0 or chosen[at - 1].end_ns <= anchor.start_ns + CORRECTION_NS) and (
        at == len(chosen) or anchor.end_ns <= chosen[at].start_ns + CORRECTION_NS
    )


def forget_before(database: Database, boot: int) -> None:
    """Nothing refers to boots before `boot` any more. Inside a transaction.

    The latest of them that knew the time stays: it bounds those that follow.
    """
    database.rows(
        "DELETE FROM clock WHERE boot < ?1 AND boot IS NOT"
        f" (SELECT max(boot) FROM clock WHERE boot < ?1 AND tq IN {CERTAIN})",
        (boot,),
    )
    # a boot that cannot be is of a damaged page
    newest = database.one("SELECT max(boot) FROM clock WHERE boot BETWEEN 0 AND ?", (1 << 53,)) or 0
    database.rows(
        "DELETE FROM clock WHERE boot < ? OR (boot < ? AND which <> 'best')",
        (newest - BOOTS, newest - WHOLE_BOOTS),
    )


def _anchors(database: Database) -> list[Anchor]:
    """The latest certain mark of each boot that has one. What is damaged is left out."""
    return [
        Anchor(boot, wall_ns - mono_ns, wall_ns)
        for boot, mono_ns, wall_ns in database.rows(
            "SELECT boot, max(mono_ns), wall_ns FROM clock"
            f" WHERE tq IN {CERTAIN} AND typeof(mono_ns) = 'integer'"
            " AND typeof(wall_ns) = 'integer' GROUP BY boot"
        )
        if isinstance(boot, int) and isinstance(mono_ns, int) and isinstance(wall_ns, int)
    ]


def _stored_marks(database: Database, boot: int) -> dict[str, Stamp]:
    """By their names. What a damaged page says is left out: nothing here has a checksum."""
    return {
        str(which): Stamp(mono_ns, wall_ns, tq)
        for which, mono_ns, wall_ns, word in database.rows(
            "SELECT which, mono_ns, wall_ns, tq FROM clock WHERE boot = ?", (boot,)
        )
        if (tq := TimeQuality.parse(word)) and isinstance(mono_ns, int) and isinstance(wall_ns, int)
    }
