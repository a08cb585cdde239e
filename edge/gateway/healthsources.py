"""What the box monitor asks of the other parts, as fields of a health record."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from edge.acquire.stage import Stage
from edge.core import Clock
from edge.gateway.busworkers import BusWorkers
from edge.health.loglimit import LogCounts, LogLimit
from edge.health.reboot import Reboot, read_reset, reboot_cause
from edge.outbox import AsyncOutbox
from edge.uplink.rowtable import UplinkCounters
from edge.uplink.sender import Sender
from edge.wire.contract.health import Health


@dataclass(frozen=True, slots=True)
class HealthSources:
    """What the parts report, each at once and for nothing, but for the outbox.

    `queue`, `link` and `losses` fill those fields that they know; `devices` gives (reads, errors)
    since the start.
    """

    queue: Callable[[], Awaitable[Health]]
    devices: Callable[[], Mapping[str, tuple[int, int]]]
    link: Callable[[], Health] = Health
    losses: Callable[[], Health] = Health
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

    async def queue() -> Health:
        return (await outbox.counts()).health(outbox.epoch.boot, clock.now().mono_ns)

    def devices() -> Mapping[str, tuple[int, int]]:
        return {device.name: (device.reads, device.errors) for device in buses.devices()}

    def losses() -> Health:
        return Health(
            bus_restarts=buses.hang_count,
            overload_dropped=buses.dropped,
            stage_overflow=stage.overflow,
        )

    def logged() -> LogCounts | None:
        if log is None:
            return None
        log.tick()  # an hour may have passed without a line
        return log.counts()

    return HealthSources(
        queue, devices, lambda: link_health(sender.counts, sender.connected), losses, logged
    )


def reboot_reason(outbox: AsyncOutbox, *, other_box: bool = False) -> Reboot:
    """An outbox that was damaged does not show how the former process ended: not well."""
    epoch = outbox.epoch
    return reboot_cause(
        read_reset(),
        first=epoch.epoch >> 32 == 1,
        same_boot=epoch.same_boot,
        unclean=epoch.unclean or outbox.opened.damage is not None,
        other_box=other_box,
    )


def link_health(counters: UplinkCounters, connected: bool) -> Health:
    """The link to the broker, since the daemon's start. Its counters are called as the record's
    fields are: what is counted there is told."""
    counted = dataclasses.asdict(counters)
    del counted["dead_letters"]  # the outbox counts them: it keeps them
    return Health(connected=connected, **counted)
