"""Judges a window: adds what models or rules say to its drafts, and reports what has changed.

    judge = Judge(setup, None)          # rules answer
    judge.load()                        # after the first sweep: models answer
    doubts = judge.doubt(end_ns, ticks, events, wall_s)
    verdict = judge.judge(end_ns, drafts, ticks, wall_s)

Three models, each asked once a window for everything at once: which loops are to be believed, then
which approaches are congested, and which series are odd. Nothing is flagged by anything else. What
a doubted loop has counted is in no record, so it is neither judged nor learnt.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from msgspec import UNSET

from edge.core import DoubtedLoop, Draft, LoopTick, Stream
from edge.infer import annotate, judgeevents
from edge.infer.approaches import QUIET_S, ApproachJudge
from edge.infer.codepages import release_code
from edge.infer.incident import Incidents
from edge.infer.judgestate import UNREADABLE
from edge.infer.loops.looppart import LoopPart
from edge.infer.modelguard import ModelGuard
from edge.infer.raisedflags import RaisedFlags
from edge.infer.series import SeriesJudge
from edge.infer.seriesfeatures import series_samples
from edge.infer.shadow import Shadow, candidate_of
from edge.infer.sites import ApproachSite, LaneSite
from edge.wire.contract.models import Model, ModelName, Models
from models import BUNDLES

__all__ = ["ApproachSite", "Judge", "JudgeSetup", "LaneSite", "Verdict"]

log = logging.getLogger(__name__)

VERSION: Final = 1  # of what `snapshot` gives
WHOLE_WINDOW: Final = 0.9  # periods: a shorter window is a missing step for the series
NAMES: Final[tuple[ModelName, ...]] = ("loopfault", "congestion", "anomaly")


@dataclass(frozen=True, slots=True)
class JudgeSetup:
    """What is to be judged.

    `congestion` false: by its rule alone. `hurry` false: an answer is never too late, so that a
    replay gives the same bytes on a machine with other things to do. `shadow` is a folder with
    candidates, which run beside the models.
    """

    lanes: tuple[LaneSite, ...] = ()
    period_ns: int = 60_000_000_000
    congestion: bool = True
    anomaly: bool = True
    loopfault: bool = True
    hurry: bool = True
    approaches: tuple[ApproachSite, ...] = ()
    shadow: Path | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The window's drafts with annotations, and the events that came of judging them."""

    drafts: list[Draft]
    events: list[Draft]


