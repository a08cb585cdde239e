"""The clock map: for each boot a few moments on both clocks, and what they prove of other boots.

Kept are the first mark of a boot, the best, the last, and one wherever the wall clock was set: the
first that is trusted, and each that lies more than a second beside the one before it. So records
before and after a step get the wall time of their side.
"""

import re
from typing import Final

from edge.store.database import Database
from edge.store.rows import TRUST, Mark

STEP: Final = re.compile("step[0-9]{9}")
STEP_NS: Final = 1_000_000_000  # less is drift, or the setting of a clock that was right
STEPS: Final = 13  # a boot; with first, best and last there are 16. The oldest one makes room
TRUSTED: Final = 2  # of `TRUST`: rtc or better
CERTAIN: Final = "('ntp', 'nts')"
WHOLE_BOOTS: Final = 500  # the latest ones keep all of their marks,
BOOTS: Final = 5000  # the others the best one, and the oldest ones none


def set_mark(database: Database, boot: int, mark: Mark) -> None:
    """The latest mark of a boot, and what else of it is worth keeping. Inside a transaction."""
    kept = _kept(database, boot)

    def keep(which: str) -> None:
        database.rows(
            "INSERT OR REPLACE INTO clock VALUES (?, ?, ?, ?, ?)",
            (boot, which, mark.mono_ns, mark.wall_ns, mark.tq),
        )

    keep("last")
    best = kept.get("best")
    if best is None or TRUST[mark.tq] >= TRUST[best.tq]:
        keep("best")
    steps = sorted(which for which in kept if STEP.fullmatch(which))
    before = kept.get(steps[-1]) if steps else kept.get("first")
    if "first" not in kept:
        keep("first")
    elif TRUST[mark.tq] >= TRUSTED and (
        before is None or TRUST[before.tq] < TRUSTED or abs(_shift(mark) - _shift(before)) > STEP_NS
    ):
        # numbered for ever, so that the order of names is the order of time
        keep(f"step{int(steps[-1][4:]) + 1 if steps else 1:09}")
        if len(steps) >= STEPS:
            database.rows("DELETE FROM clock WHERE boot = ? AND which = ?", (boot, steps[0]))


def marks(database: Database, boot: int) -> list[Mark]:
    """At most 16, each once: the most trusted first, and among those the latest first."""
    known = set(_kept(database, boot).values())
    return sorted(known, key=lambda mark: (TRUST[mark.tq], mark.mono_ns), reverse=True)


def bounds(database: Database, boot: int) -> tuple[int | None, int | None]:
    """Between which wall times (Unix ns) a boot lies that never learnt the time.

    From the latest moment that an earlier boot knew for certain to the earliest certain start of a
    later one; None where no boot proves anything.
    """
    before = database.rows(
        f"SELECT max(wall_ns) FROM clock WHERE boot < ? AND tq IN {CERTAIN}", (boot,)
    )
    after = database.rows(
        "SELECT min(wall_ns - mono_ns) FROM clock"
        f" WHERE boot > ? AND which = 'best' AND tq IN {CERTAIN}",
        (boot,),
    )
    one, two = (rows[0][0] for rows in (before, after))
    return (one if isinstance(one, int) else None), (two if isinstance(two, int) else None)


def forget_before(database: Database, boot: int) -> None:
    """Nothing refers to boots before `boot` any more. Inside a transaction.

    The latest of them that knew the time stays: it bounds those that follow.
    """
    database.rows(
        "DELETE FROM clock WHERE boot < ?1 AND boot IS NOT"
        f" (SELECT max(boot) FROM clock WHERE boot < ?1 AND tq IN {CERTAIN})",
        (boot,),
    )
    newest = database.one("SELECT max(boot) FROM clock") or 0
    database.rows(
        "DELETE FROM clock WHERE boot < ? OR (boot < ? AND which <> 'best')",
        (newest - BOOTS, newest - WHOLE_BOOTS),
    )


def _kept(database: Database, boot: int) -> dict[str, Mark]:
    """By their names. What a damaged page says is left out: nothing here has a checksum."""
    return {
        str(which): Mark(mono_ns, wall_ns, tq)
        for which, mono_ns, wall_ns, tq in database.rows(
            "SELECT which, mono_ns, wall_ns, tq FROM clock WHERE boot = ?", (boot,)
        )
        if tq in TRUST and isinstance(mono_ns, int) and isinstance(wall_ns, int)
    }


def _shift(mark: Mark) -> int:
    return mark.wall_ns - mark.mono_ns
