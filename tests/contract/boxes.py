"""A scene of the box itself: a Pi that grows hot, told by the box monitor of the daemon."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.core import Draft, Stamp
from edge.gateway.boxmonitor import CHECK_NS, BoxFacts, BoxMonitor
from edge.gateway.healthsources import HealthSources
from edge.health.board import Board, Space
from edge.health.boxalarms import BoxReadings, read_box
from edge.health.loglimit import LogCounts
from edge.health.reboot import Cause, Reboot
from edge.outbox import OutboxCounts
from edge.wire.contract.health import Health
from tests.kit.clock import NTP
from tests.kit.kerneltrees import pi

STEPS: Final = 130  # of CHECK_NS: a little more than an hour
THERMAL: Final = "sys/class/thermal/thermal_zone0/temp"


def box(folder: Path) -> list[Draft]:
    """Events and health records of an hour."""
    return asyncio.run(_box(pi(folder)))


async def _box(root: Path) -> list[Draft]:
    reads = 0

    async def queue() -> Health:
        counts = OutboxCounts(rows=4, size=40_960, limit=1 << 24, oldest=(7, 0))
        return counts.health(7, 60 * CHECK_NS)

    def devices() -> Mapping[str, tuple[int, int]]:
        return {"hut_air": (reads, reads // 50), "main_meter": (reads, 0)}

    def seen(_: Path) -> BoxReadings:
        found = read_box(root, root)
        # the disk of this machine is not the box's
        return BoxReadings(found.vitals, Space(5 << 30, 29 << 30), found.disk, found.read_only,
                    found.disk_written, found.own_written, found.wear,
                    found.filesystem_errors)  # fmt: skip

    about = BoxFacts(
        site="stadtmitte",
        gateway="gw-1",
        reboot=Reboot(Cause.POWER, "The power was cut."),
        board=Board("Raspberry Pi Zero 2 W Rev 1.0", "00000000deadbeef"),
    )
    link = Health(connected=True, connections=1, sent=812, confirmed=808, refused=0)
    sources = HealthSources(
        queue, devices, lambda: link, lambda: Health(stage_overflow=0, bus_restarts=0),
        lambda: LogCounts(31, 3122, 0, None),
    )  # fmt: skip
    monitor = BoxMonitor(about, sources, root, Stamp(0, 0, NTP), read_box=seen)
    drafts: list[Draft] = []
    for step in range(1, STEPS):
        reads += 30
        if step == STEPS // 2:
            (root / THERMAL).write_text("86312\n", encoding="utf-8")
        now = Stamp(step * CHECK_NS, 0, NTP)
        drafts += [*await monitor.observe(now), *monitor.due(now)]
    return drafts
