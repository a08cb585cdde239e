"""What is given up when there is more to do than this box can, and how it is reported.

In this order: raw rows, which count in summaries anyway; questions to devices, which count as
`bad:stale`; sweeps that were read and found no room. Edges of lines come before all of these: what
does not fit is known by number, and in the record as `lost_edges`. Windows that have piled up are
closed together. All of it is in the records; the event is for people.
"""

from dataclasses import dataclass, replace
from typing import Final

from edge.core import Draft, Stream
from edge.wire.contract.boxevent import Overload

REST_SHARE: Final = 0.1  # of the time of one bus: less is no overload
LOOK_NS: Final = 10_000_000_000
AGAIN_NS: Final = 900_000_000_000  # an overload that lasts is reported so often
OVERLOAD_TEXT: Final = (
    "This box is overloaded. In the last {within_s:.0f} s, questions were left out for "
    "{rested_s:.0f} s of the buses' time, and {readings} readings, {raw} raw rows and {edges} "
    "edges were dropped; the records are marked. Read devices less often (every_s), make windows "
    "longer (period_s), or switch raw off."
)


@dataclass(frozen=True, slots=True)
class ShedCounts:
    """Since the start, or since the last event. `rested_ns`: questions were due and not asked."""

    rested_ns: int = 0
    readings: int = 0
    raw: int = 0
    edges: int = 0

    def __add__(self, other: "ShedCounts") -> "ShedCounts":
        return ShedCounts(
            self.rested_ns + other.rested_ns,
            self.readings + other.readings,
            self.raw + other.raw,
            self.edges + other.edges,
        )

    def since(self, before: "ShedCounts") -> "ShedCounts":
        """What has come to it."""
        return self + ShedCounts(-before.rested_ns, -before.readings, -before.raw, -before.edges)


class OverloadMonitor:
    """Looks every ten seconds; says it at once, then every AGAIN_NS while it lasts."""

    def __init__(self, now_ns: int) -> None:
        self._looked = self._reported = ShedCounts()
        self._looked_ns = self._reported_ns = now_ns
        self._quiet = True  # no overload that was reported goes on
        self._rested = False  # much, when it was looked last

    def look(self, now_ns: int, count: ShedCounts) -> list[Draft]:
        """`count` is what was given up since the start."""
        passed_ns = now_ns - self._looked_ns
        if passed_ns < LOOK_NS:
            return []
        more, self._looked, self._looked_ns = count.since(self._looked), count, now_ns
        lost, before = replace(more, rested_ns=0) != ShedCounts(), self._rested
        self._rested = more.rested_ns > REST_SHARE * passed_ns
        much = lost or (self._rested and before)  # a start that loads its models is no overload
        if self._quiet and not much:
            if not self._rested:  # a moment's rest now and then is no news
                self._reported, self._reported_ns = count, now_ns
            return []
        if not self._quiet and now_ns - self._reported_ns < AGAIN_NS:
            return []
        since, passed_ns = count.since(self._reported), now_ns - self._reported_ns
        self._quiet = not much
        self._reported, self._reported_ns = count, now_ns
        if since == ShedCounts():
            return []
        return [Draft(Stream.EVENT, "gateway", now_ns, now_ns, _body(since, passed_ns))]


def _body(count: ShedCounts, passed_ns: int) -> Overload:
    within_s, rested_s = round(passed_ns / 1e9, 1), round(count.rested_ns / 1e9, 1)
    text = OVERLOAD_TEXT.format(
        within_s=within_s,
        rested_s=rested_s,
        readings=count.readings,
        raw=count.raw,
        edges=count.edges,
    )
    return Overload(
        text=text,
        within_s=within_s,
        rested_s=rested_s,
        readings=count.readings,
        raw=count.raw,
        edges=count.edges,
    )
