"""A disk with a volatile write cache, and what a power cut leaves of it.

    disk = VolatileDisk(bytearray(image), DISKS["honest"], random.Random(1))
    disk.write(0, b"..."); disk.settle(disk.mark())  # a write, a flush
    disk.cut()  # what was written since then is gone, or a part of it is there

Until a flush is over nothing is promised of a write: a cut keeps all of it, none, a beginning, or
any of its sectors, in any order. Sectors of 512 bytes are whole. Thread-safe.
"""

import random
import threading
from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

SECTOR: Final = 512
LONG_ARE_RARE: Final = 4
DiskKind = Literal["honest", "slow", "lying"]
CutPolicy = Literal["nothing", "beginning", "any"]


class DiskManner(NamedTuple):
    """`flush_s`: from, to seconds that a flush takes. `lies`: it answers a flush at once, and keeps
    in its cache what it likes; `cache_bytes` is how much that is at most, 0: no bound."""

    flush_s: tuple[float, float] = (0.0, 0.0)
    lies: bool = False
    cache_bytes: int = 0


DISKS: Final[dict[DiskKind, DiskManner]] = {
    "honest": DiskManner(),
    "slow": DiskManner(flush_s=(0.02, 0.6)),
    "lying": DiskManner(lies=True, cache_bytes=128 << 10),
}


CUTS: Final[tuple[CutPolicy, ...]] = ("nothing", "beginning", "any", "any")
# One that lies about flushes and reorders leaves no file system, and nothing is seen of the box:
# this one keeps its writes in order, and shows a card that is somewhat older than what was said.
LYING_CUTS: Final[tuple[CutPolicy, ...]] = ("nothing", "beginning", "beginning")


class CutResult(NamedTuple):
    """What a cut did to what was not flushed: `kept` and `lost` count sectors, `torn` writes of
    which a part was kept."""

    policy: CutPolicy
    writes: int
    kept: int
    lost: int
    torn: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    number: int
    offset: int
    data: bytes


class VolatileDisk:
    """`image` is durable at first, and changed in place. Offsets and lengths are in bytes."""

    def __init__(self, image: bytearray, manner: DiskManner, chance: random.Random) -> None:
        self.manner = manner
        self.writes = self.flushes = 0
        self._durable, self._seen = image, bytearray(image)
        self._chance, self._lock = chance, threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0

    @property
    def size(self) -> int:
        return len(self._durable)

    @property
    def durable(self) -> bytes:
        """What would be there if nothing of the cache were kept."""
        with self._lock:
            return bytes(self._durable)

    def read(self, offset: int, length: int) -> bytes:
        """As who has written it sees it. Raises ValueError beyond its end."""
        self._check(offset, length)
        with self._lock:
            return bytes(self._seen[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        """Into the cache. Raises ValueError beyond its end."""
        self._check(offset, len(data))
        with self._lock:
            self.writes += 1
            self._seen[offset : offset + len(data)] = data
            self._waiting.append(_Waiting(self.writes, offset, bytes(data)))
            self._waiting_bytes += len(data)
            while self.manner.cache_bytes and self._waiting_bytes > self.manner.cache_bytes:
                self._keep(self._waiting.popleft())

    def flush_takes_s(self) -> float:
        """How long the next flush takes: mostly it is short, as a card's."""
        low_s, high_s = self.manner.flush_s
        with self._lock:
            return low_s + (high_s - low_s) * self._chance.random() ** LONG_ARE_RARE

    def mark(self) -> int:
        """A flush begins: it promises what was written so far, once it is settled."""
        return self.writes

    def settle(self, mark: int) -> None:
        """A flush is over."""
        with self._lock:
            self.flushes += 1
            while not self.manner.lies and self._waiting and self._waiting[0].number <= mark:
                self._keep(self._waiting.popleft())

    def cut(self) -> CutResult:
        """The power goes. The cache is empty, and what is read from now on is what was kept."""
        with self._lock:
            policy = self._chance.choice(LYING_CUTS if self.manner.lies else CUTS)
            sectors = [
                (one.number, one.offset + at, one.data[at : at + SECTOR])
                for one in self._waiting
                for at in range(0, len(one.data), SECTOR)
            ]
            flags = self._survives(policy, len(sectors))
            whole, there = Counter[int](), Counter[int]()
            for (number, offset, data), survives in zip(sectors, flags, strict=True):
                whole[number] += 1
                if survives:
                    there[number] += 1
                    self._durable[offset : offset + len(data)] = data
            torn = sum(0 < there[number] < count for number, count in whole.items())
            kept = sum(flags)
            result = CutResult(policy, len(whole), kept, len(sectors) - kept, torn)
            self._waiting.clear()
            self._waiting_bytes = 0
            self._seen = bytearray(self._durable)
            return result

    def _survives(self, policy: CutPolicy, count: int) -> list[bool]:
        """Which of so many sectors that wait are kept."""
        match policy:
            case "nothing":
                return [False] * count
            case "beginning":
                kept = self._chance.randint(0, count)
                return [place < kept for place in range(count)]
        share = self._chance.random()
        return [self._chance.random() < share for _ in range(count)]

    def _keep(self, one: _Waiting) -> None:
        self._durable[one.offset : one.offset + len(one.data)] = one.data
        self._waiting_bytes -= len(one.data)

    def _check(self, offset: int, length: int) -> None:
        if offset < 0 or length < 0 or offset + length > len(self._durable):
            raise ValueError(f"{length} bytes at {offset}: the disk has {len(self._durable)}")
