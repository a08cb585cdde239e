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
from typing import Any, Final

import numpy as np

from edge.infer.sites import LaneSite
from models.loopfault.silences import DAY, SLOT_S, SilenceSite, Ticks, ticks_of

QUARTER_S: Final = 900
PER: Final = QUARTER_S // SLOT_S
COLUMNS: Final = (
    ("TimeStamp", "DeviceId", "Detector", "Total"),
    ("timestamp", "intersection", "detector", "total"),
)
PAIRS: Final = ((2, 3), (4, 5), (8, 9), (16, 17), (18, 19), (22, 23))
SAME: Final = ((2, 4), (3, 5), (16, 18), (17, 19))  # in advance, and at the stop line
BESIDE: Final = 0.9  # correlation of two detectors' quarters
ALONG: Final = 0.97
POSITION: Final = {"Advance": "advance", "Presence": "mid", "Stopbar Count": "stop"}
ON: Final = 82  # of Indiana's event codes: a detector is occupied


def logged_sites(folder: Path) -> Iterator[SilenceSite]:
    """All sites of all logs below `folder`."""
    for path in sorted(folder.rglob("*.parquet")):
        table = _columns(path)
        for names in COLUMNS:
            if set(names) <= table.keys():
                yield from _counts(path.parent.name, *(table[name] for name in names))
        if "EventId" in table:
            roles = path.parent / "configs_test_data.parquet"
            if roles.exists():
                yield from _actuations(path.parent.name, table, _columns(roles))


def _counts(log: str, when: Any, which: Any, detector: Any, total: Any) -> Iterator[SilenceSite]:
    quarter = when.astype("datetime64[s]").astype(np.int64) // QUARTER_S
    for device in np.unique(which):
        here = which == device
        first = int(quarter[here].min())
        numbers = sorted(set(detector[here].tolist()))
        counts = np.zeros((int(quarter[here].max()) - first + 1, len(numbers)), np.int64)
        column = np.searchsorted(numbers, detector[here])
        np.add.at(counts, (quarter[here] - first, column), np.nan_to_num(total[here]).astype(int))
        heard = np.zeros(len(counts), bool)
        heard[quarter[here] - first] = True  # a quarter in which nobody counts is a gap in the log
        lanes = tuple(_lanes(numbers, counts[heard]))
        yield SilenceSite(
            f"{log} {device}",
            lanes,
            (),
            float(heard.sum()) / 96.0,
            _played([str(n) for n in numbers], counts, heard, float(first * QUARTER_S)),
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


def _played(names: list[str], counts: Any, heard: Any, wall_s: float) -> Any:
    def play(first: int) -> Iterator[tuple[Ticks, float | None] | float]:
        for quarter in range(first // PER, len(counts)):
            if not heard[quarter]:
                yield from [float(SLOT_S)] * PER
                continue
            chance = random.Random(quarter)
            slots = [dict.fromkeys(names, 0.0) for _ in range(PER)]
            for name, total in zip(names, counts[quarter].tolist(), strict=True):
                for _ in range(total):
                    slots[chance.randrange(PER)][name] += 1.0
            for i, slot in enumerate(slots):
                end_s = float(quarter * QUARTER_S + (i + 1) * SLOT_S)
                yield ticks_of(end_s, slot), wall_s + end_s

    return play


def _actuations(log: str, events: Any, roles: Any) -> Iterator[SilenceSite]:
    seconds = events["TimeStamp"].astype("datetime64[ms]").astype(np.int64) / 1e3
    known = zip(*(roles[n].tolist() for n in ("DeviceId", "Phase", "Function", "Parameter")),
                strict=True)  # fmt: skip
    places = {(d, p): (f"p{phase}", POSITION[f]) for d, phase, f, p in known if f in POSITION}
    for device in np.unique(events["DeviceId"]):
        here = (events["DeviceId"] == device) & (events["EventId"] == ON)
        at, which = seconds[here], events["Parameter"][here]
        begin = float(seconds.min())
        used = [p for d, p in places if d == device and (which == p).any()]
        if not used:
            continue
        edges = np.arange(0.0, float(seconds.max()) - begin, SLOT_S)
        counts = {str(p): np.histogram(at[which == p] - begin, edges)[0] for p in used}
        lanes = tuple(
            LaneSite(
                str(p), *places[device, p],
                role="turn" if places[device, p][0] in ("p1", "p3", "p5", "p7") else "mainline",
            )
            for p in used
        )  # fmt: skip

        def play(
            first: int, counts: Any = counts, begin: float = begin, n: int = len(edges) - 1
        ) -> Iterator[tuple[Ticks, float | None] | float]:
            for i in range(first, n):
                slot = {name: float(c[i]) for name, c in counts.items()}
                yield ticks_of((i + 1) * SLOT_S, slot), begin + (i + 1) * SLOT_S

        yield SilenceSite(f"{log} {device}, actuations", lanes, (), len(edges) / DAY, play)


def _columns(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as parquet  # only at a desk

    table = parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.schema.names}
