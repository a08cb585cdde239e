"""What each loop of a site did in the time of a drive, from the command on. Nothing of it is kept.

Bounded: a loop keeps EDGES_KEPT changes. One that has more is noisy, and is said to be.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from edge.core.edge import Contact
from edge.process.debounce import FALL, RISE, Debouncer

EDGES_KEPT: Final = 512
NS: Final = 1_000_000_000
BEFORE_S: Final = 60.0  # of the time before the command, as far as the level stood
MOSTLY: Final = 0.6  # a loop at rest is free for longer than this share of the time
RARELY: Final = 0.4
OPEN: Final = -1  # a presence that has not ended


@dataclass(slots=True)
class LoopTrace:
    """One loop. `level` as it stood at the command since `since_ns`; None: nobody knows."""

    source: str
    level: bool | None
    since_ns: int
    edges: list[Contact] = field(default_factory=list)
    overflown: int = 0

    def take(self, contact: Contact) -> None:
        """A change of it."""
        if len(self.edges) >= EDGES_KEPT:
            self.overflown += 1
        else:
            self.edges.append(contact)


class DriveTrace:
    """All loops between the command and its end. `take` is given every contact of the site."""

    def __init__(self, from_ns: int, loops: Iterable[LoopTrace]) -> None:
        self.from_ns = from_ns
        self.loops = {each.source: each for each in loops}

    def take(self, contacts: Iterable[Contact]) -> None:
        """In order within each loop; others than loops are nobody's here."""
        for contact in contacts:
            loop = self.loops.get(contact.source)
            if loop is not None and contact.mono_ns >= self.from_ns:
                loop.take(contact)


@dataclass(frozen=True, slots=True)
class LoopPresence:
    """A vehicle on a loop: ns, `off_ns` OPEN while it is there."""

    source: str
    on_ns: int
    off_ns: int

    @property
    def on_s(self) -> float | None:
        return None if self.off_ns == OPEN else (self.off_ns - self.on_ns) / NS


@dataclass(frozen=True, slots=True)
class LoopReading:
    """What a trace says. `share`: of the time in which it was closed.

    `inverted` None: closed for too much of the time, and not for enough, to tell.
    """

    source: str
    presences: Sequence[LoopPresence]
    share: float
    inverted: bool | None
    moved: bool
    lost: int
    bounces: int


def read_loop(trace: LoopTrace, to_ns: int, bounce_ns: int) -> LoopReading:
    """Bounce is taken away, and an inverted loop is read the right way round.

    A loop at rest is free: one that was closed at the command and is closed at the end, and for
    most of the time between, opens for vehicles.
    """
    events = _events(trace, to_ns, bounce_ns)
    first_ns = events[0][0] if events else to_ns
    begin_ns = max(trace.since_ns, first_ns - round(BEFORE_S * NS)) if events else trace.since_ns
    level = (not events[0][1]) if events else bool(trace.level)
    at_ns, closed_ns, begins = min(begin_ns, first_ns), 0, level
    start_ns = at_ns
    for when_ns, on in events:
        closed_ns += (when_ns - at_ns) if level else 0
        at_ns, level = when_ns, on
    closed_ns += max(0, to_ns - at_ns) if level else 0
    share = closed_ns / max(1, to_ns - start_ns)
    inverted: bool | None = bool(events) and begins and level and share > MOSTLY
    if events and not inverted and share >= RARELY:
        # an odd number of changes within the time says that somebody stands there now
        inverted = None if begins or len(events) > 2 else False
    wanted = not inverted
    presences: list[LoopPresence] = []
    on_ns: int | None = None
    for when_ns, on in events:
        if on is wanted:
            on_ns = when_ns
        elif on_ns is not None:
            presences.append(LoopPresence(trace.source, on_ns, when_ns))
            on_ns = None
    if on_ns is not None:
        presences.append(LoopPresence(trace.source, on_ns, OPEN))
    lost = sum(each.lost for each in trace.edges) + trace.overflown
    bounces = max(0, len(trace.edges) - len(events))
    return LoopReading(trace.source, presences, share, inverted, bool(events), lost, bounces)


def _events(trace: LoopTrace, to_ns: int, bounce_ns: int) -> list[tuple[int, bool]]:
    """Changes without bounce: when, and whether it closed."""
    if not trace.edges:
        return []
    line = Debouncer(bounce_ns)
    begin_ns = min(trace.since_ns, trace.edges[0].mono_ns - 1)
    before = Contact(trace.source, not trace.edges[0].on, begin_ns, initial=True)
    plain = [
        Contact(each.source, each.on, each.mono_ns) for each in trace.edges if not each.initial
    ]
    line.fold([before, *plain], begin_ns)
    line.end_window(to_ns + 1)
    found = [(e.at_ns, e.what is RISE) for e in line.take(to_ns + 1) if e.what in (RISE, FALL)]
    changed: list[tuple[int, bool]] = []
    for at_ns, on in found:
        if not changed or changed[-1][1] is not on:
            changed.append((at_ns, on))
    return changed


def read_all(
    traces: Mapping[str, LoopTrace], to_ns: int, bounce_ns: Mapping[str, int]
) -> dict[str, LoopReading]:
    """Each loop of the site."""
    return {name: read_loop(one, to_ns, bounce_ns[name]) for name, one in traces.items()}
