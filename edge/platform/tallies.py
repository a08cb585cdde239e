"""How much of what no gateway should send is kept of each of them: a few, and the rest is counted.

So that one gateway takes neither the city's disk nor the room that another one's needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

KEPT: Final = 100  # messages of one gateway and kind
BYTES: Final = 4 << 20  # of these together
NAMES: Final = 10_000  # gateways that are told apart; those after them have one room together

CONFLICT: Final = "conflict"  # a kind beside `foreign` and `undecodable`


@dataclass(slots=True)
class Tally:
    """Of one gateway and kind. `more` came when there was no more room."""

    kept: int = 0
    size: int = 0  # bytes of what is kept
    more: int = 0

    @property
    def all(self) -> int:
        return self.kept + self.more


class Tallies:
    """Of all gateways. `changed` are those that have to be written down; the store clears it."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._found: dict[tuple[str, str], Tally] = {}
        self.changed: set[tuple[str, str]] = set()

    def __iter__(self) -> Iterator[tuple[str, str, Tally]]:
        """Gateway, kind and tally, in the order of the names."""
        return ((gw, kind, self._found[gw, kind]) for gw, kind in sorted(self._found))

    def of(self, gw: str, kind: str) -> Tally:
        return self._found.get((gw, kind), Tally())

    def restore(self, gw: str, kind: str, tally: Tally) -> None:
        """What a store has written down."""
        self._found[gw, kind] = tally

    def keep(self, gw: str, kind: str, size: int) -> bool:
        """Count one of so many bytes. Whether it is to be kept."""
        if (gw, kind) not in self._found and len(self._found) >= NAMES:
            gw = ""
        tally = self._found.setdefault((gw, kind), Tally())
        self.changed.add((gw, kind))
        if tally.kept >= self._most or tally.size + size > BYTES:
            tally.more += 1
            return False
        tally.kept += 1
        tally.size += size
        return True
