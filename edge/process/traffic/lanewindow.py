"""One lane: from the changes of its loops to the record of a window.

A vehicle counts where it rises on the lead loop. Its speed counts where its passage is complete,
which may be a window later; so do the quality counts of vehicles of a pair. A loop that breaks up
one vehicle counts it once, but time occupancy is the time for which the loop really was occupied.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from edge.core.looptick import DoubtedLoop, LoopTick
from edge.core.record import Draft, Stream
from edge.process import qualitycounts
from edge.process.debounce import FALL, LOST, RISE, UNOBSERVED, Debouncer, LineEvent
from edge.process.enginesetup import LaneSetup
from edge.process.occupancycounter import OccupancyCounter
from edge.process.traffic import recount
from edge.process.traffic.activitycheck import ActivityCheck
from edge.process.traffic.breakup import BreakupRule
from edge.process.traffic.headway import HeadwayTracker, pulse_quality
from edge.process.traffic.loopselection import (
    PARTS,
    LoopSelection,
    doubted_state,
    loop_fault_events,
    loop_state,
    select_loop,
)
from edge.process.traffic.loopwindow import LoopWindow, PairWindow, lane_body
from edge.process.traffic.pairing import Pairing, Presence
from edge.process.traffic.queuetime import QueueTime
from edge.process.traffic.singleloopspeed import SingleLoopSpeed
from edge.process.traffic.slots import LoopSlots, Spans

NS_PER_MS: Final = 1_000_000


class TrailWindow(NamedTuple):
    """The trail loop's part in a window: its changes, those before, what its lines reported."""

    before: list[LineEvent]
    changes: list[LineEvent]
    covered_us: int
    on_us: int
    queue_ns: int
    late: int


class ClosedWindow(NamedTuple):
    """The window that was closed last, until it is known which loops of it are to be believed."""

    start_ns: int
    end_ns: int
    states: tuple[str, ...]  # of each loop
    lead: LoopWindow
    trail: TrailWindow | None
    pairs: PairWindow
    lost: int
    marks: tuple[str, ...]


