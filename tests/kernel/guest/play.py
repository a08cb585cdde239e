"""Plays changes of lines in real time; who is held up by a busy host does not catch up."""

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from drivers.sim.loops import LineLevel

LATE_S: Final = 0.02  # a change that is later was held up
SETTLE_S: Final = 0.05  # after that the kernel has so long for what waits, as a debounce does
GIVE_UP_S: Final = 90.0


class DrivenWires(Protocol):
    """What is driven."""

    def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None: ...


def play(
    wires: DrivenWires,
    rows: Iterable[LineLevel],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Drive the wires; two changes are never closer than in `rows`, but for LATE_S.

    Two changes at once, to be in time again, would be a pulse shorter than any meter's: the kernel
    debounces the line, and such a pulse is none. So all that is to come is later instead; gives by
    how much. Raises TimeoutError when that is more than GIVE_UP_S.
    """
    start_s, moved_s = clock(), 0.0
    for row in rows:
        while (late_s := clock() - start_s - moved_s - row.t_ns / 1e9) > LATE_S or late_s < 0:
            if late_s < 0:
                sleep(-late_s)
                continue
            moved_s += late_s + SETTLE_S
            if moved_s > GIVE_UP_S:
                raise TimeoutError(f"the host has held the guest up for {moved_s:.0f} s")
        wires.drive(row.line, row.level, 0)
    return moved_s