class Judge:
    """All models of a site and their rules. Not for more than one thread."""

    def __init__(self, setup: JudgeSetup, bundles: Path | None = None) -> None:
        folder = BUNDLES if bundles is None else bundles
        off = () if setup.congestion else ("congestion",)
        guards = {
            name: ModelGuard(name, None if name in off else folder / name, hurry=setup.hurry)
            for name in NAMES
        }
        self._setup = setup
        lanes = tuple(lane for lane in setup.lanes if lane.judged)
        self._lanes = {lane.name: lane for lane in lanes}
        self._loops: LoopPart | None = None
        self._approaches: ApproachJudge | None = None
        self._series: SeriesJudge | None = None
        self._incidents = Incidents(setup.approaches, lanes)
        if setup.loopfault and setup.lanes:
            self._loops = LoopPart(setup.lanes, setup.approaches, guards["loopfault"])
        if lanes:
            self._approaches = ApproachJudge(lanes, guards["congestion"], setup.approaches)
        if setup.anomaly:
            self._series = SeriesJudge(guards["anomaly"], setup.period_ns / 1e9)
        for name, part in self._parts.items():
            part.shadow = None if part.guard.switched_off else _shadow(name, setup.shadow)
        self._judged_s = 0.0  # time that was judged, over all starts
        self._raised = RaisedFlags(
            self._lanes, self._loops, self._approaches, self._series, self._incidents
        )

    def load(self) -> None:
        """Load and prove the models (0.1 to 0.5 s). Until then, and without them, rules answer."""
        for part in self._parts.values():
            part.guard.load()
            if part.shadow is not None:
                part.shadow.load()
        if any(part.guard.session is not None for part in self._parts.values()):
            release_code()

    def doubt(
        self,
        end_ns: int,
        ticks: Sequence[LoopTick],
        events: Sequence[Draft],
        wall_s: float | None = None,
    ) -> Collection[DoubtedLoop]:
        """Which loops are not to be believed in the window that ends at `end_ns`; then `judge` it.

        `ticks` are those of the slots that ended with it; `wall_s` is its end in seconds since
        1970, None while the clock is not to be trusted. Never raises for what a model does.
        """
        if self._loops is None:
            return ()
        self._loops.step(end_ns, ticks, events, wall_s)
        return self._loops.doubts

    def judge(
        self,
        end_ns: int,
        drafts: Sequence[Draft],
        ticks: Sequence[LoopTick] = (),
        wall_s: float | None = None,
    ) -> Verdict:
        """Judge the records of that window, and its events; as `doubt`."""
        out, events = list(drafts), self._raised.given_up(end_ns, drafts)
        self._judged_s += self._length_s(end_ns, drafts)
        scores: Mapping[tuple[str, str], float] = {}
        if self._loops is not None:
            scores = self._loops.loops.weights()
            suppressed = {id(draft) for draft in self._loops.suppressed}
            out = [draft for draft in out if id(draft) not in suppressed]
            annotate.annotate_loops(out, self._loops.notes)
            events += self._loops.events
        if self._approaches is not None:
            verdicts = self._approaches.step(end_ns, ticks, scores)
            annotate.annotate_approaches(out, self._lanes, verdicts)
            events += [judgeevents.congestion_event(end_ns, v) for v in verdicts if v.turn]
            events += [
                judgeevents.incident_event(end_ns, v) for v in self._incidents.step(ticks, scores)
            ]
        if self._series is not None:
            events += self._judge_series(end_ns, out, wall_s)
        return Verdict(out, events)

    def _judge_series(self, end_ns: int, drafts: list[Draft], wall_s: float | None) -> list[Draft]:
        assert self._series is not None
        period_s = self._setup.period_ns / 1e9
        dt_s = self._length_s(end_ns, drafts)
        # a window cut short scatters more than whole ones do, and would raise what is no fault
        whole = dt_s >= WHOLE_WINDOW * period_s
        now = series_samples(drafts, period_s, self._lanes) if whole else {}
        verdicts = self._series.step(end_ns, dt_s, now, wall_s)
        annotate.annotate_series(drafts, verdicts)
        return [judgeevents.anomaly_event(end_ns, v) for v in verdicts if v.turn]

    def missing(self, from_ns: int, to_ns: int) -> None:
        """Nobody watched in between: the models are given missing steps."""
        gap_s = max(0.0, (to_ns - from_ns) / 1e9)
        if self._loops is not None:
            self._loops.missing(gap_s)
        if self._approaches is not None:
            self._approaches.missing(to_ns, gap_s)
            self._incidents.missing(gap_s)
        if self._series is not None:
            self._series.missing(int((to_ns - from_ns) // self._setup.period_ns))

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, JSON-like, with states of models as bytes or base64."""
        parts = self._parts.items()
        drifts = {name: part.guard.snapshot() for name, part in parts}
        states: dict[str, Any] = {name: part.snapshot() for name, part in parts}
        return {"v": VERSION, **states, "drift": drifts, "judged_s": self._judged_s}

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Take up a snapshot. False, and a line in the log, for what had to be discarded.

        State of another model hash is discarded: the model starts anew. May be called before or
        after `load`.
        """
        whole = True
        self._judged_s = _seconds(state.get("judged_s"))
        for name, part in self._parts.items():
            try:
                saved = state.get(name) if state.get("v") == VERSION else None
                if saved is None and state.get("v") == VERSION:
                    continue
                kept = saved is not None and part.restore(saved)
                drift = state.get("drift", {}).get(name)
                if drift is not None:
                    part.guard.restore(drift)
            except UNREADABLE as error:
                log.warning("state of model %s is damaged (%r): it starts anew", name, error)
                whole = False
                continue
            if not kept:
                log.warning("state of model %s is of another model: it starts anew", name)
                whole = False
        return whole

    def snapshot_flags(self) -> dict[str, Any]:
        """What is to be kept with every window: approaches, and series whose flag is up."""
        return {**self._raised.snapshot(), "judged_s": self._judged_s}

    def restore_flags(self, state: Mapping[str, Any]) -> None:
        """Know again which flags are up, as of `flags`; after `restore`, which may be older.

        What is up goes off once, when it is over. A flag whose approach or series is not in the
        configuration any more goes off with the next window, and its text says why. Raises
        nothing: of a part that is damaged a line in the log is all that is left.
        """
        if self._raised.restore(state):
            self._catch_up(_seconds(state.get("judged_s")))

    def answering(self) -> dict[ModelName, str]:
        """Who answers for each model that judges: its SHA-256; empty: its rule does, for now."""
        return {name: part.guard.answering for name, part in self._parts.items()}

    def devices_changed(self) -> None:
        """Flags of series that are gone go off with the next window, and their texts say why."""
        self._raised.look_for_series()

    def _catch_up(self, judged_s: float) -> None:
        """What models had learnt since it was written last is lost: they miss those steps."""
        known_s, self._judged_s = self._judged_s, max(judged_s, self._judged_s)
        lost_s = judged_s - known_s
        if not known_s or lost_s <= 0.0:  # nothing was written yet: they begin anew
            return
        if self._loops is not None:
            self._loops.missing(lost_s)
        if self._series is not None:
            steps = round(lost_s * 1e9 / self._setup.period_ns)
            self._series.missing(steps, forgotten=True)

    @property
    def _parts(self) -> dict[ModelName, ApproachJudge | SeriesJudge | LoopPart]:
        """Those that judge, by the name of their model."""
        parts = dict(zip(NAMES, (self._loops, self._approaches, self._series), strict=True))
        return {name: part for name, part in parts.items() if part is not None}

    def models(self) -> Models:
        """For people and for the retained description: which model answers, and if not, why."""
        parts = {name: p for name, p in self._parts.items() if not p.guard.switched_off}
        return {name: _status(parts[name]) if name in parts else None for name in NAMES}

    def model_failures(self) -> dict[ModelName, int]:
        """How often each model has failed in a row, or was refused its input."""
        return {name: max(p.guard.failures, p.guard.refused) for name, p in self._parts.items()}

    def reported_loop_faults(self) -> dict[tuple[str, str, str], str]:
        """Faults of loops that were told and are not over, by lane, part and fault, with what
        people read of them."""
        return {} if self._loops is None else self._loops.reported()

    def raised_flags(self) -> list[tuple[str, str, str]]:
        """Flags that are up: "congestion" and the approach, "incident" and its two approaches,
        "anomaly", the source and its point."""
        return self._raised.names()

    def _length_s(self, end_ns: int, drafts: Sequence[Draft]) -> float:
        starts = [d.from_ns for d in drafts if d.stream is not Stream.EVENT and d.to_ns == end_ns]
        return (end_ns - min(starts)) / 1e9 if starts else self._setup.period_ns / 1e9


def _seconds(saved: object) -> float:
    """As it was kept; a damaged state has none."""
    return saved if isinstance(saved, float) and 0.0 <= saved < 1e12 else 0.0


def _shadow(name: str, folder: Path | None) -> Shadow | None:
    candidate = candidate_of(folder, name)
    if candidate is None:
        return None
    quiet_s = QUIET_S if name == "congestion" else 0.0
    return Shadow(
        name, candidate, quiet_s=quiet_s, score="others" if name == "loopfault" else "first"
    )


def _status(part: ApproachJudge | SeriesJudge | LoopPart) -> Model:
    found = part.guard.status()
    found.shadow = part.shadow.report() if part.shadow else UNSET
    return found
