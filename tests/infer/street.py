"""Small windows for the tests: drafts as the engine makes them, without an engine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.core import Draft, Stream
from edge.infer.judge import JudgeSetup, LaneSite
from models import BUNDLES

PERIOD_NS = 5_000_000_000


def setup(position: str = "mid", *, hurry: bool = False, period_ns: int = PERIOD_NS) -> JudgeSetup:
    lanes = tuple(LaneSite(f"north_{i}", "north", position) for i in (1, 2))
    return JudgeSetup(lanes=lanes, period_ns=period_ns, hurry=hurry)


def traffic(
    end_ns: int,
    occupancy: Sequence[float | None],
    health: str = "ok",
    period_ns: int = PERIOD_NS,
) -> list[Draft]:
    return [
        Draft(
            Stream.TRAFFIC,
            f"north_{i}",
            end_ns - period_ns,
            end_ns,
            {"covered_s": period_ns / 1e9, "occupancy": value, "health": health, "volume": 1},
        )
        for i, value in enumerate(occupancy, 1)
    ]


def air(end_ns: int, /, **values: float | None) -> Draft:
    return air_of(PERIOD_NS, end_ns, values)


def air_of(period_ns: int, end_ns: int, values: Mapping[str, float | None]) -> Draft:
    points: dict[str, Any] = {
        name: {"mean": value, "n": 5, "step": 0.1} for name, value in values.items()
    }
    body = {"covered_s": period_ns / 1e9, "points": points}
    return Draft(Stream.AIR, "hut_air", end_ns - period_ns, end_ns, body)


def energy(end_ns: int, delta: float | None) -> Draft:
    body = {"covered_s": 5.0, "points": {"energy_import": {"delta": delta, "step": 0.001}}}
    return Draft(Stream.ENERGY, "main_meter", end_ns - PERIOD_NS, end_ns, body)


def copied(to: Path) -> Path:
    """The bundles, to be broken."""
    for name in ("congestion", "anomaly"):
        (to / name).mkdir(parents=True)
        for file in (f"{name}.onnx", "manifest.json", "golden.json"):
            shutil.copy(BUNDLES / name / file, to / name / file)
    return to
