"""Lets a scenario run on a layer: time, faults and their healing, and what is seen meanwhile.

What is random is drawn elsewhere, what is judged is judged later: the run is kept as a RunLog,
whatever ends it.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from edge.rig.faultcatalogue import FAULT_KINDS
from edge.rig.faultschedule import FaultSchedule, FaultStep
from edge.rig.layer import NO_BOUND_S, Layer, LayerError, RealTime
from edge.rig.observed import OTHER_STREAMS, ObservedBox
from edge.rig.runlog import FaultSpan, Heard, RunLog
from edge.rig.scenario import Fault, Scenario

Progress = Callable[[float, str], None]
"""At a moment of the run: what happens now."""
LOOK_S: Final = 1.0
SAY_S: Final = 60.0  # so often it is said how it goes, if nothing else happens
CONTIGUOUS_S: Final = 0.5
STILL_LOOKS: Final = 3


def run(scenario: Scenario, layer: Layer, progress: Progress = lambda t_s, text: None) -> RunLog:
    """Run it to its end. Ctrl-C and every failure give a RunLog, too: of what there was.

    The layer is opened and closed here.
    """
    log = RunLog(
        scenario=_text(scenario), layer=layer.name, seed=scenario.about.seed, box=layer.box
    )
    running = _Run(scenario, layer, progress, log)
    try:
        progress(0.0, "the wires, the broker and the box are started")
        layer.open(scenario)
        log.box = layer.box
        running.play()
    except LayerError as error:
        log.ending, log.text = "rig_failed", str(error)
    except KeyboardInterrupt:
        log.ending, log.text = "broken_off", "the run was broken off"
    finally:
        try:
            running.finish()
        finally:
            layer.close()
    return log


def settled(heard: Sequence[Heard], end_s: float) -> bool:
    """Whether each source whose windows follow each other has told of all up to `end_s`, by the
    box's clock, and no number is missing between two that came.
    """
    last: dict[tuple[str, str], float] = {}
    regular: set[tuple[str, str]] = set()
    numbers: dict[tuple[str, str], set[int]] = {}
    for one in heard:
        if one.stream in OTHER_STREAMS:
            continue
        if one.seq:
            numbers.setdefault((one.epoch, one.stream), set()).add(one.seq)
        if one.from_s is None or one.to_s is None or one.to_s <= one.from_s:
            continue
        place = (one.stream, one.source)
        if place in last and abs(one.from_s - last[place]) < CONTIGUOUS_S:
            regular.add(place)
        last[place] = max(one.to_s, last.get(place, -math.inf))
    whole = all(max(found) - min(found) < len(found) for found in numbers.values())
    return whole and bool(regular) and all(last[place] >= end_s for place in regular)


class _Run:
    """One run while it lasts. `log` is filled as it goes."""

    def __init__(self, scenario: Scenario, layer: Layer, progress: Progress, log: RunLog) -> None:
        self._about, self._layer, self._progress = scenario.about, layer, progress
        self._log = log
        self._schedule = FaultSchedule(scenario.faults)
        self._observed = ObservedBox()
        self._spans: dict[str, FaultSpan] = {}
        self._faults = {one.name: one for one in scenario.faults}
        self._opened = False
        self._said_s = 0.0
        self._still = 0

    def play(self) -> None:
        """From the moment at which the box is ready."""
        self._opened = True
        self._say(0.0, "the box is ready: the street is played")
        about = self._about
        if not self._pass(0.0, about.duration_s, lambda: False):
            return
        if about.settle_s:
            self._say(about.duration_s, "no more vehicles come; what is left is waited for")
        end_s = about.duration_s + about.settle_s
        self._pass(about.duration_s, end_s, self._is_settled)

    def finish(self) -> None:
        """Take what there is, however it ended."""
        if not self._opened:
            return
        log, layer = self._log, self._layer
        try:
            log.lasted_s = layer.now_s()
            log.heard += layer.new_heard()
            log.driven = layer.driven()
            log.stalls = [*layer.stalls()] if isinstance(layer, RealTime) else []
            for name, span in self._spans.items():
                self._read_evidence(self._faults[name], span)
            offset_s, bound_s = layer.box_clock()
        except LayerError as error:
            if log.ending == "whole":
                log.ending, log.text = "rig_failed", str(error)
            return
        log.clock_bound_s = bound_s
        if offset_s or bound_s:
            log.heard = [_moved(one, offset_s, bound_s) for one in log.heard]

    def _pass(self, from_s: float, until_s: float, done: Callable[[], bool]) -> bool:
        """Let time pass. False when the box has ended."""
        look_s = from_s
        while True:
            self._act()
            now_s = self._layer.now_s()
            if now_s >= look_s:
                self._look(now_s)
                look_s = now_s + LOOK_S
                if done():
                    return True
            if self._has_failed(now_s):
                return False
            if now_s >= until_s:
                return True
            self._layer.run_until(min(look_s, until_s, self._schedule.next_s()))

    def _act(self) -> None:
        """Let begin and heal what is due."""
        for step in self._schedule.due(self._layer.now_s()):
            self._step(step)

    def _step(self, step: FaultStep) -> None:
        fault, layer = step.fault, self._layer
        if step.what == "begin":
            began_s = layer.now_s()
            layer.begin_fault(fault)
            span = self._spans[fault.name] = FaultSpan(name=fault.name, began_s=began_s)
            self._log.faults.append(span)
            if _is_over_at_once(fault):
                span.ended_s = began_s
            self._say(began_s, f"{fault.name}: {fault.target} {fault.kind}")
            return
        span = self._spans[fault.name]
        self._read_evidence(fault, span)
        layer.end_fault(fault)
        span.ended_s = layer.now_s()
        self._say(span.ended_s, f"{fault.name}: {fault.target} is healed")

    def _look(self, now_s: float) -> None:
        heard = self._layer.new_heard()
        self._log.heard += heard
        self._observed.hear(heard)
        seen = self._layer.look()
        self._log.seen.append(seen)
        self._observed.look(seen)
        for name, span in self._spans.items():
            if span.ended_s is None or _is_over_at_once(self._faults[name]):
                self._read_evidence(self._faults[name], span)
        for fault in self._schedule.observe(now_s, self._observed.holds):
            self._say(now_s, f"{fault.name}: its conditions hold")
        if now_s - self._said_s >= SAY_S:
            queue = "" if seen.queue is None else f", {seen.queue} wait"
            self._say(now_s, f"{len(self._log.heard)} messages have come{queue}")

    def _has_failed(self, now_s: float) -> bool:
        why = self._layer.failed()
        if why:
            self._log.ending, self._log.text = "box_failed", why
            self._say(now_s, why)
        return bool(why)

    def _is_settled(self) -> bool:
        """Nothing is to come any more, and that at several looks: what is last may be an event."""
        seen = self._observed.seen
        still = not seen.queue and seen.connected is not False
        still = still and self._schedule.next_s() == math.inf
        offset_s, bound_s = self._layer.box_clock() if still else (0.0, NO_BOUND_S)
        end_s = self._about.duration_s + offset_s
        still = still and bound_s < NO_BOUND_S and settled(self._log.heard, end_s)
        self._still = self._still + 1 if still else 0
        return self._still >= STILL_LOOKS

    def _read_evidence(self, fault: Fault, span: FaultSpan) -> None:
        if span.ended_s is None or _is_over_at_once(fault):
            span.through, found = self._layer.evidence(fault)
            span.evidence = list(found)

    def _say(self, t_s: float, text: str) -> None:
        self._said_s = t_s
        self._progress(t_s, text)


def _is_over_at_once(fault: Fault) -> bool:
    wanted = fault.target, fault.kind
    return any((row.target, row.name) == wanted and not row.heals for row in FAULT_KINDS)


def _moved(one: Heard, offset_s: float, bound_s: float) -> Heard:
    """With times of the rig's clock; without a bound it has none."""
    if bound_s >= NO_BOUND_S:
        return replace(one, from_s=None, to_s=None)
    from_s, to_s = (None if t is None else t - offset_s for t in (one.from_s, one.to_s))
    return replace(one, from_s=from_s, to_s=to_s, error_s=bound_s)


def _text(scenario: Scenario) -> str:
    try:
        return Path(scenario.file).read_text(encoding="utf-8")
    except OSError:  # one that was made by a program
        return ""
