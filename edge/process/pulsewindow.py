"""The window of an S0 output (EN 62053-31): pulses are energy, the time between them is power.

Power is sampled every second: what the last interval says, capped by what the time since the last
pulse still allows (3.6e6 / (k * elapsed)), so that a load that goes away fades. Pulses among edges
that were lost are known by number, since edges alternate: they count, as uncertain. What would be
more than a megawatt is a line that chatters: it does not count, and is sent as uncertain. Of a
window in which the line is known to chatter nothing counts, and there is no value.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from msgspec import UNSET

from edge.core.point import Point, Quantity
from edge.core.quality import Reason, bad
from edge.core.record import Draft, Stream
from edge.process import qualitycounts
from edge.process.chattercheck import ChatterCheck
from edge.process.debounce import Debouncer, LineChange, LineEvent
from edge.process.engineevents import PULSE_CHATTER, chatter_event, sensor_fault_event
from edge.process.enginesetup import PulseSetup
from edge.process.gaugewindow import GaugeWindow
from edge.process.growthbounds import MAX_POWER_W
from edge.process.occupancycounter import OccupancyCounter
from edge.process.registerwindow import register_body
from edge.process.resolution import resolution_of
from edge.wire.contract.points import Energy

SAMPLE_NS: Final = 1_000_000_000
NS_W_PER_KWH: Final = 3.6e15
MAX_PULSE_NS: Final = 300_000_000_000  # a contact closed for longer is welded
PAUSE_NS: Final = 24_000_000
"""Between two pulses: 30 ms (EN 62053-31), less a fifth for couplers that open late. The length of
a pulse says nothing: some meters make shorter ones than they may."""
SHORT_PAUSES: Final = 20  # in 30 s; a sound output has none
CHATTERED: Final = bad(Reason.FAULT)
POWER: Final = Point("power", Quantity.POWER)


class PulseWindow:
    """The state of one pulse meter. `total` counts all pulses ever."""

    def __init__(self, setup: PulseSetup) -> None:
        self.setup = setup
        self.lines = {setup.name: Debouncer(round(setup.bounce_ms * 1e6))}
        self._line = self.lines[setup.name]
        self._loop = OccupancyCounter(MAX_PULSE_NS)
        self._chatter = ChatterCheck(SHORT_PAUSES)
        self._opened: int | None = None  # when the last pulse ended
        self._step = resolution_of(1 / Fraction(str(setup.imp_per_kwh)))
        self._power_ns = NS_W_PER_KWH / setup.imp_per_kwh  # W for an interval of a nanosecond
        self._least_ns = self._power_ns / MAX_POWER_W  # between two pulses
        self._power = GaugeWindow(POWER)
        self.total = 0
        self._last: int | None = None  # the last pulse
        self._interval: int | None = None  # the one before it
        self._quality: qualitycounts.QualityCounts = {}
        self._first = 0
        self._lost = 0
        self._past = False  # is what it counts from in doubt

    def begin(self, at_ns: int) -> None:
        """A first window: the count stays, all else is unknown."""
        self._line.forget()
        self._loop.begin(at_ns)
        self._chatter.begin(at_ns)
        self._last = self._interval = self._opened = None
        self._next()

    def doubt_past(self, *, older: bool) -> None:
        """The count may be one of before. `older`: it is, and goes on from nothing, as a meter does
        that was reset: pulses that were told already are not told again under the same count."""
        if older:
            self.total = 0
            self._next()
        self._past = True

    def mark_unobserved(self, at_ns: int, source: str | None = None) -> None:
        """From this moment on nobody watched."""
        if source in (None, self.setup.name):
            self._line.mark_unobserved(at_ns)

    def close(self, start_ns: int, end_ns: int, marks: Sequence[str]) -> tuple[Draft, list[Draft]]:
        """The window's record and its events; the next window begins."""
        self._line.end_window(end_ns)
        self._chatter.noise(self._line.noisy_until_ns)
        self._line.bounces(end_ns)
        due = start_ns + SAMPLE_NS
        for event in self._line.take(end_ns):
            due = self._sample(due, event.at_ns)
            self._on(event)
        self._sample(due, end_ns + 1)
        self._loop.end_window(end_ns)
        self._chatter.tick(end_ns)
        qualitycounts.add_count(self._quality, qualitycounts.UNCERTAIN_GAP, self._line.late)
        if self._chatter.has_chattered:
            self._discount()
        body = self._body(min(self._loop.seen_ns, end_ns - start_ns) // 1000)
        if marks:
            body.quality = {mark: marks.count(mark) for mark in sorted(set(marks))}
        body.lost_edges = self._lost or UNSET
        name = self.setup.name
        events = [
            sensor_fault_event(name, at, "stuck_on", on, since_s=self._loop.max_s)
            for at, on in self._loop.faults
        ]
        events += [chatter_event(name, at, PULSE_CHATTER, on) for at, on in self._chatter.faults]
        self._loop.next(end_ns)
        self._chatter.next(end_ns)
        self._next()
        return Draft(Stream.ENERGY, name, start_ns, end_ns, body), events

    def snapshot(self) -> dict[str, object]:
        """For a snapshot, right after a close."""
        return {
            "step": [self._step.num, self._step.den],
            "line": self._line.snapshot(),
            "loop": self._loop.snapshot(),
            "total": self.total,
            "last": self._last,
            "interval": self._interval,
            "past": self._past,
            **self._chatter.snapshot(),
        }

    def restore(self, state: Mapping[str, Any], start_ns: int) -> None:
        """Back from `snapshot`, at the start of a window. Another constant counts from zero."""
        self._line.restore(state["line"])
        self._loop.restore(state["loop"], start_ns)
        self._last = None if state["last"] is None else int(state["last"])
        self._interval = None if state["interval"] is None else int(state["interval"])
        same = list(state["step"]) == [self._step.num, self._step.den]
        self.total = int(state["total"]) if same else 0
        self._past = bool(state["past"])
        self._chatter.restore(state, start_ns)
        self._next()

    def _next(self) -> None:
        self._first, self._lost, self._quality = self.total, 0, {}
        self._line.late = 0
        self._power.clear()

    def _on(self, event: LineEvent) -> None:
        self._loop.apply(event)
        if event.what is LineChange.RISE:
            if self._opened is not None and event.at_ns - self._opened < PAUSE_NS:
                self._chatter.count(event.at_ns)
            self._pulse(event.at_ns)
        elif event.what is LineChange.FALL:
            self._opened = event.at_ns
        elif event.what is LineChange.LOST:
            self._lost += event.lost
            rises = event.rises
            if self._last is not None:
                rises = min(rises, int((event.at_ns - self._last) / self._least_ns))
            self.total += rises
            qualitycounts.add_count(self._quality, qualitycounts.UNCERTAIN_GAP, rises)
            qualitycounts.add_count(
                self._quality, qualitycounts.UNCERTAIN_RANGE, event.rises - rises
            )
            self._last = self._interval = self._opened = None
        elif event.what is LineChange.UNOBSERVED:
            self._last = self._interval = self._opened = None

    def _pulse(self, at: int) -> None:
        if self._last is not None and at - self._last < self._least_ns:
            qualitycounts.add_count(self._quality, qualitycounts.UNCERTAIN_RANGE)
            return
        self.total += 1
        qualitycounts.add_count(self._quality, qualitycounts.GOOD_WORD)
        if self._last is not None and at > self._last:
            self._interval = at - self._last
        self._last = at

    def _discount(self) -> None:
        """Nobody knows which of its pulses were some: what follows is uncertain about the past."""
        self._power.clear()
        self._power.other(None, CHATTERED, 0, late=False)
        self.total, self._past = self._first, True
        self._last = self._interval = self._opened = None

    def _sample(self, due: int, until: int) -> int:
        """Power at each full second before `until`, from `due` on; gives the next one due."""
        while due < until:
            if self._last is not None and self._interval is not None:
                elapsed = max(self._interval, due - self._last)
                self._power.good((self._power_ns / elapsed,))
            due += SAMPLE_NS
        return due

    def _body(self, covered_us: int) -> Energy:
        chattered = self._chatter.has_chattered
        seen = not chattered and (covered_us > 0 or self.total > self._first)
        first, last = (self._first, self.total) if seen else (None, None)
        grown = self.total - self._first if seen else None
        if seen and self._past:
            qualitycounts.add_count(self._quality, qualitycounts.UNCERTAIN_GAP)
            self._past = False
        missing = qualitycounts.BAD_FAULT if chattered else qualitycounts.BAD_GAP
        quality = qualitycounts.sum_counts(self._quality, {}) if seen else {missing: 1}
        energy = register_body(self._step, self._step.value(1), first, last, grown, quality)
        return Energy(
            covered_s=covered_us / 1e6,
            points={"energy_import": energy, "power": self._power.body()},
        )
