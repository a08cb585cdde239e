"""From sweeps and contacts to drafts of records: one window after the other, all sources at once.

Time is event time. Input is kept until the window's end is known; what lies beyond it waits for the
next one, so the result does not depend on how the input was cut into batches. All drafts come from
`close`: an event that went out before its window would go out again when the stage is read back
after a kill. What is kept is bounded: a source that brings more than fits has the older half of it
counted in the window that is open.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, Final, Protocol

from msgspec import UNSET

from edge.core.condition import Condition
from edge.core.edge import Contact
from edge.core.looptick import DoubtedLoop, LoopTick
from edge.core.point import Point
from edge.core.quality import Reason, uncertain
from edge.core.reading import Reading, Sweep
from edge.core.record import Draft
from edge.process.engineevents import event_draft
from edge.process.enginesetup import DeviceSetup, EngineSetup, LaneSetup, PulseSetup
from edge.process.enginesources import EngineSources
from edge.process.plaincontacts import PlainContacts
from edge.process.qualitycounts import UNCERTAIN_LOOP, quality_word
from edge.process.snapshot import FaultsOver, faults_up, restore_engine, snapshot_engine
from edge.process.traffic.slots import slot_ends
from edge.wire.contract.bay import Bay
from edge.wire.contract.points import Air, Energy, LoopCard
from edge.wire.contract.signal import Signal
from edge.wire.contract.traffic import Lane

__all__ = ["DeviceSetup", "Engine", "EngineSetup", "LaneSetup", "PulseSetup"]

CONTACTS_KEPT: Final = 1024  # a line; half a second of the fastest line that is not closed
SWEEPS_KEPT: Final = (32, 512)
KEEP_S: Final = 30.0
SUMMARIES: Final = (Lane, Bay, Air, Energy, LoopCard)


class Judged(Protocol):
    """A window's records with what was made of them, and the events that came of it."""

    @property
    def drafts(self) -> Sequence[Draft]: ...
    @property
    def events(self) -> Sequence[Draft]: ...


class WindowJudge(Protocol):
    """Who judges windows; it is asked twice for each, first which loops are to be believed.

    A loop may be doubted for more than one reason: the worst counts, as do the states that its lane
    knows itself. `wall_s` is the window's end in seconds since 1970; None while nobody can be sure.
    """

    def doubt(
        self, end_ns: int, ticks: Sequence[LoopTick], events: Sequence[Draft], wall_s: float | None
    ) -> Collection[DoubtedLoop]: ...
    def judge(
        self, end_ns: int, drafts: Sequence[Draft], ticks: Sequence[LoopTick], wall_s: float | None
    ) -> Judged: ...


