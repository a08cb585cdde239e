"""Which moments on both clocks of a boot are kept to date its records by.

The outbox keeps them on disk, and the sender has the same in memory: what it dates a record by is
there after a kill, too.
"""

import re
from collections.abc import Mapping
from typing import Final, Protocol, TypeVar

TIME_QUALITY_RANK: Final[Mapping[str, int]] = {"none": 0, "floor": 1, "rtc": 2, "ntp": 3, "nts": 4}
TRUSTED: Final = 2  # of `TIME_QUALITY_RANK`: rtc or better
STEP_NS: Final = 50_000_000  # an audit allows 100 ms. Both clocks are slewed alike: no less is set
STEPS: Final = 13  # a boot; with first, best and last there are 16. The oldest one makes room
MARKS_LIMIT: Final = STEPS + 3
STEP_WORD: Final = re.compile("step[0-9]{9}")


class ClockMarkLike(Protocol):
    """One moment on both clocks: nanoseconds, monotonic and Unix, and how the wall is trusted."""

    @property
    def mono_ns(self) -> int: ...
    @property
    def wall_ns(self) -> int: ...
    @property
    def tq(self) -> str: ...


Mark = TypeVar("Mark", bound=ClockMarkLike)


def with_mark(kept: Mapping[str, Mark], mark: Mark) -> dict[str, Mark]:
    """What is kept of a boot, by name, after its latest mark: at most `MARKS_LIMIT`.

    `first`, the `best`, the `last`, and a step wherever the wall was set or is trusted more than
    before: so records before and after a step get the wall time of their side. An unsure wall has
    no steps: where nobody knows the time, only its last word counts.
    """
    found = {**kept, "last": mark}
    rank = TIME_QUALITY_RANK[mark.tq]
    if "best" not in kept or rank >= TIME_QUALITY_RANK[kept["best"].tq]:
        found["best"] = mark
    steps = sorted(name for name in kept if STEP_WORD.fullmatch(name))
    before = kept[steps[-1]] if steps else kept.get("first")
    if before is None:
        found["first"] = mark
    elif rank >= TRUSTED and (
        rank > TIME_QUALITY_RANK[before.tq] or abs(wall_shift(mark) - wall_shift(before)) > STEP_NS
    ):
        # numbered for ever, so that the order of names is the order of time
        found[f"step{int(steps[-1][4:]) + 1 if steps else 1:09}"] = mark
        if len(steps) >= STEPS:
            del found[steps[0]]
    return found


def wall_shift(mark: ClockMarkLike) -> int:
    """Wall - monotonic time, ns: holds until the wall is set."""
    return mark.wall_ns - mark.mono_ns
