"""Loads the older simulated days (Parquet: one loop a lane, a point widened to two metres)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.congestion.scenarios.simstreet import (
    Floats,
    Kind,
    LoopPlace,
    Position,
    SimStreet,
    StreetLink,
    contact_stays,
    split_events,
)

LOOP_M: Final = 2.0
POSITIONS: Final[dict[str, Position]] = {"stop": "stop", "adv": "advance", "mid": "mid"}


def load_legacy(folder: Path) -> list[SimStreet]:
    """All days in `folder`: `*/meta.json` beside `*/passages.parquet` and `*/truth.parquet`."""
    found = [
        _day(path.parent)
        for path in sorted(folder.glob("*/meta.json"))
        if (path.parent / "passages.parquet").exists()
    ]
    if not found:
        raise FileNotFoundError(f"no */passages.parquet in {folder}")
    return found


def _day(folder: Path) -> SimStreet:
    meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    kind: Kind = meta["kind"]
    # The links are where the stations are, in the order in which they are driven.
    edges = list(dict.fromkeys(station["edge"] for station in meta["stations"]))
    first = {e: next(s for s in meta["stations"] if s["edge"] == e) for e in edges}
    truth = _columns(folder / "truth.parquet")
    links = []
    for i, edge in enumerate(edges):
        after = edges[i + 1] if i + 1 < len(edges) else None
        index = meta["stations"].index(first[edge])
        here = truth["st"] == index
        events, short = split_events(
            [(e["t0"], e["t1"]) for e in meta["events"] if e["station"] == first[edge]["id"]]
        )
        links.append(
            StreetLink(
                name=edge,
                kind=kind,
                lanes=first[edge]["lanes"],
                length_m=first[edge]["link_len"],
                limit_kmh=round(first[edge]["vf"] * 3.6, 1),
                downstream=after,
                distance_m=first[after]["x"] - first[edge]["x"] if after else None,
                events=events,
                short=short,
                density=truth["k"][here].astype(np.float64),
                speed=truth["v"][here].astype(np.float64),
            )
        )
    return SimStreet(
        name=folder.name,
        kind=kind,
        split="legacy",
        seed=meta["seed"],
        hours=float(meta["hours"]),
        links=tuple(links),
        loops=tuple(_loops(meta, kind)),
        stays=tuple(_stays(folder, len(meta["detectors"]))),
        about={key: meta[key] for key in ("peak", "split", "weekend", "cycle") if key in meta},
    )


def _loops(meta: dict[str, Any], kind: Kind) -> list[LoopPlace]:
    stations = {station["id"]: station for station in meta["stations"]}
    start: dict[str, float] = {}
    for station in meta["stations"]:
        # Stop lines lie four metres before the link's end, which gives its start.
        if station["type"] == "stop":
            start[station["edge"]] = station["x"] + 4.0 - station["link_len"]
    loops = []
    for name in meta["detectors"]:
        station = stations[name.rsplit("_", 1)[0]]
        begin = start.get(station["edge"], station["x"] - station["link_len"] / 2)
        loops.append(
            LoopPlace(
                lane=name,
                link=station["edge"],
                position="corridor" if kind == "corridor" else POSITIONS[station["type"]],
                index=int(name.rsplit("_", 1)[1]),
                part="lead",
                at_m=round(station["x"] - begin, 1),
                loop_m=LOOP_M,
            )
        )
    return loops


def _stays(folder: Path, count: int) -> list[Floats]:
    passages = _columns(folder / "passages.parquet")
    on_s = passages["t_on"] / 1e3
    off_s = on_s + passages["dur"] / 1e3
    loop = passages["det"]
    return [contact_stays(on_s[loop == i], off_s[loop == i]) for i in range(count)]


def _columns(path: Path) -> dict[str, Any]:
    import pyarrow.parquet as parquet  # only at a desk

    table = parquet.read_table(path)
    return {name: table[name].to_numpy() for name in table.schema.names}
