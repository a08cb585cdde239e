"""What a gateway itself says of what is missing: gap and drop events, the end of former epochs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from edge.core.numbers import Range, size, without

ALL: Final = 1 << 60


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without records, on the monotonic clock of a boot; or from one boot to the next."""

    sources: tuple[str, ...]
    boot: int
    from_us: int
    to_us: int
    boot_before: int

    def names(self, source: str) -> bool:
        return "*" in self.sources or source in self.sources


@dataclass(frozen=True, slots=True)
class Drop:
    """Of the numbers `first` to `last`, `count` are lost. None: nobody knows."""

    first: int
    last: int | None
    count: int | None


class Declared:
    """Of one gateway."""

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.formers: dict[int, Mapping[str, Any]] = {}
        self._drops: dict[tuple[int, str], list[Drop]] = {}

    def event(self, data: Mapping[str, Any]) -> None:
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
                self.gaps.append(Gap(names, data["boot"], start or 0, end, before))
                self.former(data["epoch"], data.get("former"))
            case {"event": "drop", "epoch_of": int(epoch), "stream_of": str(stream)}:
                match data:
                    case {"range": [int(first), int(last)], "count": int(count)}:
                        drop = Drop(first, last, count)
                    case _:
                        drop = Drop(1, None, None)
                self._drops.setdefault((epoch, stream), []).append(drop)

    def former(self, epoch: int, former: Any) -> None:
        """`{"epoch", "last": {stream: number}}` of a gap event or of a manifest."""
        match former:
            case {"epoch": int(of), "last": dict(last)} if of < epoch:
                self.formers[of] = {**self.formers.get(of, {}), **last}

    def last(self, epoch: int, stream: str) -> int | None:
        """The last number of a former epoch, where it has been said."""
        known: Any = self.formers.get(epoch, {}).get(stream)
        return known if isinstance(known, int) else None

    def all_lost(self, epoch: int) -> bool:
        """Whether the gateway said that it lost its whole memory, this epoch's included."""
        return any(stream == "*" and epoch <= lost for lost, stream in self._drops)

    def unexplained(
        self, epoch: int, stream: str, missing: Iterable[Range]
    ) -> tuple[list[Range], int, int]:
        """What no drop covers; how many numbers they cover, and how many they allow."""
        missing = list(missing)
        drops = self._drops.get((epoch, stream), [])
        left = without(missing, [(d.first, ALL if d.last is None else d.last) for d in drops])
        covered = size(missing) - size(left)
        counts = [drop.count for drop in drops]
        allowed = ALL if None in counts else sum(count or 0 for count in counts)
        return left, covered, allowed
