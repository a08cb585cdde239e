"""Judges all approaches of a site in one batch: how likely each is congested."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from edge.core.looptick import LoopTick
from edge.infer.approachverdict import (
    ApproachScore,
    ApproachVerdict,
    make_verdict,
    no_verdict,
    read_scores,
)
from edge.infer.bundlemanifest import ModelError
from edge.infer.hysteresis import HysteresisFlag
from edge.infer.judgestate import LONG_S, ApproachState, check_numbers
from edge.infer.modelguard import ModelGuard
from edge.infer.observation import PositionObservation, Scores, model_inputs, observe, ticks_by_slot
from edge.infer.occupancy import OCCUPANCY, STALE_S, OccupancyRule
from edge.infer.shadow import Shadow
from edge.infer.sites import ApproachSite, LaneSite

if TYPE_CHECKING:
    from edge.infer.modelsession import ModelSession, Tensor

__all__ = ["ApproachJudge", "ApproachVerdict"]

SLOTS_KEPT: Final = 240  # slots that a model which could not be asked catches up with
ON: Final = 0.5
OFF: Final = 0.35
QUIET_S: Final = 60.0  # the level must be low for so long before a flag goes off

Views = Mapping[str, Mapping[str, PositionObservation]]  # by approach and position
Slot = tuple[Views, float]  # and its length in seconds


class ApproachJudge:
    """State and flags of all approaches. Rule and model see every slot; one of them speaks.

    Where the model is switched off the rule speaks always.
    A flag that is up when the model begins anew is the rule's until it is down, or the model sees
    the congestion too: a model that has just begun would call every jam over.
    """

    def __init__(
        self, lanes: Iterable[LaneSite], guard: ModelGuard, sites: Iterable[ApproachSite] = ()
    ) -> None:
        """`sites` name which approach comes after which; without them each stands alone."""
        self._lanes = {lane.name: lane for lane in lanes}
        self.names = tuple(sorted({lane.approach for lane in self._lanes.values()}))
        below = {site.name: site.downstream for site in sites if site.downstream}
        above = {after: name for name, after in below.items()}
        self._around = [(name, below.get(name, ""), above.get(name, "")) for name in self.names]
        self.guard = guard
        self.shadow: Shadow | None = None  # a candidate that runs beside the model
        self._lineage = guard.lineage
        self._rules = {name: OccupancyRule() for name in self.names}
        known = guard.manifest
        on, off = (known.on, known.off) if known else (ON, OFF)
        self._flags = {name: HysteresisFlag(on, off, QUIET_S) for name in self.names}
        self._state: Tensor | None = None
        self._saved: dict[str, bytes] = {}  # rows of the state that waits for the model
        self._ruled: set[str] = set()  # approaches of whose flag the model knows nothing
        self._behind: deque[Slot] = deque(maxlen=SLOTS_KEPT)
        self._last = {name: no_verdict(name) for name in self.names}

    def step(self, now_ns: int, ticks: Sequence[LoopTick], scores: Scores) -> list[ApproachVerdict]:
        """Judge the slots that ended with the window that ends at `now_ns`, `ticks` by time.

        Gives each approach's last verdict, and before it those with which its flag turned.
        Without ticks nothing turns, and the last verdicts hold.
        """
        fresh: list[Slot] = []
        ruled: list[list[float | None]] = []
        for _, dt_s, slot in ticks_by_slot(ticks):
            observations: Views = observe(slot, self._lanes, scores)
            fresh.append((observations, dt_s))
            ruled.append(
                [self._rules[name].step(observations.get(name, {}), dt_s) for name in self.names]
            )
        if not fresh or not self.names:
            return list(self._last.values())
        if not self.guard.switched_off:
            self._behind.extend(fresh)
        modelled = self._model(now_ns, len(fresh)) if self.guard.is_ready(now_ns) else None
        model = self.guard.manifest.by if self.guard.manifest else ""
        verdicts: list[ApproachVerdict] = []
        for k, (observations, dt_s) in enumerate(fresh):
            for i, name in enumerate(self.names):
                if modelled is not None and not self._is_ruled(name, modelled[k][i]):
                    score, by = modelled[k][i], model
                else:
                    score, by = _rule_score(ruled[k][i]), OCCUPANCY
                verdict = self._verdict(name, score, dt_s, by, observations.get(name, {}))
                if verdict.turn and k < len(fresh) - 1:
                    verdicts.append(verdict)
                self._last[name] = (
                    replace(verdict, turn=None, reason="") if verdict.turn else verdict
                )
                if k == len(fresh) - 1:
                    verdicts.append(verdict)
        return verdicts

    def _is_ruled(self, name: str, score: ApproachScore | None) -> bool:
        if score is not None and score.level >= self._flags[name].on:
            self._ruled.discard(name)
        return name in self._ruled

    def _verdict(
        self,
        name: str,
        score: ApproachScore | None,
        dt_s: float,
        by: str,
        observations: Mapping[str, PositionObservation],
    ) -> ApproachVerdict:
        flag = self._flags[name]
        turn = flag.drop() if score is None else flag.step(score.level, score.level, dt_s)
        if not flag.raised:
            self._ruled.discard(name)
        return (
            no_verdict(name, turn, by)
            if score is None
            else make_verdict(name, score, turn, by, observations)
        )

    def _model(self, now_ns: int, count: int) -> list[list[ApproachScore | None]] | None:
        """What the model says of the last `count` slots, after it has caught up with all.

        None if it cannot be trusted now.
        """
        session = self.guard.session
        assert session is not None
        if self._lineage != self.guard.lineage:  # another model speaks: rows mean nothing to it
            self._lineage, self._state, self._saved = self.guard.lineage, None, {}
        for flag in self._flags.values():
            flag.on, flag.off = session.manifest.on, session.manifest.off
        if self._state is None or len(self._state) != len(self.names):
            self._state = self._first(session)
        in_time = True
        scores: deque[list[ApproachScore | None]] = deque(maxlen=count)
        while self._behind:
            observations, dt_s = self._behind.popleft()
            inputs = self._feed(session, observations, dt_s)
            answer = self.guard.ask(now_ns, inputs)
            if answer is None:
                self._state = None  # an answer that cannot be may have come from its state
                return None
            outputs, quick = answer
            if self.shadow is not None:
                self.shadow.see(now_ns, session.manifest, inputs, outputs, self.names)
            self._state = outputs[-1]
            scores.append(read_scores(outputs))
            in_time = in_time and quick
        return list(scores) if in_time else None

    def _first(self, session: ModelSession) -> Tensor:
        state = session.started([0.0] * len(self.names))
        saved, self._saved = self._saved, {}
        for i, name in enumerate(self.names):
            try:
                state[i] = session.row(saved[name])
            except (KeyError, ModelError):
                if self._flags[name].raised:
                    self._ruled.add(name)
        return state

    def _feed(self, session: ModelSession, observations: Views, dt_s: float) -> dict[str, Tensor]:
        rows = (
            model_inputs(*(observations.get(name, {}) for name in names)) for names in self._around
        )
        x, present = zip(*rows, strict=True)
        width = session.manifest.inputs["x"]  # an older model does not take the last blocks
        assert self._state is not None
        return {
            "x": session.tensor(x)[:, :width],
            "present": session.tensor(present),
            "dt": session.column([dt_s] * len(self.names)),
            "state": self._state,
        }

    def missing(self, now_ns: int, gap_s: float) -> None:
        """Nobody watched for `gap_s`: one step without a loop, which may end what was known."""
        for name in self.names:
            if self._rules[name].step({}, gap_s) is None:
                self._flags[name].hold(STALE_S)  # it takes as long to know again
                self._last[name] = no_verdict(name)
        if not self.guard.switched_off:
            self._behind.append(({}, gap_s))

    def snapshot(self) -> dict[str, object]:
        """State as of the last window, JSON-like."""
        rows = self._rows()
        whole = b"".join(rows[name] for name in self.names) if len(rows) == len(self.names) else b""
        kept = self.snapshot_flags()
        return {
            "model": self.guard.sha256,
            "names": list(self.names),
            "state": base64.b64encode(whole).decode(),
            "smooth": [list(kept[name].smooth) for name in self.names],
            "age_s": [list(kept[name].age_s) for name in self.names],
            "raised": [kept[name].raised for name in self.names],
            "usual": [list(self._rules[name].usual) for name in self.names],
            "learned": [list(self._rules[name].learned) for name in self.names],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False when the model's part of it had to be discarded.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        names = [str(name) for name in saved["names"]]
        data = base64.b64decode(saved["state"], validate=True)
        size = len(data) // max(1, len(names))
        state = {
            name: ApproachState(
                bool(saved["raised"][i]), 0.0, 0.0,
                check_numbers(saved["smooth"][i], 0.0, 1.0), check_numbers(saved["age_s"][i], 0.0,
                LONG_S),
                data[i * size : (i + 1) * size],
                check_numbers(saved["usual"][i], 0.0, 1.0), check_numbers(saved["learned"][i], 0.0,
                LONG_S),
            )
            for i, name in enumerate(names)
        }  # fmt: skip
        return self.restore_flags(state, str(saved["model"])) or not data

    @property
    def raised(self) -> list[str]:
        """The approaches whose flag is up."""
        return [name for name in self.names if self._flags[name].raised]

    def snapshot_flags(self) -> dict[str, ApproachState]:
        """Each approach as of the last window."""
        rows = {} if self._behind else self._rows()
        out = {}
        for name in self.names:
            rule, flag = self._rules[name], self._flags[name]
            known = b"" if name in self._ruled else rows.get(name, b"")
            out[name] = ApproachState(
                flag.raised, flag.low_s, flag.hold_s, tuple(rule.smooth),
                tuple(min(age_s, LONG_S) for age_s in rule.age_s), known,
                () if known else tuple(rule.usual), () if known else tuple(rule.learned),
            )  # fmt: skip
        return out

    def restore_flags(self, kept: Mapping[str, ApproachState], model: str) -> bool:
        """Go on with what was kept; False when its rows are of another model, and not taken.

        Where the model is switched off nobody misses them.
        """
        same = model == self.guard.sha256 or self.guard.switched_off
        for name in self.names:
            self._saved.pop(name, None)
            one = kept.get(name)
            if one is None:
                self._flags[name].put(False)
                continue
            self._flags[name].put(one.raised, one.low_s, one.hold_s)
            self._rules[name].smooth = list(one.smooth)
            self._rules[name].age_s = list(one.age_s)
            if one.usual:
                self._rules[name].restore_usual(one.usual, one.learned)
            if same and one.row and not self.guard.switched_off:
                self._saved[name] = one.row
        self._state = None
        self._ruled.clear()
        self._behind.clear()
        return same

    def _rows(self) -> dict[str, bytes]:
        state = self._state
        if state is None:
            return dict(self._saved)
        return {name: state[i].tobytes() for i, name in enumerate(self.names)}


def _rule_score(p: float | None) -> ApproachScore | None:
    return None if p is None else ApproachScore(p, p)
