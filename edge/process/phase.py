"""The signal of an approach, from one to three contacts of its controller: when it was green.

What is not declared is inferred: where only green is known, what is not green is red. Amber alone
says nothing about either. A contact that does not change for ten minutes says nothing any more:
the signal is off or flashes, or its cable is cut. Then, and where nobody watched, no colour is
known. One that is not heard at all for as long, while vehicles pass, is not there. These contacts
make no events of their own: a cycle takes some 90 s.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, get_args

from msgspec import UNSET

from edge.core.record import Draft
from edge.process.debounce import Debouncer, LineChange
from edge.process.engineevents import event_draft
from edge.wire.contract.event import SensorFault

Colour = Literal["red", "amber", "green"]
PhaseFault = Literal["", "stuck", "never_changed"]
STUCK_AFTER_NS: Final = (
    600_000_000_000  # no cycle is as long; night programmes that rest are reported, too
)
STUCK_VEHICLES: Final = (
    10  # so many vehicles: the box listens to its loops, and not to this contact
)


@dataclass(frozen=True, slots=True)
class PhaseSetup:
    """A contact that is closed while the signal of `approach` shows `colour`."""

    name: str
    approach: str
    colour: Colour
    bounce_ms: float = 15.0


class ShownColour(NamedTuple):
    """From `at_ns` on the signal showed this; None: nobody knows; "" is neither red nor green."""

    at_ns: int
    colour: Literal["red", "green", ""] | None


class ColourContact:
    """One contact: its level, and whether it has been silent for too long, or was never heard."""

    def __init__(self, setup: PhaseSetup) -> None:
        self.setup = setup
        self.line = Debouncer(round(setup.bounce_ms * 1e6))
        self.level: bool | None = None
        self.fault: PhaseFault = ""
        self.changed_ns = 0  # or watched anew since; without a level: not heard since
        self.passed = 0  # vehicles since it was heard
        self.closed_ns: int | None = None  # somebody closed its line, and said so
        self.turns: list[tuple[int, PhaseFault, bool]] = []  # (moment, what, from now on?)

    def begin(self, at_ns: int) -> None:
        self.line.forget()
        self.level, self.changed_ns, self.passed, self.closed_ns = None, at_ns, 0, None

    def apply(self, what: LineChange, at: int) -> None:
        self.check_stuck(at)
        if what is LineChange.UNOBSERVED:
            self.level, self.changed_ns, self.passed = None, at, 0
            return
        if self.closed_ns is not None and at > self.closed_ns:
            self.closed_ns = None
        self.changed_ns = at
        self.level = what in (LineChange.RISE, LineChange.FOUND_ON)
        if self.fault == "never_changed" or (
            self.fault and what in (LineChange.RISE, LineChange.FALL)
        ):
            self.turns.append((at, self.fault, False))
            self.fault = ""

    def check_stuck(self, until: int) -> None:
        """Nothing changed until then. Where nobody watches the loops either, nobody can say so."""
        if self.fault or until - self.changed_ns < STUCK_AFTER_NS:
            return
        if self.level is None and (self.passed < STUCK_VEHICLES or self.closed_ns is not None):
            return
        self.fault = "never_changed" if self.level is None else "stuck"
        self.turns.append((self.changed_ns + STUCK_AFTER_NS, self.fault, True))

    def snapshot(self) -> list[Any]:
        return [self.line.snapshot(), self.level, self.fault, self.changed_ns]

    def restore(self, state: Sequence[Any]) -> None:
        line, level, fault, changed = state
        self.line.restore(line)
        self.level = None if level is None else bool(level)
        if fault not in get_args(PhaseFault):
            raise ValueError(f"{fault!r:.40} is no fault of a signal's contact")
        self.fault = fault
        self.changed_ns = int(changed)


class PhaseTracker:
    """The signal of one approach. `shown` are its colours in the window that was run last.

    Raises ValueError when its contacts do not distinguish red and green.
    """

    def __init__(self, approach: str, setups: Iterable[PhaseSetup]) -> None:
        self.approach = approach
        self._lamps = {each.name: ColourContact(each) for each in setups}
        self._by = {lamp.setup.colour: lamp for lamp in self._lamps.values()}
        if len(self._by) != len(self._lamps) or not {"red", "green"} & self._by.keys():
            raise ValueError(f"phase of {approach}: one contact a colour, and red or green")
        self.lines = {name: lamp.line for name, lamp in self._lamps.items()}
        self.shown: list[ShownColour] = []
        self._known = False  # all of the window

    def begin(self, at_ns: int) -> None:
        """A first window: no colour is known. A fault that was reported stays until it is over."""
        for lamp in self._lamps.values():
            lamp.begin(at_ns)
        self.shown, self._known = [], False

    def mark_unobserved(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched this line, or any."""
        for name, line in self.lines.items():
            if source in (None, name):
                line.mark_unobserved(at_ns)
            if source == name:
                self._lamps[name].closed_ns = at_ns

    def passed(self, count: int) -> None:
        """So many vehicles passed its loops in the window that was run."""
        for lamp in self._lamps.values():
            if lamp.level is None:
                lamp.passed = min(lamp.passed + count, STUCK_VEHICLES)

    def run(self, start_ns: int, end_ns: int) -> list[Draft]:
        """Play a window; gives the faults that began or ended in it."""
        changes: list[tuple[int, ColourContact, LineChange]] = []
        unsure = []  # since when edges are missing
        for lamp in self._lamps.values():
            lamp.line.end_window(end_ns)
            lamp.line.bounces(end_ns)
            lamp.line.late = 0
            for change in lamp.line.take(end_ns):
                changes.append((change.at_ns, lamp, change.what))
                if change.what is LineChange.LOST:
                    unsure.append((max(change.since_ns, start_ns), change.at_ns))
        changes.sort(key=lambda each: each[0])
        shown = [ShownColour(start_ns, self._colour())]
        for at, lamp, what in changes:
            lamp.apply(what, at)
            _append_colour(shown, max(at, start_ns), self._colour())
        faults = []
        for lamp in self._lamps.values():
            lamp.check_stuck(end_ns - 1)
            faults += [
                _fault(lamp.setup, max(at, start_ns), fault, at - STUCK_AFTER_NS if on else None)
                for at, fault, on in lamp.turns
            ]
            lamp.turns = []
        silent = bool(faults) or any(lamp.fault for lamp in self._lamps.values())
        self._known = not silent and all(each.colour is not None for each in shown) and not unsure
        self.shown = shown if self._known else []
        return faults

    def green(self, start_ns: int, end_ns: int) -> Sequence[tuple[int, int]] | None:
        """The spans of green in a part of the window that was run last; None: nobody knows."""
        if not self._known:
            return None
        ends = [each.at_ns for each in self.shown[1:]] + [end_ns]
        spans = (
            (max(each.at_ns, start_ns), min(until, end_ns))
            for each, until in zip(self.shown, ends, strict=True)
            if each.colour == "green"
        )
        return [span for span in spans if span[0] < span[1]]

    def snapshot(self) -> dict[str, object]:
        """For a snapshot, after a window. Contacts by name."""
        return {name: [lamp.setup.colour, *lamp.snapshot()] for name, lamp in self._lamps.items()}

    def snapshot_never_changed(self) -> dict[str, object]:
        """For a snapshot, too: of each contact the vehicles since, and when its line was closed."""
        return {name: [lamp.passed, lamp.closed_ns] for name, lamp in self._lamps.items()}

    def restore(
        self, state: Mapping[str, Any], start_ns: int, never_changed: Mapping[str, Any]
    ) -> None:
        """Back from `snapshot` and `snapshot_never_changed`.

        What is new, or shows another colour, begins anew.
        """
        for name, lamp in self._lamps.items():
            if name in state and state[name][0] == lamp.setup.colour:
                lamp.restore(state[name][1:])
                passed, closed = never_changed[name]
                lamp.passed, lamp.closed_ns = int(passed), None if closed is None else int(closed)
            else:
                lamp.begin(start_ns)
        self.shown, self._known = [], False

    def _colour(self) -> Literal["red", "green", ""] | None:
        levels = {colour: lamp.level for colour, lamp in self._by.items()}
        if None in levels.values():
            return None
        red, amber, green = (levels.get(colour) for colour in ("red", "amber", "green"))
        if green is None:
            green = not red and not amber
        if red is None:
            red = not green and not amber
        # both at once, as at a change, is the safe one
        return "red" if red else "green" if green else ""


