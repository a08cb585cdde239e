"""How much of what no gateway should send is kept of each of them: a few, and the rest is counted.

So that one gateway takes neither the city's disk nor the room that another one's needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

KEPT_PER_KIND: Final = 100  # messages of one gateway and kind
BYTES_PER_KIND: Final = 4 << 20  # of these together
GATEWAYS_LIMIT: Final = (
    10_000  # gateways that are counted each; those after them have one room together
)

# kinds beside `foreign` and `undecodable`; but for conflicts nothing is kept of them
CONFLICT: Final = "conflict"
GAPS: Final = "gaps"  # records beyond what the numbers of a gateway may have of gaps
COVERS: Final = "covers"  # merged records, stored, whose numbers are not entered for want of room
EPOCH: Final = "epoch"  # records of epochs beyond those that a gateway may begin in a day
SITE: Final = "site"  # records under sites beyond those that a gateway may have been at
RATE: Final = "rate"  # records beyond what is stored of a gateway in a time
EXCESS: Final = {  # why a record has no receipt
    CONFLICT: "no more conflicts of this gateway are kept",
    EPOCH: "it has begun too many new epochs today",
    SITE: "it has come under too many sites",
    GAPS: "the numbers of its epoch and stream have too many gaps",
}


@dataclass(slots=True)
class QuotaCount:
    """Of one gateway and kind. `not_kept` came when there was no more room."""

    kept: int = 0
    size: int = 0  # bytes of what is kept
    not_kept: int = 0

    @property
    def total(self) -> int:
        return self.kept + self.not_kept


class KeepQuota:
    """Of all gateways. `changed` are those that have to be written down; the store clears it."""

    def __init__(self, most: int = KEPT_PER_KIND, *, elsewhere: int = 0) -> None:
        """`elsewhere`: how many a store has counted that are not restored yet."""
        self._most, self._elsewhere = most, elsewhere
        self._found: dict[tuple[str, str], QuotaCount] = {}
        self.changed: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[tuple[str, str, QuotaCount]]:
        """Gateway, kind and tally, in the order of the names."""
        return ((gw, kind, self._found[gw, kind]) for gw, kind in sorted(self._found))

    def of(self, gw: str, kind: str) -> QuotaCount:
        return self._found.get((gw, kind), QuotaCount())

    def restore(self, gw: str, kind: str, tally: QuotaCount) -> None:
        """What a store has written down."""
        self._elsewhere = max(0, self._elsewhere - 1)
        self._found[gw, kind] = tally

    def keep(self, gw: str, kind: str, size: int) -> bool:
        """Count one of so many bytes. Whether it is to be kept."""
        tally = self._counted(gw, kind)
        if tally.kept >= self._most or tally.size + size > BYTES_PER_KIND:
            tally.not_kept += 1
            return False
        tally.kept += 1
        tally.size += size
        return True

    def count(self, gw: str, kind: str) -> int:
        """One more of which nothing is kept. How many that were."""
        tally = self._counted(gw, kind)
        tally.not_kept += 1
        return tally.not_kept

    def _counted(self, gw: str, kind: str) -> QuotaCount:
        if (gw, kind) not in self._found and len(self._found) + self._elsewhere >= GATEWAYS_LIMIT:
            gw = ""
        self.changed.add((gw, kind))
        return self._found.setdefault((gw, kind), QuotaCount())
