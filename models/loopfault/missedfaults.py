"""Draws loop faults that are missed, as timelines in text.

    python -m models.loopfault.missedfaults --streets DIR [--every 1] [--first 0] [--most 3]

One column is one minute, from four minutes before the fault first changes something, which may be
long after its begin: the lane whose vehicles a loop sees too may be empty. A cell is vehicles and
occupancy in percent: `drove` is what the loop would have seen without the fault, `saw` what it saw,
and the others are the loops beside it and the other loop of its pair as they saw it. Drawn is the
longest missed fault of each of the kinds that are missed most often, if it changes anything.
Streets are injured and judged as `models.loopfault.evaluate` does it, each once.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edge.infer.loops.evidence import LoopKey
from models import BUNDLES
from models.congestion.scenarios.loopfaults import KINDS, LoopFault, inject_faults, neighbours
from models.congestion.scenarios.simstreet import Floats, SimStreet, find_streets, load_street
from models.loopfault.evaluate import SEED
from models.loopfault.flagscores import FlagAlarm, missed_faults
from models.loopfault.judgedstreets import judged_alarms
from models.loopfault.playedstreets import SHARE

MINUTE_S: Final = 60.0
BEFORE: Final = 4  # minutes that are drawn before the first effect
COLUMNS: Final = 16
FEW: Final = 10  # stays, of which nobody learns much

Stay = tuple[float, ...]  # seconds: on, off


@dataclass(frozen=True, eq=False)
class MissedFault:
    """A fault that no flag told, on the street as it was and as its loops saw it."""

    sound: SimStreet
    injured: SimStreet
    fault: LoopFault
    alarms: Sequence[FlagAlarm]  # of its loop: none of them is of this fault

    @property
    def length_s(self) -> float:
        return self.fault.to_s - self.fault.from_s

    @property
    def at(self) -> int:
        """The index of its loop."""
        key = self.fault.lane, self.fault.part
        return [(loop.lane, loop.part) for loop in self.injured.loops].index(key)

    @property
    def stays(self) -> set[Stay]:
        """Those of its loop in its time, had there been no fault."""
        return _inside(self.sound.stays[self.at], self.fault)

    @property
    def changed(self) -> set[Stay]:
        """Stays of its loop that are missing, and those that should not be."""
        return self.stays ^ _inside(self.injured.stays[self.at], self.fault)


def _inside(stays: Floats, fault: LoopFault) -> set[Stay]:
    """The stays that touch the time of the fault, on the grain that streets are kept in."""
    here = stays[(stays[:, 1] > fault.from_s) & (stays[:, 0] < fault.to_s)]
    return {tuple(stay) for stay in np.round(here, 4).tolist()}


def missed_of(
    street: SimStreet,
    injured: SimStreet,
    faults: Sequence[LoopFault],
    alarms: Mapping[LoopKey, Sequence[FlagAlarm]],
) -> list[MissedFault]:
    """The missed faults of a street."""
    return [
        MissedFault(street, injured, fault, alarms[fault.lane, fault.part])
        for fault in missed_faults(alarms, faults)
    ]


def longest_of_kinds(missed: Iterable[MissedFault], most: int) -> list[MissedFault]:
    """The longest of each of the kinds that are missed most often though something changed."""
    every = [one for one in missed if one.changed]
    kinds = Counter(one.fault.kind for one in every)
    return [
        max((one for one in every if one.fault.kind == kind), key=lambda one: one.length_s)
        for kind, _ in kinds.most_common(most)
    ]


def timeline(one: MissedFault) -> Iterator[str]:
    """Line by line what drove over the loop, what it saw, and what the loops around it saw."""
    fault, street = one.fault, one.injured
    place = street.loops[one.at]
    flags = ", ".join(f"{alarm.word} at {alarm.from_s:.0f} s" for alarm in one.alarms)
    yield (
        f"{street.name} {fault.lane} {fault.part} ({place.position}, lane {place.index} of "
        f"{place.link}): {fault.kind} of {fault.severity:.2f}, {one.length_s:.0f} s from "
        f"{fault.from_s:.0f} s on; {len(one.changed)} stays changed of {len(one.stays)}; "
        f"flags: {flags or 'none'}"
    )
    begin = int(min(one.changed, default=(fault.from_s,))[0] // MINUTE_S)
    first = max(0, begin - BEFORE)
    minutes = range(first, min(int(street.hours * 60), first + COLUMNS))
    yield f"  {'minute':18}" + " ".join(f"{m - begin:6d}" for m in minutes)
    shown = [("drove", one.sound.stays[one.at]), ("saw", street.stays[one.at])]
    for i in neighbours(street, place):
        shown.append((f"lane {street.loops[i].index}", street.stays[i]))
    other = "trail" if fault.part == "lead" else "lead"
    for loop, stays in zip(street.loops, street.stays, strict=True):
        if (loop.lane, loop.part) == (fault.lane, other):
            shown.append((other, stays))
    for name, stays in shown:
        yield f"  {name:18}" + " ".join(minute_cell(stays, m * MINUTE_S) for m in minutes)


def minute_cell(stays: Floats, from_s: float) -> str:
    """Vehicles and occupancy in percent of a minute, in six characters."""
    to_s = from_s + MINUTE_S
    inside = np.clip(stays, from_s, to_s)
    occupied = float((inside[:, 1] - inside[:, 0]).sum()) / MINUTE_S
    count = int(((stays[:, 0] >= from_s) & (stays[:, 0] < to_s)).sum())
    return f"{count:2d}/{100 * occupied:3.0f}"


def drawn_misses(places: Iterable[Path], bundle: Path, most: int) -> Iterator[str]:
    """How many of each kind were missed, and the longest of some, line by line."""
    made: Counter[str] = Counter()
    missed: list[MissedFault] = []
    for place in places:
        street = load_street(place)
        injured, faults = inject_faults(street, SEED, SHARE, KINDS)
        made.update(fault.kind for fault in faults)
        missed += missed_of(street, injured, faults, judged_alarms(injured, bundle))
    gone = Counter(one.fault.kind for one in missed)
    few = Counter(one.fault.kind for one in missed if len(one.changed) < FEW)
    yield "missed: " + ", ".join(
        f"{kind} {count} of {made[kind]} ({few[kind]} changed fewer than {FEW} stays)"
        for kind, count in gone.most_common()
    )
    for one in longest_of_kinds(missed, most):
        yield ""
        yield from timeline(one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=BUNDLES / "loopfault")
    parser.add_argument("--every", type=int, default=1, help="one street of so many")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    parser.add_argument("--most", type=int, default=3)
    args = parser.parse_args()
    places = find_streets(args.streets)[args.first :: args.every]
    for line in drawn_misses(places, args.bundle, args.most):
        print(line)


if __name__ == "__main__":
    main()
