"""The clock maps of the boots that are sent from: which wall time a record gets."""

from collections.abc import Iterable, Sequence
from typing import Final

from edge.core import Envelope, Record, Stamp
from edge.core.clockmarks import ClockMarkLike
from edge.uplink.backlogreader import Backlog
from edge.uplink.envelope import ClockMap, best_mark, envelope_by
from edge.uplink.wire.clockmoments import UNSURE, KnownBounds, Moment, make_moment

MarksAndBounds = tuple[Sequence[ClockMarkLike], KnownBounds]
"""The clock map of a boot, and what is certain of the boots before and after."""

REREAD_NS: Final = 5_000_000_000
BOOTS_LIMIT: Final = 16  # boots whose clock map is kept


class Timestamper:
    """Asks the store once for each boot; of the one that runs it is given the clock as well."""

    def __init__(self, backlog: Backlog, boot: int, epoch: int) -> None:
        self._backlog, self._boot, self._epoch = backlog, boot, epoch
        self._boots: dict[int, MarksAndBounds] = {}
        self._former: dict[int, tuple[Moment, ...]] = {}  # of the same boots
        self._clock_map = ClockMap()
        self._stale = False  # this boot has become certain: it bounds those before it
        self._again_ns: int | None = None  # when to ask once more

    def knows(self, now: Stamp) -> bool:
        """Whether `see` would learn nothing: what the clocks show dates records already."""
        return self._clock_map.holds(now)

    def see(self, now: Stamp) -> None:
        """What the clocks show; given often, so that a step is dated by when it was. Kept by the
        store before: a mark that is lost with the power cannot prove what was dated by it."""
        if self._clock_map.see(now):
            # asked once more when the store has surely heard of it, too
            self._stale, self._again_ns = True, now.mono_ns + REREAD_NS
        elif self._again_ns is not None and now.mono_ns >= self._again_ns:
            self._stale, self._again_ns = True, None

    async def load_boots(self, boots: set[int]) -> None:
        """Read the clock marks of these boots from the outbox, where they are not known yet."""
        if self._stale:
            self._stale = False
            self._boots.clear()
            self._former.clear()
        for boot in boots - self._boots.keys():
            marks, known = await self._backlog.marks(boot), await self._backlog.bounds(boot)
            if boot == self._boot:
                known_ns = {mark.mono_ns for mark in self._clock_map.marks}
                new = [mark for mark in marks if mark.mono_ns not in known_ns]  # asked before, too
                self._clock_map = ClockMap([*new, *self._clock_map.marks])
            self._boots[boot] = marks, known
            every = await self._backlog.marks(boot, overruled=True)
            self._former[boot] = possible_moments(boot, every, known)
        # what is sent now may be of as many boots as the window has places
        spare = [boot for boot in self._boots if boot not in boots]
        for boot in spare[: max(0, len(self._boots) - BOOTS_LIMIT)]:
            del self._boots[boot], self._former[boot]

    def date(
        self, record: Record, *, backfilled: bool, redelivered: bool
    ) -> tuple[Envelope, Sequence[Moment]]:
        """The envelope of a record whose boot has been learnt, and by which moment it is dated.

        More moments follow if the record is of a former epoch: by one of these a process may have
        dated and sent it that was killed before it had kept that it did.
        """
        marks, known = self._boots[record.boot]
        if record.boot == self._boot:
            marks = self._clock_map.marks
        mark = best_mark(marks, record.to_ns)
        dated = envelope_by(
            mark,
            record.from_ns,
            record.to_ns,
            known,
            backfilled=backfilled,
            redelivered=redelivered,
        )
        moment = manifest_moment(record.boot, mark, known)
        former = () if record.key.epoch == self._epoch else self._former[record.boot]
        return dated, (moment, *former)


def manifest_moment(boot: int, mark: ClockMarkLike | None, known: KnownBounds) -> Moment:
    """For the manifest. A boot without a mark has no wall time."""
    if mark is None:
        return make_moment(boot, 0, 0, "none", known)
    return make_moment(boot, mark.mono_ns, mark.wall_ns, mark.tq, known)


def possible_moments(
    boot: int, marks: Iterable[ClockMarkLike], known: KnownBounds
) -> tuple[Moment, ...]:
    """By which a former process may have dated a record of this boot, each once: by any of its
    marks, and as long as no later boot had learnt the time, without the bound that it gives."""
    possible: dict[Moment, None] = {}
    for mark in (*marks, None):
        moment = manifest_moment(boot, mark, known)
        possible[moment] = None
        if moment.tq in UNSURE:
            possible[moment._replace(after_us=None)] = None
    return tuple(possible)
