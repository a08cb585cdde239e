"""Judges all approaches of a site in one batch: how likely each is congested."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge.infer.features import LaneSite
from edge.infer.flags import Flag, Turn
from edge.infer.guard import Guard
from edge.infer.manifest import ModelError
from edge.infer.rules import OCCUPANCY, POSITIONS, Occupancy, OccupancyRule

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
    """State and flags of all approaches. Rule and model see every window; one of them speaks."""

    def __init__(self, lanes: Iterable[LaneSite], guard: Guard) -> None:
        self.names = tuple(sorted({lane.approach for lane in lanes}))
        self.guard = guard
        self._rules = {name: OccupancyRule() for name in self.names}
        known = guard.manifest
        on, off = (known.on, known.off) if known else (ON, OFF)
        self._flags = {name: Flag(on, off, QUIET_S) for name in self.names}
        self._state: Tensor | None = None
        self._saved: bytes | None = None
        self._behind: deque[tuple[Seen, float]] = deque(maxlen=KEPT)

    def step(self, now_ns: int, dt_s: float, seen: Seen) -> list[ApproachVerdict]:
        """Judge one window of `dt_s` seconds that ends at `now_ns`."""
        if not self.names:
            return []
        ruled = [self._rules[name].step(seen.get(name, {}), dt_s) for name in self.names]
        self._behind.append((seen, dt_s))
        modelled = self._model(now_ns) if self.guard.ready(now_ns) else None
        if modelled is not None and self.guard.manifest is not None:
            chances, by = modelled, self.guard.manifest.by
        else:
            chances, by = ruled, OCCUPANCY
        return [self._told(name, p, dt_s, by) for name, p in zip(self.names, chances, strict=True)]

    def _told(self, name: str, p: float | None, dt_s: float, by: str) -> ApproachVerdict:
        flag = self._flags[name]
        if p is None:
            return ApproachVerdict(name, None, flag.drop(), by)
        p = round(p, 3)
        return ApproachVerdict(name, p, flag.step(p, p, dt_s), by)

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
        fresh = session.started([0.0] * len(self.names))
        saved, self._saved = self._saved, None
        if saved is None:
            return fresh
        try:
            state = session.revived(saved)
        except ModelError:
            return fresh
        return state if len(state) == len(fresh) else fresh

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
            self._rules[name].step({}, gap_s)
        self._behind.append(({}, gap_s))

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, JSON-like."""
        state = self._state
        return {
            "model": self.guard.sha256,
            "names": list(self.names),
            "state": "" if state is None else base64.b64encode(state.tobytes()).decode(),
            "smooth": [list(self._rules[name].smooth) for name in self.names],
            "age_s": [[min(a, 1e6) for a in self._rules[name].age_s] for name in self.names],
            "raised": [self._flags[name].raised for name in self.names],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False when the model's part of it had to be discarded.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        names = list(saved["names"])
        for i, name in enumerate(names):
            if name in self._rules:
                self._rules[name].smooth = [float(v) for v in saved["smooth"][i]]
                self._rules[name].age_s = [float(v) for v in saved["age_s"][i]]
                self._flags[name].raised = bool(saved["raised"][i])
        if not saved["state"]:
            return True
        if saved["model"] != self.guard.sha256 or names != list(self.names):
            return False
        self._saved = base64.b64decode(saved["state"], validate=True)
        self._state = None
        return True
