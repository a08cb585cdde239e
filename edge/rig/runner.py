"""Lets a scenario run on a layer: time, faults and their healing, and what is seen meanwhile.

What is random is drawn elsewhere, what is judged is judged later: the run is kept as a RunLog,
whatever ends it.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from edge.rig.faultschedule import FaultSchedule, FaultStep
from edge.rig.layer import NO_BOUND_S, Layer, LayerError
from edge.rig.observed import OTHER_STREAMS
from edge.rig.runlog import Heard, RunLog
from edge.rig.scenario import Scenario
from edge.rig.watchedrun import WatchedRun

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
        log.ending, log.text = "broken_off", "by Ctrl-C, or by SIGTERM"
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
        self._log, self._watched = log, WatchedRun(layer, log)
        self._schedule = FaultSchedule(scenario.faults)
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
        log = self._log
        try:
            self._watched.take_rest()
        except LayerError as error:
            if log.ending == "whole":
                log.ending, log.text = "rig_failed", str(error)

    def _pass(self, from_s: float, until_s: float, done: Callable[[], bool]) -> bool:
        """Let time pass. False when the box has ended."""
        look_s = from_s
        while True:
            self._act()
            now_s = self._layer.now_s()
            if looks := now_s >= look_s:
                self._look(now_s)
                look_s = now_s + LOOK_S
            if self._has_failed(now_s):  # before it may be called done: it may die at the very end
                return False
            if looks and done():
                return True
            if now_s >= until_s:
                return True
            self._layer.run_until(min(look_s, until_s, self._schedule.next_s()))

    def _act(self) -> None:
        """Let begin and heal what is due."""
        for step in self._schedule.due(self._layer.now_s()):
            self._step(step)

    def _step(self, step: FaultStep) -> None:
        fault = step.fault
        if step.what == "begin":
            began_s = self._watched.begin(fault).began_s
            self._say(began_s, f"{fault.name}: {fault.target} {fault.kind}")
            return
        healed_s = self._watched.heal(fault).ended_s or 0.0
        self._say(healed_s, f"{fault.name}: {fault.target} is healed")

    def _look(self, now_s: float) -> None:
        seen = self._watched.look()
        for fault in self._schedule.observe(now_s, self._watched.observed.holds):
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
        seen = self._watched.observed.seen
        still = not seen.queue and seen.connected is not False
        still = still and self._schedule.next_s() == math.inf
        offset_s, bound_s = self._layer.box_clock() if still else (0.0, NO_BOUND_S)
        end_s = self._about.duration_s + offset_s
        still = still and bound_s < NO_BOUND_S and settled(self._log.heard, end_s)
        self._still = self._still + 1 if still else 0
        return self._still >= STILL_LOOKS

    def _say(self, t_s: float, text: str) -> None:
        self._said_s = t_s
        self._progress(t_s, text)


def _text(scenario: Scenario) -> str:
    try:
        return Path(scenario.file).read_bytes().decode("utf-8")  # with the ends of its lines
    except OSError:  # one that was made by a program
        return ""