class LaneWindow:
    """The state of one lane. `lines` are its contacts' sources, the lead loop first."""

    def __init__(self, setup: LaneSetup) -> None:
        self.setup = setup
        bounce, max_ns = round(setup.bounce_ms * NS_PER_MS), round(setup.max_presence_s * 1e9)
        self._breakup = BreakupRule(setup)
        sources = (setup.lead, setup.trail) if setup.doubled else (setup.lead,)
        self.lines = {source: Debouncer(bounce) for source in sources}
        self._loops = [OccupancyCounter(max_ns) for _ in sources]
        self._lead = self._loops[0]
        self._rates = [ActivityCheck(round(setup.no_activity_s * 1e9), setup.kind) for _ in sources]
        self._rate = self._rates[0]
        self._queues = [QueueTime() for _ in sources]
        self._pairing = Pairing(setup, self._breakup) if setup.paired else None
        self._window, self._pairs = LoopWindow(), PairWindow()
        self._single: SingleLoopSpeed | None = None
        if setup.kind == "vehicle" and setup.mode == "presence":
            self._single = SingleLoopSpeed(setup.zone_m, None if setup.paired else setup.limit_kmh)
        self._headways = HeadwayTracker(setup, self._breakup, self._window)
        self._slots = [LoopSlots(setup.name, part) for part, _ in zip(PARTS, sources, strict=False)]
        self._trail_changes: list[
            LineEvent
        ] = []  # of the trail loop, in the window that was closed last
        self._before: list[LineEvent] = []  # and the last ones before it
        self._closed: ClosedWindow | None = None
        self.changes: list[LineEvent] = []  # of the lead loop, in the window that was closed last
        self.ticks: list[list[LoopTick]] = []  # of each loop, of the slots that ended last

    def begin(self, at_ns: int) -> None:
        """A first window, with nothing known."""
        for line in self.lines.values():
            line.forget()
        self._forget()
        if self._single is not None:
            self._single.forget()
        self._open()
        self._trail_changes, self._before, self._closed, self.ticks = [], [], None, []
        for loop, activity, queue, slots in self._each:
            loop.begin(at_ns)
            activity.begin(at_ns)
            queue.last = None
            slots.begin()

    def mark_unobserved(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched this line, or any."""
        for name, line in self.lines.items():
            if source is None or source == name:
                line.mark_unobserved(at_ns)

    def close(
        self,
        start_ns: int,
        end_ns: int,
        marks: Sequence[str],
        ends: tuple[int, Sequence[int]] | None = None,
        green: Spans | None = None,
    ) -> list[Draft]:
        """The window's events; the next window begins. `ticks` are new; then ask for its `record`.

        `ends` is where the open slot began, and where slots end with this window (see `cut`).
        `green` are the stretches of the window in which the lane's signal was green, None where
        no phase is declared.
        """
        self._run(end_ns)
        self.ticks, ends = [], ends or (start_ns, ())
        late: list[int] = []
        for line, (loop, activity, _, slots) in zip(self.lines.values(), self._each, strict=True):
            loop.end_window(end_ns)
            bounced = line.bounces(end_ns)
            self.ticks.append(slots.close(loop, bounced, (start_ns, end_ns), ends, green))
            activity.tick(end_ns)
            late.append(line.late)
            line.late = 0
        closed = self._closed = self._close(start_ns, end_ns, late, tuple(marks))
        self._measure(closed)
        events = loop_fault_events(self.setup.name, self._loops, self._rates)
        for loop, activity, _, _ in self._each:
            loop.next(end_ns)
            activity.next(end_ns)
        self._open()
        return events

    def record(self, doubts: Collection[DoubtedLoop]) -> Draft:
        """Of the window that was closed last, when these loops of it are not to be believed."""
        closed, name = self._closed, self.setup.name
        assert closed is not None, "close it first"
        states = [
            doubted_state(own, (each.fault for each in doubts if each[:2] == (name, part)))
            for part, own in zip(PARTS, closed.states, strict=False)
        ]
        selection = _selection(closed, states)
        window = closed.lead
        if selection.counting_loop == "trail" and closed.trail is not None:
            window = self._recounted(closed, closed.trail)
        if (
            selection.counting_loop
            and window.single is None
            and self._single
            and not selection.pair
        ):
            window.single = self._single.alone(window.over)
        body = lane_body(self.setup, selection, window, closed.pairs, closed.lost, closed.marks)
        return Draft(Stream.TRAFFIC, name, closed.start_ns, closed.end_ns, body)

    def _close(
        self, start_ns: int, end_ns: int, late: list[int], marks: tuple[str, ...]
    ) -> ClosedWindow:
        lead, pairing, pairs = self._window, self._pairing, self._pairs
        qualitycounts.add_count(lead.quality, qualitycounts.UNCERTAIN_GAP, late[0])
        if pairing is not None:
            pairing.settle(end_ns)
            pairing.expire(end_ns)
            alone = pairing.alone
            estimated = self._single.estimates(alone) if alone and self._single else []
            rest = len(alone) - len(estimated)
            pairs.passed(pairing.passages, estimated, rest, pairing.reversed)
            qualitycounts.add_count(pairs.quality, qualitycounts.UNCERTAIN_GAP, late[1])
            pairing.next()
        self._headways.settle(end_ns)
        queues = [
            queue.close(loop, start_ns, end_ns)
            for queue, loop in zip(self._queues, self._loops, strict=True)
        ]
        covered = [min(loop.seen_ns, end_ns - start_ns) // 1000 for loop in self._loops]
        on = [min(x.on_ns // 1000, us) for x, us in zip(self._loops, covered, strict=True)]
        lead.covered_us, lead.on_us, lead.queue_ns = covered[0], on[0], queues[0]
        trail: TrailWindow | None = None
        if self.setup.doubled:
            trail = TrailWindow(
                self._before, self._trail_changes, covered[1], on[1], queues[1], late[1]
            )
            self._before = recount.changes_to_keep(self._breakup, self._before, self._trail_changes)
        lost = sum(edges for loop in self._loops for _, edges in loop.lost)
        lines = self.lines.values()
        states = tuple(
            loop_state(loop, activity, line.noisy)
            for loop, activity, line in zip(self._loops, self._rates, lines, strict=True)
        )
        return ClosedWindow(start_ns, end_ns, states, lead, trail, pairs, lost, marks)

    def _recounted(self, closed: ClosedWindow, trail: TrailWindow) -> LoopWindow:
        span = (closed.start_ns, closed.end_ns)
        window = recount.recount_trail(self.setup, self._breakup, trail.before, trail.changes, span)
        window.covered_us, window.on_us = trail.covered_us, trail.on_us
        window.queue_ns = trail.queue_ns
        qualitycounts.add_count(window.quality, qualitycounts.UNCERTAIN_GAP, trail.late)
        return window

    def snapshot(self) -> dict[str, object]:
        """For a snapshot, right after a close."""
        last = self._headways.last
        return {
            "lines": {name: line.snapshot() for name, line in self.lines.items()},
            "loops": [loop.snapshot() for loop in self._loops],
            "slots": [slots.snapshot() for slots in self._slots],
            "rate": self._rate.snapshot(),
            "trail": self._snapshot_trail(),
            "last": None if last is None else [last.on, last.off],
            "pairing": None if self._pairing is None else self._pairing.snapshot(last),
            "follow": self._headways.snapshot(),
            "queue": self._queues[0].last,
            "single": None if self._single is None else self._single.snapshot(),
        }

    def restore(self, state: Mapping[str, Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window."""
        for name, line in self.lines.items():
            line.restore(state["lines"][name])
        for loop, each in zip(self._loops, state["loops"], strict=True):
            loop.restore(each, start_ns)
        for slots, saved in zip(self._slots, state["slots"], strict=True):
            slots.restore(saved)
        self._rate.restore(state["rate"], start_ns)
        last = None if state["last"] is None else Presence(*state["last"])
        if self._pairing is not None:
            # One and the same object, so that the pairing sees its end, too.
            last = self._pairing.restore(state["pairing"]) or last
        self._headways.restore(state["follow"], last)
        self._queues[0].restore(state["queue"])
        if self._single is not None and state["single"]:
            self._single.restore(state["single"])
        if self.setup.doubled and state["trail"]:
            activity, queue, before = state["trail"]
            self._rates[1].restore(activity, start_ns)
            self._queues[1].restore(queue)
            self._before = recount.restore_changes(before)

    def _snapshot_trail(self) -> list[Any] | None:
        if not self.setup.doubled:
            return None
        return [
            self._rates[1].snapshot(),
            self._queues[1].last,
            recount.snapshot_changes(self._before),
        ]

    @property
    def _each(self) -> Iterator[tuple[OccupancyCounter, ActivityCheck, QueueTime, LoopSlots]]:
        return zip(self._loops, self._rates, self._queues, self._slots, strict=True)

    def _open(self) -> None:
        """A window begins; what the one before has counted is still to be told."""
        self._window, self._pairs = LoopWindow(), PairWindow()
        self._headways.window = self._window

    def _measure(self, closed: ClosedWindow) -> None:
        """Speed from the lead loop alone, and what that learns of a pair."""
        single, pairs = self._single, closed.pairs
        selection = _selection(closed, closed.states)
        if single is None or selection.counting_loop != "lead":
            return
        single.paired(pairs.lengths)
        if not pairs.measured or (closed.trail and not selection.pair):  # else nobody asks for it
            closed.lead.single = single.close(closed.lead.over)

    def _run(self, end_ns: int) -> None:
        """Play what both lines reported, in the order of time; the lead loop first where equal."""
        for line in self.lines.values():
            line.end_window(end_ns)
        leads, *others = (line.take(end_ns) for line in self.lines.values())
        self.changes = leads
        trails = self._trail_changes = others[0] if others else []
        at, count = 0, len(trails)
        for event in leads:
            while at < count and trails[at].at_ns < event.at_ns:
                self._on_trail(trails[at])
                at += 1
            self._on_lead(event)
        for event in trails[at:]:
            self._on_trail(event)
        if others:
            self._rates[1].run(trails, whole=not self._loops[1].seen)

    def _on_lead(self, event: LineEvent) -> None:
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
                self._headways.last = None  # what was stuck was no vehicle: no headway to it
            return
        if what is LOST:
            qualitycounts.add_count(self._window.quality, qualitycounts.UNCERTAIN_GAP)
        elif what is UNOBSERVED:
            self._rate.forget()
        self._forget()

    def _on_trail(self, event: LineEvent) -> None:
        self._loops[1].apply(event)
        pairing = self._pairing
        if pairing is None:
            return
        what, at = event.what, event.at_ns
        pairing.settle(at)
        if what is RISE:
            pairing.rise(at)
        elif what is FALL:
            pairing.fall(at)
        else:
            qualitycounts.add_count(
                self._pairs.quality, qualitycounts.UNCERTAIN_GAP, pairing.forget()
            )

    def _enter(self, at: int) -> None:
        headways, pairing = self._headways, self._pairing
        if pairing is None:
            headways.count(at, self._breakup.merge_ns)
            return
        last, hole = headways.last, self._breakup.merge_ns
        if last is not None and last.off is not None:
            hole = pairing.least_hole_ns(last)
        vehicle = headways.count(at, hole)
        if vehicle is not None:
            pairing.expire(at)
            pairing.enter(vehicle)

    def _leave(self, at: int) -> None:
        time = self._headways.leave(at)
        if time is not None and self.setup.mode == "pulse":
            qualitycounts.add_count(self._window.quality, pulse_quality(time))

    def _forget(self) -> None:
        """The thread is lost: what is on the loops now has no beginning."""
        self._headways.forget()
        if self._pairing is not None:
            qualitycounts.add_count(
                self._pairs.quality, qualitycounts.UNCERTAIN_GAP, self._pairing.forget()
            )


def _selection(closed: ClosedWindow, states: Sequence[str]) -> LoopSelection:
    return select_loop(states[0], states[1] if closed.trail is not None else None)
