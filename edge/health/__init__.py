"""How the daemon fares, who hears it: systemd's notify protocol, and what feeds its watchdog."""

from edge.health.notify import Notify
from edge.health.progress import Progress

__all__ = ["Notify", "Progress"]
