"""Records that are larger than the broker takes (MQTT 5: Maximum Packet Size): whose fault is it?

One among many that arrive is at fault itself, and given up. Where more do not fit, the broker's
limit is: nothing is given up, all of it is held for a broker that takes it.
"""

from typing import Final

HELD_LIMIT: Final = 1000  # rows held at one time; if fewer arrive than that, the backlog waits, too
PROOF_RECORDS: Final = 100  # records that the broker must have taken for each one that is given up
PROOF_WITHIN_NS: Final = (
    5_000_000_000  # so long it may take until a record that fits has its answer
)
TOO_MANY: Final = 20  # with so many that do not fit nobody waits for that


class Oversize:
    """Of one connection after the other. Times are monotonic ns."""

    def __init__(self) -> None:
        self._rows: dict[int, str] = {}  # row -> stream
        self._taken = 0  # records, by the broker that we are connected to
        self._since_ns: int | None = None

    def __contains__(self, row: int) -> bool:
        return row in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def mostly_too_large(self) -> bool:
        """To look for more that fits would be."""
        return len(self._rows) >= max(HELD_LIMIT, self._taken + 1)

    def connected(self) -> None:
        """Another broker, or the same with another limit: everything is tried again."""
        self._rows.clear()
        self._taken, self._since_ns = 0, None

    def accepted(self) -> None:
        """The broker has taken a record."""
        self._taken += 1

    def hold(self, row: int, stream: str, now_ns: int) -> None:
        """It is larger than the broker takes. So many are remembered; the others are looked at
        again when the backlog is."""
        if self._since_ns is None:
            self._since_ns = now_ns
        if len(self._rows) < HELD_LIMIT:
            self._rows[row] = stream

    def forget(self, row: int) -> None:
        """It is confirmed, or given up."""
        self._rows.pop(row, None)

    def dead_letters(self) -> list[tuple[int, str]]:
        """Row and stream of those that are at fault themselves."""
        few = len(self._rows) * PROOF_RECORDS <= self._taken
        return list(self._rows.items()) if few else []

    def too_many(self, now_ns: int) -> bool:
        """So much of what was tried does not fit that the limit is at fault."""
        if len(self._rows) >= TOO_MANY:
            return not self.dead_letters()
        if self._since_ns is None or len(self._rows) <= self._taken:
            return False
        return now_ns - self._since_ns >= PROOF_WITHIN_NS
