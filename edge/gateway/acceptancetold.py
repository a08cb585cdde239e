"""Whether the city was told of the acceptance: published again after a start until it was.

An event that does not wait for a commit any more is in the outbox, and what is there will be sent.
Only then the session says `told`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from edge.commission.session import CommissionSession
from edge.control.protocol import VerbError
from edge.core import Draft
from edge.gateway.acceptancesheet import acceptance_event

LOG: Final = logging.getLogger("kerbstone")


class AcceptanceTold:
    """Belongs to the main loop. `publish` hands an event over; `mono_ns` is the time; `keep`
    changes the session on the card, and raises VerbError."""

    def __init__(
        self,
        publish: Callable[[Draft], None],
        mono_ns: Callable[[], int],
        keep: Callable[[Callable[[CommissionSession], None]], Awaitable[object]],
    ) -> None:
        self._publish, self._mono_ns, self._keep = publish, mono_ns, keep
        self._draft: Draft | None = None  # not in the outbox yet, as far as is known
        self._number = 0  # of its sheet
        self._telling: asyncio.Task[None] | None = None

    def publish(self, file: Mapping[str, Any]) -> None:
        """The acceptance of a signed sheet."""
        self._draft = acceptance_event(file, self._mono_ns())
        self._number = int(file["sheet"]["number"])
        self._publish(self._draft)

    def look(self, waiting: Sequence[Draft]) -> None:
        """After a commit. `waiting` are the events that wait for the next one."""
        if self._draft is None or any(each is self._draft for each in waiting):
            return
        self._draft = None
        self._telling = asyncio.get_running_loop().create_task(self._told(self._number))

    async def close(self) -> None:
        """The daemon ends: what is being kept is kept."""
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _told(self, number: int) -> None:
        def change(session: CommissionSession) -> None:
            if session.sheet is not None and session.sheet.number == number:
                session.sheet = msgspec.structs.replace(session.sheet, told=True)

        try:
            await self._keep(change)
        except VerbError as error:
            LOG.warning("the acceptance will be told again after the next start: %s", error)
