"""Loads simulated days: what each loop saw in windows of 5 s, and what the link was truly like."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BIN_S: Final = 5
MERGE_S: Final = 300  # events closer than this are one
SHORT_S: Final = 120  # shorter ones are left out of the score
TYPES: Final = {"stop": "stop", "adv": "advance", "mid": "mid"}

Floats = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Station:
    """The loops of one cross-section, and its truth. `occupancy` is [lanes, windows of 5 s]."""

    scenario: str
    name: str
    position: str
    hours: float
    occupancy: Floats
    events: tuple[Interval, ...]
    short: tuple[Interval, ...]


def load(folder: Path) -> list[Station]:
    """All stations of all scenarios in `folder`: `*/meta.json` beside `*/passages.parquet`."""
    found = [
        station for meta in sorted(folder.glob("*/meta.json")) for station in _scenario(meta.parent)
    ]
    if not found:
        raise FileNotFoundError(f"no */meta.json in {folder}")
    return found


def _scenario(folder: Path) -> list[Station]:
    import pyarrow.parquet as parquet

    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    table = parquet.read_table(folder / "passages.parquet")
    loop = table["det"].to_numpy()
    on_s = table["t_on"].to_numpy() / 1e3
    off_s = on_s + table["dur"].to_numpy() / 1e3
    count = int(meta["hours"] * 3600 / BIN_S)
    stations = []
    for station in meta["stations"]:
        loops = [i for i, d in enumerate(meta["detectors"]) if d.rsplit("_", 1)[0] == station["id"]]
        occupancy = np.stack(
            [occupied(on_s[loop == i], off_s[loop == i], count, BIN_S) for i in loops]
        )
        events = _merged(
            [(e["t0"], e["t1"]) for e in meta["events"] if e["station"] == station["id"]]
        )
        position = "corridor" if meta["kind"] == "corridor" else TYPES[station["type"]]
        stations.append(
            Station(
                folder.name,
                station["id"],
                position,
                float(meta["hours"]),
                occupancy,
                tuple(e for e in events if e[1] - e[0] >= SHORT_S),
                tuple(e for e in events if e[1] - e[0] < SHORT_S),
            )
        )
    return stations


def occupied(on_s: Floats, off_s: Floats, count: int, bin_s: float) -> Floats:
    """The share of each window that a loop was occupied; overlapping vehicles count once."""
    order = np.argsort(on_s)
    begin = on_s[order].astype(np.float64)
    until = np.maximum.accumulate(off_s[order])
    begin[1:] = np.maximum(begin[1:], until[:-1])
    length = np.maximum(0.0, until - begin)
    before = np.concatenate([[0.0], np.cumsum(length)])
    edges = np.arange(count + 1) * bin_s
    index = np.searchsorted(begin, edges, side="right")
    last = np.maximum(index - 1, 0)
    over = np.where(index > 0, np.maximum(0.0, begin[last] + length[last] - edges), 0.0)
    return np.asarray(np.diff(before[index] - over) / bin_s, np.float64)


def _merged(events: list[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for begin, end in sorted(events):
        if merged and begin - merged[-1][1] < MERGE_S:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def windows(occupancy: Floats, period_s: int) -> Floats:
    """Windows of 5 s made into longer ones, as the gateway would have seen them."""
    size = period_s // BIN_S
    whole = occupancy.shape[1] // size * size
    return np.asarray(occupancy[:, :whole].reshape(len(occupancy), -1, size).mean(axis=2))
