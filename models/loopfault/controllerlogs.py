"""Loads what signal controllers logged (Indiana event codes, Parquet) as streets and as counts.

Public samples: github.com/ShawnStrasser/atspm (MIT). For tests only, never for training.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion.scenarios.simstreet import Floats, LoopPlace, Position, SimStreet, StreetLink

EVENTS: Final = "hires_test_data.parquet"
ROLES: Final = "configs_test_data.parquet"
COUNTS: Final = "actuations_test_data.parquet"
OFF, ON = 81, 82  # detector events
BIN_S: Final = 900
POSITIONS: Final[dict[str, Position]] = {"Advance": "advance"}
LEAST: Final = 30  # stays of a channel, without which it tells nothing

Counts = dict[str, NDArray[np.float64]]  # by detector, one for each quarter of an hour; nan: a gap


def logged_streets(folder: Path) -> list[SimStreet]:
    """A street for each signal: every channel a lane of its own, in the order of its number."""
    events, roles = _rows(folder / EVENTS), _rows(folder / ROLES)
    role = {(r["DeviceId"], r["Parameter"]): r["Function"] for r in roles}
    start = min(row["TimeStamp"] for row in events)
    edges: dict[tuple[int, int], list[tuple[float, bool]]] = defaultdict(list)
    for row in events:
        if row["EventId"] in (OFF, ON):
            at = (row["TimeStamp"] - start).total_seconds()
            edges[row["DeviceId"], row["Parameter"]].append((at, row["EventId"] == ON))
    last = max(at for found in edges.values() for at, _ in found)
    found = {key: _stays(each) for key, each in sorted(edges.items())}
    return [
        _street(signal, {k: s for k, s in found.items() if k[0] == signal and len(s) >= LEAST},
                role, last / 3600.0)
        for signal in sorted({signal for signal, _ in found})
    ]  # fmt: skip


def logged_counts(path: Path) -> dict[str, Counts]:
    """By signal: what its detectors counted in each quarter of an hour, from Monday, 0 o'clock on.

    Where no detector of a signal has a row there is a gap in the log, and nobody knows.
    """
    names = ("TimeStamp", "DeviceId", "Detector", "Total")
    rows = [
        tuple(row[n] if n in row else row[n2] for n, n2 in zip(names, _OTHERS, strict=True))
        for row in _rows(path)
    ]
    first = min(at for at, *_ in rows)
    monday_s = -(first.weekday() * 86_400 + first.hour * 3600 + first.minute * 60)
    out: dict[str, Counts] = {}
    for signal in sorted({s for _, s, *_ in rows}):
        here = [
            (int(((at - first).total_seconds() - monday_s) // BIN_S), detector, total)
            for at, s, detector, total in rows
            if s == signal
        ]
        bins = max(i for i, *_ in here) + 1
        numbers = sorted({i for i, *_ in here})
        table = {d: np.full(bins, np.nan) for d in sorted({d for _, d, _ in here})}
        for series in table.values():
            series[numbers] = 0.0
        for i, detector, total in here:
            table[detector][i] += total
        out[str(signal)] = {str(d): series for d, series in table.items()}
    return out


_OTHERS: Final = ("timestamp", "intersection", "detector", "total")


def _street(
    signal: int,
    found: dict[tuple[int, int], Floats],
    role: dict[tuple[int, int], str],
    hours: float,
) -> SimStreet:
    name = str(signal)
    loops = [
        LoopPlace(_lane(*key), name, POSITIONS.get(role.get(key, ""), "stop"), i, "lead", 0.0, 2.0)
        for i, key in enumerate(found)
    ]
    none = np.zeros(0)
    link = StreetLink(name, "arterial", len(loops), 100.0, 50.0, None, None, (), (), none, none)
    stays = tuple(found.values())
    return SimStreet(name, "arterial", "legacy", 0, hours, (link,), tuple(loops), stays)


def _lane(signal: int, channel: int) -> str:
    return f"{signal}_{channel}"


def _stays(edges: list[tuple[float, bool]]) -> Floats:
    """Of edges that may stand there twice, or the first of which is an end."""
    out, on_s = [], None
    for at, on in sorted(edges):
        if on and on_s is None:
            on_s = at
        elif not on and on_s is not None:
            if at > on_s:
                out.append((on_s, at))
            on_s = None
    return np.array(out, np.float64).reshape(-1, 2)


def _rows(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as parquet  # only at a desk

    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found
