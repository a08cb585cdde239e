"""Reads logs of signals as sites for `silences`: 15-minute counts, and actuations by the tenth.

Counts (`TimeStamp, DeviceId, Detector, Total` or `timestamp, intersection, detector, total`) are
played as vehicles that come by chance within their quarter; a quarter without any stays empty.
What lies beside what is not told: detectors with the numbers that Oregon gives to neighbours are
taken for such where their quarters go together (BESIDE), and for the same lane where they are
almost the same (ALONG). All others are alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

import numpy as np

from edge.infer.sites import LaneSite, Role
from edge.recordings.importlogs import LoggedSite
from models.loopfault.controllerlogs import (
    EVENTS,
    QUARTER_S,
    QuarterCounts,
    has_counts,
    logged_counts,
    logged_signals,
)
from models.loopfault.silences import DAY, SLOT_S, SilenceSite, Ticks, ticks_of

PER: Final = QUARTER_S // SLOT_S
PAIRS: Final = ((2, 3), (4, 5), (8, 9), (16, 17), (18, 19), (22, 23))
SAME: Final = ((2, 4), (3, 5), (16, 18), (17, 19))  # in advance, and at the stop line
BESIDE: Final = 0.9  # correlation of two detectors' quarters
ALONG: Final = 0.97
Played = Iterator[tuple[Ticks, float | None] | float]


def logged_sites(folder: Path) -> Iterator[SilenceSite]:
    """All sites of all logs below `folder`."""
    for path in sorted(folder.rglob("*.parquet")):
        if has_counts(path):
            yield from (_counted(path.parent.name, counts) for counts in logged_counts(path))
        elif path.name == EVENTS:
            with logged_signals(path.parent) as signals:
                yield from [_actuations(path.parent.name, signal) for signal in signals]


def _counted(log: str, counts: QuarterCounts) -> SilenceSite:
    numbers = [int(detector) for detector in counts.detectors]
    return SilenceSite(
        f"{log} {counts.signal}",
        tuple(_lanes(numbers, counts.table[counts.heard].astype(int))),
        (),
        float(counts.heard.sum()) / 96.0,
        _played(counts),
    )


def _lanes(numbers: list[int], counts: Any) -> Iterator[LaneSite]:
    at = {n: i for i, n in enumerate(numbers)}
    with np.errstate(invalid="ignore"):  # one that never counts goes with nobody
        together = np.nan_to_num(np.corrcoef(counts.T))

    def near(pair: tuple[int, int], least: float) -> bool:
        a, b = pair
        return a in at and b in at and bool(together[at[a], at[b]] >= least)

    place = {n: (f"alone{n}", "stop") for n in numbers}
    for a, b in PAIRS:
        if near((a, b), BESIDE):
            place[a] = place[b] = (f"of{a}", "stop")
    for a, b in SAME:
        if near((a, b), ALONG):
            approach = place[b][0]
            place |= {n: (approach, "advance") for n, p in place.items() if p == place[a]}
    order = sorted(numbers)
    for n in order:
        yield LaneSite(str(n), *place[n], mode="pulse")


def _played(counts: QuarterCounts) -> Any:
    names, wall_s = counts.detectors, float(counts.first * QUARTER_S)

    def play(first: int) -> Played:
        for quarter in range(first // PER, len(counts.table)):
            if not counts.heard[quarter]:
                yield from [float(SLOT_S)] * PER
                continue
            chance = random.Random(quarter)
            slots = [dict.fromkeys(names, 0.0) for _ in range(PER)]
            for name, total in zip(names, counts.table[quarter].astype(int).tolist(), strict=True):
                for _ in range(total):
                    slots[chance.randrange(PER)][name] += 1.0
            for i, slot in enumerate(slots):
                end_s = float(quarter * QUARTER_S + (i + 1) * SLOT_S)
                yield ticks_of(end_s, slot), wall_s + end_s

    return play


def _actuations(log: str, signal: LoggedSite) -> SilenceSite:
    """What its detectors counted in each slot, of those that the table of detectors has."""
    survey = signal.survey
    length_s = (survey.last_ms - survey.first_ms) / 1000.0
    slots = int(length_s // SLOT_S)
    used = sorted(signal.placed & survey.lines, key=lambda line: (len(line), line))
    counts = {line: np.zeros(slots, int) for line in used}
    for t_ms, line, level in signal.rows:
        slot = (t_ms + survey.start_ms - survey.first_ms) // (SLOT_S * 1000)
        if level == "1" and line in counts and slot < slots:
            counts[line][slot] += 1
    lanes = tuple(
        LaneSite(line, place.approach, place.position, role=_role(place.role))
        for line, place in ((line, signal.places[line]) for line in used)
    )

    def play(first: int) -> Played:
        for i in range(first, slots):
            slot = {line: float(each[i]) for line, each in counts.items()}
            yield ticks_of((i + 1) * SLOT_S, slot), survey.first_ms / 1000.0 + (i + 1) * SLOT_S

    return SilenceSite(f"{log} {signal.name}, actuations", lanes, (), slots / DAY, play)


def _role(word: str) -> Role:
    return next((role for role in get_args(Role) if role == word), "mainline")
