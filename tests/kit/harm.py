"""What a bad card does to a file.

An example:

    flipped(folder / "outbox.db", random.Random(7))  # a bit at each of several places
"""

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


def flipped_once(path: Path, rng: random.Random) -> None:
    """One bit, which is what a checksum must see."""
    data = bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def random_words(path: Path, rng: random.Random) -> None:
    """Some words of eight bytes, where such words lie or across them."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 4, 40])):
        at = rng.randrange(len(data))
        at -= rng.choice([0, at % 8, at % 4])
        word = rng.choice([rng.randbytes(8), b"\xff" * 8, bytes(8), rng.randbytes(1) + bytes(7)])
        data[at : at + 8] = word[: len(data) - at]
    path.write_bytes(data)


WORDS: Final[dict[str, Harm]] = {
    "a bit": flipped_once,
    "bits": flipped,
    "bits at its head": flipped_at_its_head,
    "words": random_words,
}
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
