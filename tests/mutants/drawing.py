"""Which mutants are tried: drawn by a seed, spread over the parts, and some that are planted."""

import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import Final

from tests.mutants.mutations import Mutant, mutants, parses
from tests.mutants.reach import ROOT

PLANTED: Final = Path(__file__).with_name("planted.toml")

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "store": ("edge/outbox/*.py", "edge/durable/*.py"),
    "uplink": ("edge/uplink/*.py", "edge/wire/*.py"),
    "platform": ("edge/platform/*.py",),
    "recovery": ("edge/gateway/recover.py", "edge/gateway/windowcommitter.py"),
    "stage": ("edge/acquire/stage.py",),
}
SUITES: Final = (
    *("tests/outbox", "tests/durable", "tests/uplink", "tests/wire", "tests/platform"),
    *("tests/gateway", "tests/acquire", "tests/crash", "tests/contract", "tests/hostile"),
    *("tests/audit", "tests/cli"),
)


@dataclass(frozen=True, slots=True)
class Planted:
    """A change that somebody made once, and no test of its part noticed."""

    name: str
    mutant: Mutant


def files(part: str) -> list[str]:
    """Its files, in the order of their names."""
    found = {path for pattern in PARTS[part] for path in ROOT.glob(pattern)}
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def drawn(seed: int, count: int) -> list[Mutant]:
    """From each part its share, or all that it has; the others get what is left over."""
    all_ = {part: {path: mutants(path, _source(path)) for path in files(part)} for part in PARTS}
    sizes = {part: sum(map(len, all_[part].values())) for part in PARTS}
    left, found = count, list[Mutant]()
    for place, part in enumerate(sorted(PARTS, key=lambda each: (sizes[each], each))):
        share = left // (len(PARTS) - place)
        valid = (one for one in _shuffled(all_[part], seed) if parses(one, _source(one.path)))
        taken = list(islice(valid, share))
        found += taken
        left -= len(taken)
    return found


def planted() -> Iterator[Planted]:
    """Raises ValueError where the text that is to be changed is not there once."""
    for name, entry in tomllib.loads(PLANTED.read_text(encoding="utf-8")).items():
        source = _source(entry["path"])
        old, new = entry["old"], entry["new"]
        if source.count(old.encode()) != 1:
            raise ValueError(f"{PLANTED.name}: {name}: {old!r} stands not once in {entry['path']}")
        start = source.index(old.encode())
        line = source[:start].count(b"\n") + 1
        mutant = Mutant(entry["path"], name, line, start, start + len(old.encode()), old, new)
        yield Planted(name, mutant)


def _shuffled(of: Mapping[str, Sequence[Mutant]], seed: int) -> Iterator[Mutant]:
    """One of each file in turn, so that a long file does not crowd out the others."""
    chance = random.Random(f"{seed} {min(of)}")
    each = [chance.sample(list(one), len(one)) for one in of.values()]
    chance.shuffle(each)
    for turn in zip_longest(*each):
        yield from (mutant for mutant in turn if mutant is not None)


def _source(path: str) -> bytes:
    return (ROOT / path).read_bytes()
