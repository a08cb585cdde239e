"""Who passed in the time of a drive: presences of loops become passages, however they are wired.

Within a lane both orders are tried, oldest first as the daemon pairs them, and the order that
explains more vehicles is taken. What is left is tried across lanes, since a loop may be wired to
another lane's line. What nobody explains stays a presence on one loop.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from edge.commission.looptrace import NS, OPEN, LoopPresence, LoopReading
from edge.process.enginesetup import LaneSetup
from edge.process.traffic.pairing import speed_trap
from edge.process.traffic.passage import (
    MIN_ELAPSED_NS_PER_MM,
    PassageLimits,
    SpeedTrap,
    measure_passage,
)

PassageKind = Literal["ordered", "reversed", "crossed", "single"]
WIDE: Final = PassageLimits(speeds=(20, 6000), lengths_mm=(-2000, 120_000), spacing_mm=100)
"""For a spacing that is wrong by some factor: what it makes of a car is none any more."""
WIDE_TOLERANCE: Final = 700
TOGETHER_NS: Final = 1_500_000_000  # from the end of one presence to the begin of the next
PASSAGES_KEPT: Final = 200


@dataclass(frozen=True, slots=True)
class SeenPassage:
    """One vehicle. `spans` are its presences, the first first; of a lane by its configuration.

    `speed_kmh` and `length_m` by the spacing of `lane`; None where they cannot be measured.
    """

    kind: PassageKind
    lane: str
    spans: tuple[LoopPresence, ...]
    speed_kmh: float | None = None
    length_m: float | None = None

    @property
    def at_ns(self) -> int:
        return self.spans[0].on_ns

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(each.source for each in self.spans)


Matcher = tuple[str, str]  # the loop that is reached first, and the second one


def see_passages(
    lanes: Sequence[LaneSetup], readings: Mapping[str, LoopReading], driven: LaneSetup
) -> list[SeenPassage]:
    """All vehicles on all lanes, in the order in which they came; the last PASSAGES_KEPT."""
    found: list[SeenPassage] = []
    left: dict[str, list[LoopPresence]] = {name: list(r.presences) for name, r in readings.items()}
    for lane in lanes:
        if not lane.doubled:
            found += [_single(lane.name, p) for p in left.pop(lane.lead, [])]
            continue
        for wide in (False, True):
            found += _of_lane(lane, left, wide=wide)
    if driven.doubled:
        found += _across(driven, left)
    for source, presences in left.items():
        found += [_single(source.rpartition(".")[0], p) for p in presences]
    found.sort(key=lambda each: each.at_ns)
    return found[-PASSAGES_KEPT:]


def order_is_unclear(lane: LaneSetup, readings: Mapping[str, LoopReading]) -> bool:
    """Both orders explain as many vehicles: those of another vehicle stand in for the true ones."""
    lead, trail = (list(readings[name].presences) for name in (lane.lead, lane.trail))
    there = len(_matched(lane, lead, trail, wide=False))
    back = len(_matched(lane, trail, lead, wide=False))
    return there == back > 0


def _of_lane(
    lane: LaneSetup, left: dict[str, list[LoopPresence]], *, wide: bool
) -> list[SeenPassage]:
    lead, trail = left[lane.lead], left[lane.trail]
    there, back = _matched(lane, lead, trail, wide=wide), _matched(lane, trail, lead, wide=wide)
    kind: PassageKind = "ordered" if len(there) >= len(back) else "reversed"
    pairs = there if kind == "ordered" else back
    return _taken(lane, kind, pairs, left, wide=wide)


def _across(driven: LaneSetup, left: dict[str, list[LoopPresence]]) -> list[SeenPassage]:
    """Pairs of loops of two lanes; the pair of loops that explains most vehicles first."""
    found: list[SeenPassage] = []
    while True:
        best: list[tuple[LoopPresence, LoopPresence]] = []
        for one, first in left.items():
            for other, second in left.items():
                if one.rpartition(".")[0] != other.rpartition(".")[0] and first and second:
                    pairs = _matched(driven, first, second, wide=False)
                    best = pairs if len(pairs) > len(best) else best
        if not best:
            return found
        found += _taken(driven, "crossed", best, left, wide=False)


def _taken(
    lane: LaneSetup, kind: PassageKind, pairs: Iterable[tuple[LoopPresence, LoopPresence]],
    left: dict[str, list[LoopPresence]], *, wide: bool,
) -> list[SeenPassage]:  # fmt: skip
    found = []
    for first, second in pairs:
        left[first.source].remove(first)
        left[second.source].remove(second)
        found.append(_passage(lane, kind, first, second, wide=wide))
    return found


def _passage(
    lane: LaneSetup, kind: PassageKind, first: LoopPresence, second: LoopPresence, *, wide: bool
) -> SeenPassage:
    trap = _trap(lane, wide=wide)
    measured = None
    if lane.mode == "presence" and OPEN not in (first.off_ns, second.off_ns):
        measured = measure_passage(trap, first.on_ns, first.off_ns, second.on_ns, second.off_ns)
    speed = length = None
    if measured is not None:
        speed = measured.speed / 10
        length = None if measured.length is None else measured.length / 100
    elif second.on_ns > first.on_ns:
        speed = trap.spacing_mm / 1000 / ((second.on_ns - first.on_ns) / NS) * 3.6
    return SeenPassage(kind, lane.name, (first, second), speed, length)


def _matched(
    lane: LaneSetup, firsts: Sequence[LoopPresence], seconds: Sequence[LoopPresence], *, wide: bool
) -> list[tuple[LoopPresence, LoopPresence]]:
    """Vehicles keep their order: each second one goes to the oldest first one that fits."""
    trap = _trap(lane, wide=wide)
    found: list[tuple[LoopPresence, LoopPresence]] = []
    waiting = list(firsts)
    for second in seconds:
        for place, first in enumerate(waiting):
            if first.on_ns >= second.on_ns:
                break
            if _fits(lane, trap, first, second):
                found.append((first, second))
                del waiting[: place + 1]
                break
    return found


def _fits(lane: LaneSetup, trap: SpeedTrap, first: LoopPresence, second: LoopPresence) -> bool:
    elapsed_ns = second.on_ns - first.on_ns
    if OPEN in (first.off_ns, second.off_ns) or lane.mode == "pulse":
        least_ns = trap.spacing_mm * MIN_ELAPSED_NS_PER_MM
        return least_ns <= elapsed_ns <= trap.max_elapsed_ns // 2
    return measure_passage(trap, first.on_ns, first.off_ns, second.on_ns, second.off_ns) is not None


def _trap(lane: LaneSetup, *, wide: bool) -> SpeedTrap:
    trap = speed_trap(lane)
    return replace(trap, tolerance_permille=WIDE_TOLERANCE, limits=WIDE) if wide else trap


def _single(lane: str, presence: LoopPresence) -> SeenPassage:
    return SeenPassage("single", lane, (presence,))


def vehicles_apart(passages: Sequence[SeenPassage]) -> list[list[SeenPassage]]:
    """Passages that overlap in time, or nearly, may be of one vehicle: what two lanes felt of it,
    or two loops that could not be joined."""
    groups: list[list[SeenPassage]] = []
    end_ns = 0
    for each in passages:
        if groups and each.at_ns <= end_ns + TOGETHER_NS:
            groups[-1].append(each)
        else:
            groups.append([each])
        ends = (each.at_ns if s.off_ns == OPEN else s.off_ns for s in each.spans)
        end_ns = max(end_ns if len(groups[-1]) > 1 else 0, *ends)
    return groups
