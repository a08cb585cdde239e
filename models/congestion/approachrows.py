"""Makes rows of streets: what one link's believed loops saw, slot by slot, and its truth.

A link makes one row for all its loops, and on request one for each subset of its positions: a site
may have loops anywhere. The numbers are those that the gateway works out, by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core.looptick import LoopTick
from edge.infer.observation import Scores, model_inputs, observe, ticks_by_slot
from edge.infer.sites import LaneSite
from models.congestion.congestionstate import BLOCKS, COUNT, OWN, POSITIONS
from models.congestion.scenarios.loopfaults import LoopFault
from models.congestion.scenarios.playstreet import play_ticks
from models.congestion.scenarios.simstreet import Interval, SimStreet, StreetLink

SITUATIONS: Final = (*POSITIONS, "link")  # which loops there are: one position, or more of a link
FOUND: Final = 0.8  # of the faults, when health is simulated
DAY_S: Final = 86_400.0
PASSES: Final = 8  # of its usual day, 1.3 to 2 busy hours, that a site has seen before the street

Floats = NDArray[np.float32]
_Inputs = tuple[list[float], list[float]]
# which loops are broken, at the end of a slot (ns) and by its ticks
Health = Callable[[int, Sequence[LoopTick]], Scores]


@dataclass(frozen=True, eq=False)
class ApproachRow:
    """One approach: S slots. `kept` are the places that were not left out on purpose."""

    street: str
    link: StreetLink
    situation: str
    kept: tuple[int, ...]
    ends_s: NDArray[np.float64]  # [S]
    dt_s: Floats  # [S]
    x: Floats  # [S, WIDTH]
    present: Floats  # [S, COUNT]
    before: ApproachRow | None = None  # the same loops on a usual day, that a site learns from

    @property
    def days(self) -> float:
        return float(self.ends_s[-1]) / DAY_S

    @property
    def whole(self) -> bool:
        """With all loops of the link and its neighbours."""
        return len(self.kept) == COUNT

    @property
    def complete(self) -> bool:
        """With all loops of the link."""
        return set(range(OWN)) <= set(self.kept)

    @property
    def alone(self) -> bool:
        """Without its neighbours."""
        return max(self.kept) < OWN

    def inside(self, spans: Sequence[Interval], at_s: float = 0.0) -> NDArray[np.bool_]:
        """Which slots lie in the spans, `at_s` seconds after their ends."""
        out = np.zeros(len(self.ends_s), bool)
        for begin, end in spans:
            out |= (self.ends_s + at_s >= begin) & (self.ends_s + at_s < end)
        return out


def lanes_of(street: SimStreet) -> dict[str, LaneSite]:
    """The street's lanes as a site has them; links are approaches."""
    limits = {link.name: link.limit_kmh for link in street.links}
    return {
        loop.lane: LaneSite(
            loop.lane, loop.link, loop.position, loop.spacing_m is not None, loop.spacing_m,
            loop.loop_m, "presence", limits[loop.link], loop.role,
        )
        for loop in street.loops
    }  # fmt: skip


def all_sound(_: int, __: Sequence[LoopTick]) -> Scores:
    """All loops are sound."""
    return {}


def rows_of(
    street: SimStreet, health: Health = all_sound, period_s: float = 60
) -> list[ApproachRow]:
    """One row for each link, with all its loops."""
    lanes = lanes_of(street)
    before = {link.downstream: link.name for link in street.links if link.downstream}
    around = {
        link.name: (link.name, link.downstream or "", before.get(link.name, ""))
        for link in street.links
    }
    ends, lengths = [], []
    seen: dict[str, list[_Inputs]] = {link.name: [] for link in street.links}
    for _, ticks in play_ticks(street, period_s):
        for end_ns, dt_s, slot in ticks_by_slot(ticks):
            ends.append(end_ns / 1e9)
            lengths.append(dt_s)
            here = observe(slot, lanes, health(end_ns, slot))
            for link in street.links:
                neighbour_slots = (here.get(name, {}) for name in around[link.name])
                seen[link.name].append(model_inputs(*neighbour_slots))
    lengths_s = np.asarray(lengths, np.float32)
    out = []
    for link in street.links:
        there: set[str] = {loop.position for loop in street.loops if loop.link == link.name}
        if not there:
            continue
        x, present = zip(*seen[link.name], strict=True)
        out.append(
            ApproachRow(
                street.name, link, situation_of(there), tuple(range(COUNT)), np.asarray(ends),
                lengths_s, np.asarray(x, np.float32), np.asarray(present, np.float32),
            )
        )  # fmt: skip
    return out


def rows_after_usual_days(
    rows: Sequence[ApproachRow], usual: Sequence[ApproachRow]
) -> list[ApproachRow]:
    """The rows of a street, at a site that has seen its usual days."""
    seen = {row.link.name: row for row in usual}
    return [replace(row, before=seen.get(row.link.name)) for row in rows]


def situation_of(positions: set[str]) -> str:
    return "link" if len(positions) > 1 else next(iter(positions))


def parts_of(row: ApproachRow) -> Iterator[ApproachRow]:
    """The row without its neighbours, and with fewer positions: each alone, and each left out.

    Every other one of those with fewer keeps its neighbours.
    """
    have = [k for k in range(OWN) if row.present[:, k].any()]
    neighbours = tuple(range(OWN, COUNT))
    if row.present[:, OWN:].any():
        yield _part(row, tuple(range(OWN)), row.situation)
    if len(have) < 2:
        return
    subsets = {(k,) for k in have} | {tuple(j for j in have if j != k) for k in have}
    for i, kept in enumerate(sorted(subsets)):
        here = situation_of({POSITIONS[k] for k in kept})
        yield _part(row, kept, here)
        if (i + len(row.link.name)) % 2 and row.present[:, OWN:].any():
            yield _part(row, kept + neighbours, here)


def _part(row: ApproachRow, kept: tuple[int, ...], situation: str) -> ApproachRow:
    keep = np.isin(np.arange(COUNT), kept).astype(np.float32)
    return replace(
        row,
        situation=situation,
        kept=kept,
        x=row.x * np.tile(keep, len(BLOCKS)),
        present=row.present * keep,
        before=None if row.before is None else _part(row.before, kept, situation),
    )


def simulated_judge(faults: Sequence[LoopFault], street: SimStreet, seed: int) -> Health:
    """An imperfect judge of loop health: finds most faults after a minute or two, invents few."""
    random = np.random.default_rng([seed, street.seed, 7])
    spans: list[tuple[tuple[str, str], float, float]] = []
    for fault in faults:
        if random.random() < FOUND:
            late, long = random.uniform(60, 120), random.uniform(60, 300)
            spans.append(((fault.lane, fault.part), fault.from_s + late, fault.to_s + long))
    whole_s = street.hours * 3600
    for loop in street.loops:
        if random.random() < 0.2 * whole_s / DAY_S:
            begin = random.uniform(0, whole_s)
            spans.append(((loop.lane, loop.part), begin, begin + random.uniform(300, 1200)))

    def health(end_ns: int, _: Sequence[LoopTick]) -> Scores:
        now = end_ns / 1e9
        return {key: 1.0 for key, begin, end in spans if begin <= now < end}

    return health
