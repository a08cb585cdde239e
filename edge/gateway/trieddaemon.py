"""A daemon whose configuration is watched and changed, as the watcher of its trial knows it."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from edge.config import Site
from edge.gateway.changescope import ChangeScope
from edge.gateway.trialstate import WorkingParts
from edge.wire.contract.boxevent import AlarmKind, Configuration


class ConfigChangeError(Exception):
    """It cannot be done now; the text goes to the person who asked."""


class ChangeWithdrawnError(Exception):
    """A change that waited for the end of a window was withdrawn: nothing has changed."""


class TriedGateway(Protocol):
    """What runs with a configuration. `healthy`: each part has worked, and none is overdue."""

    @property
    def connected(self) -> bool: ...
    @property
    def connection_failures(self) -> int: ...  # attempts to connect that failed so far
    def healthy(self, now_ns: int) -> bool: ...
    def announce(self, kind: AlarmKind, text: str) -> None: ...
    def note(self, kind: AlarmKind, text: str) -> None: ...
    def withdraw(self, kind: AlarmKind) -> None: ...
    def report(self, event: Configuration) -> None: ...
    def working(self) -> WorkingParts: ...
    def failing(self) -> Mapping[str, str]: ...
    def link_words(self) -> tuple[str, str]: ...  # the broker, and why it is not reached


class TriedDaemon(Protocol):
    """A daemon with a configuration. `gateway` None: it has not come that far."""

    @property
    def gateway(self) -> TriedGateway | None: ...
    @property
    def site(self) -> Site: ...
    def stop(self, *, again: bool = False) -> None: ...
    def can_change(self, site: Site) -> bool: ...
    async def change(
        self, site: Site, scope: ChangeScope, withdrawn: asyncio.Event | None
    ) -> None: ...  # None: the last good one comes back. Raises ChangeWithdrawnError
