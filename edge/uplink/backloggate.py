"""The gate before the backlog, to save bytes: what can wait goes together each quarter of an hour.

At level 2 it merges first. The connection stays, and alarms, registers, commands and receipts pass
at any time. What waits at the closed gate was not handed over, so the outbox may make quarter hours
of its minutes.
"""

from collections.abc import Callable
from typing import Final

from edge.core import Stamp
from edge.core.walltime import QUARTER_NS
from edge.uplink.rowtable import RowTable
from edge.uplink.sendqueue import Backlog, SendQueue

SETTLED_NS: Final = 10_000_000_000  # so long after it all of a quarter is committed
DOWNSAMPLE_LEVEL: Final = 2  # from this level on minutes merge
DOWNSAMPLE_STEPS: Final = 200  # of merging, each some 500 rows, before the rest goes as it is


class BacklogGate:
    """In front of the backlog; open unless somebody has asked to spare bytes."""

    def __init__(self, backlog: Backlog, send_queue: SendQueue, table: RowTable) -> None:
        self._backlog, self._send_queue, self._table = backlog, send_queue, table
        self._level = 0
        self._quarter = 0  # that has opened it last
        self._up = False  # a connection

    def level(self, level: int) -> None:
        """0 open, 1 together, 2 merged. It closes when all that waits has gone, and at once while
        nothing can go."""
        self._level = level
        if level and not self._up:
            self._send_queue.save()

    async def linked(self, now: Stamp, beat: Callable[[], None]) -> None:
        """A connection is up. Before the first row is handed over."""
        self._up = True
        if not self._send_queue.saving:
            await self._open(now)
        elif not self._level or self._at(now) != self._quarter:
            await self._release(now, beat)

    def unlinked(self) -> None:
        """The connection is down."""
        self._up = False
        self._backlog.link_lost(self._table.highest)
        if self._level:
            self._send_queue.save()

    async def update(self, now: Stamp, beat: Callable[[], None]) -> None:
        """Time has passed: open it, or close it behind the last one."""
        send_queue, due = self._send_queue, self._at(now) != self._quarter
        if send_queue.saving and (due or not self._level):
            await self._release(now, beat)
        elif (
            self._level
            and not send_queue.saving
            and send_queue.is_drained
            and not self._table.in_flight
        ):
            if due:  # it has been open all the time
                self._quarter = self._at(now)
            send_queue.save()
            self._backlog.link_lost(self._table.highest)

    async def _release(self, now: Stamp, beat: Callable[[], None]) -> None:
        """Nobody holds a row of what waits, so all of it may merge before."""
        for _ in range(DOWNSAMPLE_STEPS if self._level >= DOWNSAMPLE_LEVEL else 0):
            beat()
            if not await self._backlog.downsample():
                break
        await self._open(now)

    async def _open(self, now: Stamp) -> None:
        self._send_queue.release()
        self._quarter = self._at(now)
        # from here on rows may have been handed over
        await self._backlog.link_up(self._send_queue.live_from)

    @staticmethod
    def _at(now: Stamp) -> int:
        """By the wall, right or wrong: a clock that jumps opens it once too often."""
        return (now.wall_ns - SETTLED_NS) // QUARTER_NS
