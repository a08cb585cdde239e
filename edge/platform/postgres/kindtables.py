"""The tables by kind: which columns each has, and what a body gives them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from msgspec import UNSET, convert

from edge.platform.postgres.bodies import (
    INT4,
    BayBody,
    DeviceBody,
    EventBody,
    HealthBody,
    LaneBody,
    PointBody,
)
from edge.platform.postgres.rows import clean

FILED: Final[tuple[tuple[LiteralString, str], ...]] = (
    ("received", "timestamptz"), ("wall_from", "timestamptz"), ("wall_to", "timestamptz"),
    ("seq", "int8"), ("ledger", "int4"), ("source", "int4"),
)  # fmt: skip
"""What each of them begins with."""


@dataclass(frozen=True, slots=True)
class KindTable:
    """`own` are its columns after FILED, `values` what a decoded body gives to these.

    `values` raises ValueError for a body of another shape. It answers with names of points, too,
    of which the column `points` gets the number.
    """

    name: LiteralString
    own: tuple[tuple[LiteralString, str], ...]
    values: Callable[[Mapping[str, Any]], tuple[Any, ...]]

    @property
    def columns(self) -> LiteralString:
        return ", ".join(name for name, _ in (*FILED, *self.own))

    @property
    def types(self) -> list[str]:
        return [kind for _, kind in (*FILED, *self.own)]


def table_of(stream: str, sent: Mapping[str, Any]) -> KindTable | None:
    """Where a record of this stream has its row; None: in `record` alone."""
    if stream == "traffic":
        return DEVICE if "points" in sent else LANE
    return TABLES.get(stream)


def _lane(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    body = convert(sent, LaneBody)
    pair, single = body.speed, body.speed_single
    speed_n = speed_sum = pace_sum = p85 = None
    if pair is not None and pair.n:
        speed_n, pace_sum, p85 = pair.n, pair.isum, pair.p85
        speed_sum = _whole(pair.sum * pair.step * 1000)
    elif single is not UNSET:
        speed_n, pace_sum = single.n, single.isum
    covered = _ms(body.covered_s)
    return (
        pace_sum, covered, max(0, covered - _ms(body.void_s)), body.volume,
        None if body.on_us is None else round(body.on_us / 1000), speed_n, speed_sum, p85,
        *(None if each is None else each.mean for each in (body.length, body.headway, body.gap)),
        None if body.queue_us is UNSET else round(body.queue_us / 1000), _value(body.stopped),
        _value(body.p_congested), body.covers is not UNSET, _value(body.counted_by),
        None if body.health == "ok" else clean(body.health), flaw_of(body.quality),
    )  # fmt: skip


def _bay(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    body = convert(sent, BayBody)
    return (
        _ms(body.covered_s), None if body.occupied_us is None else round(body.occupied_us / 1000),
        body.arrivals, body.departures, body.overstays, body.since_s,
        None if body.occupied is None else bool(body.occupied), body.covers is not UNSET,
        clean(body.kind), None if body.health == "ok" else clean(body.health),
    )  # fmt: skip


def _device(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    body = convert(sent, DeviceBody)
    points = list(body.points.values())

    def column(value: Callable[[PointBody], Any]) -> list[Any] | None:
        """None where all are: a bit instead of an array."""
        found = [value(point) for point in points]
        return found if any(each is not None for each in found) else None

    return (
        tuple(clean(name) for name in body.points), _ms(body.covered_s), body.covers is not UNSET,
        column(lambda point: point.mean), column(lambda point: point.min),
        column(lambda point: point.max), column(lambda point: point.n),
        column(lambda point: point.last), column(lambda point: point.delta),
        column(lambda point: flaw_of(point.quality)),
    )  # fmt: skip


def _event(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    body = convert(sent, EventBody)
    detail = body.detail
    return (
        _value(body.since_s), clean(body.event), None if body.state is UNSET else clean(body.state),
        None if detail is None else clean(detail)[:200], _value(body.part), clean(body.text),
    )  # fmt: skip


def _health(sent: Mapping[str, Any]) -> tuple[Any, ...]:
    body = convert(sent, HealthBody)
    cause = body.reboot_cause
    return (
        body.queue_rows, body.dropped, body.connection_failures, body.reads, body.errors,
        body.memory_available_bytes, body.disk_free_bytes, body.uptime_s, body.queue_age_s,
        body.cpu_temperature, body.flash_written_mb_day, body.card_life_years,
        body.clock_synchronised, body.connected, body.in_memory, body.read_only,
        None if cause is None else clean(cause),
    )  # fmt: skip


def flaw_of(quality: Mapping[str, int]) -> str | None:
    """What most values that are not good have; None: all are good."""
    if not quality or (len(quality) == 1 and "good" in quality):
        return None
    bad = {word: count for word, count in quality.items() if word != "good"}
    return clean(max(sorted(bad), key=lambda word: bad[word]))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _whole(value: float) -> int:
    found = round(value)
    if found > INT4:
        raise ValueError(f"a sum of speeds of {found} m/h")
    return found


def _value(value: Any) -> Any:
    return None if value is UNSET else value


LANE: Final = KindTable(
    "lane",
    (
        ("pace_sum", "int8"), ("covered_ms", "int4"), ("watched_ms", "int4"), ("volume", "int4"),
        ("occupied_ms", "int4"), ("speed_n", "int4"), ("speed_sum", "int4"),
        ("speed_p85", "float4"), ("length_m", "float4"), ("headway_s", "float4"),
        ("gap_s", "float4"), ("queue_ms", "int4"), ("stopped", "int4"), ("p_congested", "float4"),
        ("merged", "bool"), ("counted_by", "text"), ("health", "text"), ("flaw", "text"),
    ),
    _lane,
)  # fmt: skip
BAY: Final = KindTable(
    "bay",
    (
        ("covered_ms", "int4"), ("occupied_ms", "int4"), ("arrivals", "int4"),
        ("departures", "int4"), ("overstays", "int4"), ("since_s", "float4"), ("occupied", "bool"),
        ("merged", "bool"), ("kind", "text"), ("health", "text"),
    ),
    _bay,
)  # fmt: skip
DEVICE: Final = KindTable(
    "device",
    (
        ("points", "int4"), ("covered_ms", "int4"), ("merged", "bool"), ("mean", "float8[]"),
        ("low", "float4[]"), ("high", "float4[]"), ("n", "int4[]"), ("reading", "float8[]"),
        ("delta", "float8[]"), ("flaw", "text[]"),
    ),
    _device,
)  # fmt: skip
EVENT: Final = KindTable(
    "event",
    (
        ("since_s", "float4"), ("kind", "text"), ("state", "text"), ("detail", "text"),
        ("part", "text"), ("message", "text"),
    ),
    _event,
)  # fmt: skip
HEALTH: Final = KindTable(
    "health",
    (
        ("queue_rows", "int8"), ("dropped", "int8"), ("connection_failures", "int8"),
        ("reads", "int8"), ("errors", "int8"), ("memory_available", "int8"), ("disk_free", "int8"),
        ("uptime_s", "float8"), ("queue_age_s", "float4"), ("cpu_temperature", "float4"),
        ("flash_written_mb_day", "float4"), ("card_life_years", "float4"),
        ("clock_synchronised", "bool"), ("connected", "bool"), ("in_memory", "bool"),
        ("read_only", "bool"), ("reboot_cause", "text"),
    ),
    _health,
)  # fmt: skip
TABLES: Final[Mapping[str, KindTable]] = {
    "bay": BAY, "air": DEVICE, "energy": DEVICE, "event": EVENT, "health": HEALTH,
}  # fmt: skip
ALL_TABLES: Final = (LANE, BAY, DEVICE, EVENT, HEALTH)
