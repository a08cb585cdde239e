"""The change that is under way in a running daemon: one at a time, and how it is ended early.

What waits for the end of a window has changed nothing yet, and is withdrawn. What has begun (its
threads end, the window is committed) is made first: that takes seconds. The last good one that
comes back is never withdrawn.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from edge.config import Site
from edge.gateway.changescope import ChangeScope
from edge.gateway.trieddaemon import ChangeWithdrawnError, TriedDaemon

LOG: Final = logging.getLogger("kerbstone")


class ChangeUnderWay:
    """Belongs to the main loop. `text`: what is under way, for people; "" for nothing."""

    def __init__(self) -> None:
        self.text = ""
        self._task: asyncio.Task[None] | None = None
        self._withdrawn: asyncio.Event | None = None

    @property
    def busy(self) -> bool:
        """Whether one is under way."""
        return self._task is not None and not self._task.done()

    def begin(
        self,
        daemon: TriedDaemon,
        site: Site,
        scope: ChangeScope,
        *,
        back: bool,
        made: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """`daemon` becomes that of `site`. `back`: the last good one comes back. Then `made` is
        called, or `failed` when it cannot be changed in this process."""
        self.text, self._withdrawn = scope.text, None if back else asyncio.Event()

        async def change() -> None:
            try:
                await daemon.change(site, scope, self._withdrawn)
                made()
                self.text = ""
            except ChangeWithdrawnError:
                self.text = ""
            except Exception as error:  # noqa: BLE001  a fault ends the process, as a bad start
                LOG.error("the configuration cannot be changed in this process: %r", error)
                failed()

        self._task = asyncio.create_task(change(), name="configuration change")

    async def end(self) -> None:
        """Withdraw it, or wait until it is made."""
        if self._withdrawn is not None:
            self._withdrawn.set()
        if self._task is not None:
            await asyncio.wait([self._task])
