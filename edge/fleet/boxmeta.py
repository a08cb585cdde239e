"""What a simulated gateway says of itself, retained: its description, and its status."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import to_builtins

from edge.core import Point, Quantity, TimeQuality
from edge.core.point import PointKind
from edge.core.release import VERSION
from edge.fleet.boxrecords import BoxRecords, BoxStart
from edge.fleet.street import (
    AIR_POINTS,
    AIR_SOURCE,
    CLASSES,
    LOOP_M,
    METER_POINTS,
    METER_SOURCE,
    REGISTER,
    TAILGATE_MS,
)
from edge.uplink.rowtable import UplinkCounters
from edge.wire.contract.health import Health
from edge.wire.contract.meta import (
    ApproachMeta,
    BoxMeta,
    ClassMeta,
    Description,
    DeviceMeta,
    LaneMeta,
    PointMeta,
)
from edge.wire.contract.status import Box, DeviceStatus, Offline, Online, StartReason

MEMORY_BYTES: Final = 437_723_136
OUTBOX_BYTES: Final = 16 << 20
RSS_KIB: Final = 61_440


def description(gw: str, site: str, lanes: tuple[str, ...]) -> Mapping[str, Any]:
    """`up/meta`."""
    approaches = dict.fromkeys(name.partition("_")[0] for name in lanes)
    meter = [*(point for point, *_ in METER_POINTS.values()), REGISTER]
    classes = [
        ClassMeta(name=name, to_m=limit / 100 if limit < 1 << 20 else None)
        for name, limit in CLASSES
    ]
    meta = Description(
        v=1,
        gw=gw,
        site=site,
        zone="UTC",
        period_s=60.0,
        units={each.label: each.unit for each in Quantity},
        devices={
            AIR_SOURCE: _device("sen66", "air", [point for point, *_ in AIR_POINTS.values()]),
            METER_SOURCE: _device("sdm120", "energy", meter),
        },
        lanes={
            name: LaneMeta(
                approach=name.partition("_")[0], position="stop", mode="presence", loops=2,
                spacing_m=4.0, loop_m=LOOP_M, tailgate_s=TAILGATE_MS / 1000, stopped_s=10.0,
                classes=classes,
            )
            for name in lanes
        },
        approaches={name: ApproachMeta(downstream=None, distance_m=None) for name in approaches},
        bays={},
        box=BoxMeta(software=VERSION, system="simulated by kerbstone fleet", processors=4),
        models={},
    )  # fmt: skip
    found: Mapping[str, Any] = to_builtins(meta)
    return found


def _device(driver: str, stream: Any, points: list[Point]) -> DeviceMeta:
    return DeviceMeta(
        driver=driver,
        stream=stream,
        every_s=1.0,
        points={
            each.key: PointMeta(
                quantity=each.quantity.label, unit=each.quantity.unit, step=each.step,
                kind="total" if each.kind is PointKind.TOTAL else "gauge",
                low=each.low, high=each.high,
            )
            for each in points
        },
        serial="SIMULATED",
    )  # fmt: skip


def online(start: BoxStart, records: BoxRecords, counts: UplinkCounters) -> Mapping[str, Any]:
    """`up/status` while it is connected."""
    reads = records.minutes * 60
    device = DeviceStatus(reads=reads, errors=0, missed=0, state="ok", serial="SIMULATED")
    status = Online(
        v=1,
        gw=start.gw,
        boot=start.boot,
        epoch=start.epoch,
        tq=TimeQuality.NTP,
        uptime_s=reads * 1.0,
        problems={},
        box=Box(
            model=None,
            serial=None,
            start=StartReason(cause="clean", text="The machine was shut down properly."),
            alarms={},
            health=to_builtins(health(records, counts)),
        ),
        devices={AIR_SOURCE: device, METER_SOURCE: device},
        dropped=0,
        unmatched_edges=0,
        unmatched_inputs=0,
        stage_overflow=0,
        models={},
        rss_kib=RSS_KIB,
    )
    return _in_order(status)


def offline(gw: str, why: Any) -> Mapping[str, Any]:
    """`up/status`: the will (`lost`), or the last word (`stopped`)."""
    return _in_order(Offline(v=1, gw=gw, why=why))


def _in_order(status: Online | Offline) -> Mapping[str, Any]:
    """With its fields as a gateway sends them."""
    return {"v": status.v, "gw": status.gw, **to_builtins(status)}


def health(records: BoxRecords, counts: UplinkCounters) -> Health:
    """The state of the gateway itself. Of its uplink it is true."""
    return Health(
        uptime_s=records.minutes * 60.0,
        reboot_cause="clean",
        clock_synchronised=True,
        queue_limit_bytes=OUTBOX_BYTES,
        dropped=0,
        in_memory=False,
        connected=True,
        connections=counts.connections,
        connection_failures=counts.connection_failures,
        sent=counts.sent,
        sent_redelivered=counts.sent_redelivered,
        sent_backfilled=counts.sent_backfilled,
        confirmed=counts.confirmed,
        refused=counts.refused,
        unacknowledged=counts.unacknowledged,
        receipts=counts.receipts,
        receipts_unknown=counts.receipts_unknown,
        receipts_overdue=counts.receipts_overdue,
        reads=records.minutes * 120,
        errors=0,
        cpu_temperature=51.3,
        load_1min=0.42,
        memory_available_bytes=MEMORY_BYTES // 2,
        memory_total_bytes=MEMORY_BYTES,
        throttled=[],
        throttled_seen=[],
        alarms=[],
    )
