"""Judges all series of a site in one batch: how odd each is, and why."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from edge.infer.cause import Meant, cause, meant
from edge.infer.features import Key, Reading
from edge.infer.flags import Flag, Turn
from edge.infer.guard import Guard
from edge.infer.hours import UNKNOWN, Hours
from edge.infer.kept import KeptSeries
from edge.infer.manifest import ModelError
from edge.infer.rules import ROBUST_Z, WARM, Odd, RobustZRule
from edge.infer.shadow import Shadow

if TYPE_CHECKING:
    from edge.infer.session import Session, Tensor

log = logging.getLogger(__name__)

MOST: Final = 512  # series; a box with more has a configuration that nobody meant
KEPT: Final = 120  # windows that whoever did not watch catches up with
ON: Final = 0.5
OFF: Final = 0.25
SHOWN: Final = 0.05  # a level that is worth a place in the record
FORGOTTEN: Final = -9.0  # in place of an hour: the window was judged, by a process that was killed
NOTHING: Final = Reading(None, 0.0)

Window = tuple[float, Mapping[Key, Reading]]  # the hour as the model takes it, and the samples


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """One series in one window in which it is odd, or was in the one before."""

    key: Key
    odd: Odd
    turn: Turn | None
    by: str
    meant: Meant | None = None  # whose doing it is, by its neighbours


Said = tuple[Odd, Meant | None]


class SeriesJudge:
    """State and flags of all series. They are known from the windows, in order of appearance.

    Model or rule, whoever begins anew while a flag is up has no say in its end before it knows
    the series: for as many windows as it takes before a first onset.
    """

    def __init__(self, guard: Guard, period_s: float) -> None:
        self.guard = guard
        self._lineage = guard.lineage
        self.shadow: Shadow | None = None  # a candidate that runs beside the model
        self._warm_s = WARM * period_s
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
        self._past: deque[Window] = deque(maxlen=KEPT)
        self._hours = Hours()
        self._state: Tensor | None = None
        self._begun: list[bool] = []  # rows of the state that hold a first value
        # until model or rule speaks for the first time: what each remembers, and for how long that
        # is too little to end a flag
        self._rows: dict[Key, tuple[bytes, bool, float]] = {}
        self._memory: dict[Key, tuple[RobustZRule, float]] = {}

    def step(
        self,
        now_ns: int,
        dt_s: float,
        now: Mapping[Key, Reading],
        wall_s: float | None = None,
    ) -> list[SeriesVerdict]:
        """Judge one window that ends at `now_ns`; tells of the series that are odd, or were.

        `wall_s` is its end in seconds since 1970; None while the clock is not to be trusted: then
        nothing is judged by the hour, and nothing learnt of it.
        """
        hour = self._hours.at(now_ns, wall_s)
        self._meet(now)
        if not self._places:
            return []
        self._past.append((hour, now))
        self._windows += 1
        told = self._model(now_ns) if self.guard.ready(now_ns) else None
        if told is not None and self.guard.manifest is not None:
            by = self.guard.manifest.by
            self._rules, self._memory = {}, {}
        else:
            told, by = self._rule(), ROBUST_Z
        return [
            SeriesVerdict(
                self._keys[place], odd, self._turn(place, self._told(place, odd, whose, now), dt_s),
                by, whose,
            )
            for place, (odd, whose) in told.items()
        ]  # fmt: skip

    def _told(self, place: int, odd: Odd, whose: Meant | None, now: Mapping[Key, Reading]) -> Odd:
        """What all lanes of an approach show is traffic, and no news: it raises no flag."""
        road = now.get(self._keys[place], NOTHING).road
        if road and whose != "sensor" and not self._flags[place].raised:
            return replace(odd, onset=0.0)
        return odd

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

    @property
    def _names(self) -> list[str]:
        return [".".join(key) for key in self._keys]

    def _unseen(self, saw: int) -> Sequence[Window]:
        return list(self._past)[-min(self._windows - saw, len(self._past)) :]

    def _matters(self, place: int, onset: float, level: float) -> bool:
        return level > SHOWN or onset >= self._thresholds[0] or self._flags[place].raised

    def _rule(self) -> dict[int, Said]:
        if not self._rules:
            self._rule_saw = self._windows - len(self._past)  # all that is left: warm up with it
            if len(self._past) < WARM:
                for flag in self._flags:
                    flag.hold(self._warm_s)
            for key, (rule, hold_s) in self._memory.items():
                self._rules[key] = rule
                self._flags[self._places[key]].hold(hold_s)
            self._memory = {}
        told: dict[int, Said] = {}
        for _, window in self._unseen(self._rule_saw):
            told = {}
            for key, place in self._places.items():
                reading = window.get(key, NOTHING)
                odd = self._rules.setdefault(key, RobustZRule()).step(
                    reading.value, reading.quantum
                )
                if odd is not None and self._matters(place, odd.onset, odd.level):
                    told[place] = Odd(round(odd.onset, 3), round(odd.level, 3), odd.cause), None
        self._rule_saw = self._windows
        return told

    def _model(self, now_ns: int) -> dict[int, Said] | None:
        session = self.guard.session
        assert session is not None
        if self._lineage != self.guard.lineage:  # another model speaks: rows mean nothing to it
            self._lineage, self._state, self._rows = self.guard.lineage, None, {}
        self._thresholds = session.manifest.on, session.manifest.off
        for flag in self._flags:
            flag.on, flag.off = self._thresholds
        in_time, outputs = True, None
        values: list[float | None] = []
        window: Mapping[Key, Reading] = {}
        for hour, window in self._unseen(self._model_saw):
            lost = hour == FORGOTTEN
            hour = UNKNOWN if lost else hour
            values, feed = self._feed(session, hour, window)
            answer = self.guard.ask(now_ns, feed)
            if answer is None:
                self._state = None  # an answer that cannot be may have come from its state
                self._model_saw = self._windows
                return None
            outputs, quick = answer
            if self.shadow is not None:
                self.shadow.see(now_ns, session.manifest, feed, outputs, self._names)
            self._state = outputs[3]
            if lost:
                held = [place for place, flag in enumerate(self._flags) if flag.raised]
                self._state[held] = feed["state"][held]
            in_time = in_time and quick
        self._model_saw = self._windows
        if outputs is None or not in_time:
            return None
        onsets, levels = outputs[0][:, 0].tolist(), outputs[1][:, 0].tolist()
        surprises = outputs[2][:, 2:].max(axis=1).tolist()
        told: dict[int, Said] = {}
        for place, (value, onset, level) in enumerate(zip(values, onsets, levels, strict=True)):
            if value is not None and self._matters(place, onset, level):
                row = outputs[2][place].tolist()
                whose = meant(self._beside(place, window, surprises))
                event = whose == "world"
                why = "event" if event else cause(row, value, self._since[place])
                told[place] = Odd(round(onset, 3), round(level, 3), why), whose
        return told

    def _beside(
        self, place: int, window: Mapping[Key, Reading], surprises: Sequence[float]
    ) -> list[float]:
        """The surprise of those that measure the same nearby, in this window."""
        group = window[self._keys[place]].group
        if not group:
            return []
        return [
            surprises[at]
            for key, other in window.items()
            if other.group == group
            and other.value is not None
            and (at := self._places.get(key, place)) != place
        ]

    def _feed(
        self, session: Session, hour: float, window: Mapping[Key, Reading]
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
            "hour": session.column([hour] * len(rows)),
            "state": state,
        }

    def _grow(self, session: Session, count: int) -> None:
        if self._state is None:
            self._state, self._begun = session.started([0.0] * count), [False] * count
            self._revive(session, self._state)
        elif len(self._state) < count:
            more = count - len(self._state)
            self._state = session.joined(self._state, session.started([0.0] * more))
            self._begun += [False] * more

    def _revive(self, session: Session, state: Tensor) -> None:
        rows, self._rows = self._rows, {}
        for place, key in enumerate(self._keys[: len(state)]):
            row, begun, hold_s = rows.get(key, (b"", False, self._warm_s))
            try:
                state[place], self._begun[place] = session.row(row), begun
            except ModelError:
                hold_s = self._warm_s
            self._flags[place].hold(hold_s)

    def missing(self, steps: int, *, forgotten: bool = False) -> None:
        """Nobody watched for so many windows: samples that are missing.

        `forgotten`: they were seen, and what was learnt from them is lost. Rows of series whose
        flag is up are kept with every window: they have lost nothing.
        """
        if self._places:
            for _ in range(min(steps, KEPT)):
                self._past.append((FORGOTTEN if forgotten else UNKNOWN, {}))
                self._windows += 1

    def snapshot(self) -> dict[str, Any]:
        """State as of the last window, for msgpack. The rule starts anew after a restart."""
        state, keys, begun = self._state, list(self._places), self._begun
        data = b"" if state is None else state.tobytes()
        if state is None:
            keys.sort(key=lambda key: key not in self._rows)  # rows belong to the first ones
            waiting = [self._rows[key] for key in keys if key in self._rows]
            data, begun = b"".join(row for row, _, _ in waiting), [was for _, was, _ in waiting]
        return {
            "model": self.guard.sha256,
            "keys": [list(key) for key in keys],
            "state": data,
            "begun": list(begun),
            "raised": [self._flags[self._places[key]].raised for key in keys],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False when the model's part of it had to be discarded.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        keys = [(str(source), str(point)) for source, point in saved["keys"]][:MOST]
        raised, begun = [bool(v) for v in saved["raised"]], [bool(v) for v in saved["begun"]]
        data = saved["state"]
        if not isinstance(data, bytes):
            raise TypeError(f"{data!r:.80} is not a state")
        self._meet(dict.fromkeys(keys, NOTHING))
        for key, up in zip(keys, raised, strict=False):
            self._flags[self._places[key]].put(up)
        if not data:
            return True
        if saved["model"] != self.guard.sha256:
            return False
        size = len(data) // max(1, len(begun))
        self._rows = {
            key: (data[i * size : (i + 1) * size], was, 0.0)
            for i, (key, was) in enumerate(zip(keys, begun, strict=False))
        }
        self._state = None
        return True

    def kept(self) -> dict[Key, KeptSeries]:
        """The series whose flag is up, as of the last window."""
        out = {}
        for key, place in self._places.items():
            flag, row = self._flags[place], b""
            if not flag.raised:
                continue
            rule, hold_s = self._memory.get(key, (self._rules.get(key), flag.hold_s))
            if self._model_saw == self._windows:
                if self._state is None:
                    row, _, hold_s = self._rows.get(key, (b"", False, hold_s))
                elif place < len(self._state):
                    row = self._state[place].tobytes()
            out[key] = KeptSeries(self._since[place], hold_s, row, rule.kept() if rule else ())
        return out

    def take(self, kept: Mapping[Key, KeptSeries], model: str) -> None:
        """Raise the flags that were kept, and no other."""
        for flag in self._flags:
            flag.put(False)
        self._meet(dict.fromkeys(kept, NOTHING))
        self._past.clear()
        self._model_saw = self._rule_saw = self._windows
        self._state, self._rules, self._memory = None, {}, {}
        for key, one in kept.items():
            if key not in self._places:
                continue
            place = self._places[key]
            self._flags[place].put(True, hold_s=self._warm_s)
            self._since[place] = one.samples
            if one.row and model == self.guard.sha256:
                self._rows[key] = (one.row, True, one.hold_s)
            elif key in self._rows:  # older than the flag
                self._rows[key] = (*self._rows[key][:2], self._warm_s)
            if one.rule:
                try:
                    self._memory[key] = (RobustZRule.revived(one.rule), one.hold_s)
                except ValueError as error:
                    log.warning("%s of %s: %s", key[1], key[0], error)

    def seek(self, key: Key, here: Mapping[Key, Reading]) -> bool:
        """Is this series still watched? Its flag goes down when it is not."""
        place = self._places.get(key)
        if place is not None and key not in here:
            self._flags[place].put(False)
            self._rows.pop(key, None)
            self._memory.pop(key, None)
        return place is not None and key in here
