"""Judges a window: adds what models or rules say to its drafts, and tells what has changed.

    judge = Judge(setup, None)          # rules answer
    judge.load()                        # after the first sweep: models answer
    verdict = judge.judge(end_ns, drafts)

Two models, each asked once a window for everything at once. Nothing is flagged by anything else.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.core import Draft, Stream
from edge.infer import events as say
from edge.infer.approaches import Approaches, ApproachVerdict
from edge.infer.features import SERIES, Key, approaches, readings
from edge.infer.guard import Guard
from edge.infer.kept import Kept, KeptApproach, KeptSeries
from edge.infer.series import SHOWN, SeriesJudge, SeriesVerdict
from edge.infer.sites import LaneSite
from models import BUNDLES

__all__ = ["Judge", "JudgeSetup", "LaneSite", "Verdict"]

log = logging.getLogger(__name__)

WHOLE: Final = 0.9  # periods: a shorter window is a missing step for the series


@dataclass(frozen=True, slots=True)
class JudgeSetup:
    """What is to be judged.

    `hurry` false: an answer is never too late, so that a replay gives the same bytes on a machine
    with other things to do.
    """

    lanes: tuple[LaneSite, ...] = ()
    period_ns: int = 60_000_000_000
    congestion: bool = True
    anomaly: bool = True
    hurry: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """The window's drafts with annotations, and the events that came of judging them."""

    drafts: list[Draft]
    events: list[Draft]