class Engine:
    """All windows of a site. Not for more than one thread. `judge` None: all loops are believed."""

    def __init__(self, setup: EngineSetup, judge: WindowJudge | None = None) -> None:
        self.setup, self._judge = setup, judge
        self.unmatched_inputs = 0  # contacts and sweeps that belong to nobody here
        self.dropped: tuple[str, ...] = ()  # sources of the last restore that fit nobody here
        self.fresh: tuple[str, ...] = ()  # sources that it did not know, or as something else
        self.ticks: tuple[LoopTick, ...] = ()  # of the slots that ended with the last close
        self.plain = PlainContacts(setup.contacts)
        self._start: int | None = None
        self._slot = 0  # begin of the open slot
        self._marks: list[str] = []
        self._gaps: list[tuple[int, int]] = []
        self._over: list[FaultsOver] = []  # what was up at dropped sources, until that is reported
        self._sources = EngineSources(setup)
        self._contacts: dict[str, list[Contact]] = {name: [] for name in self._sources.lines}
        self._sweeps: dict[str, list[Sweep]] = {name: [] for name in self._sources.devices}
        self._keep = _sweeps_kept(setup)
        self._saved = snapshot_engine(0, 0, (), self._sources)

    def start(self, at_ns: int) -> None:
        """The first window begins, after a start or a gap: nothing is known before it.

        Totals stay. An open window is not kept: close it first. Raises nothing.
        """
        self._sources.begin(at_ns)
        self._marks, self._gaps = [], []
        self._start = self._slot = at_ns
        self.ticks = ()
        self._saved = snapshot_engine(at_ns, at_ns, (), self._sources, self._over)

    def contacts(self, batch: Sequence[Contact]) -> list[Draft]:
        """Take changes of lines, in order within each source.

        Gives the drafts that cannot wait for the window: those of plain contacts.
        """
        boxes, urgent = self._contacts, []
        for contact in batch:
            box = boxes.get(contact.source)
            if box is None:
                if contact.source not in self.plain:
                    self.unmatched_inputs += 1
                elif (draft := self.plain.take(contact)) is not None:
                    urgent.append(draft)
                continue
            box.append(contact)
            if len(box) >= 2 * CONTACTS_KEPT:
                source = contact.source
                self._sources.debouncers[source].fold(box[:CONTACTS_KEPT], self._start or 0)
                del box[:CONTACTS_KEPT]
        return urgent

    def sweeps(self, batch: Sequence[Sweep]) -> list[Draft]:
        """Take answers of devices, in order within each source. None of them is urgent today."""
        for sweep in batch:
            device = self._sources.devices.get(sweep.source)
            if device is None or not device.fits(sweep):
                self.unmatched_inputs += 1
                continue
            self._sources.inputs.take(sweep)
            box, keep = self._sweeps[sweep.source], self._keep[sweep.source]
            box.append(sweep)
            if len(box) >= 2 * keep:
                device.add_sweeps(box[:keep], self._start or 0)
                del box[:keep]
        return []

    def close(
        self, end_ns: int, *, partial: bool = False, wall_s: float | None = None
    ) -> list[Draft]:
        """All records of the window that began at the last close or start, its events, and the
        flags that they raise.

        The next window begins at `end_ns`; `ticks` are those of this close. A window without length
        has no records. `wall_s`: see `WindowJudge`. Raises ValueError when there was no start, or
        the window would end before it began.
        """
        drafts = self._run(end_ns, partial, wall_s)
        if self._judge is None:
            return drafts
        judged = self._judge.judge(end_ns, drafts, self.ticks, wall_s)
        return [*judged.drafts, *judged.events]

    def _run(self, end_ns: int, partial: bool, wall_s: float | None) -> list[Draft]:
        """The window's records, then its events."""
        start = self._start
        if start is None or end_ns < start:
            raise ValueError(f"no window from {start} to {end_ns}")
        self.ticks = ()
        if end_ns == start:
            self._doubts(end_ns, (), wall_s)  # what it has to report does not wait for a longer one
            return []
        self._fold(start, end_ns)
        ends = (self._slot, slot_ends(self._slot, start, end_ns))
        sources, marks, unobserved = self._sources, self._marks, self._unobserved_ns(start, end_ns)
        faults = [event for each in sources.signals.values() for event in each.run(start, end_ns)]
        green = sources.green(start, end_ns)
        events = [
            event
            for name, each in sources.lanes.items()
            for event in each.close(start, end_ns, marks, ends, green.get(name))
        ]
        closed = [
            *(each.close(start, end_ns, unobserved, marks) for each in sources.devices.values()),
            *(each.close(start, end_ns, marks) for each in sources.pulses.values()),
            *(each.close(start, end_ns, marks) for each in sources.bays.values()),
        ]
        events += [each for _, event in closed for each in event] + faults
        events += self.plain.end_window(end_ns)
        events += [event_draft(name, start, body) for name, body in self._over]
        events.sort(key=lambda each: (each.from_ns, each.source))
        if ends[1]:
            self._slot = end_ns
            self.ticks = sources.ticks()
        figures = sources.figures(start, end_ns)
        self._marks, self._over = [], []
        self._gaps = [gap for gap in self._gaps if gap[1] > end_ns]
        self._start = end_ns  # this window is over, whatever becomes of the question
        doubts = self._doubts(end_ns, events, wall_s)
        records = [each.record(doubts) for each in sources.lanes.values()]
        records = self._signed(records, figures)
        records += [record for record, _ in closed]
        if partial:
            records = [_partial(each) for each in records]
        self._saved = snapshot_engine(end_ns, self._slot, self._gaps, sources)
        sources.inputs.forget(end_ns)
        return records + events

    def _doubts(
        self, end_ns: int, events: Sequence[Draft], wall_s: float | None
    ) -> Collection[DoubtedLoop]:
        """Asked once the window has run, before lanes have their records."""
        return () if self._judge is None else self._judge.doubt(end_ns, self.ticks, events, wall_s)

    def mark(self, reason: Reason) -> None:
        """The open window is uncertain as a whole: it straddles a step of the clock."""
        self._marks.append(quality_word(uncertain(reason)))

    def expired(self, points: Mapping[str, Collection[str]]) -> None:
        """Device -> keys of its points whose calibration is out of date, from here on."""
        self._sources.expired(points)

    def published(self, measured: Sweep) -> Iterator[Reading]:
        """A sweep of a device for people, as the city gets it."""
        return self._sources.published(measured)

    def conditions(self, devices: Mapping[str, Collection[Condition]]) -> None:
        """What devices say of themselves, from here on."""
        for name, device in self._sources.devices.items():
            device.conditions = devices.get(name, ())

    def swap_devices(self, devices: Iterable[str]) -> None:
        """These were swapped, and what said so is lost: their registers begin anew."""
        for name in devices:
            if name in self._sources.devices:
                self._sources.devices[name].swap()

    def doubt_past(self, *, older: bool) -> None:
        """The state that was restored may be one of before; `older`: it is. What was counted since
        then, and perhaps sent, shall not be counted again as if nothing had been."""
        sources = self._sources
        for device in sources.devices.values():
            device.doubt_past(older=older)
        for meter in sources.pulses.values():
            meter.doubt_past(older=older)
        if older:
            self.plain.doubt_past()
        self._saved = snapshot_engine(self._start or 0, self._slot, self._gaps, sources, self._over)

    def points(self, device: str) -> tuple[Point, ...]:
        """The points that are published of a device: corrected ones, raw ones, those of cells."""
        return self._sources.devices[device].points

    def mark_gap(self, from_ns: int, to_ns: int) -> None:
        """Nobody listened in between: vehicles and levels are forgotten, totals stay.

        A line counts as watched again from its next contact on. Raises ValueError if to < from.
        """
        if to_ns < from_ns:
            raise ValueError(f"a gap from {from_ns} to {to_ns}")
        self._gaps.append((from_ns, to_ns))
        for owner in self._sources.lined:
            owner.mark_unobserved(from_ns)

    def closed(self, source: str, at_ns: int) -> None:
        """One line is not watched any more from here on (closed for chatter, unplugged)."""
        if source in self._sources.lines:
            self._sources.lines[source].mark_unobserved(at_ns, source)

    def pending(self) -> tuple[list[Contact], list[Sweep]]:
        """What was taken and is in no window yet; after a close, what lies beyond it."""
        return (
            [contact for box in self._contacts.values() for contact in box],
            [sweep for box in self._sweeps.values() for sweep in box],
        )

    def snapshot(self) -> dict[str, object]:
        """The state as of the last close, start or restore: maps, lists, integers and text."""
        return self._saved

    def faults_up(self) -> list[FaultsOver]:
        """The end of each fault that was told and is not over, as of `snapshot`;
        of plain contacts, as of now."""
        return [*self._over, *faults_up(self._saved), *self.plain.faults_up()]

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where a snapshot ended; its window's end is the start of the open one.

        Sources that are new begin without a past; those that are gone or have changed are in
        `dropped`, and what was up there ends with the next close. Raises ValueError, and leaves
        the engine as it is, when the state is of another version, damaged, or of another site
        altogether.
        """
        sources = EngineSources(self.setup)
        loaded = restore_engine(state, sources)
        self._start, self._slot, self._gaps, self.dropped, self._over, self.fresh = loaded
        self._sources, self._marks, self.ticks = sources, [], ()
        self._saved = snapshot_engine(self._start, self._slot, self._gaps, sources, self._over)

    def change_devices(self, devices: Sequence[DeviceSetup]) -> None:
        """These are polled from now on, in place of those of the setup; right after a close.

        One that was there before goes on from its totals, as after a start; what was up at one that
        is gone ends with the next close. Lanes, bays, signals and pulses notice nothing. Raises
        ValueError, and leaves the engine as it is, for devices that cannot be.
        """
        setup = replace(self.setup, devices=tuple(devices))
        known = {each.name: each for each in self.setup.devices}
        sources = EngineSources(setup)
        loaded = restore_engine(self._saved, sources)
        self.setup, self._over, self.fresh = setup, loaded.over, loaded.fresh
        self._sources.take_devices(sources)
        self._sweeps = {
            each.name: self._sweeps[each.name] if known.get(each.name) == each else []
            for each in setup.devices
        }
        self._keep = _sweeps_kept(setup)
        start, gaps = self._start or 0, self._gaps
        self._saved = snapshot_engine(start, self._slot, gaps, self._sources, self._over)

    def _fold(self, start_ns: int, end_ns: int) -> None:
        for source, box in self._contacts.items():
            if box:
                self._sources.debouncers[source].fold(
                    [each for each in box if each.mono_ns < end_ns], start_ns
                )
                box[:] = [each for each in box if each.mono_ns >= end_ns]
        for name, sweeps in self._sweeps.items():
            if sweeps:
                self._sources.devices[name].add_sweeps(
                    [s for s in sweeps if s.mono_ns < end_ns], start_ns
                )
                sweeps[:] = [s for s in sweeps if s.mono_ns >= end_ns]

    def _signed(self, lanes: list[Draft], signs: Mapping[str, Signal]) -> list[Draft]:
        """With what lanes did with their green, where the lead loops that tell it have counted."""
        if not signs:
            return lanes
        counted = {
            each.source: UNCERTAIN_LOOP not in each.body.quality
            for each in lanes
            if isinstance(each.body, Lane) and each.body.volume is not None
            if not each.body.counted_by
        }
        ahead = {
            lane: all(counted.get(name) for name, position in signal.lanes if position == "advance")
            for signal in self.setup.signals
            for lane, _ in signal.lanes
        }
        return [
            _with_signal(each, each.body, signs[each.source], ahead=ahead[each.source])
            if isinstance(each.body, Lane) and each.source in signs and each.source in counted
            else each
            for each in lanes
        ]

    def _unobserved_ns(self, start_ns: int, end_ns: int) -> int:
        """How much of the window lies in gaps; gaps may overlap."""
        unobserved, reached = 0, start_ns
        for begin, end in sorted(self._gaps):
            begin, end = max(begin, reached), min(end, end_ns)
            if begin < end:
                unobserved += end - begin
                reached = end
        return unobserved


def _sweeps_kept(setup: EngineSetup) -> dict[str, int]:
    """Device -> how many of its sweeps are kept until the window's end is known."""
    least, most = SWEEPS_KEPT
    return {d.name: min(max(round(KEEP_S / d.every_s), least), most) for d in setup.devices}


def _partial(draft: Draft) -> Draft:
    """The window's record, when it ended early."""
    body = copy(draft.body)
    assert isinstance(body, SUMMARIES)
    body.partial = True
    return replace(draft, body=body)


def _with_signal(draft: Draft, lane: Lane, signal: Signal, *, ahead: bool) -> Draft:
    """With its figures; how far its queue reached only where the loops ahead are to be believed."""
    body = copy(lane)
    body.signal = copy(signal)
    if not ahead:
        body.signal.queue_to_advance = UNSET
    return replace(draft, body=body)
