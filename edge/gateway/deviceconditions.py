"""What devices say of themselves beside their values, and the events that come of it.

A bit that flaps, or two meters at one address, would be an event with each reading. So a device
that has made EVENTS_BEFORE_FLICKER events within an hour is said to flicker; then nothing is sent
until it has said the same for FLICKER_SETTLE_NS, and then how it is. All in all no device makes
more than EVENTS_PER_HOUR events in an hour; the last state is always sent, if need be when that
hour is over.

The same holds for faults that come and go without a rest: a device that is damaged and answers by
turns would make two events a pair. The status says meanwhile how it stands, and each record says
how good its values are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from edge.core import Condition, Draft, Stream
from edge.core.reportlimits import HourlyLimit
from edge.wire.contract.event import DeviceHealth, Swap

EVENTS_BEFORE_FLICKER: Final = 20
EVENTS_PER_HOUR: Final = 2 * EVENTS_BEFORE_FLICKER  # more than all conditions at once
FLICKER_SETTLE_NS: Final = 60_000_000_000
CONDITION_BY_WORD: Final[Mapping[str, Condition]] = {str(word): word for word in Condition}
FLICKER_TEXT: Final = (
    "what it reports about itself changes too often; this is sent again when it has settled"
)
SETTLED_TEXT: Final = "has settled, in the state that was reported last"
OVER_TEXTS: Final = {
    Condition.WARMUP: "warm-up finished",
    Condition.CLEANING: "cleaning finished",
    Condition.SLEEPING: "awake again",
}
LAST: Final = " It comes and goes: it is reported again when it has settled."


@dataclass(frozen=True, slots=True)
class DeviceConditions:
    """One device: its serial number ("" if none), and its conditions with their texts."""

    identity: str = ""
    health: Mapping[Condition, str] = field(default_factory=dict)

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "DeviceConditions":
        """Raises KeyError, TypeError or ValueError for a state that is not one.

        A condition that only a later version knows is left out: the rest of the state is worth
        more than it.
        """
        health = {
            CONDITION_BY_WORD[word]: str(text)
            for word, text in dict(state["health"]).items()
            if word in CONDITION_BY_WORD
        }
        return cls(str(state["identity"]), health)

    def snapshot(self) -> dict[str, object]:
        """For the outbox."""
        return {
            "identity": self.identity,
            "health": {str(word): text for word, text in self.health.items()},
        }


@dataclass(slots=True)
class ConditionThrottle:
    """One device, as it speaks to the platform: `reported` of itself, and what it is `now`."""

    device: str
    reported: DeviceConditions = field(default_factory=DeviceConditions)
    now: DeviceConditions = field(default_factory=DeviceConditions)
    flickering: bool = False  # it has said too much
    changed_ns: int = 0
    events: HourlyLimit = field(default_factory=lambda: HourlyLimit(EVENTS_PER_HOUR))

    def update(self, now: DeviceConditions, at_ns: int) -> list[Draft]:
        """The events of a change."""
        self.now, self.changed_ns = now, at_ns
        if self.flickering:
            return []
        drafts = list(condition_events(self.device, self.reported, now, at_ns))
        made = self.events.made(at_ns)
        if not drafts or made + len(drafts) < EVENTS_BEFORE_FLICKER:
            self.reported = now
            return self._out(drafts, at_ns)
        self.flickering = True
        return self._out(
            [self._flicker("flicker", FLICKER_TEXT, at_ns)] if made < EVENTS_PER_HOUR else [], at_ns
        )

    def settle(self, at_ns: int) -> list[Draft]:
        """The events of one that has settled, once there is room for them."""
        if not self.flickering or at_ns - self.changed_ns <= FLICKER_SETTLE_NS:
            return []
        drafts = list(condition_events(self.device, self.reported, self.now, at_ns))
        drafts = drafts or [self._flicker("settled", SETTLED_TEXT, at_ns)]
        if len(drafts) > self.events.room(at_ns):
            return []
        self.flickering, self.reported = False, self.now
        return self._out(drafts, at_ns)

    def _flicker(self, state: Literal["flicker", "settled"], text: str, at_ns: int) -> Draft:
        body = DeviceHealth(state=state, text=f"{self.device}: {text}")
        return _event(self.device, at_ns, body)

    def _out(self, drafts: list[Draft], at_ns: int) -> list[Draft]:
        self.events.add(len(drafts), at_ns)
        return drafts


def condition_events(
    device: str, before: DeviceConditions, now: DeviceConditions, at_ns: int
) -> Iterator[Draft]:
    """An event for each condition that came or went, and one when it is another device."""
    if before.identity not in ("", now.identity):
        text = (
            f"{device} was replaced: serial number {now.identity} instead of "
            f"{before.identity}. Its registers go on from the values of the new device."
        )
        yield _event(device, at_ns, Swap(before=before.identity, after=now.identity, text=text))
    for word in sorted(before.health.keys() | now.health.keys()):
        if (word in before.health) is not (word in now.health):
            on = word in now.health
            text = now.health[word] if on else _over_text(word, before.health[word])
            body = DeviceHealth(
                state="on" if on else "off", condition=word, text=f"{device}: {text}"
            )
            yield _event(device, at_ns, body)


def _over_text(word: Condition, before: str) -> str:
    return OVER_TEXTS.get(word, f"no longer reported: {before}")


def _event(device: str, at_ns: int, body: Swap | DeviceHealth) -> Draft:
    return Draft(Stream.EVENT, device, at_ns, at_ns, body)


@dataclass(slots=True)
class Fault:
    """One device or line: what was reported, and what is so now; None: nothing is wrong.
    `source`, `reason` and `text` are those of the event that would report it."""

    reported: str | None = None
    now: str | None = None
    source: str = ""
    reason: str = ""
    text: str = ""
    held: bool = False
    changed_ns: int = 0
    events: HourlyLimit = field(default_factory=lambda: HourlyLimit(EVENTS_BEFORE_FLICKER))

    def changes(self, now: str | None, at_ns: int) -> bool:
        """Whether to report it."""
        self.now, self.changed_ns = now, at_ns
        return not self.held and self._report(at_ns)

    def rests(self, at_ns: int) -> bool:
        """Whether there is something to report of one that has settled."""
        if not self.held or at_ns - self.changed_ns <= FLICKER_SETTLE_NS:
            return False
        if not self.events.room(at_ns):
            return False
        self.held = False
        return self.reported != self.now and self._report(at_ns)

    def _report(self, at_ns: int) -> bool:
        self.reported = self.now
        self.events.add(1, at_ns)
        self.held = not self.events.room(at_ns)  # this was the last of them
        return True
