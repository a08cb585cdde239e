"""Which wall time a record gets, by the clock maps of the boots that are sent from; and by which
moments records were dated, durable before the first byte goes out.

A process may be killed between a record's way out and the commit that says so, and the clock may be
set, or the bounds of a boot be learnt, before the next process sends the record again. The city has
the first copy then, so the manifest must list the moment that dated it (`UsedMoments`).
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final

from edge.core import Envelope, Record, Stamp, StoredState, TimeQuality
from edge.core.walltime import ClockMap, KnownBounds, best_mark, envelope_by
from edge.uplink.sendqueue import Backlog
from edge.wire.clockmoments import Moment, make_moment, parse_moments
from edge.wire.keptstate import pack_state, unpack_state

MOMENTS_OWNER: Final = "moments"
VERSION: Final = 1
BOOT_MOMENTS: Final = 24  # of one boot, the latest: with what dates now, a manifest has room for it
BOOTS: Final = 512  # of former processes, those from which was sent last

MarksAndBounds = tuple[Sequence[Stamp], KnownBounds]
"""The clock map of a boot, and what is certain of the boots before and after."""

REREAD_NS: Final = 5_000_000_000
BOOTS_LIMIT: Final = 16  # boots whose clock map is kept


class UsedMoments:
    """Those that are on disk: `former` of earlier processes, and those of this one."""

    def __init__(self, state: StoredState | None = None) -> None:
        """From what the outbox has kept; nothing if that cannot be read."""
        self._boots: dict[int, tuple[Moment, ...]] = {}
        with suppress(ValueError):
            self.restore(unpack_state(state, VERSION) or ())
        self._former = dict(self._boots)

    def restore(self, state: object) -> None:
        """Those of a former process. Raises ValueError for what is no list of moments."""
        if not isinstance(state, list | tuple):
            raise ValueError("no list of moments")
        self.add([parse_moments([moment])[0] for moment in state])
        while len(self._boots) > BOOTS:  # not later: what a batch is dated by stays while it goes
            del self._boots[next(iter(self._boots))]

    def former(self, boot: int) -> tuple[Moment, ...]:
        """By which a former process may have dated a record of this boot."""
        return self._former.get(boot, ())

    def keeps(self, moment: Moment) -> bool:
        """Whether it dates as one of those that are kept."""
        return moment in self._boots.get(moment.boot, ()) or not self.news((moment,))

    def news(self, moments: Iterable[Moment]) -> list[Moment]:
        """Those of them that date otherwise than all that are kept, each once."""
        news: list[Moment] = []
        for moment in moments:
            known = (*self._boots.get(moment.boot, ()), *news)
            if moment not in known and not any(moment.same(other) for other in known):
                news.append(moment)
        return news

    def snapshot(self, news: Iterable[Moment] = ()) -> list[list[Any]]:
        """With `news`, which are to be kept before `add` is told of them."""
        kept = (moment for boot in self._boots.values() for moment in boot)
        return [moment.packed() for moment in (*kept, *news)]

    def add(self, news: Iterable[Moment]) -> None:
        """They are on disk."""
        for moment in news:
            known = self._boots.pop(moment.boot, ())
            self._boots[moment.boot] = (*known, moment)[-BOOT_MOMENTS:]


class Timestamper:
    """Asks the outbox once for each boot; of the one that runs it is given the clock as well."""

    def __init__(self, backlog: Backlog, boot: int, epoch: int) -> None:
        self._backlog, self._boot, self._epoch = backlog, boot, epoch
        self._boots: dict[int, MarksAndBounds] = {}
        self._used: UsedMoments | None = None  # not read yet
        self._clock_map = ClockMap()
        self._stale = False  # this boot has become certain: it bounds those before it
        self._again_ns: int | None = None  # when to ask once more

    def knows(self, now: Stamp) -> bool:
        """Whether `see` would learn nothing: what the clocks show dates records already."""
        return self._clock_map.holds(now)

    def see(self, now: Stamp) -> None:
        """What the clocks show; given often, so that a step is dated by when it was. Kept by the
        outbox before: a mark that is lost with the power cannot prove what was dated by it."""
        if self._clock_map.see(now):
            # asked once more when the outbox has surely heard of it, too
            self._stale, self._again_ns = True, now.mono_ns + REREAD_NS
        elif self._again_ns is not None and now.mono_ns >= self._again_ns:
            self._stale, self._again_ns = True, None

    async def load_boots(self, boots: set[int]) -> None:
        """Read the clock marks of these boots from the outbox, where they are not known yet."""
        if self._stale:
            self._stale = False
            self._boots.clear()
        for boot in boots - self._boots.keys():
            marks, known = await self._backlog.marks(boot), await self._backlog.bounds(boot)
            if boot == self._boot:
                known_ns = {mark.mono_ns for mark in self._clock_map.marks}
                new = [mark for mark in marks if mark.mono_ns not in known_ns]  # asked before, too
                self._clock_map = ClockMap([*new, *self._clock_map.marks])
            self._boots[boot] = marks, known
        # what is sent now may be of as many boots as the window has places
        spare = [boot for boot in self._boots if boot not in boots]
        for boot in spare[: max(0, len(self._boots) - BOOTS_LIMIT)]:
            del self._boots[boot]

    def is_prepared(self, record: Record) -> bool:
        """Whether `date` may date it by what the clocks show now: that is kept."""
        if self._stale or self._used is None or record.boot not in self._boots:
            return False
        return self._used.keeps(manifest_moment(record.boot, *self._mark(record)))

    async def prepare(
        self, records: Sequence[Record], company: Sequence[Record] = (), more_boots: int = 0
    ) -> None:
        """Before these go out: learn their boots, and keep by which moments they will be dated.
        Until the next look at the clock `date` dates them by these and no others.

        Of `company`, which will follow, those in the same commit whose boots are known, or are
        among so many that are not: each costs two looks into the outbox."""
        boots = {record.boot for record in records}
        follow = dict.fromkeys(record.boot for record in company)
        await self.load_boots(boots | set(islice(follow, more_boots)))
        records = [*records, *(record for record in company if record.boot in self._boots)]
        if self._used is None:
            self._used = UsedMoments(await self._backlog.state(MOMENTS_OWNER))
        while news := self._used.news(self._moments(records)):
            state = pack_state(VERSION, self._used.snapshot(news))
            await self._backlog.keep({MOMENTS_OWNER: state})
            self._used.add(news)

    def _moments(self, records: Iterable[Record]) -> Iterable[Moment]:
        for record in records:
            mark, known = self._mark(record)
            yield manifest_moment(record.boot, mark, known)

    def _mark(self, record: Record) -> tuple[Stamp | None, KnownBounds]:
        marks, known = self._boots[record.boot]
        if record.boot == self._boot:
            marks = self._clock_map.marks
        return best_mark(marks, record.to_ns), known

    def date(
        self, record: Record, *, backfilled: bool, redelivered: bool
    ) -> tuple[Envelope, Sequence[Moment]]:
        """The envelope of a record that is prepared, and by which moment it is dated.

        If the record is of a former epoch, those follow by which a former process may have dated
        it: it may have been killed before it had kept that the record went out.
        """
        mark, known = self._mark(record)
        dated = envelope_by(
            mark,
            record.from_ns,
            record.to_ns,
            known,
            backfilled=backfilled,
            redelivered=redelivered,
        )
        former: Sequence[Moment] = ()
        if record.key.epoch != self._epoch and self._used is not None:
            former = self._used.former(record.boot)
        return dated, (manifest_moment(record.boot, mark, known), *former)


def manifest_moment(boot: int, mark: Stamp | None, known: KnownBounds) -> Moment:
    """For the manifest. A boot without a mark has no wall time."""
    if mark is None:
        return make_moment(boot, 0, 0, TimeQuality.NONE, known)
    return make_moment(boot, mark.mono_ns, mark.wall_ns, mark.tq, known)
