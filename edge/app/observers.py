"""The observer of one daemon: which parts it asks, and what it knows from the start."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edge.app.observing import About, Observer, Sources
from edge.app.tallies import Numbers, link_of, queue_of
from edge.health.board import board
from edge.health.logs import LogCounts, LogLimit
from edge.health.reboot import Reboot, reset, why
from edge.health.scrape import ScrapeServer

if TYPE_CHECKING:
    from edge.app.daemon import Daemon


def observer_for(daemon: "Daemon", log: LogLimit | None = None) -> Observer:
    """Once the outbox is open. It asks the buses and the sender only when it observes."""
    site = daemon.site

    async def queue() -> Numbers:
        counts = await daemon.writer.counts()
        return queue_of(counts, daemon.epoch.boot, daemon.clock.now().mono_ns)

    def devices() -> Mapping[str, tuple[int, int]]:
        return {
            device.name: (device.reads, device.errors)
            for poller in daemon.buses.pollers.values()
            for device in poller.devices.values()
        }

    def link() -> Numbers:
        return link_of(daemon.sender.counts, daemon.sender.connected)

    def losses() -> Numbers:
        return {
            "bus_restarts": daemon.buses.hung,
            "overload_dropped": daemon.buses.dropped,
            "stage_overflow": daemon.stage.overflow,
        }

    def logged() -> LogCounts | None:
        if log is None:
            return None
        log.tick()  # an hour may have passed without a line
        return log.counts()

    return Observer(
        About(site.place.id, site.place.gateway, _why(daemon), board()),
        Sources(queue, devices, link, losses, logged),
        Path(site.store.dir),
        daemon.clock.now(),
        site.streams.health_s,
        site.store.card_tb,
    )


def metrics_for(daemon: "Daemon", observer: Observer) -> ScrapeServer:
    """What a collector on the box asks."""
    return ScrapeServer(
        Path(daemon.site.store.run_dir),
        lambda: observer.metrics(daemon.clock.now().mono_ns),
    )


def _why(daemon: "Daemon") -> Reboot:
    """An outbox that was damaged cannot tell how the former process ended: not well."""
    epoch = daemon.epoch
    return why(
        reset(),
        first=epoch.epoch >> 32 == 1,
        same_boot=epoch.same_boot,
        unclean=epoch.unclean or daemon.writer.opened.damage is not None,
    )