def _append_colour(
    shown: list[ShownColour], at: int, colour: Literal["red", "green", ""] | None
) -> None:
    if shown[-1].at_ns == at:
        shown.pop()
    if not shown or shown[-1].colour != colour:
        shown.append(ShownColour(at, colour))


def _fault(setup: PhaseSetup, at_ns: int, fault: PhaseFault, since_ns: int | None) -> Draft:
    """It is on since `since_ns`, or over."""
    on = since_ns is not None
    name, minutes = setup.name, STUCK_AFTER_NS // 60_000_000_000
    texts = {
        ("stuck", True): f"has not changed for {minutes} minutes: the signal is off or flashes, or "
        "the cable of the contact is cut; until the contact changes, records have no `signal`",
        ("stuck", False): "changes again",
        ("never_changed", True): f"has never changed in {minutes} minutes while vehicles passed: "
        "its wire is probably not connected; until the contact changes, records have no `signal`",
        ("never_changed", False): "changes now",
    }[fault, on]
    body = SensorFault(
        state="on" if on else "off",
        by="rule phase",
        fault="phase",
        text=f"{name}: the contact for {setup.colour} of {setup.approach} {texts}.",
        since_s=UNSET if since_ns is None else (at_ns - since_ns) / 1e9,
    )
    return event_draft(name, at_ns, body)
