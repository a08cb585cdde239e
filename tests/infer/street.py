"""Small windows for the tests: drafts and ticks as the engine makes them, without an engine."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from edge.core import Draft, LoopTick, Stream
from edge.core.looptick import Stay
from edge.infer.bundlemanifest import read_manifest
from edge.infer.judge import JudgeSetup, LaneSite
from edge.wire.contract.points import Air, Energy, Gauge, Total
from edge.wire.contract.traffic import LaneHealth
from models import BUNDLES
from tests.kit.asread import as_read
from tests.kit.bodies import gauge, lane, total

# how flags name the models that ship
SHIPPED = {
    name: read_manifest(BUNDLES / name).by for name in ("congestion", "anomaly", "loopfault")
}
PERIOD_NS = 30_000_000_000
SLOT_NS = 30_000_000_000


def setup(position: str = "mid", *, hurry: bool = False, period_ns: int = PERIOD_NS) -> JudgeSetup:
    lanes = tuple(LaneSite(f"north_{i}", "north", position) for i in (1, 2))
    return JudgeSetup(lanes=lanes, period_ns=period_ns, loopfault=False, hurry=hurry)


def traffic(
    end_ns: int,
    occupancy: Sequence[float | None],
    health: LaneHealth = "ok",
    period_ns: int = PERIOD_NS,
) -> list[Draft]:
    return [
        Draft(
            Stream.TRAFFIC,
            f"north_{i}",
            end_ns - period_ns,
            end_ns,
            lane(f"north_{i}", covered_s=period_ns / 1e9, occupancy=value, health=health),
        )
        for i, value in enumerate(occupancy, 1)
    ]


def tick(lane: str, end_ns: int, occupancy: float, slot_ns: int = SLOT_NS) -> LoopTick:
    """Below one half cars pass at 50 km/h, from there on they stand, eight seconds each."""
    begin, on_ns = end_ns - slot_ns, int(occupancy * slot_ns)
    each_ns = 450_000_000 if occupancy < 0.5 else 8_000_000_000
    count = round(on_ns / each_ns)
    step = slot_ns // max(count, 1)
    stays = tuple(Stay(begin + i * step, begin + i * step + each_ns) for i in range(count))
    return LoopTick(lane, "lead", begin, end_ns, slot_ns, on_ns, stays)


def ticks_of(drafts: Sequence[Draft]) -> tuple[LoopTick, ...]:
    """What the loops did in the windows of these drafts; None: nobody watched."""
    found = []
    for draft in drafts:
        value = as_read(draft).get("occupancy")
        if draft.stream is not Stream.TRAFFIC:
            continue
        count = max(1, round((draft.to_ns - draft.from_ns) / SLOT_NS))
        slot_ns = (draft.to_ns - draft.from_ns) // count
        for k in range(count):
            one = tick(draft.source, draft.from_ns + (k + 1) * slot_ns, value or 0.0, slot_ns)
            found.append(one._replace(seen_ns=0) if value is None else one)
    return tuple(sorted(found, key=lambda each: (each.to_ns, each.lane)))


def air(end_ns: int, /, **values: float | None) -> Draft:
    return air_of(PERIOD_NS, end_ns, values)


def air_of(period_ns: int, end_ns: int, values: Mapping[str, float | None]) -> Draft:
    points: dict[str, Gauge | Total] = {name: gauge(value) for name, value in values.items()}
    body = Air(covered_s=period_ns / 1e9, points=points)
    return Draft(Stream.AIR, "hut_air", end_ns - period_ns, end_ns, body)


def energy(end_ns: int, delta: float | None) -> Draft:
    body = Energy(covered_s=PERIOD_NS / 1e9, points={"energy_import": total(delta)})
    return Draft(Stream.ENERGY, "main_meter", end_ns - PERIOD_NS, end_ns, body)


def copied(to: Path) -> Path:
    """The bundles, to be broken."""
    for name in ("congestion", "anomaly"):
        (to / name).mkdir(parents=True)
        for file in (f"{name}.onnx", "manifest.json", "golden.json"):
            shutil.copy(BUNDLES / name / file, to / name / file)
    return to
