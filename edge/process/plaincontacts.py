"""Plain contacts: a door, a tamper switch, a charger plug. Each change is an event, at once.

An event that goes out before its window must not go out again when the stage is read back after a
kill. So the moment of the last one that was told is kept, in the commit that tells it: what is not
later is a repetition. A contact that flickers is sent once, and again when it has settled: at
its next change, or at the end of the window in which it rests.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from msgspec import UNSET

from edge.core.edge import Contact
from edge.core.record import Draft
from edge.process.engineevents import event_draft
from edge.process.enginesetup import ContactSetup
from edge.wire.contract.event import Door, PlainContact, Plug, Switch, Tamper

CONTACT_TEXTS: Final[Mapping[str, tuple[str, str]]] = {  # kind: (on, off)
    "door": ("the door is open", "the door is closed"),
    "tamper": ("somebody may be tampering with it", "the tamper switch is at rest again"),
    "plug": ("the plug is in", "the plug is out"),
    "contact": ("the contact is closed", "the contact is open"),
}
SWITCHES: Final[Mapping[str, type[Switch]]] = {
    "door": Door, "tamper": Tamper, "plug": Plug, "contact": PlainContact,
}  # fmt: skip
FLICKERS: Final = (
    "the contact opens and closes again and again; look at the switch, its terminals and its cable"
)
FLICKER_CHANGES: Final = 20  # changes
SAID_KEPT: Final = 256  # events, for whoever wants to know what was said
FLICKER_NS: Final = 60_000_000_000  # within which so many are too many


@dataclass(slots=True)
class ContactState:
    """One contact. `on` is None until it was first seen."""

    setup: ContactSetup
    on: bool | None = None
    reported_ns: int = -1  # of the last event, in the time of this boot
    flickers: bool = False
    changes: deque[int] = field(default_factory=lambda: deque(maxlen=FLICKER_CHANGES))
    seen_ns: int = -1  # of the last contact in this boot
    unknown_past: bool = False  # what was sent of it last is not known: its next level is sent

    def take(self, contact: Contact) -> Draft | None:
        """The event that a contact makes, if any."""
        if contact.mono_ns <= max(self.reported_ns, self.changes[-1] if self.changes else -1):
            return None  # sent, or held back, by the process before this one
        self.seen_ns = contact.mono_ns
        silent = contact.initial and self.on is None and not contact.on and not self.unknown_past
        if contact.on is self.on or silent:
            self.on = contact.on
            return None
        self.on, self.unknown_past = contact.on, False
        self.changes.append(contact.mono_ns)
        rests = contact.mono_ns - self.changes[0] > FLICKER_NS
        if len(self.changes) == FLICKER_CHANGES and not rests:
            if self.flickers:
                return None
            self.flickers, self.reported_ns = True, contact.mono_ns
            return self._event(contact, FLICKERS, "flicker")
        self.flickers, self.reported_ns = False, contact.mono_ns
        text = CONTACT_TEXTS[self.setup.kind][0 if contact.on else 1]
        return self._event(contact, f"{text} (state at the start)" if contact.initial else text)

    def settle(self, end_ns: int) -> Draft | None:
        """How a contact that flickered has settled, if it has by then."""
        if not self.flickers or self.seen_ns < 0 or end_ns - self.seen_ns <= FLICKER_NS:
            return None
        self.flickers = False
        on = bool(self.on)
        text = f"{CONTACT_TEXTS[self.setup.kind][0 if on else 1]} (it has settled)"
        return self._event(Contact(self.setup.name, on, end_ns), text)

    def restore(self, state: Sequence[Any], same_boot: bool) -> None:
        """Back from `snapshot`."""
        on, reported_ns, flickers, changes = state
        if on is None:
            self.unknown_past = True
            return
        self.on, self.flickers = bool(on), bool(flickers)
        if same_boot:
            self.reported_ns = int(reported_ns)
            self.changes.extend(int(each) for each in changes)
            self.seen_ns = max(self.reported_ns, *self.changes, -1)

    def _event(self, contact: Contact, text: str, state: Literal["flicker"] | None = None) -> Draft:
        body = SWITCHES[self.setup.kind](
            state=state or ("on" if contact.on else "off"),
            text=f"{self.setup.name}: {text}",
            lost_edges=contact.lost or UNSET,
        )
        return event_draft(self.setup.name, contact.mono_ns, body)


class PlainContacts:
    """All plain contacts of a site."""

    def __init__(self, setups: Iterable[ContactSetup]) -> None:
        self._states = {setup.name: ContactState(setup) for setup in setups}
        self._said: list[Draft] = []

    def __contains__(self, source: str) -> bool:
        return source in self._states

    def take(self, contact: Contact) -> Draft | None:
        """The event that it makes, if any."""
        found = self._states[contact.source].take(contact)
        if found is not None:
            self._said.append(found)
            del self._said[:-SAID_KEPT]
        return found

    def take_said(self) -> list[Draft]:
        """The events that could not wait for their window, since the last call; 256 at most."""
        found, self._said = self._said, []
        return found

    def end_window(self, end_ns: int) -> list[Draft]:
        """A window ends: how those that flickered have settled."""
        found = (state.settle(end_ns) for state in self._states.values())
        return [draft for draft in found if draft is not None]

    def doubt_past(self) -> None:
        """What was sent of them last is not known: how each is found is sent."""
        for state in self._states.values():
            state.on, state.unknown_past = None, True

    def faults_up(self) -> list[tuple[str, Switch]]:
        """The end of each flicker that was told and is not over."""
        return [
            (name, SWITCHES[state.setup.kind](state="off", text=f"{name}: it has settled"))
            for name, state in self._states.items()
            if state.flickers
        ]

    def snapshot(self) -> dict[str, list[Any]]:
        """Of each contact that was seen: its level, what was sent of it and what was held back.
        Without a level: that it is not known what was sent."""
        return {
            name: [state.on, state.reported_ns, state.flickers, list(state.changes)]
            for name, state in self._states.items()
            if state.on is not None or state.unknown_past
        }

    def restore(self, state: Mapping[str, Any], same_boot: bool) -> None:
        """Back from `snapshot`. In another boot time began anew."""
        for name, each in state.items():
            if (mine := self._states.get(name)) is not None:
                mine.restore(each, same_boot)
