"""In which order a gateway's starts followed each other: as each says of the one before it.

Not by their numbers: a box with a new card counts anew, and a start that saw no disk takes its
number at random. What the words say is not believed either: two successors of one epoch, and
epochs that follow each other in a circle, are reported.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class EpochClaims:
    """What starts have said of others: which came before them, and whose memory is lost."""

    formers: dict[int, set[int]] = field(default_factory=dict)
    lasts: dict[int, dict[str, set[int]]] = field(default_factory=dict)  # as successors say them
    lost: dict[int, set[int]] = field(default_factory=dict)

    def former(self, by: int, of: int, last: Mapping[str, Any]) -> None:
        self.formers.setdefault(by, set()).add(of)
        self.ended(of, last)

    def ended(self, of: int, last: Mapping[str, Any]) -> None:
        """How far an epoch came, as one that may not follow it says."""
        lasts = self.lasts.setdefault(of, {})
        for stream, number in last.items():
            if isinstance(number, int):
                lasts.setdefault(stream, set()).add(number)

    def last(self, of: int, stream: str) -> set[int]:
        """The last number of a stream, by its successors: nothing, or one, if they agree."""
        return self.lasts.get(of, {}).get(stream, set())


@dataclass(slots=True)
class EpochOrder:
    """`chains` are epochs that follow each other; a gateway of which all is well has one."""

    chains: list[list[int]]
    forks: dict[int, list[int]]  # epochs with several successors
    contradictions: dict[int, list[int]]  # epochs that name several before them
    cycles: list[list[int]]
    ends: list[int]  # without a successor
    before: dict[int, int]  # each epoch's predecessor
    place: dict[int, tuple[int, int]] = field(default_factory=dict)  # line, and place in it

    def __post_init__(self) -> None:
        for line, epochs in enumerate(self.chains):
            self.place |= {epoch: (line, at) for at, epoch in enumerate(epochs)}

    def until(self, epoch: int) -> set[int]:
        """An epoch and all that came before it."""
        found: set[int] = set()
        at: int | None = epoch
        while at is not None and at not in found:
            found.add(at)
            at = self.before.get(at)
        return found

    def between(self, one: int, two: int) -> list[int]:
        """Those that lie between two of one line."""
        (line, first), (other, last) = self.place[one], self.place[two]
        return self.chains[line][first + 1 : last] if line == other else []


def order_epochs(known: Iterable[int], claims: EpochClaims) -> EpochOrder:
    """Of the `known` epochs and of those that are only named."""
    before: dict[int, int] = {}
    torn: dict[int, list[int]] = {}
    nodes = set(known) | set(claims.formers)
    for by, formers in claims.formers.items():
        nodes |= formers
        before[by] = max(formers)
        if len(formers) > 1:
            torn[by] = sorted(formers)
    named = set(before.values())
    for by, lost in claims.lost.items():
        nodes |= {by, *lost}
        # A start whose outbox did not know of the last one says so, and names the one before that.
        # What it says later of older epochs is only said again
        for of in lost - {by} - named:
            if by not in before or before[by] in (of, before.get(of)):
                before[by] = of
    after: dict[int, list[int]] = {}
    for by, of in sorted(before.items()):
        after.setdefault(of, []).append(by)
    lines = _lines(nodes, before, after)
    placed = {epoch for line in lines for epoch in line}
    circles = _cycles(nodes - placed, before)
    return EpochOrder(
        [*lines, *circles],
        {of: by for of, by in after.items() if len(by) > 1},
        torn,
        circles,
        sorted(nodes - set(after)),
        before,
    )


def _lines(
    nodes: set[int], before: Mapping[int, int], after: Mapping[int, list[int]]
) -> list[list[int]]:
    """From each epoch that follows none; where several follow, each but the last begins a line."""
    lines: list[list[int]] = []
    begins = sorted((node for node in nodes if node not in before), reverse=True)
    while begins:
        line = [begins.pop()]
        while following := after.get(line[-1]):
            *others, last = following
            begins.extend(others)
            line.append(last)
        lines.append(line)
    return lines


def _cycles(left: set[int], before: Mapping[int, int]) -> list[list[int]]:
    """What is not reached from any beginning: circles, each with what hangs on it."""
    circles: list[list[int]] = []
    for start in sorted(left):
        if start not in left:
            continue
        line: list[int] = []
        at = start
        while at in left:
            left.discard(at)
            line.append(at)
            at = before[at]
        circles.append(line[::-1])
    return circles
