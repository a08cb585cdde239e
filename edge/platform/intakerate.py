"""How much one process stores of one gateway in a time, so that one box fills nobody's disk.

Eight lanes, air and a meter make 15,000 records and 16 MB a day, and 200 values a second, each
sent, 54 MB. A full outbox of the usual size fits at once; a flood without end does not.
"""

from dataclasses import dataclass
from typing import Final

DAY_NS: Final = 86_400_000_000_000
LOOKED_AT: Final = 10_000  # gateways from which on it is looked which may be forgotten


@dataclass(frozen=True, slots=True)
class IntakeLimit:
    """At once, and then so many a day. Of a gateway that has sent nothing for long."""

    burst_bytes: int = 256 << 20
    burst_records: int = 2_000_000
    day_bytes: int = 200_000_000
    day_records: int = 1_000_000

    def times(self, factor: int) -> "IntakeLimit":
        return IntakeLimit(
            self.burst_bytes * factor, self.burst_records * factor, self.day_bytes * factor,
            self.day_records * factor,
        )  # fmt: skip


@dataclass(slots=True)
class _Taken:
    """What is not made up for by time yet, times DAY_NS: so all of it are whole numbers."""

    at_ns: int
    bytes: int = 0
    records: int = 0


class IntakeRate:
    """Of all gateways, by the clock that is given. Only who has just sent is remembered."""

    def __init__(self, limit: IntakeLimit | None = None) -> None:
        """`limit` None: there is none."""
        self._limit = limit
        self._taken: dict[str, _Taken] = {}
        self._look_at = LOOKED_AT

    def __len__(self) -> int:
        """Gateways that are remembered."""
        return len(self._taken)

    def take(self, gw: str, size: int, mono_ns: int) -> bool:
        """Whether one more record of so many bytes may be stored; it counts then."""
        limit = self._limit
        if limit is None:
            return True
        if len(self._taken) >= self._look_at:
            self._forget(mono_ns)
        taken = self._taken.setdefault(gw, _Taken(mono_ns))
        self._drain(taken, mono_ns, limit)
        bytes_, records = taken.bytes + size * DAY_NS, taken.records + DAY_NS
        if bytes_ > limit.burst_bytes * DAY_NS or records > limit.burst_records * DAY_NS:
            return False
        taken.bytes, taken.records = bytes_, records
        return True

    def give_back(self, gw: str, size: int) -> None:
        """It was not stored: it is there already, or the store is away."""
        if taken := self._taken.get(gw):
            taken.bytes = max(0, taken.bytes - size * DAY_NS)
            taken.records = max(0, taken.records - DAY_NS)

    def _forget(self, mono_ns: int) -> None:
        """Those to whom all is open again."""
        if self._limit is not None:
            for gw, taken in list(self._taken.items()):
                self._drain(taken, mono_ns, self._limit)
                if not taken.bytes and not taken.records:
                    del self._taken[gw]
        self._look_at = max(LOOKED_AT, 2 * len(self._taken))

    @staticmethod
    def _drain(taken: _Taken, mono_ns: int, limit: IntakeLimit) -> None:
        past = max(0, mono_ns - taken.at_ns)
        taken.at_ns += past
        taken.bytes = max(0, taken.bytes - past * limit.day_bytes)
        taken.records = max(0, taken.records - past * limit.day_records)
