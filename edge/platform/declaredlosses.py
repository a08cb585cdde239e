"""What a gateway itself says of what is missing: gap and drop events, the end of former epochs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core.numbers import Range, count_in_ranges, ranges_without
from edge.platform.epochorder import EpochClaims
from edge.platform.receivedrecord import Key

ALL: Final = "*"  # all streams, and all epochs before
METERS_LIMIT: Final = 10_000  # of one gateway: events about a register; more excuse nothing


@dataclass(frozen=True, slots=True)
class DeclaredGap:
    """Time without records, on the monotonic clock of a boot; or from one boot to the next."""

    sources: tuple[str, ...]
    epoch: int
    boot: int
    from_us: int
    to_us: int
    boot_before: int

    def names(self, source: str) -> bool:
        return "*" in self.sources or source in self.sources


@dataclass(frozen=True, slots=True)
class DeclaredDrop:
    """Of the numbers `first` to `last`, `count` are lost. `key` is the event's."""

    key: Key
    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class DeclaredLoss:
    """All of a stream's numbers, or of all streams' up to an epoch, that were not delivered.

    Nobody knows which: it explains what is missing, and excuses nothing. `key` is the event's.
    """

    key: Key
    epoch: int
    stream: str


@dataclass(frozen=True, slots=True)
class MeterChange:
    """A register, or a whole device, became another one at `at_us` of a boot."""

    source: str
    point: str | None
    boot: int
    at_us: int


class DeclaredLosses:
    """Of one gateway."""

    def __init__(self) -> None:
        self.gaps: list[DeclaredGap] = []
        self.claims = EpochClaims()
        self.lost: list[DeclaredLoss] = []
        self.meters: list[MeterChange] = []
        self.set_aside: set[int] = set()  # epochs of a box before a backup was restored on it
        self._drops: dict[tuple[int, str], list[DeclaredDrop]] = {}

    def event(self, key: Key, data: Mapping[str, Any]) -> None:
        """An event; other kinds are none of our business."""
        match data:
            case {
                "event": "gap",
                "gap": [int() | None as start, int(end)],
                "sources": [*sources],
            }:
                before = data.get("boot_before")
                names = tuple(str(source) for source in sources)
                if not isinstance(before, int):
                    before = data["boot"]
                self.gaps.append(DeclaredGap(names, key[1], data["boot"], start or 0, end, before))
                self.note_former(key[1], data.get("former"))
            case {"event": "drop", "epoch_of": int(epoch), "stream_of": str(stream)}:
                self._drop(key, epoch, stream, data)
            case {"event": "box_swap", "set_aside": {"epoch": int(epoch), "last": dict(last)}}:
                self.set_aside.add(epoch)
                self.claims.ended(epoch, last)
            case {"event": "meter" | "swap", "source": str(source)} if (
                len(self.meters) < METERS_LIMIT
            ):
                point = data.get("point")
                named = point if isinstance(point, str) else None
                self.meters.append(MeterChange(source, named, data["boot"], data["mono"][1]))

    def note_former(self, epoch: int, former: Any) -> None:
        """`{"epoch", "last": {stream: number}}` of a gap event or of a manifest."""
        match former:
            case {"epoch": int(of), "last": dict(last)}:
                self.claims.former(epoch, of, last)

    def unexplained(
        self, epoch: int, stream: str, missing: Iterable[Range],
        believed: Callable[[Key], bool] = lambda _key: True,
    ) -> tuple[list[Range], int, int]:  # fmt: skip
        """What no drop covers whose event is `believed`; how many numbers they cover, and how many
        they allow."""
        missing = list(missing)
        drops = [d for d in self._drops.get((epoch, stream), []) if believed(d.key)]
        left = ranges_without(missing, [(drop.first, drop.last) for drop in drops])
        covered = count_in_ranges(missing) - count_in_ranges(left)
        return left, covered, sum(drop.count for drop in drops)

    def _drop(self, key: Key, epoch: int, stream: str, data: Mapping[str, Any]) -> None:
        match data:
            case {"range": [int(first), int(last)], "count": int(count)} if stream != ALL:
                drops = self._drops.setdefault((epoch, stream), [])
                drops.append(DeclaredDrop(key, first, last, count))
            case _:
                self.lost.append(DeclaredLoss(key, epoch, stream))
                if stream == ALL:
                    self.claims.lost.setdefault(key[1], set()).add(epoch)
