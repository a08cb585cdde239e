"""A street for the judge: windows of 30 s of many lanes and series, and which guard asks a model.

Anything the judge knows is asked for through `Judge.judge`, so that a new model needs nothing here:
its bundle lies in `models`, and its switch in `JudgeSetup` has its name, or begins as it does.
"""

import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from edge.core import Draft, LoopTick, Stay, Stream
from edge.infer.judge import Judge, JudgeSetup, LaneSite
from edge.wire.contract.points import Energy, Gauge, Total
from models import BUNDLES
from tests.kit import bodies

S = 1_000_000_000
WINDOW_S = 30  # one slot, so that every model is asked once a window
POINTS = 8  # of one device
Window = tuple[int, list[Draft], list[LoopTick]]


def bundles() -> list[str]:
    """Models that can be loaded, by name."""
    return sorted(path.parent.name for path in Path(BUNDLES).glob("*/manifest.json"))


def judge_of(name: str, sites: int) -> Judge:
    """Judges with this model only, which is loaded; `sites` lanes, each with its approach."""
    switches = {f.name for f in fields(JudgeSetup) if f.default is True and f.name != "hurry"}
    on = {switch: name.startswith(switch.rstrip("s")) for switch in switches}
    setup: Any = {**on, "lanes": lanes(sites), "period_ns": WINDOW_S * S, "hurry": False}
    judge = Judge(JudgeSetup(**setup))
    judge.load()
    return judge


def lanes(count: int) -> tuple[LaneSite, ...]:
    """Each an approach of its own."""
    return tuple(LaneSite(f"lane_{i}", f"approach_{i}", "mid") for i in range(count))


def session_of(judge: Judge, name: str) -> Any:
    """The session of the part that asks this model; None when no part does."""
    for part in vars(judge).values():
        guard = getattr(part, "guard", None)
        if guard is not None and guard.name == name:
            return guard.session
    return None


def windows(name: str, sites: int, count: int) -> Iterator[Window]:
    """What the engine would say: lanes and their ticks, or devices for `anomaly`."""
    for n in range(1, count + 1):
        from_ns, to_ns = (n - 1) * WINDOW_S * S, n * WINDOW_S * S
        if name == "anomaly":
            yield to_ns, list(_devices(sites, n, from_ns, to_ns)), []
        else:
            drafts = [_lane(f"lane_{i}", i, n, from_ns, to_ns) for i in range(sites)]
            yield to_ns, drafts, [_tick(f"lane_{i}", i, n, from_ns, to_ns) for i in range(sites)]


def _share(i: int, n: int) -> float:
    return 0.12 + 0.08 * math.sin(n / 20 + i)


def _lane(lane: str, i: int, n: int, from_ns: int, to_ns: int) -> Draft:
    share = _share(i, n)
    body = bodies.lane(lane, covered_s=float(WINDOW_S), volume=5, occupancy=round(share, 4))
    body.approach, body.on_us = f"approach_{i}", round(share * WINDOW_S * 1e6)
    return Draft(Stream.TRAFFIC, lane, from_ns, to_ns, body)


def _tick(lane: str, i: int, n: int, from_ns: int, to_ns: int) -> LoopTick:
    on_ns = round(_share(i, n) * WINDOW_S * S / 5)
    begins = [from_ns + 6 * k * S + S // 2 + i * 61_803_399 % (4 * S) for k in range(5)]
    stays = tuple(Stay(begin, begin + on_ns) for begin in begins)
    return LoopTick(lane, "lead", from_ns, to_ns, to_ns - from_ns, 5 * on_ns, stays)


def _devices(sites: int, n: int, from_ns: int, to_ns: int) -> Iterator[Draft]:
    for first in range(0, sites, POINTS):
        points: dict[str, Gauge | Total] = {
            f"p{i}": bodies.gauge(round(20 + 3 * math.sin(n / 9 + i), 3), 0.001)
            for i in range(first, min(sites, first + POINTS))
        }
        body = Energy(covered_s=float(WINDOW_S), points=points)
        yield Draft(Stream.ENERGY, f"device_{first}", from_ns, to_ns, body)
