"""Watches a daemon that runs: is its configuration a good one, or is another one worth a try?"""

import logging
from pathlib import Path
from typing import Final

from edge.core import Clock
from edge.gateway.daemon import Daemon
from edge.gateway.lastgood import LastGood

LOG = logging.getLogger("kerbstone")

GOOD_NS: Final = 300_000_000_000  # of good health in a row
LOOK_NS: Final = 10_000_000_000
NETWORKS: Final = Path("/sys/class/net")
PROBLEM_KIND: Final = "configuration"  # of the event, and the name of the problem


async def watch_trial(daemon: Daemon, last_good: LastGood, clock: Clock) -> None:
    """Until the configuration is known to be good; of the last good one, until the other is tried.

    Good health: each owner (buses, committer, sender) has worked and none is overdue, and the
    broker was reached, or could not be because no network is plugged in. A daemon that can do all
    but reach its broker is no bad start, and no good one: its URL may be what is wrong.
    """
    begun_ns = healthy_ns = clock.now().mono_ns
    reached = announced = False
    while True:
        now = clock.now()
        if getattr(daemon, "buses", None) is not None:  # else it has not come that far
            if last_good.fallback and not announced:
                announced = True
                announce(daemon, last_good.fallback)
            reached = reached or daemon.sender.connected or not has_carrier()
            fine = daemon.progress.healthy(now.mono_ns)[0] and daemon.progress.worked()
            healthy_ns = healthy_ns if fine and reached else now.mono_ns
        else:
            healthy_ns = now.mono_ns
        if now.mono_ns - healthy_ns >= GOOD_NS and not last_good.fallback:
            last_good.is_good()
            return
        if last_good.fallback and last_good.worth_a_try(
            now.wall_ns // 1_000_000_000, (now.mono_ns - begun_ns) / 1e9
        ):
            LOG.warning("the configuration that failed is tried again")
            daemon.stop()
            return
        await clock.sleep_until(now.mono_ns + LOOK_NS)


def announce(daemon: Daemon, text: str) -> None:
    """Loudly: an event, and a problem that stands in the status as long as this process runs."""
    daemon.ingest.alarm(PROBLEM_KIND, text)
    daemon.ingest.problems[PROBLEM_KIND] = text
    daemon.ingest.changed()


def has_carrier(networks: Path = NETWORKS) -> bool:
    """Whether any network but this machine's own has a carrier. When in doubt, it has."""
    try:
        found = [path for path in networks.iterdir() if path.name != "lo"]
    except OSError:
        return True
    return any(_carrier(path / "carrier") for path in found)


def _carrier(file: Path) -> bool:
    try:
        return file.read_text(encoding="ascii").strip() == "1"
    except (OSError, ValueError):  # EINVAL: it is switched off
        return False