class Judge:
    """All models of a site and their rules. Not for more than one thread."""

    def __init__(self, setup: JudgeSetup, bundles: Path | None = None) -> None:
        folder = BUNDLES if bundles is None else bundles
        self._setup = setup
        self._lanes = {lane.name: lane for lane in setup.lanes}
        self._approaches: Approaches | None = None
        self._series: SeriesJudge | None = None
        if setup.congestion and setup.lanes:
            guard = Guard("congestion", folder / "congestion", hurry=setup.hurry)
            self._approaches = Approaches(setup.lanes, guard)
        if setup.anomaly:
            guard = Guard("anomaly", folder / "anomaly", hurry=setup.hurry)
            self._series = SeriesJudge(guard, setup.period_ns / 1e9)
        # flags that were up, of approaches that are gone, and of series that may be
        self._gone: dict[str, KeptApproach] = {}
        self._sought: dict[Key, KeptSeries] = {}

    def load(self) -> None:
        """Load and prove the models (0.1 to 0.5 s). Until then, and without them, rules answer."""
        for part in (self._approaches, self._series):
            if part is not None:
                part.guard.load()

    def judge(self, end_ns: int, drafts: Sequence[Draft]) -> Verdict:
        """Judge the window that ends at `end_ns`. Never raises for what a model does."""
        out, events = list(drafts), self._given_up(end_ns, drafts)
        dt_s = self._length_s(end_ns, drafts)
        if self._approaches is not None:
            seen = approaches(out, self._lanes)
            told = self._approaches.step(end_ns, dt_s, seen)
            self._note_approaches(out, {v.approach: v for v in told})
            events += [say.congestion(end_ns, v) for v in told if v.turn]
        if self._series is not None:
            period_s = self._setup.period_ns / 1e9
            # a window cut short scatters more than whole ones do, and would raise what is no fault
            whole = dt_s >= WHOLE * period_s
            now = readings(out, period_s) if whole else {}
            verdicts = self._series.step(end_ns, dt_s, now)
            _note_series(out, verdicts)
            events += [say.anomaly(end_ns, v) for v in verdicts if v.turn]
        return Verdict(out, events)

    def missing(self, from_ns: int, to_ns: int) -> None:
        """Nobody watched in between: the models are given missing steps."""
        gap_s = max(0.0, (to_ns - from_ns) / 1e9)
        if self._approaches is not None:
            self._approaches.missing(to_ns, gap_s)
        if self._series is not None:
            self._series.missing(int((to_ns - from_ns) // self._setup.period_ns))

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, JSON-like, with states of models as bytes or base64."""
        return {
            "v": 1,
            "congestion": self._approaches.snapshot() if self._approaches else None,
            "anomaly": self._series.snapshot() if self._series else None,
        }

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Take up a snapshot. False, and a line in the log, for what had to be discarded.

        State of another model hash is discarded: the model starts anew. May be called before or
        after `load`.
        """
        whole = True
        for name, part in (("congestion", self._approaches), ("anomaly", self._series)):
            try:
                saved = state[name] if state.get("v") == 1 else None
                if part is None or (saved is None and state.get("v") == 1):
                    continue
                kept = saved is not None and part.restore(saved)
            except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
                log.warning("state of model %s is damaged (%r): it starts anew", name, error)
                whole = False
                continue
            if not kept:
                log.warning("state of model %s is of another model: it starts anew", name)
                whole = False
        return whole

    def flags(self) -> dict[str, Any]:
        """What is to be kept with every window: approaches, and series whose flag is up.

        For msgpack. Some 150 bytes for an approach, 600 for a series whose flag is up.
        """
        series = self._series.kept() if self._series else {}
        kept = Kept(
            self._models(),
            {**self._gone, **(self._approaches.kept() if self._approaches else {})},
            {**self._sought, **series},
        )
        return kept.packed()

    def restore_flags(self, state: Mapping[str, Any]) -> None:
        """Know again which flags are up, as of `flags`; after `restore`, which may be older.

        What is up goes off once, when it is over. A flag whose approach or series is not in the
        configuration any more goes off with the next window, and its text says why. Raises
        nothing: of a state that is damaged a line in the log is all that is left.
        """
        try:
            kept = Kept.parse(state)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            log.warning("the flags that were up are damaged (%r): as in the older state", error)
            return
        names: tuple[str, ...] = ()
        if self._approaches is not None:
            self._approaches.take(kept.approaches, kept.models[0])
            names = self._approaches.names
        if self._series is not None:
            self._series.take(kept.series, kept.models[1])
        up = {name: one for name, one in kept.approaches.items() if one.raised}
        self._gone = {name: one for name, one in up.items() if name not in names}
        self._sought = dict(kept.series)

    def _models(self) -> tuple[str, str]:
        parts = (self._approaches, self._series)
        congestion, anomaly = (part.guard.sha256 if part else "" for part in parts)
        return congestion, anomaly

    def _given_up(self, end_ns: int, drafts: Sequence[Draft]) -> list[Draft]:
        """A window has a record of every device, with all its points: what it lacks is gone."""
        if not (self._gone or self._sought) or all(d.stream is Stream.EVENT for d in drafts):
            return []
        here = readings(drafts, 1.0) if self._series else {}
        lost = [key for key in self._sought if not (self._series and self._series.seek(key, here))]
        events = [say.unwatched_approach(end_ns, name) for name in self._gone]
        events += [say.unwatched_series(end_ns, key) for key in lost]
        self._gone, self._sought = {}, {}
        return events

    def status(self) -> dict[str, Any]:
        """For people and for the retained description: which model answers, and if not, why."""
        return {
            name: part.guard.status() if part else None
            for name, part in (("congestion", self._approaches), ("anomaly", self._series))
        }

    def _length_s(self, end_ns: int, drafts: Sequence[Draft]) -> float:
        starts = [d.from_ns for d in drafts if d.stream is not Stream.EVENT and d.to_ns == end_ns]
        return (end_ns - min(starts)) / 1e9 if starts else self._setup.period_ns / 1e9

    def _note_approaches(self, out: list[Draft], told: Mapping[str, ApproachVerdict]) -> None:
        for i, draft in enumerate(out):
            site = self._lanes.get(draft.source) if draft.stream is Stream.TRAFFIC else None
            verdict = told.get(site.approach) if site else None
            if verdict is not None:
                out[i] = _with(draft, {"p_congested": verdict.p})


def _note_series(out: list[Draft], verdicts: Sequence[SeriesVerdict]) -> None:
    odd: dict[str, dict[str, float]] = {}
    for verdict in verdicts:
        if verdict.odd.level > SHOWN:
            source, point = verdict.key
            odd.setdefault(source, {})[point] = verdict.odd.level
    if not odd:
        return
    for i, draft in enumerate(out):
        if draft.stream in SERIES and draft.source in odd:
            out[i] = _with(draft, {"anomaly": odd[draft.source]})


def _with(draft: Draft, more: Mapping[str, Any]) -> Draft:
    body = {**draft.body, **more}
    return Draft(draft.stream, draft.source, draft.from_ns, draft.to_ns, body)
