"""One lane: from the changes of its loops to the record of a window.

A vehicle counts where it rises on the lead loop. Its speed counts where its passage is complete,
which may be a window later; so do the quality counts of vehicles of a pair. A loop that breaks up
one vehicle counts it once, but time occupancy is the time for which the loop really was occupied.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.core.edge import Contact
from edge.core.record import Draft, Stream
from edge.process import tally
from edge.process.events import sensor_fault
from edge.process.line import Change, Event, Line
from edge.process.loop import Loop
from edge.process.setup import LaneSetup
from edge.process.traffic.pairing import Pairing, Presence
from edge.process.traffic.passage import LIMITS, Trap
from edge.process.traffic.rate import Rate
from edge.process.traffic.window import Window

NS_PER_MS: Final = 1_000_000
PULSE_NS: Final = (100 * NS_PER_MS, 150 * NS_PER_MS)  # NTCIP 1209: 125 +- 25 ms


class Lane:
    """The state of one lane. `lines` are its contacts' sources, the lead loop first."""

    def __init__(self, setup: LaneSetup) -> None:
        self.setup = setup
        bounce, max_ns = round(setup.bounce_ms * NS_PER_MS), round(setup.max_presence_s * 1e9)
        self._merge = round(setup.merge_ms * NS_PER_MS) if setup.mode == "presence" else 0
        self.lines = {setup.lead: Line(bounce)}
        self._lead = Loop(max_ns)
        self._loops = [self._lead]
        self._pairing: Pairing | None = None
        if setup.paired and setup.spacing_m is not None:
            self.lines[setup.trail] = Line(bounce)
            self._loops.append(Loop(max_ns))
            trap = Trap(
                round(setup.spacing_m * 1000),
                round(setup.loop_m * 1000),
                round(setup.tolerance * 1000),
                LIMITS[setup.kind],
            )
            self._pairing = Pairing(trap, self._merge)
        self._rate = Rate(round(setup.no_activity_s * 1e9), setup.kind)
        self._last: Presence | None = None  # the newest vehicle on the lead loop
        self._window = Window()

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known."""
        for line in self.lines.values():
            line.forget()
        self._forget()
        self._rate.begin(at_ns)
        self._window.clear()
        for loop in self._loops:
            loop.begin(at_ns)

    def fold(self, source: str, contacts: Sequence[Contact], start_ns: int) -> None:
        """Take contacts of one line in the order in which they came."""
        self.lines[source].fold(contacts, start_ns)

    def deafen(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched this line, or any."""
        for name, line in self.lines.items():
            if source is None or source == name:
                line.deafen(at_ns)

    def close(self, start_ns: int, end_ns: int, marks: Sequence[str]) -> tuple[Draft, list[Draft]]:
        """The window's record and its events; the next window begins."""
        self._run(end_ns)
        for loop in self._loops:
            loop.border(end_ns)
        self._rate.tick(end_ns)
        window, pairing = self._window, self._pairing
        if pairing is not None:
            pairing.settle(end_ns)
            pairing.expire(end_ns)
            window.passed(pairing.passages, pairing.single)
            window.reversed = pairing.reversed
            pairing.next()
        tally.count(window.quality, tally.GAP, sum(line.late for line in self.lines.values()))
        covered_us = min(self._lead.seen_ns, end_ns - start_ns) // 1000
        on_us = min(self._lead.on_ns // 1000, covered_us)
        body = window.body(self.setup, self._health(), covered_us, on_us, marks)
        events = self._events()
        for loop in self._loops:
            loop.next(end_ns)
        for line in self.lines.values():
            line.late = 0
        self._rate.next()
        window.clear()
        return Draft(Stream.TRAFFIC, self.setup.name, start_ns, end_ns, body), events

    def state(self) -> dict[str, Any]:
        """For a snapshot, right after a close."""
        last = self._last
        return {
            "lines": {name: line.state() for name, line in self.lines.items()},
            "loops": [loop.state() for loop in self._loops],
            "rate": self._rate.state(),
            "last": None if last is None else [last.on, last.off],
            "pairing": None if self._pairing is None else self._pairing.state(last),
        }

    def load(self, state: Mapping[str, Any], start_ns: int) -> None:
        """Back from `state`, at the start of a window."""
        for name, line in self.lines.items():
            line.load(state["lines"][name])
        for loop, each in zip(self._loops, state["loops"], strict=True):
            loop.load(each, start_ns)
        self._rate.load(state["rate"])
        last = state["last"]
        self._last = None if last is None else Presence(*last)
        if self._pairing is not None:
            # One and the same object, so that the pairing sees its end, too.
            self._last = self._pairing.load(state["pairing"]) or self._last

    def _run(self, end_ns: int) -> None:
        """Play what both lines told, in the order of time; the lead loop first where equal."""
        for line in self.lines.values():
            line.border(end_ns)
        leads, *others = (line.take(end_ns) for line in self.lines.values())
        trails = others[0] if others else []
        at, count = 0, len(trails)
        for event in leads:
            while at < count and trails[at].at_ns < event.at_ns:
                self._on_trail(trails[at])
                at += 1
            self._on_lead(event)
        for event in trails[at:]:
            self._on_trail(event)

    def _on_lead(self, event: Event) -> None:
        what, at = event.what, event.at_ns
        if self._pairing is not None:
            self._pairing.settle(at)
        faults = len(self._lead.faults)
        self._lead.apply(event)
        if what is Change.RISE:
            self._rate.rise(at)
            self._enter(at)
            return
        self._rate.change(at)
        if what is Change.FALL:
            self._leave(at)
            if len(self._lead.faults) > faults:
                self._last = None  # what was stuck was no vehicle: no headway to it
            return
        if what is Change.LOST:
            self._window.lost += event.lost
            tally.count(self._window.quality, tally.GAP)
        elif what is Change.DEAF:
            self._rate.forget()
        self._forget()

    def _on_trail(self, event: Event) -> None:
        pairing = self._pairing
        if pairing is None:
            return
        what, at = event.what, event.at_ns
        pairing.settle(at)
        self._loops[1].apply(event)
        if what is Change.RISE:
            pairing.rise(at, self._merge)
        elif what is Change.FALL:
            pairing.fall(at)
        else:
            if what is Change.LOST:
                self._window.lost += event.lost
            tally.count(self._window.quality, tally.GAP, pairing.forget())

    def _enter(self, at: int) -> None:
        last, pairing, window = self._last, self._pairing, self._window
        if last is not None and last.off is not None:
            free = at - last.off
            if free < (self._merge if pairing is None else pairing.merge(last, self._merge)):
                last.off = None
                window.breakups += 1
                return
            window.gap.add(max(0, free) // NS_PER_MS)
            window.headway.add(max(0, at - last.on) // NS_PER_MS)
        window.volume += 1
        self._last = Presence(at)
        if pairing is not None:
            pairing.expire(at)
            pairing.enter(self._last)
        elif self.setup.mode == "presence":
            tally.count(window.quality, tally.GOOD_WORD)

    def _leave(self, at: int) -> None:
        last = self._last
        if last is None or last.off is not None:
            return
        last.off = at
        if self.setup.mode == "pulse":
            good = PULSE_NS[0] <= at - last.on <= PULSE_NS[1]
            tally.count(self._window.quality, tally.GOOD_WORD if good else tally.DOUBT_RANGE)

    def _forget(self) -> None:
        """The thread is lost: what is on the loops now has no beginning."""
        self._last = None
        if self._pairing is not None:
            tally.count(self._window.quality, tally.GAP, self._pairing.forget())

    def _health(self) -> str:
        lead, others = self._lead, self._loops[1:]
        if lead.was_stuck:
            return "stuck_on"
        if self._rate.was_chatter or self.lines[self.setup.lead].flooded:
            return "chatter"
        if lead.seen_ns < 1000:
            return "unobserved"
        if any(loop.was_stuck for loop in others):
            return "trail_stuck_on"
        return "no_activity" if self._rate.silent else "ok"

    def _events(self) -> list[Draft]:
        name = self.setup.name
        told = [
            sensor_fault(name, at, "stuck_on", on, part)
            for part, loop in zip(("lead", "trail"), self._loops, strict=False)
            for at, on in loop.faults
        ]
        told += [sensor_fault(name, at, fault, on, "lead") for at, fault, on in self._rate.faults]
        return told
