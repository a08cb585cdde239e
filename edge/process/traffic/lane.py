"""One lane: from the changes of its loops to the record of a window.

A vehicle counts where it rises on the lead loop. Its speed counts where its passage is complete,
which may be a window later; so do the quality counts of vehicles of a pair. A loop that breaks up
one vehicle counts it once, but time occupancy is the time for which the loop really was occupied.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge.core.edge import Contact
from edge.core.loop import LoopTick
from edge.core.record import Draft, Stream
from edge.process import tally
from edge.process.line import DEAF, FALL, LOST, RISE, Event, Line
from edge.process.loop import Loop
from edge.process.setup import LaneSetup
from edge.process.traffic.following import Following
from edge.process.traffic.health import PARTS, faults, health
from edge.process.traffic.pairing import Pairing, Presence, trap
from edge.process.traffic.queue import Queue
from edge.process.traffic.rate import Rate
from edge.process.traffic.single import Single
from edge.process.traffic.slots import Slots, Spans
from edge.process.traffic.window import VOID, Window

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
        if setup.paired:
            self.lines[setup.trail] = Line(bounce)
            self._loops.append(Loop(max_ns))
            self._pairing = Pairing(trap(setup), self._merge)
        self._rate = Rate(round(setup.no_activity_s * 1e9), setup.kind)
        self._window = Window()
        self._queue = Queue()
        self._single: Single | None = None
        if setup.kind == "vehicle" and setup.mode == "presence":
            self._single = Single(setup.zone_m, None if setup.paired else setup.limit_kmh)
        self._follow = Following(setup, self._window)
        self._slots = [Slots(setup.name, part) for part, _ in zip(PARTS, self._loops, strict=False)]
        self.changes: list[Event] = []  # of the lead loop, in the window that was closed last
        self.ticks: list[list[LoopTick]] = []  # of each loop, of the slots that ended last

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known."""
        for line in self.lines.values():
            line.forget()
        self._forget()
        self._queue.last = None
        if self._single is not None:
            self._single.forget()
        self._rate.begin(at_ns)
        self._window.clear()
        self.ticks = []
        for loop, slots in zip(self._loops, self._slots, strict=True):
            loop.begin(at_ns)
            slots.begin()

    def fold(self, source: str, contacts: Sequence[Contact], start_ns: int) -> None:
        """Take contacts of one line in the order in which they came."""
        self.lines[source].fold(contacts, start_ns)

    def deafen(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched this line, or any."""
        for name, line in self.lines.items():
            if source is None or source == name:
                line.deafen(at_ns)

    def close(
        self,
        start_ns: int,
        end_ns: int,
        marks: Sequence[str],
        ends: tuple[int, Sequence[int]] | None = None,
        green: Spans | None = None,
    ) -> tuple[Draft, list[Draft]]:
        """The window's record and its events; the next window begins. `ticks` are new.

        `ends` is where the open slot began, and where slots end with this window (see `cut`).
        `green` are the stretches of the window in which the lane's signal was green, None where
        no phase is declared.
        """
        self._run(end_ns)
        tally.count(self._window.quality, tally.GAP, sum(x.late for x in self.lines.values()))
        self.ticks, ends = [], ends or (start_ns, ())
        for line, loop, slots in zip(self.lines.values(), self._loops, self._slots, strict=True):
            loop.border(end_ns)
            bounced, line.late = line.bounces(end_ns), 0
            self.ticks.append(slots.close(loop, bounced, (start_ns, end_ns), ends, green))
        self._rate.tick(end_ns)
        window, pairing = self._window, self._pairing
        if pairing is not None:
            pairing.settle(end_ns)
            pairing.expire(end_ns)
            window.passed(pairing.passages, pairing.single, pairing.reversed)
            pairing.next()
        covered_us = min(self._lead.seen_ns, end_ns - start_ns) // 1000
        on_us = min(self._lead.on_ns // 1000, covered_us)
        word = health(self._loops, self._rate, self.lines[self.setup.lead].flooded)
        self._measure(start_ns, end_ns, word)
        body = window.body(self.setup, word, covered_us, on_us, marks)
        events = faults(self.setup.name, self._loops, self._rate)
        for loop in self._loops:
            loop.next(end_ns)
        self._rate.next()
        window.clear()
        return Draft(Stream.TRAFFIC, self.setup.name, start_ns, end_ns, body), events

    def state(self) -> dict[str, Any]:
        """For a snapshot, right after a close."""
        last = self._follow.last
        return {
            "lines": {name: line.state() for name, line in self.lines.items()},
            "loops": [loop.state() for loop in self._loops],
            "slots": [slots.state() for slots in self._slots],
            "rate": self._rate.state(),
            "last": None if last is None else [last.on, last.off],
            "pairing": None if self._pairing is None else self._pairing.state(last),
            "follow": self._follow.state(),
            "queue": self._queue.last,
            "single": None if self._single is None else self._single.state(),
        }

    def load(self, state: Mapping[str, Any], start_ns: int) -> None:
        """Back from `state`, at the start of a window."""
        for name, line in self.lines.items():
            line.load(state["lines"][name])
        for loop, each in zip(self._loops, state["loops"], strict=True):
            loop.load(each, start_ns)
        for slots, told in zip(self._slots, state.get("slots", ()), strict=False):
            slots.load(told)
        self._rate.load(state["rate"])
        last = None if state["last"] is None else Presence(*state["last"])
        if self._pairing is not None:
            # One and the same object, so that the pairing sees its end, too.
            last = self._pairing.load(state["pairing"]) or last
        # A state from before there were these says nothing of them.
        self._follow.load(state.get("follow", (True, None, 0)), last)
        self._queue.load(state.get("queue"))
        if self._single is not None and state.get("single"):
            self._single.load(state["single"])

    def _measure(self, start_ns: int, end_ns: int, word: str) -> None:
        """What is only told at the window's end. `word` is the health of the loops."""
        window, single = self._window, self._single
        self._follow.settle(end_ns)
        window.queue_ns = self._queue.close(self._lead, start_ns, end_ns)
        if single is None or word in VOID:
            return
        single.paired(window.lengths)
        if not window.lengths or word == "trail_stuck_on":  # else nobody asks the lead loop alone
            window.single = single.close(window.over)

    def _run(self, end_ns: int) -> None:
        """Play what both lines told, in the order of time; the lead loop first where equal."""
        for line in self.lines.values():
            line.border(end_ns)
        leads, *others = (line.take(end_ns) for line in self.lines.values())
        self.changes = leads
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
        if what is RISE:
            self._rate.rise(at)
            self._enter(at)
            return
        self._rate.change(at)
        if what is FALL:
            self._leave(at)
            if len(self._lead.faults) > faults:
                self._follow.last = None  # what was stuck was no vehicle: no headway to it
            return
        if what is LOST:
            self._window.lost += event.lost
            tally.count(self._window.quality, tally.GAP)
        elif what is DEAF:
            self._rate.forget()
        self._forget()

    def _on_trail(self, event: Event) -> None:
        pairing = self._pairing
        if pairing is None:
            return
        what, at = event.what, event.at_ns
        pairing.settle(at)
        self._loops[1].apply(event)
        if what is RISE:
            pairing.rise(at, self._merge)
        elif what is FALL:
            pairing.fall(at)
        else:
            if what is LOST:
                self._window.lost += event.lost
            tally.count(self._window.quality, tally.GAP, pairing.forget())

    def _enter(self, at: int) -> None:
        follow, pairing, window = self._follow, self._pairing, self._window
        last = follow.last
        if last is not None and last.off is not None:
            hole = self._merge if pairing is None else pairing.merge(last, self._merge)
            if at - last.off < hole:
                last.off = None
                window.breakups += 1
                return
        window.volume += 1
        vehicle = follow.enter(at)
        if pairing is not None:
            pairing.expire(at)
            pairing.enter(vehicle)
        elif self.setup.mode == "presence":
            tally.count(window.quality, tally.GOOD_WORD)

    def _leave(self, at: int) -> None:
        time = self._follow.leave(at)
        if time is not None and self.setup.mode == "pulse":
            good = PULSE_NS[0] <= time <= PULSE_NS[1]
            tally.count(self._window.quality, tally.GOOD_WORD if good else tally.DOUBT_RANGE)

    def _forget(self) -> None:
        """The thread is lost: what is on the loops now has no beginning."""
        self._follow.forget()
        if self._pairing is not None:
            tally.count(self._window.quality, tally.GAP, self._pairing.forget())
