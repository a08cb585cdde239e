"""A run that goes on step by step, as a test asks for it: no file has told what will happen.

What happens is written down as a scenario, so the run is judged, shown and judged again like any
other. Time passes in `wait`, `drive` and `expect`, and on layers of real time in between, too.

    run = SteppedRun(SimLayer(folder), Path("site.toml"), "a meter falls silent")
    run.open()
    run.drive(Vehicle(lane="north_1", at_s=0.0))
    run.expect({"what": "volume", "source": "north_1", "equals": 1})
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any, Final

from msgspec.structs import replace

import drivers
from drivers.sim.simdevice import measured_values
from edge.cabinet.simrequest import device_request
from edge.config import load_site
from edge.config.draft import FileDraft
from edge.core import ConfigError
from edge.core.printable import printable
from edge.rig.awaitedexpect import AwaitedExpect, make_expect
from edge.rig.faultchecks import check_amount, check_kind, with_amount
from edge.rig.judgedrun import JudgedRun, seconds
from edge.rig.judging import judge_in_force
from edge.rig.layer import DrivableLayer
from edge.rig.outcome import WORDS, Judgement, Outcome
from edge.rig.runlog import Driven, RunLog, Seen
from edge.rig.runtimeline import around, timeline, timeline_text
from edge.rig.scenario import (
    DAY_S,
    SENTENCE_LIMIT,
    About,
    Condition,
    Expect,
    Fault,
    Scenario,
    Traffic,
    Value,
    Vehicle,
)
from edge.rig.scenariosite import ScenarioSite
from edge.rig.scenariotext import scenario_text
from edge.rig.vehicles import passages
from edge.rig.watchedrun import WatchedRun

LOOK_S: Final = 1.0
SOON_S: Final = 0.05  # so long before its front is on the loop somebody is told to come
FIRST_S: Final = 1.0  # not next to the begin of the first window: there he may count or not
GRACE_S: Final = 60.0  # beside two windows: for so long the box may be late
FREE_S: Final = 0.7  # between two vehicles a loop is free
STEP_S: Final = 0.001  # in which a value changes
CLOCK_S: Final = 1e-6  # what a layer tells of its time


class ExpectationError(AssertionError):
    """An expectation has not passed, or a fault was not in force: the text shows what happened
    around it."""


__tracebackhide__ = methodcaller("errisinstance", (ExpectationError, ConfigError))
"""pytest shows the line of the test, and not where in here its expectation is judged."""


class CannotError(Exception):
    """This layer cannot do it; the text says why."""


class SteppedRun:
    """One box under test, from `open` to `close`. `site` is its site file.

    `log` is what has come so far, `outcomes` what has become of expectations.
    """

    def __init__(self, layer: DrivableLayer, site: Path, name: str, seed: int = 1) -> None:
        self.layer = layer
        self.site = ScenarioSite(load_site(site, drivers.catalogue()))
        about = About(
            name=printable(name, SENTENCE_LIMIT) or "a test", site=site.name, duration_s=DAY_S,
            settle_s=0.0, seed=seed,
        )  # fmt: skip
        self._scenario = Scenario(file=str(site.absolute().parent / "test"), about=about)
        self.log = RunLog(scenario="", layer=layer.name, seed=seed, box=layer.box)
        self._watched = WatchedRun(layer, self.log)
        self.outcomes: list[Outcome] = []
        self._values: dict[tuple[str, str], list[tuple[float, float]]] = {}
        self._in_force: dict[str, Fault] = {}
        self._first_s = FIRST_S

    def open(self, coming: Sequence[Fault] = ()) -> None:
        """The box reads: it is second 0. `coming`: what may be asked for later and needs something
        beforehand, such as a clock that can be set. Raises LayerError."""
        self.layer.open(replace(self._scenario, faults=tuple(coming)))
        self.log.box = self.layer.box
        if self.layer.box_clock()[1]:  # it will be known to within half a window or so, twice that
            self._first_s += self.site.site.period_ns / 1e9
        self._watched.look()

    def close(self) -> None:
        """Always safe."""
        self.layer.close()

    @property
    def now_s(self) -> float:
        """Seconds since it was opened: virtual ones on `sim`."""
        return self.layer.now_s()

    @property
    def seen(self) -> Seen:
        """What the box said of itself at the last look."""
        return self._watched.observed.seen

    @property
    def scenario(self) -> Scenario:
        """All that has happened, as a scenario."""
        lasted_s = min(DAY_S, max(1.0, self.now_s))
        values = tuple(
            Value(device=device, point=point, curve=tuple(course))
            for (device, point), course in self._values.items()
        )
        about = replace(self._scenario.about, duration_s=lasted_s)
        return replace(self._scenario, about=about, values=values)

    def so_far(self) -> RunLog:
        """All that has come, as a run that ended now."""
        found = self._watched.so_far()
        found.scenario = scenario_text(self.scenario)
        return found

    # -- time -------------------------------------------------------------------------------------

    def wait(self, for_s: float) -> None:
        """Let time pass. Raises ExpectationError when the box ends by itself."""
        self._pass_until(self.now_s + for_s, lambda: False)

    def wait_until(self, condition: Condition, limit_s: float) -> None:
        """Until it holds. Raises ExpectationError if it does not within the limit."""
        observed, begin_s = self._watched.observed, self.now_s
        self._pass_until(begin_s + limit_s, lambda: observed.holds(condition) is True)
        if observed.holds(condition) is not True:
            value = observed.value(condition)
            said = "nobody knows it" if value is None else f"it is {value:g}"
            of = f" of {condition.of}" if condition.of else ""
            text = f"The condition {condition.state}{of} has not come true within "
            raise self._failure(f"{text}{seconds(limit_s)}: {said}.", self.now_s, ())

    def _pass_until(self, end_s: float, is_done: Callable[[], bool]) -> None:
        while True:
            self._watched.look()
            if why := self.layer.failed():
                self.log.ending, self.log.text = "box_failed", why
                raise self._failure(f"The box has ended by itself: {why}", self.now_s, ())
            if is_done() or self.now_s >= end_s - CLOCK_S:
                return
            self.layer.run_until(min(self.now_s + LOOK_S, end_s))

    # -- what happens -----------------------------------------------------------------------------

    def drive(self, vehicle: Vehicle) -> Driven:
        """Somebody comes at `at_s`, or as soon as the lane is free. Nothing waits for him."""
        self._known(vehicle.lane, self.site.site.lanes, "lane")
        soon_s = max(self._first_s, self.now_s + SOON_S)
        driven = self.layer.drive(replace(vehicle, at_s=max(vehicle.at_s, soon_s)))
        made = replace(vehicle, at_s=driven.on_s)
        self._scenario = replace(self._scenario, vehicles=(*self._scenario.vehicles, made))
        return driven

    def pass_by(self, driven: Driven) -> None:
        """Until he is off the loops, and the next one may come."""
        self._pass_until(driven.off_s + FREE_S, lambda: False)

    def drive_all(self, traffic: Traffic) -> list[Driven]:
        """Traffic of which the first may come at `from_s`. Nothing waits for it."""
        about = replace(self._scenario.about, duration_s=DAY_S)
        number = len(self._scenario.vehicles)  # the same table twice is other traffic
        wish = Scenario(
            file="", about=replace(about, seed=(about.seed + number) % 2**31), traffic=(traffic,)
        )
        return [
            self.drive(Vehicle(
                lane=one.lane, at_s=one.t_s, speed_kmh=one.speed_kmh, length_m=one.length_m,
                stops_s=one.stops_s, gap_m=one.gap_m,
            ))
            for one in passages(wish, self.site.site)
        ]  # fmt: skip

    def value(self, device: str, point: str) -> float:
        """What it measures now: as it was set, or its typical value."""
        self._known(device, self.site.points, "polled device")
        self._known(point, self.site.points[device], f"point of {device}")
        if course := self._values.get((device, point)):
            return course[-1][1]
        return measured_values(device_request(self.site.site, device))[point]

    def set_value(self, device: str, point: str, value: float) -> None:
        """What it measures from now on."""
        before = self.value(device, point)
        self.layer.set_value(device, point, value)
        course = self._values.setdefault((device, point), [])
        now_s = self.now_s
        if course:  # no straight line from the last change to this one
            course.append((max(now_s - STEP_S, course[-1][0]), before))
        course.append((now_s, value))

    def begin(self, target: str, kind: str, amount: float | None = None) -> Fault:
        """Something breaks now. Raises ConfigError for what there is not, CannotError for what this
        layer cannot do."""
        fault = self._checked(target, kind, amount)
        span = self._watched.begin(fault)
        made = replace(fault, at_s=span.began_s)
        self._scenario = replace(self._scenario, faults=(*self._scenario.faults, made))
        if span.ended_s is None:
            self._in_force[fault.name] = fault
        return made

    def heal(self, name: str) -> None:
        """It is whole again. What has healed already stays as it is."""
        if (fault := self._in_force.pop(name, None)) is None:
            return
        span = self._watched.heal(fault)
        lasted_s = max(STEP_S, (span.ended_s or 0.0) - span.began_s)
        self._scenario = replace(
            self._scenario,
            faults=tuple(
                replace(one, for_s=lasted_s) if one.name == name else one
                for one in self._scenario.faults
            ),
        )

    # -- what is wanted ---------------------------------------------------------------------------

    def expect(self, words: Mapping[str, Any], wait_s: float | None = None) -> Outcome:
        """Wait until it can be judged. Raises ExpectationError unless it passes, Problems for words
        that mean nothing. `wait_s`: for so long after its time the box may be late; two windows and
        a minute if left out."""
        faults = [one.name for one in self._scenario.faults]
        expect = make_expect(words, self.site, faults)
        limit_s = 2 * self.site.site.period_ns / 1e9 + GRACE_S if wait_s is None else wait_s
        awaited = AwaitedExpect(expect, self._scenario, self.now_s, limit_s)
        found: list[Judgement] = []

        def is_judged() -> bool:
            if (finding := awaited.look(JudgedRun(self._watched.so_far()))) is not None:
                found.append(finding)
            return bool(found)

        self._pass_until(float("inf"), is_judged)
        return self._decided(awaited.expect, found[0])

    def check_faults(self) -> None:
        """Each fault of which no expectation has asked was in force. Raises ExpectationError."""
        asked = {one.fault for one in self._scenario.expects}
        asked |= {one.name.partition(" ")[0] for one in self.outcomes if one.place is None}
        for fault in self._scenario.faults:
            if fault.name not in asked:
                self.check_in_force(fault.name)

    def check_in_force(self, name: str) -> None:
        """A fault that has begun was seen to. Raises ExpectationError."""
        self._watched.look()
        fault = next(one for one in self._scenario.faults if one.name == name)
        finding = judge_in_force(fault, JudgedRun(self._watched.so_far()))
        self._add(None, f"{name} was in force", "in_force", finding)

    def _decided(self, expect: Expect, finding: Judgement) -> Outcome:
        place = len(self._scenario.expects)
        self._scenario = replace(self._scenario, expects=(*self._scenario.expects, expect))
        return self._add(place, expect.name, expect.what, finding)

    def _add(self, place: int | None, name: str, what: str, finding: Judgement) -> Outcome:
        outcome = Outcome(
            place=place, name=name, what=what, verdict=finding.verdict, text=finding.text,
            moment_s=finding.moment_s, rows=finding.rows,
        )  # fmt: skip
        self.outcomes.append(outcome)
        if finding.verdict != "pass":
            text = f"{name}: {WORDS[finding.verdict]}\n{finding.text}"
            moment_s = finding.moment_s if finding.rows else None  # what was not seen has none
            raise self._failure(text, self.now_s if moment_s is None else moment_s, finding.rows)
        return outcome

    def _failure(self, text: str, moment_s: float, rows: Sequence[int]) -> ExpectationError:
        return ExpectationError("\n".join([text, *self._shown(moment_s, rows)]))

    def _shown(self, moment_s: float, rows: Sequence[int]) -> Iterator[str]:
        """The timeline around a moment."""
        lines = timeline(self.scenario, JudgedRun(self._watched.so_far()), self.outcomes)
        yield f"what happened around {seconds(moment_s)}, on {self.layer.name} (seconds since the "\
              "box was ready):"  # fmt: skip
        yield from timeline_text(around(lines, moment_s), rows) if lines else ["  nothing"]

    # -- words ------------------------------------------------------------------------------------

    def _checked(self, target: str, kind: str, amount: float | None) -> Fault:
        number = 1 + sum(one.kind == kind for one in self._scenario.faults)
        name = f"{kind}_{number}"
        fault = Fault(name=name, target=target, kind=kind, amount=amount, at_s=self.now_s)
        given = {} if amount is None else {"amount": amount}
        draft = FileDraft({"fault": [given]})
        path = ("fault", 0)
        row = check_kind(draft, path, fault, self.site)
        if row is not None:
            check_amount(draft, path, fault, row)
        if draft.found or row is None:
            raise draft.problems(f"{target} {kind}", {})
        if (why := row.cannot.get(self.layer.name)) is not None:
            raise CannotError(f"{target} {kind}: not on the layer {self.layer.name}: {why}")
        return with_amount(fault, row)

    def _known(self, name: str, there: Mapping[str, Any], what: str) -> None:
        if name not in there:
            known = ", ".join(there) or "none"
            raise ConfigError(f"no {what} is called {name!r}; the site has: {known}")
