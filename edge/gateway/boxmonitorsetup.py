"""The box monitor of one daemon: which parts it asks, and what it knows from the start."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edge.gateway.boxmonitor import BoxFacts, BoxMonitor, HealthSources
from edge.gateway.healthcounts import Numbers, link_fields, queue_fields
from edge.health.board import read_board
from edge.health.loglimit import LogCounts, LogLimit
from edge.health.reboot import Reboot, read_reset, reboot_cause
from edge.health.scrape import ScrapeServer

if TYPE_CHECKING:
    from edge.gateway.daemon import Daemon


def make_box_monitor(daemon: "Daemon", log: LogLimit | None = None) -> BoxMonitor:
    """Once the outbox is open. It asks the buses and the sender only when it observes."""
    site = daemon.site

    async def queue() -> Numbers:
        counts = await daemon.writer.counts()
        return queue_fields(counts, daemon.epoch.boot, daemon.clock.now().mono_ns)

    def devices() -> Mapping[str, tuple[int, int]]:
        return {
            device.name: (device.reads, device.errors)
            for poller in daemon.buses.pollers.values()
            for device in poller.devices.values()
        }

    def link() -> Numbers:
        return link_fields(daemon.sender.counts, daemon.sender.connected)

    def losses() -> Numbers:
        return {
            "bus_restarts": daemon.buses.hang_count,
            "overload_dropped": daemon.buses.dropped,
            "stage_overflow": daemon.stage.overflow,
        }

    def logged() -> LogCounts | None:
        if log is None:
            return None
        log.tick()  # an hour may have passed without a line
        return log.counts()

    return BoxMonitor(
        BoxFacts(site.place.id, site.place.gateway, _reboot_reason(daemon), read_board()),
        HealthSources(queue, devices, link, losses, logged),
        Path(site.store.dir),
        daemon.clock.now(),
        site.streams.health_s,
        site.store.card_tb,
    )


def make_metrics(daemon: "Daemon", box_monitor: BoxMonitor) -> ScrapeServer:
    """What a collector on the box asks."""
    return ScrapeServer(
        Path(daemon.site.store.run_dir),
        lambda: box_monitor.metrics(daemon.clock.now().mono_ns),
    )


def _reboot_reason(daemon: "Daemon") -> Reboot:
    """An outbox that was damaged does not show how the former process ended: not well."""
    epoch = daemon.epoch
    return reboot_cause(
        read_reset(),
        first=epoch.epoch >> 32 == 1,
        same_boot=epoch.same_boot,
        unclean=epoch.unclean or daemon.writer.opened.damage is not None,
    )
