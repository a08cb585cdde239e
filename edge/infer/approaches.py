"""Judges all approaches of a site in one batch: how likely each is congested."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge.infer.flags import Flag, Turn
from edge.infer.guard import Guard
from edge.infer.kept import LONG_S, KeptApproach, numbers
from edge.infer.manifest import ModelError
from edge.infer.rules import OCCUPANCY, POSITIONS, STALE_S, Occupancy, OccupancyRule
from edge.infer.sites import LaneSite

if TYPE_CHECKING:
    from edge.infer.session import Session, Tensor

KEPT: Final = 120  # windows that a model which could not be asked catches up with
ON: Final = 0.5
OFF: Final = 0.35
QUIET_S: Final = 60.0  # p must be low for so long before a flag goes off

Seen = Mapping[str, Mapping[str, Occupancy]]  # approach, position


@dataclass(frozen=True, slots=True)
class ApproachVerdict:
    """One approach in one window. `p` is None where no healthy loop has spoken for long."""

    approach: str
    p: float | None
    turn: Turn | None
    by: str


class Approaches:
    """State and flags of all approaches. Rule and model see every window; one of them speaks.

    A flag that is up when the model begins anew is the rule's until it is down, or the model sees
    the congestion too: a model that has just begun would call every jam over.
    """

    def __init__(self, lanes: Iterable[LaneSite], guard: Guard) -> None:
        self.names = tuple(sorted({lane.approach for lane in lanes}))
        self.guard = guard
        self._rules = {name: OccupancyRule() for name in self.names}
        known = guard.manifest
        on, off = (known.on, known.off) if known else (ON, OFF)
        self._flags = {name: Flag(on, off, QUIET_S) for name in self.names}
        self._state: Tensor | None = None
        self._saved: dict[str, bytes] = {}  # rows of the state that waits for the model
        self._ruled: set[str] = set()  # approaches of whose flag the model knows nothing
        self._behind: deque[tuple[Seen, float]] = deque(maxlen=KEPT)

    def step(self, now_ns: int, dt_s: float, seen: Seen) -> list[ApproachVerdict]:
        """Judge one window of `dt_s` seconds that ends at `now_ns`."""
        if not self.names:
            return []
        ruled = [self._rules[name].step(seen.get(name, {}), dt_s) for name in self.names]
        self._behind.append((seen, dt_s))
        modelled = self._model(now_ns) if self.guard.ready(now_ns) else None
        model = self.guard.manifest.by if self.guard.manifest else ""
        verdicts = []
        for i, (name, p) in enumerate(zip(self.names, ruled, strict=True)):
            if modelled is None or self._is_ruled(name, modelled[i]):
                verdicts.append(self._told(name, p, dt_s, OCCUPANCY))
            else:
                verdicts.append(self._told(name, modelled[i], dt_s, model))
        return verdicts

    def _is_ruled(self, name: str, p: float | None) -> bool:
        if p is not None and p >= self._flags[name].on:
            self._ruled.discard(name)
        return name in self._ruled

    def _told(self, name: str, p: float | None, dt_s: float, by: str) -> ApproachVerdict:
        flag = self._flags[name]
        p = None if p is None else round(p, 3)
        turn = flag.drop() if p is None else flag.step(p, p, dt_s)
        if not flag.raised:
            self._ruled.discard(name)
        return ApproachVerdict(name, p, turn, by)

    def _model(self, now_ns: int) -> list[float | None] | None:
        """What the model says, after it has caught up; None if it cannot be trusted now."""
        session = self.guard.session
        assert session is not None
        if self._state is None or len(self._state) != len(self.names):
            self._state = self._first(session)
        in_time, outputs = True, None
        while self._behind:
            seen, dt_s = self._behind.popleft()
            answer = self.guard.ask(now_ns, self._feed(session, seen, dt_s))
            if answer is None:
                self._state = None  # an answer that cannot be may have come from its state
                return None
            outputs, quick = answer
            self._state = outputs[2]
            in_time = in_time and quick
        if outputs is None or not in_time:
            return None
        return [
            p if known > 0.5 else None
            for p, known in zip(outputs[0][:, 0].tolist(), outputs[1][:, 0].tolist(), strict=True)
        ]

    def _first(self, session: Session) -> Tensor:
        state = session.started([0.0] * len(self.names))
        saved, self._saved = self._saved, {}
        for i, name in enumerate(self.names):
            try:
                state[i] = session.row(saved[name])
            except (KeyError, ModelError):
                if self._flags[name].raised:
                    self._ruled.add(name)
        return state

    def _feed(self, session: Session, seen: Seen, dt_s: float) -> dict[str, Tensor]:
        x, present = [], []
        for name in self.names:
            here = seen.get(name, {})
            row = [here.get(position) for position in POSITIONS]
            x.append(
                [o.mean if o else 0.0 for o in row]
                + [o.highest if o else 0.0 for o in row]
                + [o.lowest if o else 0.0 for o in row]
            )
            present.append([1.0 if o else 0.0 for o in row])
        assert self._state is not None
        return {
            "x": session.tensor(x),
            "present": session.tensor(present),
            "dt": session.column([dt_s] * len(self.names)),
            "state": self._state,
        }

    def missing(self, now_ns: int, gap_s: float) -> None:
        """Nobody watched for `gap_s`: one step without a loop, which may end what was known."""
        for name in self.names:
            if self._rules[name].step({}, gap_s) is None:
                self._flags[name].hold(STALE_S)  # it takes as long to know again
        self._behind.append(({}, gap_s))

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, JSON-like."""
        rows = self._rows()
        whole = b"".join(rows[name] for name in self.names) if len(rows) == len(self.names) else b""
        kept = self.kept()
        return {
            "model": self.guard.sha256,
            "names": list(self.names),
            "state": base64.b64encode(whole).decode(),
            "smooth": [list(kept[name].smooth) for name in self.names],
            "age_s": [list(kept[name].age_s) for name in self.names],
            "raised": [kept[name].raised for name in self.names],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False when the model's part of it had to be discarded.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        names = [str(name) for name in saved["names"]]
        data = base64.b64decode(saved["state"], validate=True)
        size = len(data) // max(1, len(names))
        told = {
            name: KeptApproach(
                bool(saved["raised"][i]), 0.0, 0.0,
                numbers(saved["smooth"][i], 0.0, 1.0), numbers(saved["age_s"][i], 0.0, LONG_S),
                data[i * size : (i + 1) * size],
            )
            for i, name in enumerate(names)
        }  # fmt: skip
        return self.take(told, str(saved["model"])) or not data

    def kept(self) -> dict[str, KeptApproach]:
        """Each approach as of the last window."""
        rows = {} if self._behind else self._rows()
        out = {}
        for name in self.names:
            rule, flag = self._rules[name], self._flags[name]
            known = b"" if name in self._ruled else rows.get(name, b"")
            out[name] = KeptApproach(
                flag.raised, flag.low_s, flag.hold_s, tuple(rule.smooth),
                tuple(min(age_s, LONG_S) for age_s in rule.age_s), known,
            )  # fmt: skip
        return out

    def take(self, kept: Mapping[str, KeptApproach], model: str) -> bool:
        """Go on with what was kept; False when its rows are of another model, and not taken."""
        same = model == self.guard.sha256
        for name in self.names:
            self._saved.pop(name, None)
            one = kept.get(name)
            if one is None:
                self._flags[name].put(False)
                continue
            self._flags[name].put(one.raised, one.low_s, one.hold_s)
            self._rules[name].smooth = list(one.smooth)
            self._rules[name].age_s = list(one.age_s)
            if same and one.row:
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
