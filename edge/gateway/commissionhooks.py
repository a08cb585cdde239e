"""What commissioning is given by the rest of the daemon: who takes its event, and its key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.core import Contact, Draft
from edge.gateway.manifestsigner import SignBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionHooks:
    """What becomes known outside: the event, the drive that wants contacts, a changed status."""

    publish: Callable[[Draft], None]
    watch_drive: Callable[[Callable[[Sequence[Contact]], None] | None], None]
    changed: Callable[[], None]
    board: str
    board_serial: str
    sign: SignBytes | None
