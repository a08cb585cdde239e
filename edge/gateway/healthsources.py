"""What the box monitor asks of the other parts, in the words of a health record."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from edge.acquire.stage import Stage
from edge.core import Clock
from edge.gateway.busworkers import BusWorkers
from edge.health.loglimit import LogCounts, LogLimit
from edge.health.reboot import Reboot, read_reset, reboot_cause
from edge.outbox import AsyncOutbox, OutboxCounts
from edge.uplink.rowtable import UplinkCounters
from edge.uplink.sender import Sender

Numbers = Mapping[str, int | float | bool | None]

LINK_FIELDS: Final = {  # of the link's counters; what it gives up for good, the outbox counts
    "sent": "sent",
    "confirmed": "confirmed",
    "redelivered": "sent_redelivered",
    "backfilled": "sent_backfilled",
    "no_subscribers": "no_subscribers",
    "refused": "refused",
    "unacknowledged": "unacknowledged",
    "receipts": "receipts",
    "receipts_unknown": "receipts_unknown",
    "receipts_overdue": "receipts_overdue",
    "commands": "commands",
    "strange": "malformed_messages",
    "connections": "connections",
    "failures": "connection_failures",
}


def _nothing() -> Numbers:
    return {}


@dataclass(frozen=True, slots=True)
class HealthSources:
    """What the parts report, each at once and for nothing, but for the outbox.

    `queue`, `link` and `losses` give those fields of edge.health.fields that they know;
    `devices` gives (reads, errors) since the start.
    """

    queue: Callable[[], Awaitable[Numbers]]
    devices: Callable[[], Mapping[str, tuple[int, int]]]
    link: Callable[[], Numbers] = _nothing
    losses: Callable[[], Numbers] = _nothing
    log: Callable[[], LogCounts | None] = lambda: None


def health_sources(
    outbox: AsyncOutbox,
    sender: Sender,
    buses: BusWorkers,
    stage: Stage,
    clock: Clock,
    log: LogLimit | None,
) -> HealthSources:
    """The parts of a daemon; `log` None: nobody counts its lines."""

    async def queue() -> Numbers:
        return queue_fields(await outbox.counts(), outbox.epoch.boot, clock.now().mono_ns)

    def devices() -> Mapping[str, tuple[int, int]]:
        return {
            device.name: (device.reads, device.errors)
            for poller in buses.pollers.values()
            for device in poller.devices.values()
        }

    def losses() -> Numbers:
        return {
            "bus_restarts": buses.hang_count,
            "overload_dropped": buses.dropped,
            "stage_overflow": stage.overflow,
        }

    def logged() -> LogCounts | None:
        if log is None:
            return None
        log.tick()  # an hour may have passed without a line
        return log.counts()

    return HealthSources(
        queue, devices, lambda: link_fields(sender.counts, sender.connected), losses, logged
    )


def reboot_reason(outbox: AsyncOutbox) -> Reboot:
    """An outbox that was damaged does not show how the former process ended: not well."""
    epoch = outbox.epoch
    return reboot_cause(
        read_reset(),
        first=epoch.epoch >> 32 == 1,
        same_boot=epoch.same_boot,
        unclean=epoch.unclean or outbox.opened.damage is not None,
    )


def queue_fields(counts: OutboxCounts, boot: int, now_ns: int) -> Numbers:
    """The outbox. A row of another boot has an age that nobody knows here."""
    age_ns = None
    if counts.oldest is not None and counts.oldest[0] == boot:
        age_ns = max(0, now_ns - counts.oldest[1])
    return {
        "queue_rows": counts.rows,
        "queue_bytes": counts.size,
        "queue_limit_bytes": counts.limit,
        "queue_age_s": None if age_ns is None else round(age_ns / 1e9, 1),
        "queue_forecast_s": _seconds(counts.forecast_s),
        "queue_forecast_downsampled_s": _seconds(counts.forecast_downsampled_s),
        "dropped": counts.dropped,
        "downsampled": counts.downsampled,
        "damaged": counts.damaged,
        "dead_letters": counts.dead_letters,
        "quarantined": counts.quarantined,
        "in_memory": counts.in_memory is not None,
    }


def link_fields(counters: UplinkCounters, connected: bool) -> Numbers:
    """The link to the broker, since the daemon's start."""
    counted = dataclasses.asdict(counters)
    return {"connected": connected, **{name: counted[own] for own, name in LINK_FIELDS.items()}}


def _seconds(value: float | None) -> int | None:
    return None if value is None else round(value)
