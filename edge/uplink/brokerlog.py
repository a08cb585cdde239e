"""What the broker does to us, logged once, though ten thousand rows have one trouble."""

import logging
from collections.abc import Callable
from typing import Final

from edge.core import Stream

LOG: Final = logging.getLogger("kerbstone.uplink")

QUIET_NS: Final = 600_000_000_000  # what was said is not said again before, over all connections

Alarm = Callable[[str, str], None]
"""Called with a kind (denied, refused, quota, broker_limit, taken_over, old_protocol) and a
sentence."""


class BrokerLogThrottle:
    """Each kind of complaint about each stream once a connection, in the log and as an alarm.

    What happens to an event is written to the log only: its alarm would be an event again, with the
    same fate.
    """

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm
        self._reported_ns: dict[tuple[str, str], int] = {}  # kind and stream -> when

    def connected(self, now_ns: int) -> None:
        """A new connection: what was reported long ago may be reported again."""
        self._reported_ns = {
            what: at for what, at in self._reported_ns.items() if now_ns - at < QUIET_NS
        }

    def report(self, kind: str, stream: str, text: str, now_ns: int) -> None:
        """In the log and as an alarm. `stream` is empty for what concerns all of them."""
        if self._first_time(kind, stream, text, now_ns) and stream != Stream.EVENT:
            self._alarm(kind, text)

    def log(self, what: str, text: str, now_ns: int) -> None:
        """In the log only: no record has come to harm."""
        self._first_time("", what, text, now_ns)

    def _first_time(self, kind: str, stream: str, text: str, now_ns: int) -> bool:
        if (kind, stream) in self._reported_ns:
            return False
        self._reported_ns[kind, stream] = now_ns
        LOG.warning("%s", text)
        return True
