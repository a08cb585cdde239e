"""Whether a record has the wall times that its gateway gave it: as its manifest's clock map says.

A gateway calculates them from a moment on both clocks, and names that moment in the manifest. So
nothing drifts between the two, however long a boot lasts: what differs is rounding to milliseconds,
and 10 ms up to which two moments are reported as one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from edge.platform.auditreport import AuditFinding, record_name
from edge.platform.epochorder import EpochOrder
from edge.platform.receivedrecord import ReceivedRecord, WallTimes, wall_times_of
from edge.platform.seals import Seal
from edge.wire.clockmoments import Moment
from edge.wire.records import MAX_WALL_NS

BOUND_US: Final = 100_000
CORRECTIONS: Final = 10_000  # of one gateway; more are not believed
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


class RedatedMoments:
    """By which moments records were dated that went out again: their times may be better now.

    A box with a new card counts its boots anew. What it says of one is not said of the boot that
    had this number on the old card.
    """

    def __init__(self, most: int | None = None) -> None:
        """`most` are believed; None: as many as an audit does."""
        self._most = CORRECTIONS if most is None else most
        self._boots: dict[int, list[tuple[int, Moment]]] = {}
        self._known: set[tuple[int, Moment]] = set()
        self._lines: dict[int, int] = {}  # of each epoch
        self._used: dict[int, set[int]] = {}  # in which lines a boot has this number

    def add(self, by: int, moments: Iterable[Moment]) -> None:
        """As a manifest of the epoch `by` says."""
        for moment in moments:
            if len(self._known) < self._most and (by, moment) not in self._known:
                self._known.add((by, moment))
                self._boots.setdefault(moment.boot, []).append((by, moment))

    def judge(self, order: EpochOrder, boots: Mapping[int, int]) -> None:
        """When all is added: which epochs followed each other, and the boot of each."""
        self._lines = {epoch: line for epoch, (line, _) in order.place.items()}
        self._used = {}
        for epoch, boot in boots.items():
            self._used.setdefault(boot, set()).add(self._lines[epoch])

    def of(self, epoch: int, boot: int) -> Sequence[Moment]:
        """Those that can be of this boot of this epoch."""
        moments = self._boots.get(boot, ())
        mine, used = self._lines.get(epoch), self._used.get(boot, ())
        lines = ((self._lines.get(by), moment) for by, moment in moments)
        return [moment for line, moment in lines if line == mine or line not in used]


@dataclass(slots=True)
class WallTimeCheck:
    """The records of one seal, held against its clock map."""

    seal: Seal
    corrections: RedatedMoments
    wrong: int = 0
    first: str = field(default="", init=False)

    def look(self, entry: ReceivedRecord, sent: Mapping[str, Any]) -> None:
        """At what the store says, and at what the payload says."""
        for wall in _walls(entry, sent):
            if not (
                _is_dated(wall, entry, self.seal.clock)
                or _is_dated(wall, entry, self.corrections.of(entry.key[1], entry.boot))
            ):
                self.wrong += 1
                text = f"{record_name(*entry.key)}: {wall.start} ({wall.tq}) in the store"
                self.first = self.first or f"{text}, {_map_text(self.seal.clock, entry)}"
                return

    def finding(self) -> AuditFinding | None:
        if not self.wrong:
            return None
        text = f"{self.wrong} records that the manifest {record_name(*self.seal.key)} seals have"
        text += f" wall times that differ from those of the gateway, for example {self.first}"
        return AuditFinding("time", text, self.seal.key)


def is_dated_by(entry: ReceivedRecord, moments: Iterable[Moment]) -> bool:
    """Whether the store has wall times that one of these moments gives."""
    return _is_dated(entry.wall, entry, moments)


def _is_dated(wall: WallTimes, entry: ReceivedRecord, moments: Iterable[Moment]) -> bool:
    """Whether one of these moments gives the record these times."""
    return any(_matches(wall, entry, moment) for moment in moments)


def _walls(entry: ReceivedRecord, sent: Mapping[str, Any]) -> set[WallTimes]:
    """What the store says, and what the payload says."""
    try:
        return {entry.wall, wall_times_of(sent)}
    except (KeyError, TypeError):
        return {entry.wall}


def _matches(wall: WallTimes, entry: ReceivedRecord, moment: Moment) -> bool:
    """Whether a record of this boot that was dated by this moment has these wall times."""
    if moment.boot != entry.boot or moment.tq != wall.tq:
        return False
    start, end, bounds = moment.dated(*entry.mono)
    try:
        claimed_bounds = None if wall.bounds is None else json.loads(wall.bounds)
        pairs = [
            (wall.start, start),
            (wall.end, end),
            *zip(claimed_bounds or (), bounds or (), strict=True),
        ]
        return all(_is_near(*pair) for pair in pairs)
    except (TypeError, ValueError):
        return False


def _is_near(text: object, us: int | None) -> bool:
    """Raises TypeError or ValueError for what is no time."""
    if text is None or us is None:
        return text is us
    microseconds = (datetime.fromisoformat(str(text)) - EPOCH) // MICROSECOND
    return abs(microseconds - min(max(us, 0), MAX_WALL_NS // 1000)) <= BOUND_US


def _map_text(clock: Sequence[Moment], entry: ReceivedRecord) -> str:
    """What the map says instead, for people."""
    mine = [moment for moment in clock if moment.boot == entry.boot]
    if not mine:
        return f"but the manifest has no clock of boot {entry.boot}"
    return " or ".join(f"{_iso(each, entry)} ({each.tq})" for each in mine[:3]) + " by the manifest"


def _iso(moment: Moment, entry: ReceivedRecord) -> str:
    start, _, _ = moment.dated(*entry.mono)
    whole = min(max(start, 0), MAX_WALL_NS // 1000)
    return (EPOCH + timedelta(microseconds=whole)).isoformat(timespec="milliseconds")
