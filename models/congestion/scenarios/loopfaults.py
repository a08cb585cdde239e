"""Injures loops of a street as real ones fail: what the judge of loop health has to find.

What a fault does to the stays is in `faulteffects`. Here is chosen which loops have one, and when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

import numpy as np

from edge.core.looptick import LoopPartName
from models.congestion.scenarios.faulteffects import CHANGES, crosstalk, splashover
from models.congestion.scenarios.simstreet import Floats, LoopPlace, SimStreet, contact_stays

FaultKind = Literal[
    "stuck_on",
    "stuck_off",
    "chatter",
    "breakup",
    "crosstalk",
    "undercount",
    "splashover",
    "mismatch",
    "swapped",
    "late_release",
]
KINDS: Final[tuple[FaultKind, ...]] = get_args(FaultKind)
LEARNED: Final = KINDS[: KINDS.index("late_release")]
"""Kinds that models are trained with: the others are found by rules alone."""
LASTING: Final = ("mismatch", "swapped")  # built in: as long as the street is seen
SHORTEST_S: Final = 600.0
BETWEEN_S: Final = 1800.0  # a loop is well for so long between two faults


@dataclass(frozen=True)
class LoopFault:
    """What is wrong with one loop, and when.

    `severity` is: of chatter ghosts a minute, of breakup the share of long vehicles, of crosstalk
    and splashover the share of the neighbour's vehicles, of undercount the share missed, of
    late release the share of vehicles after which it stays on, of
    mismatch the change of the usual on-time (-0.5 to 0.5); of the others 1.
    """

    lane: str
    part: LoopPartName
    kind: FaultKind
    from_s: float
    to_s: float
    severity: float


def inject_faults(
    street: SimStreet, seed: int, share: float, kinds: Sequence[FaultKind] = LEARNED
) -> tuple[SimStreet, tuple[LoopFault, ...]]:
    """A copy in which about `share` of the loops have faults of `kinds`, and these faults.

    A loop has one fault at a time; in days it may have several. Deterministic in `seed`.
    """
    random = np.random.default_rng([seed, street.seed, 1])
    at = {(loop.lane, loop.part): i for i, loop in enumerate(street.loops)}
    stays = list(street.stays)
    faults: list[LoopFault] = []
    taken: set[int] = set()
    for i in random.permutation(len(street.loops)).tolist():
        if len(taken) >= share * len(street.loops):
            break
        if i in taken:
            continue
        loop = street.loops[i]
        able = [k for k in kinds if k in _possible(street, loop, at, taken)]
        if not able:
            continue
        kind = able[int(random.integers(len(able)))]
        if kind == "swapped":
            other = at[loop.lane, "trail" if loop.part == "lead" else "lead"]
            stays[i], stays[other] = street.stays[other], street.stays[i]
            taken.update((i, other))
            whole = street.hours * 3600
            faults += [
                LoopFault(loop.lane, part, kind, 0.0, whole, 1.0) for part in ("lead", "trail")
            ]
            continue
        taken.add(i)
        for begin, end in _times(random, kind, street.hours * 3600):
            fault, stays[i] = injure_loop(street, i, stays[i], kind, (begin, end), random)
            faults.append(fault)
            kind = _next(able, random)
    faults.sort(key=lambda fault: (fault.lane, fault.part, fault.from_s))
    return replace(street, stays=tuple(stays)), tuple(faults)


def _next(able: list[FaultKind], random: np.random.Generator) -> FaultKind:
    """Of a loop's later faults: none that lasts for good."""
    brief = [kind for kind in able if kind not in LASTING]
    return brief[int(random.integers(len(brief)))] if brief else able[0]


def _possible(
    street: SimStreet, loop: LoopPlace, at: dict[tuple[str, LoopPartName], int], taken: set[int]
) -> set[FaultKind]:
    able: set[FaultKind] = {
        "stuck_on", "stuck_off", "chatter", "breakup", "undercount", "late_release",
    }  # fmt: skip
    if neighbours(street, loop):
        able |= {"crosstalk", "splashover"}
    other = at.get((loop.lane, "trail" if loop.part == "lead" else "lead"))
    if other is not None and other not in taken:
        able |= {"mismatch", "swapped"}
    return able


def neighbours(street: SimStreet, loop: LoopPlace) -> list[int]:
    """Indices of the loops beside this one: next lane, same position and part."""
    return [
        i
        for i, other in enumerate(street.loops)
        if (other.link, other.position, other.part) == (loop.link, loop.position, loop.part)
        and abs(other.index - loop.index) == 1
        and abs(other.at_m - loop.at_m) < 3 * loop.loop_m
    ]


def _times(
    random: np.random.Generator, kind: FaultKind, whole_s: float
) -> list[tuple[float, float]]:
    """When: minutes to hours, one in six from the beginning; in long streets more than one."""
    if kind in LASTING:
        return [(0.0, whole_s)]
    times: list[tuple[float, float]] = []
    for _ in range(1 if whole_s < 6 * 3600 else int(random.integers(1, 4))):
        longest = max(SHORTEST_S, min(0.7 * whole_s, 6 * 3600))
        length = SHORTEST_S * (longest / SHORTEST_S) ** random.random()
        begin = random.random() * max(0.0, whole_s - length) * (random.random() > 1 / 6)
        end = min(begin + length, whole_s)
        if all(end + BETWEEN_S <= a or b + BETWEEN_S <= begin for a, b in times):
            times.append((round(begin, 1), round(end, 1)))
    return times


def injure_loop(
    street: SimStreet,
    i: int,
    stays: Floats,
    kind: FaultKind,
    when: tuple[float, float],
    random: np.random.Generator,
) -> tuple[LoopFault, Floats]:
    """The fault of a loop whose stays are `stays` so far, and what is left of them."""
    loop = street.loops[i]
    before, inside, after = _split_stays(stays, *when)
    if kind in ("crosstalk", "splashover"):
        beside = neighbours(street, loop)
        _, source, _ = _split_stays(street.stays[beside[int(random.integers(len(beside)))]], *when)
        ghosts = crosstalk if kind == "crosstalk" else splashover
        severity, changed = ghosts(inside, source, random)
    else:
        severity, changed = CHANGES[kind](inside, when, random)
    kept = np.clip(changed, *when) if len(changed) else changed
    joined = np.concatenate([before, kept, after])
    joined = contact_stays(joined[:, 0], joined[:, 1])
    joined = np.round(joined[joined[:, 1] - joined[:, 0] >= 0.001], 4)
    return LoopFault(loop.lane, loop.part, kind, *when, round(severity, 3)), joined


def _split_stays(stays: Floats, begin: float, end: float) -> tuple[Floats, Floats, Floats]:
    """What lies before, in and after a time; a stay across its edge is divided."""
    first = stays[stays[:, 0] < begin].copy()
    first[:, 1] = np.minimum(first[:, 1], begin)
    inside = stays[(stays[:, 1] > begin) & (stays[:, 0] < end)].clip(begin, end)
    last = stays[stays[:, 1] > end].copy()
    last[:, 0] = np.maximum(last[:, 0], end)
    return first, inside, last
