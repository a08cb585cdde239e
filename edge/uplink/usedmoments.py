"""By which moments records were dated, for each boot: durable before the first byte goes out.

A process may be killed between a record's way out and the commit that says so, and the clock may be
set, or the bounds of a boot be learnt, before the next process sends the record again. The city has
the first copy then, so the manifest must list the moment that dated it.
"""

from collections.abc import Iterable
from typing import Final

import msgpack

from edge.uplink.wire.clockmoments import Moment, parse_moments

MOMENTS_OWNER: Final = "moments"
VERSION: Final = 1
BOOT_MOMENTS: Final = 24  # of one boot, the latest: with what dates now, a manifest has room for it
BOOTS: Final = 512  # of former processes, those from which was sent last

StoredState = tuple[int, bytes]


class UsedMoments:
    """Those that are on disk: `former` of earlier processes, and those of this one."""

    def __init__(self, state: StoredState | None = None) -> None:
        """From what the outbox has kept; nothing if that cannot be read."""
        self._boots: dict[int, tuple[Moment, ...]] = {}
        self.add(_unpacked(state))
        while len(self._boots) > BOOTS:  # not later: what a batch is dated by stays while it goes
            del self._boots[next(iter(self._boots))]
        self._former = dict(self._boots)

    def former(self, boot: int) -> tuple[Moment, ...]:
        """By which a former process may have dated a record of this boot."""
        return self._former.get(boot, ())

    def news(self, moments: Iterable[Moment]) -> list[Moment]:
        """Those of them that date otherwise than all that are kept, each once."""
        news: list[Moment] = []
        for moment in moments:
            known = (*self._boots.get(moment.boot, ()), *news)
            if moment not in known and not any(moment.same(other) for other in known):
                news.append(moment)
        return news

    def state_with(self, news: Iterable[Moment]) -> StoredState:
        """For the outbox, to be kept before `add` is told."""
        kept = (moment for boot in self._boots.values() for moment in boot)
        return VERSION, msgpack.packb([moment.packed() for moment in (*kept, *news)])

    def add(self, news: Iterable[Moment]) -> None:
        """They are on disk."""
        for moment in news:
            known = self._boots.pop(moment.boot, ())
            self._boots[moment.boot] = (*known, moment)[-BOOT_MOMENTS:]


def _unpacked(state: StoredState | None) -> list[Moment]:
    if state is None or state[0] != VERSION:
        return []
    try:
        return [parse_moments([moment])[0] for moment in msgpack.unpackb(state[1])]
    except (ValueError, TypeError, msgpack.UnpackException):
        return []
