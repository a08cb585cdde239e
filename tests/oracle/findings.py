"""What the checks share: findings, and stretches of time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tests.oracle.found import PlatformRow, Span


@dataclass(slots=True)
class OracleVerdict:
    """`findings` are sentences; `figures` counts."""

    findings: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)

    def say(self, text: str) -> None:
        self.findings.append(text)


def joined(found: Iterator[Span] | Sequence[Span]) -> list[Span]:
    """Without overlaps, in order."""
    whole: list[Span] = []
    for start, end in sorted(found):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole


def inside(start_us: int, end_us: int, gaps: Sequence[Span]) -> int:
    """Us of a stretch that gaps name."""
    return sum(max(0, min(end_us, b) - max(start_us, a)) for a, b in gaps)


def name_of(row: PlatformRow) -> str:
    return f"{row.epoch >> 32}/{row.stream}/{row.seq}"
