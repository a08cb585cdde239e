"""What a bad card does to a file."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

Harm = Callable[[Path, random.Random], None]


def halved(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def cut_short(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) or 1)])


def emptied(path: Path, rng: random.Random) -> None:
    path.write_bytes(b"")


def zeroed(path: Path, rng: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flipped(path: Path, rng: random.Random) -> None:
    """A bit at each of several places."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 3, 30]) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def flipped_at_its_head(path: Path, rng: random.Random) -> None:
    """Where a format says what it is."""
    data = bytearray(path.read_bytes())
    for _ in range(3 if data else 0):
        data[rng.randrange(min(64, len(data)))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def removed(path: Path, rng: random.Random) -> None:
    path.unlink()


HARMS: Final[dict[str, Harm]] = {
    "halved": halved,
    "cut short": cut_short,
    "emptied": emptied,
    "zeroed": zeroed,
    "flipped": flipped,
    "flipped again": flipped,
    "flipped at its head": flipped_at_its_head,
    "removed": removed,
}
