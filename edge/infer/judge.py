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
from typing import Any

from edge.core import Draft, Stream
from edge.infer.approaches import Approaches, ApproachVerdict
from edge.infer.cause import SAYS
from edge.infer.features import SERIES, LaneSite, approaches, readings
from edge.infer.guard import Guard
from edge.infer.series import SHOWN, SeriesJudge, SeriesVerdict
from models import BUNDLES

__all__ = ["Judge", "JudgeSetup", "LaneSite", "Verdict"]

log = logging.getLogger(__name__)


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
            self._series = SeriesJudge(guard)

    def load(self) -> None:
        """Load and prove the models (0.1 to 0.5 s). Until then, and without them, rules answer."""
        for part in (self._approaches, self._series):
            if part is not None:
                part.guard.load()

    def judge(self, end_ns: int, drafts: Sequence[Draft]) -> Verdict:
        """Judge the window that ends at `end_ns`. Never raises for what a model does."""
        out, events = list(drafts), []
        dt_s = self._length_s(end_ns, drafts)
        if self._approaches is not None:
            seen = approaches(out, self._lanes)
            told = self._approaches.step(end_ns, dt_s, seen)
            self._note_approaches(out, {v.approach: v for v in told})
            events += [_congestion(end_ns, v) for v in told if v.turn]
        if self._series is not None:
            period_s = self._setup.period_ns / 1e9
            verdicts = self._series.step(end_ns, dt_s, readings(out, period_s))
            _note_series(out, verdicts)
            events += [_anomaly(end_ns, v) for v in verdicts if v.turn]
        return Verdict(out, events)

    def missing(self, from_ns: int, to_ns: int) -> None:
        """Nobody watched in between: the models are given missing steps."""
        gap_s = max(0.0, (to_ns - from_ns) / 1e9)
        if self._approaches is not None:
            self._approaches.missing(to_ns, gap_s)
        if self._series is not None:
            self._series.missing(int((to_ns - from_ns) // self._setup.period_ns))

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, JSON-like (states of models as base64)."""
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


def _congestion(end_ns: int, v: ApproachVerdict) -> Draft:
    if v.turn == "on":
        text = f"Congestion on {v.approach}: p {v.p:.2f}, says the {v.by}."
    elif v.p is None:
        text = f"Congestion on {v.approach} is not known any more: no healthy loop."
    else:
        text = f"Traffic on {v.approach} moves again, says the {v.by}."
    body = {
        "event": "congestion",
        "state": v.turn,
        "approach": v.approach,
        "p": v.p,
        "by": v.by,
        "text": text,
    }
    return Draft(Stream.EVENT, v.approach, end_ns, end_ns, body)


def _anomaly(end_ns: int, v: SeriesVerdict) -> Draft:
    (source, point), odd = v.key, v.odd
    if v.turn == "on":
        text = f"{point} of {source} {SAYS[odd.cause or 'spike']}, says the {v.by}."
    else:
        text = f"{point} of {source} behaves as usual again, says the {v.by}."
    body = {
        "event": "anomaly",
        "state": v.turn,
        "point": point,
        "score": odd.level,
        "onset": odd.onset,
        "cause": odd.cause if v.turn == "on" else None,
        "by": v.by,
        "text": text,
    }
    return Draft(Stream.EVENT, source, end_ns, end_ns, body)
