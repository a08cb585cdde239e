"""Events that do not wait for their window's end, and alarms of the box itself among them."""

import asyncio
import logging
from collections.abc import Sequence

from edge.core import Clock, Draft, Stream
from edge.core.reportlimits import ReportOnce
from edge.wire.contract.body import body_map
from edge.wire.contract.boxevent import ALARMS, AlarmKind

LOG = logging.getLogger("kerbstone")


class UrgentEvents:
    """Drafts until the next commit takes them. Belongs to the main loop, which waits for `wake`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._reported = ReportOnce[AlarmKind]()
        self.waiting: list[Draft] = []
        self.wake = asyncio.Event()  # something cannot wait for the next tick

    def put(self, drafts: Sequence[Draft]) -> None:
        """These do not wait for the window's end, nor for the next tick."""
        if drafts:
            self.waiting += drafts
            self.wake.set()

    def add(self, events: Sequence[Draft]) -> None:
        """Events of the box itself, with a line in the log each."""
        for draft in events:
            LOG.warning("%s", body_map(draft.body)["text"])
        self.put(events)

    def alarm(self, kind: AlarmKind, text: str) -> None:
        """Something about the box itself that a person should hear."""
        LOG.warning("%s", text)
        now_ns = self._clock.now().mono_ns
        body = ALARMS[kind](text=text)
        self.put([Draft(Stream.EVENT, "gateway", now_ns, now_ns, body)])

    def alarm_once(self, kind: AlarmKind, text: str) -> None:
        """An alarm the first time; the hours after are silent, and counted in the status."""
        if self._reported.first(kind):
            self.alarm(kind, text)

    def take(self) -> list[Draft]:
        """All that wait: the next commit has them."""
        found, self.waiting = self.waiting, []
        return found
