"""How far to spare bytes: kerbstone-link counts them, and sets the level."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from edge.control.protocol import VerbError
from edge.core import Clock, Draft, Stream
from edge.gateway.urgentevents import UrgentEvents
from edge.wire.contract import boxevent

LEVEL_EXPIRES_NS: Final = 2_400_000_000_000  # it is set every 10 min: nobody counts bytes any more
LEVELS: Final = range(3)
TEXT_LIMIT: Final = 300  # characters of what kerbstone-link says that are passed on


@dataclass(frozen=True, slots=True)
class SaverLevel:
    """As it was set last."""

    level: int = 0
    used: int = 0
    budget: int = 0
    month: str = ""
    set_ns: int = 0

    def status(self) -> dict[str, Any]:
        """For `status`: the level (0..2), bytes used and allowed, and the month they are of."""
        return {
            "level": self.level, "used": self.used, "budget": self.budget,
            "month": self.month or None,
        }  # fmt: skip


def parse_saver_request(request: Mapping[str, Any], now_ns: int) -> SaverLevel:
    """Raises VerbError."""
    level, used, budget = (request.get(key) for key in ("level", "used", "budget"))
    if type(level) is not int or level not in LEVELS:
        raise VerbError(f"level is one of {', '.join(map(str, LEVELS))}")
    if not all(type(each) is int and 0 <= each < 1 << 63 for each in (used, budget)):
        raise VerbError("used and budget are bytes")
    return SaverLevel(level, used, budget, short_text(request, "month")[:16], now_ns)  # type: ignore[arg-type]


class SavingSender(Protocol):
    """What spares bytes, and says so."""

    def set_saver_level(self, level: int) -> None: ...
    def publish_status(self) -> None: ...


class DataSaver:
    """The level that holds, until another is set, or none for too long."""

    def __init__(self, clock: Clock, sender: SavingSender, urgent: UrgentEvents) -> None:
        self._clock, self._sender, self._urgent = clock, sender, urgent
        self.level = SaverLevel()
        self._started_ns = clock.now().mono_ns

    def set_level(self, request: Mapping[str, Any]) -> None:
        now_ns = self._clock.now().mono_ns
        self._take(parse_saver_request(request, now_ns), short_text(request, "why"))

    def look(self, now_ns: int) -> None:
        """Time has passed. One that nobody has set since the start expires, too: then it is known
        that no bytes are spared."""
        level = self.level
        waits = level.level > 0 or not level.set_ns
        if waits and now_ns - (level.set_ns or self._started_ns) > LEVEL_EXPIRES_NS:
            self._take(
                SaverLevel(set_ns=now_ns),
                "kerbstone-link no longer counts the bytes: records are sent as usual",
            )

    def _take(self, found: SaverLevel, why: str) -> None:
        changed = found.level != self.level.level
        self.level = found
        if not changed:
            return
        self._sender.set_saver_level(found.level)
        level = cast("boxevent.SavingLevel", found.level)
        body = boxevent.DataSaver(level=level, text=why or f"level {found.level}")
        self._urgent.add([Draft(Stream.EVENT, "gateway", found.set_ns, found.set_ns, body)])
        self._sender.publish_status()


def short_text(request: Mapping[str, Any], key: str) -> str:
    """A text of kerbstone-link, or "" if it is none."""
    found = request.get(key)
    return found[:TEXT_LIMIT] if isinstance(found, str) and found.isprintable() else ""
