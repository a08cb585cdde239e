"""What opens and closes the other contacts of a simulated cabinet: pulses, signals, bays, doors."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Final

from drivers.sim.drivencontact import NS, DrivenContact
from drivers.sim.timeline import Timeline

PULSE_S: Final = 0.05
CYCLE: Final = (("green", 30.0), ("amber", 3.0), ("red", 37.0))
"""The colours of a signal in their order, with the seconds of each."""
STAY_S: Final = (120.0, 900.0)
FREE_S: Final = (40.0, 300.0)


class SignalCycle:
    """The colours of a signal in their order, with the seconds of each, for ever."""

    def __init__(self, colours: Sequence[tuple[str, float]]) -> None:
        ends = accumulate(seconds for _, seconds in colours)
        self._ends_ns = [
            (colour, round(end * NS)) for (colour, _), end in zip(colours, ends, strict=True)
        ]

    def colour(self, into_ns: int) -> tuple[str, int]:
        """What it shows so long after its beginning, and for how many ns more."""
        into_ns %= self._ends_ns[-1][1]
        for colour, end_ns in self._ends_ns:
            if into_ns < end_ns:
                return colour, end_ns - into_ns
        raise AssertionError("a cycle has no gaps")


class PulsePlay:
    """A meter's pulse output. `watts` is asked before each pulse."""

    def __init__(
        self, timeline: Timeline, contact: DrivenContact, per_kwh: int, watts: Callable[[], float]
    ) -> None:
        self._timeline, self._contact = timeline, contact
        self._per_kwh, self._watts = per_kwh, watts
        self.pulses = 0

    def begin(self, t_ns: int) -> None:
        """The first pulse comes when its energy has flowed."""
        every_s = 3.6e6 / (self._per_kwh * max(self._watts(), 1.0))
        self._timeline.at(t_ns + round(max(every_s, 2 * PULSE_S) * NS), self._pulse)

    def _pulse(self, t_ns: int) -> None:
        self.pulses += 1
        self._contact.set(True, t_ns)
        self._timeline.at(t_ns + round(PULSE_S * NS), lambda at_ns: self._contact.set(False, at_ns))
        self.begin(t_ns)


class CyclePlay:
    """A contact that is closed for `on_s`, once in `every_s`: a door, a plug."""

    def __init__(
        self, timeline: Timeline, contact: DrivenContact, on_s: float, every_s: float
    ) -> None:
        self._timeline, self._contact = timeline, contact
        self._on_ns, self._off_ns = round(on_s * NS), round((every_s - on_s) * NS)

    def begin(self, t_ns: int) -> None:
        self._timeline.at(t_ns + self._off_ns, self._close)

    def _close(self, t_ns: int) -> None:
        self._contact.set(True, t_ns)
        self._timeline.at(t_ns + self._on_ns, self._open)

    def _open(self, t_ns: int) -> None:
        self._contact.set(False, t_ns)
        self.begin(t_ns)


class SignalPlay:
    """The signal of one approach: colour -> the contacts that are closed while it shows it.

    Its cycle begins `offset_s` after the others.
    """

    def __init__(
        self,
        timeline: Timeline,
        contacts: Mapping[str, Sequence[DrivenContact]],
        offset_s: float = 0.0,
    ) -> None:
        self._timeline, self._contacts, self._offset_s = timeline, contacts, offset_s
        self.cycle = SignalCycle(CYCLE)
        self._zero_ns = self._turns = 0

    def begin(self, t_ns: int) -> None:
        """From now on. May be called again: the cycle begins anew."""
        self._zero_ns = t_ns - round(self._offset_s * NS)
        self._turns += 1
        self._show(self._turns, t_ns)

    def follow(self, cycle: SignalCycle, zero_ns: int, t_ns: int) -> None:
        """From now on another cycle, which began at `zero_ns` (it may be yet to come)."""
        self.cycle, self._zero_ns = cycle, zero_ns
        self._turns += 1
        self._show(self._turns, t_ns)

    def colour(self, t_ns: int) -> tuple[str, int]:
        """What it shows, and until when."""
        shown, left_ns = self.cycle.colour(t_ns - self._zero_ns)
        return shown, t_ns + left_ns

    def _show(self, turn: int, t_ns: int) -> None:
        if turn != self._turns:
            return
        shown, until_ns = self.colour(t_ns)
        for colour, contacts in self._contacts.items():
            for contact in contacts:
                contact.set(colour == shown, t_ns)
        self._timeline.at(until_ns, lambda at_ns: self._show(turn, at_ns))


class BayPlay:
    """A bay: vehicles come, stay for minutes, and leave."""

    def __init__(self, timeline: Timeline, contact: DrivenContact, seed: int) -> None:
        self._timeline, self._contact = timeline, contact
        self._chance = random.Random(seed)

    def begin(self, t_ns: int) -> None:
        """The first one comes soon."""
        soon_s = self._chance.uniform(5.0, FREE_S[0])
        self._timeline.at(t_ns + round(soon_s * NS), self._comes)

    def _comes(self, t_ns: int) -> None:
        self._contact.set(True, t_ns)
        self._timeline.at(t_ns + round(self._chance.uniform(*STAY_S) * NS), self._leaves)

    def _leaves(self, t_ns: int) -> None:
        self._contact.set(False, t_ns)
        self._timeline.at(t_ns + round(self._chance.uniform(*FREE_S) * NS), self._comes)
