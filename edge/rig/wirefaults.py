"""Faults of a played cabinet (devices, loops, contacts, approaches, buses), and what the rig sees
of them on its side of the wires.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drivers.sim.drivencontact import NS, DrivenContact
from edge.cabinet.cabinet import Cabinet
from edge.cabinet.playedbus import PlayedBus
from edge.cabinet.playeddevice import NONE
from edge.rig.faultcatalogue import cabinet_words
from edge.rig.layer import LayerError
from edge.rig.runlog import Evidence
from edge.rig.scenario import Fault
from edge.rig.streetplay import Difference, StreetPlay

MOST: Final = 20  # pieces of evidence of one fault
Seen = tuple[int, Sequence[Evidence]]


@dataclass(slots=True)
class _Running:
    """A fault in force. `counted` is what was counted when it began, `told` what was seen since."""

    fault: Fault
    began_ns: int
    counted: int
    told: list[Evidence] = field(default_factory=list)
    through: int = 0
    changed: int = 0
    """How often the line of a contact had changed."""


class WireFaults:
    """`clock_ns` is the cabinet's. `zero_ns` is when the scenario began."""

    def __init__(
        self, cabinet: Cabinet, street: StreetPlay, clock_ns: Callable[[], int], zero_ns: int
    ) -> None:
        self._cabinet, self._street = cabinet, street
        self._clock_ns, self._zero_ns = clock_ns, zero_ns
        self._running: dict[str, _Running] = {}

    def begin(self, fault: Fault) -> None:
        """From now on. Raises LayerError for one that nothing here can show."""
        target, word = cabinet_words(fault)
        try:
            self._cabinet.misbehave(target, word)
        except (ValueError, OSError) as error:
            raise LayerError(f"fault {fault.name}: {error}") from error
        made = _Running(fault, self._clock_ns(), self._count(fault))
        if contact := self._contacts().get(_plain(target)):
            made.changed = contact.changes
        self._running[fault.name] = made

    def end(self, fault: Fault) -> None:
        """It heals. What else is wrong with the same thing goes on."""
        target, _ = cabinet_words(fault)
        self._running.pop(fault.name, None)
        try:
            self._cabinet.misbehave(self._full(target, fault), NONE)
            for other in self._running.values():
                other_target, word = cabinet_words(other.fault)
                if other_target == target:
                    self._cabinet.misbehave(other_target, word)
        except (ValueError, OSError) as error:
            raise LayerError(f"fault {fault.name} does not heal: {error}") from error

    def evidence(self, fault: Fault) -> Seen:
        """What went through since it began, and what was wrong by it. While it is in force."""
        one = self._running.get(fault.name)
        if one is None:
            return 0, []
        target = _plain(cabinet_words(fault)[0])
        if target in self._cabinet.devices or target in self._cabinet.buses:
            return self._of_questions(one, target)
        if target in self._contacts():
            return self._of_contact(one, self._contacts()[target])
        return self._of_vehicles(one, target)

    def activity(self) -> int:
        """Vehicles that came, and questions that were asked, since the beginning."""
        lanes = [*self._cabinet.site.lanes]
        came = self._street.passed(lanes, self._zero_ns, self._clock_ns())
        return came + sum(wire.carried() for wire in self._cabinet.buses.values())

    # inside

    def _full(self, target: str, fault: Fault) -> str:
        """A name that two things share, as that of the one which has the fault."""
        for one in self._cabinet.targets:
            if target in (one.name, one.full) and one.takes(cabinet_words(fault)[1]):
                return one.full
        return target

    def _contacts(self) -> dict[str, DrivenContact]:
        return {
            name: contact
            for played in self._cabinet.lines.values()
            for name, contact in played.contacts.items()
        }

    def _count(self, fault: Fault) -> int:
        target = _plain(cabinet_words(fault)[0])
        if device := self._cabinet.devices.get(target):
            return self._bus_of(target).asked(device)
        if wire := self._cabinet.buses.get(target):
            return self.activity() if fault.kind == "unplugged" else wire.carried()
        if contact := self._contacts().get(target):
            return contact.wishes
        return 0

    def _bus_of(self, device: str) -> PlayedBus:
        return self._cabinet.buses[self._cabinet.site.devices[device].bus]

    def _of_questions(self, one: _Running, target: str) -> Seen:
        """Each time somebody has asked it, it answered as its fault has it."""
        through = max(0, self._count(one.fault) - one.counted)
        asked, one.through = through - one.through, through
        if asked and len(one.told) < MOST:
            one.told.append(self._seen(self._clock_ns(), self._words(one.fault, target, asked)))
        return through, one.told

    def _words(self, fault: Fault, target: str, asked: int) -> str:
        if fault.kind == "unplugged":
            place = self._cabinet.buses[target].place
            gone = not Path(place).exists() if place.startswith("/") else True
            return f"{place} is {'gone' if gone else 'there'}"
        times = f"{asked} times" if asked > 1 else "once"
        amount = f" {fault.amount:+g}" if fault.amount is not None else ""
        return f"{target} was asked, or spoke, {times}, and showed: {fault.kind}{amount}"

    def _of_contact(self, one: _Running, contact: DrivenContact) -> Seen:
        """What stands behind it changed it so often, and its line has changed more often, or less.
        Between two looks a pulse comes and goes."""
        through, changes = contact.wishes - one.counted, contact.changes - one.changed
        more, one.through = through > one.through, through
        if more and changes != through and len(one.told) < MOST:
            text = f"its line has changed {changes} times in place of {through}"
            one.told.append(self._seen(self._clock_ns(), text))
        return through, one.told

    def _of_vehicles(self, one: _Running, target: str) -> Seen:
        now_ns = self._clock_ns()
        lanes = self._cabinet.site.approaches.get(target)
        if lanes is None:
            lanes = [target.removesuffix(".trail")]
        through = self._street.passed(lanes, one.began_ns, now_ns)
        if one.fault.kind in ("empty", "congestion"):  # of the street itself
            street = self._street
            text = f"{street.turned_away} vehicles turned away, {street.slowed} slowed down"
            return through, [self._seen(now_ns, text)]
        told = [
            self._seen(difference.from_ns, _difference(loop, difference))
            for loop in self._loops(target, one.fault.kind, lanes)
            for difference in self._street.loops[loop].differences(one.began_ns, now_ns, MOST)
        ]
        return through, sorted(told, key=lambda one: one.t_s)[:MOST]

    def _loops(self, target: str, kind: str, lanes: Sequence[str]) -> Iterator[str]:
        if target.endswith(".trail"):
            yield target
            return
        roles = ("lead",) if target in lanes and kind not in ("swapped", "dead_pair") else (
            "lead", "trail")  # fmt: skip
        for lane in lanes:
            yield from (
                f"{lane}.{role}" for role in roles if f"{lane}.{role}" in self._street.loops
            )

    def _seen(self, at_ns: int, text: str) -> Evidence:
        return Evidence(t_s=(at_ns - self._zero_ns) / NS, text=text)


def _plain(target: str) -> str:
    """Without the table: `bus.air` is air."""
    head, _, rest = target.partition(".")
    return rest if head in ("bus", "device", "lane", "bay", "approach") and rest else target


def _state(closed: bool) -> str:
    return "closed" if closed else "open"


def _difference(loop: str, one: Difference) -> str:
    for_s = (one.to_ns - one.from_ns) / NS
    there = "nobody is" if one.closed else "somebody is"
    return f"{loop} is {_state(one.closed)} for {for_s:.3f} s while {there} over it"
