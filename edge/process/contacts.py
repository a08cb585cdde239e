"""Plain contacts: a door, a tamper switch, a charger plug. Each change is an event, at once.

An event that goes out before its window must not go out again when the stage is read back after a
kill. So the moment of the last one that was told is kept, in the commit that tells it: what is not
later is a repetition. A contact that flickers is told once, and again when it has come to rest.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from edge.core.edge import Contact
from edge.core.record import Draft
from edge.process.events import event
from edge.process.setup import ContactSetup

TEXTS: Final[Mapping[str, tuple[str, str]]] = {  # kind: (on, off)
    "door": ("the door is open", "the door is shut"),
    "tamper": ("somebody may be tampering with it", "the tamper switch is at rest again"),
    "plug": ("the plug is in", "the plug is out"),
    "contact": ("the contact is closed", "the contact is open"),
}
FLICKER: Final = 20  # changes
FLICKER_NS: Final = 60_000_000_000  # within which so many are too many


@dataclass(slots=True)
class State:
    """One contact. `on` is None until it was first seen."""

    setup: ContactSetup
    on: bool | None = None
    told_ns: int = -1  # of the last event, in the time of this boot
    flickers: bool = False
    changes: deque[int] = field(default_factory=lambda: deque(maxlen=FLICKER))

    def take(self, contact: Contact) -> Draft | None:
        """The event that a contact makes, if any."""
        if contact.mono_ns <= self.told_ns:
            return None  # told by the process before this one
        if contact.on is self.on or (contact.initial and self.on is None and not contact.on):
            self.on = contact.on
            return None
        self.on = contact.on
        self.changes.append(contact.mono_ns)
        rests = contact.mono_ns - self.changes[0] > FLICKER_NS
        if len(self.changes) == FLICKER and not rests:
            if self.flickers:
                return None
            self.flickers = True
            return self._event(contact, "flickers: look at the switch and at its cable", "flicker")
        self.flickers = False
        text = TEXTS[self.setup.kind][0 if contact.on else 1]
        return self._event(contact, f"{text} (found so at the start)" if contact.initial else text)

    def _event(self, contact: Contact, text: str, state: str = "") -> Draft:
        self.told_ns = contact.mono_ns
        body: dict[str, Any] = {
            "event": self.setup.kind,
            "state": state or ("on" if contact.on else "off"),
            "text": f"{self.setup.name}: {text}",
        }
        if contact.lost:
            body["lost_edges"] = contact.lost
        return event(self.setup.name, contact.mono_ns, body)


class Contacts:
    """All plain contacts of a site."""

    def __init__(self, setups: Iterable[ContactSetup]) -> None:
        self._states = {setup.name: State(setup) for setup in setups}

    def __contains__(self, source: str) -> bool:
        return source in self._states

    def take(self, contact: Contact) -> Draft | None:
        """The event that it makes, if any."""
        return self._states[contact.source].take(contact)

    def state(self) -> dict[str, list[Any]]:
        """Of each contact that was seen: its level, and the moment that was last told."""
        return {
            name: [state.on, state.told_ns]
            for name, state in self._states.items()
            if state.on is not None
        }

    def load(self, state: Mapping[str, Any], same_boot: bool) -> None:
        """Back from `state`. In another boot time began anew."""
        for name, (on, told_ns) in state.items():
            if (mine := self._states.get(name)) is not None:
                mine.on, mine.told_ns = bool(on), int(told_ns) if same_boot else -1
