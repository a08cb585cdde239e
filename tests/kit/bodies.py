"""Bodies of records for tests that need no engine: what is not given is usual."""

from collections.abc import Mapping

from edge.wire.contract.histogram import Speeds
from edge.wire.contract.points import Gauge, Total
from edge.wire.contract.traffic import Lane, LaneHealth


def lane(
    name: str = "north_1",
    *,
    covered_s: float = 60.0,
    volume: int | None = 1,
    occupancy: float | None = None,
    speed: Speeds | None = None,
    quality: Mapping[str, int] = {},
    health: LaneHealth = "ok",
) -> Lane:
    return Lane(
        lane=name,
        approach="north",
        covered_s=covered_s,
        volume=volume,
        occupancy=occupancy,
        on_us=None,
        speed=speed,
        length=None,
        headway=None,
        gap=None,
        quality=dict(quality),
        health=health,
    )


def gauge(mean: float | None, step: float = 0.1, n: int = 5) -> Gauge:
    return Gauge(
        mean=mean, n=n, min=mean, max=mean, sum=0, sq=0, origin=0, step=step, quality={"good": n}
    )


def total(delta: float | None, step: float = 0.001) -> Total:
    return Total(first=None, last=None, delta=delta, step=step, quality={"good": 1})
