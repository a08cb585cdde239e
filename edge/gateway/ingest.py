"""What comes in: edges and sweeps go to the stage and the pipeline, troubles become events."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from edge.acquire.stage import Stage
from edge.core import (
    Clock,
    Condition,
    Contact,
    Draft,
    Edge,
    Reason,
    Stream,
    Sweep,
)
from edge.gateway.dayhistory import DayHistory
from edge.gateway.deviceconditions import LAST, ConditionThrottle, DeviceConditions, Fault
from edge.gateway.flaglog import FlagLog
from edge.gateway.lastenergy import LastEnergy
from edge.gateway.linewatch import LineWatch
from edge.gateway.pipeline import Pipeline
from edge.gateway.rawdrafts import RawSweeps
from edge.gateway.recover import OpeningLines
from edge.gateway.urgentevents import UrgentEvents
from edge.gateway.wiring import Wiring
from edge.wire.contract.boxevent import AlarmKind
from edge.wire.contract.event import SensorFault

UNMATCHED_INPUT_TEXT = (
    "an edge came from a line that belongs to no lane or device; the status counts such edges"
)


class RetainedStatus(Protocol):
    """What the broker keeps of this gateway: its status, and the description of its points."""

    def publish_status(self) -> None: ...
    def publish_meta(self) -> None: ...


class Ingest:
    """Takes what the buses bring, in the main loop. Nothing here waits."""

    def __init__(
        self,
        wiring: Wiring,
        pipeline: Pipeline,
        stage: Stage,
        clock: Clock,
        urgent: UrgentEvents,
        retained: RetainedStatus,
    ) -> None:
        self._wiring, self._pipeline = wiring, pipeline
        self._stage, self._clock, self._urgent = stage, clock, urgent
        self._retained: RetainedStatus | None = retained  # None: nobody is to hear any more
        streams = wiring.site.streams
        self._keep_raw, self._raw_at_once = streams.raw, streams.raw_commit_s == 0
        self.raw = RawSweeps()  # not committed yet
        self.lines = LineWatch(
            pipeline.engine.setup, wiring.lined, clock.now().mono_ns
        )  # for people who look on
        self.energy = LastEnergy()
        self.drive: Callable[[Sequence[Contact]], None] | None = None  # looks on while one drives
        self.day = DayHistory(clock.now().mono_ns)  # for them, too
        self.flags = FlagLog(pipeline.judge.raised_flags, lambda: clock.now().mono_ns)
        self.problems: dict[str, str] = {}  # what is broken now, by device or line
        self._faults: dict[str, Fault] = {}  # of what was reported in this process
        self.throttles: dict[str, ConditionThrottle] = {}  # what each device has said of itself
        self.others: dict[str, bool] = {}  # devices that were swapped; whether a window ended since
        self.unmatched_edges = 0
        self.heard = False  # something has come in
        self.starting: OpeningLines | None = None  # lines that are not open yet

    def edges(self, batch: Sequence[Edge]) -> None:
        lined = self._wiring.lined
        contacts: list[Contact] = []
        for edge in batch:
            found = lined.get(edge.line)
            if found is None:
                self.unmatched_edges += 1
                self._urgent.alarm_once("unmatched_edges", UNMATCHED_INPUT_TEXT)
            else:
                contacts.append(found.contact(edge))
        self._stage.add_contacts(contacts)
        self.lines.take(contacts)
        if self.drive is not None:
            self.drive(contacts)
        if self.starting is not None:
            self._urgent.put(self.starting.take(contacts))
        self._urgent.put(self._pipeline.engine.contacts(contacts))
        self._mark_heard()

    def sweeps(self, batch: Sequence[Sweep]) -> None:
        self._stage.add_sweeps(batch)
        if self._keep_raw:
            self.raw.add(batch)
            if self._raw_at_once:
                self._urgent.wake.set()
        self._urgent.put(self._pipeline.engine.sweeps(batch))
        self._mark_heard()

    def fault(self, device: str, reason: Reason | None, text: str) -> None:
        """A device fails, or answers again."""
        self._trouble(device, device, reason, text)

    def conditions(self, device: str, identity: str, health: Mapping[Condition, str]) -> None:
        """A device says something else of itself than before."""
        voice = self.throttles.setdefault(device, ConditionThrottle(device))
        if voice.now.identity not in ("", identity):
            self.others[device] = False
        before = voice.reported
        events = voice.update(DeviceConditions(identity, health), self._clock.now().mono_ns)
        self._report_conditions(events, voice.reported.identity != before.identity)

    def watch_drive(self, take: Callable[[Sequence[Contact]], None] | None) -> None:
        """Somebody drives over a lane: who looks on gets every contact; None: it is over."""
        self.drive = take

    def settle(self) -> None:
        """A window ends: devices that have said too much may have settled.

        What was swapped in a window that has ended is known to its totals; but a swap may have
        come between the window's end and its close, so it waits for one more.
        """
        self.others = {name: True for name, ended in self.others.items() if not ended}
        now_ns = self._clock.now().mono_ns
        for voice in self.throttles.values():
            before = voice.reported
            if events := voice.settle(now_ns):
                self._report_conditions(events, voice.reported.identity != before.identity)
        for what, fault in self._faults.items():
            if fault.rests(now_ns):
                self._report_fault(what, fault, now_ns)

    @property
    def devices(self) -> dict[str, DeviceConditions]:
        """What each device is now, in its own words."""
        return {name: voice.now for name, voice in self.throttles.items()}

    @property
    def conditions_now(self) -> dict[str, Mapping[Condition, str]]:
        """The conditions of each device."""
        return {name: voice.now.health for name, voice in self.throttles.items()}

    def restore_conditions(
        self, now: Mapping[str, DeviceConditions], reported: Mapping[str, DeviceConditions]
    ) -> None:
        """What devices had reported to the process before.

        `reported` is what was reported last of those that flicker.
        """
        for name, conditions in now.items():
            self.throttles[name] = ConditionThrottle(
                name, reported.get(name, conditions), conditions, name in reported
            )

    def reported_problems(self) -> dict[str, str]:
        """What the platform knows to be broken: for a process that goes on from here."""
        found = dict(self.problems)
        for what, fault in self._faults.items():
            if fault.reported is None:
                found.pop(what, None)
            else:
                found[what] = fault.reported
        return found

    def flickering(self) -> dict[str, DeviceConditions]:
        """What the platform knows of devices that are something else by now."""
        return {name: voice.reported for name, voice in self.throttles.items() if voice.flickering}

    def line(self, line: str, reason: Reason | None, text: str, at_ns: int) -> None:
        """A line is closed, or open (again): what is known of its loop ends there."""
        source = self._wiring.lined[line].source
        if reason is not None:
            self._stage.unwatched(source, at_ns)
            self._pipeline.engine.closed(source, at_ns)
            self.lines.close(source, text)
            if self.starting is not None:
                self.starting.fault(source)
        self._trouble(f"line {line}", source.partition(".")[0], reason, text)

    def forget_unconfigured(self, what: str) -> None:
        """The configuration has no such device or line any more: its trouble is over."""
        if what in self.problems:
            self._trouble(what, what.split(" ")[-1], None, "is not configured any more")

    def alarm(self, kind: AlarmKind, text: str) -> None:
        """Something about the box itself that a person should hear."""
        self._urgent.alarm(kind, text)

    def announce(self, kind: AlarmKind, text: str) -> None:
        """An event, and a problem that stands in the status as long as this process runs."""
        self.alarm(kind, text)
        self.note(kind, text)

    def note(self, kind: AlarmKind, text: str) -> None:
        """A problem that stands in the status; another event tells it."""
        self.problems[kind] = text
        self._publish_status()

    def withdraw(self, kind: AlarmKind) -> None:
        """What was announced is over."""
        if self.problems.pop(kind, None) is not None:
            self._publish_status()

    def forget_device(self, device: str) -> None:
        """It is not configured any more, or is another one by its driver."""
        self.forget_unconfigured(device)
        self.throttles.pop(device, None)
        self.others.pop(device, None)

    def stop_publishing(self) -> None:
        """The daemon stops: what fails or changes from now on is in the records only."""
        self._retained = None

    def _trouble(self, what: str, source: str, reason: Reason | None, text: str) -> None:
        """An event, once; what was never broken is not said to work again."""
        if reason is None and self.problems.pop(what, None) is None:
            return
        if reason is not None and self.problems.get(what) == text:
            return  # reported by the process before this one
        if reason is not None:
            self.problems[what] = text
        now_ns = self._clock.now().mono_ns
        fault = self._faults.setdefault(what, Fault())
        fault.source, fault.reason, fault.text = source, str(reason or ""), text
        if fault.changes(None if reason is None else text, now_ns):
            self._report_fault(what, fault, now_ns)

    def _report_fault(self, what: str, fault: Fault, now_ns: int) -> None:
        text = f"{what}: {fault.text}{LAST if fault.held else ''}"
        body = SensorFault(state="off", text=text)
        if fault.reported is not None:
            # what it sent before was read from it: nothing that was sent is in doubt
            body.state, body.reason, body.since_s = "on", cast("Reason", fault.reason), 0.0
        self._urgent.put([Draft(Stream.EVENT, fault.source, now_ns, now_ns, body)])
        self._publish_status()  # as often: a status has the size of many events

    def _report_conditions(self, events: Sequence[Draft], another: bool) -> None:
        """A device has reported something of itself."""
        self._urgent.add(events)
        if events or another:
            self._publish_status()
        if another and self._retained is not None:
            self._retained.publish_meta()

    def _publish_status(self) -> None:
        if self._retained is not None:
            self._retained.publish_status()

    def _mark_heard(self) -> None:
        if not self.heard:
            self.heard = True
            self._urgent.wake.set()
