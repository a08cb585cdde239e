"""Judges all series of a site in one batch: how odd each is, and why."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edge.infer.cause import cause
from edge.infer.features import Key, Reading
from edge.infer.flags import Flag, Turn
from edge.infer.guard import Guard
from edge.infer.manifest import ModelError
from edge.infer.rules import ROBUST_Z, Odd, RobustZRule

if TYPE_CHECKING:
    from edge.infer.session import Session, Tensor

MOST: Final = 512  # series; a box with more has a configuration that nobody meant
KEPT: Final = 120  # windows that whoever did not watch catches up with
ON: Final = 0.5
OFF: Final = 0.25
SHOWN: Final = 0.05  # a level that is worth a place in the record
NOTHING: Final = Reading(None, 0.0)


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """One series in one window in which it is odd, or was in the one before."""

    key: Key
    odd: Odd
    turn: Turn | None
    by: str


class SeriesJudge:
    """State and flags of all series. They are known from the windows, in order of appearance."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.dropped = 0  # series beyond MOST
        known = guard.manifest
        self._thresholds = (known.on, known.off) if known else (ON, OFF)
        self._places: dict[Key, int] = {}
        self._keys: list[Key] = []  # by place
        self._flags: list[Flag] = []
        self._since: list[int] = []  # samples since the flag went on
        self._rules: dict[Key, RobustZRule] = {}
        self._rule_saw = 0  # windows, of all
        self._model_saw = 0
        self._windows = 0
        self._past: deque[Mapping[Key, Reading]] = deque(maxlen=KEPT)
        self._state: Tensor | None = None
        self._begun: list[bool] = []  # rows of the state that hold a first value
        self._saved: tuple[list[Key], bytes, list[bool]] | None = None

    def step(self, now_ns: int, dt_s: float, now: Mapping[Key, Reading]) -> list[SeriesVerdict]:
        """Judge one window that ends at `now_ns`; tells of the series that are odd, or were."""
        self._meet(now)
        if not self._places:
            return []
        self._past.append(now)
        self._windows += 1
        told = self._model(now_ns) if self.guard.ready(now_ns) else None
        if told is not None and self.guard.manifest is not None:
            by = self.guard.manifest.by
            self._rules = {}
        else:
            told, by = self._rule(), ROBUST_Z
        return [
            SeriesVerdict(self._keys[place], odd, self._turn(place, odd, dt_s), by)
            for place, odd in told.items()
        ]

    def _meet(self, now: Mapping[Key, Reading]) -> None:
        for key in now:
            if key in self._places:
                continue
            if len(self._places) >= MOST:
                self.dropped += 1
                continue
            self._places[key] = len(self._places)
            self._keys.append(key)
            self._flags.append(Flag(*self._thresholds))
            self._since.append(0)

    def _turn(self, place: int, odd: Odd, dt_s: float) -> Turn | None:
        flag = self._flags[place]
        turn = flag.step(odd.onset, odd.level, dt_s)
        self._since[place] = self._since[place] + 1 if flag.raised and turn is None else 0
        return turn

    def _unseen(self, saw: int) -> Sequence[Mapping[Key, Reading]]:
        return list(self._past)[-min(self._windows - saw, len(self._past)) :]

    def _matters(self, place: int, onset: float, level: float) -> bool:
        return level > SHOWN or onset >= self._thresholds[0] or self._flags[place].raised

    def _rule(self) -> dict[int, Odd]:
        if not self._rules:
            self._rule_saw = self._windows - len(self._past)  # all that is left: warm up with it
        told: dict[int, Odd] = {}
        for window in self._unseen(self._rule_saw):
            told = {}
            for key, place in self._places.items():
                reading = window.get(key, NOTHING)
                odd = self._rules.setdefault(key, RobustZRule()).step(
                    reading.value, reading.quantum
                )
                if odd is not None and self._matters(place, odd.onset, odd.level):
                    told[place] = Odd(round(odd.onset, 3), round(odd.level, 3), odd.cause)
        self._rule_saw = self._windows
        return told

    def _model(self, now_ns: int) -> dict[int, Odd] | None:
        session = self.guard.session
        assert session is not None
        in_time, outputs = True, None
        values: list[float | None] = []
        for window in self._unseen(self._model_saw):
            values, feed = self._feed(session, window)
            answer = self.guard.ask(now_ns, feed)
            if answer is None:
                self._state = None  # an answer that cannot be may have come from its state
                self._model_saw = self._windows
                return None
            outputs, quick = answer
            self._state = outputs[3]
            in_time = in_time and quick
        self._model_saw = self._windows
        if outputs is None or not in_time:
            return None
        onsets, levels = outputs[0][:, 0].tolist(), outputs[1][:, 0].tolist()
        told: dict[int, Odd] = {}
        for place, (value, onset, level) in enumerate(zip(values, onsets, levels, strict=True)):
            if value is not None and self._matters(place, onset, level):
                why = cause(outputs[2][place].tolist(), value, self._since[place])
                told[place] = Odd(round(onset, 3), round(level, 3), why)
        return told

    def _feed(
        self, session: Session, window: Mapping[Key, Reading]
    ) -> tuple[list[float | None], dict[str, Tensor]]:
        """The values by place, and what the model takes."""
        get = window.get
        rows = [get(key, NOTHING) for key in self._keys]
        self._grow(session, len(rows))
        begun, state = self._begun, self._state
        assert state is not None
        values = [row.value for row in rows]
        present = [0.0 if value is None else 1.0 for value in values]
        if not all(begun):
            for place, value in enumerate(values):
                if not begun[place] and value is not None:
                    state[place] = session.started([value])[0]
                    begun[place], present[place] = True, 0.0  # the first value is not a step
        return values, {
            "x": session.column([0.0 if value is None else value for value in values]),
            "present": session.column(present),
            "quantum": session.column([row.quantum for row in rows]),
            "state": state,
        }

    def _grow(self, session: Session, count: int) -> None:
        if self._state is None:
            self._state, self._begun = session.started([0.0] * count), [False] * count
            self._revive(session)
        elif len(self._state) < count:
            more = count - len(self._state)
            self._state = session.joined(self._state, session.started([0.0] * more))
            self._begun += [False] * more

    def _revive(self, session: Session) -> None:
        saved, self._saved = self._saved, None
        if saved is None or self._state is None:
            return
        keys, data, begun = saved
        try:
            rows = session.revived(data)
        except ModelError:
            return
        for key, row, known in zip(keys, rows, begun, strict=False):
            place = self._places.get(key)
            if place is not None and place < len(self._state):
                self._state[place], self._begun[place] = row, known

    def missing(self, steps: int) -> None:
        """Nobody watched for so many windows: samples that are missing."""
        if self._places:
            for _ in range(min(steps, KEPT)):
                self._past.append({})
                self._windows += 1

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, JSON-like. The rule starts anew after a restart."""
        state = self._state
        return {
            "model": self.guard.sha256,
            "keys": [list(key) for key in self._places],
            "state": "" if state is None else base64.b64encode(state.tobytes()).decode(),
            "begun": list(self._begun),
            "raised": [flag.raised for flag in self._flags],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False when the model's part of it had to be discarded.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        keys = [(str(source), str(point)) for source, point in saved["keys"]][:MOST]
        self._meet(dict.fromkeys(keys, NOTHING))
        for key, raised in zip(keys, saved["raised"], strict=False):
            self._flags[self._places[key]].raised = bool(raised)
        if not saved["state"]:
            return True
        if saved["model"] != self.guard.sha256:
            return False
        data = base64.b64decode(saved["state"], validate=True)
        self._saved = (keys, data, [bool(v) for v in saved["begun"]])
        self._state = None
        return True
