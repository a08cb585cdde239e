"""What is remembered of each series between two windows: rows of the model's state, rules, windows.

Rows wait from a start until the model speaks for the first time; what rules knew, until one is
asked.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from edge.infer.bundlemanifest import ModelError
from edge.infer.hourofday import UNKNOWN_HOUR
from edge.infer.judgestate import SeriesState
from edge.infer.robustz import Oddity, RobustZRule
from edge.infer.seriesfeatures import SeriesKey, SeriesSample

if TYPE_CHECKING:
    from edge.infer.modelsession import ModelSession, Tensor

NOTHING: Final = SeriesSample(None, 0.0)
WINDOWS_KEPT: Final = 120  # windows
FORGOTTEN: Final = -9.0  # in place of an hour: the window was judged, by a process that was killed

Window = tuple[
    float, Mapping[SeriesKey, SeriesSample]
]  # the hour as the model takes it, and the samples

log = logging.getLogger(__name__)


class SeriesRows:
    """Rows by place; `warm_s` is how long one that begins anew knows too little to end a flag."""

    def __init__(self, warm_s: float) -> None:
        self.state: Tensor | None = None
        self._warm_s = warm_s
        self._begun: list[bool] = []  # rows of the state that hold a first value
        # of those that wait: the row, whether it has begun, and for how long it knows too little
        self._waiting: dict[SeriesKey, tuple[bytes, bool, float]] = {}

    def drop(self) -> None:
        """Another model speaks: rows mean nothing to it."""
        self.state, self._waiting = None, {}

    def feed(
        self,
        session: ModelSession,
        keys: Sequence[SeriesKey],
        hour: float,
        samples: Mapping[SeriesKey, SeriesSample],
    ) -> tuple[list[float | None], dict[str, Tensor]]:
        """The values by place, and what the model takes. Only after `grow`."""
        rows = [samples.get(key, NOTHING) for key in keys]
        begun, state = self._begun, self.state
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

    def grow(self, session: ModelSession, keys: Sequence[SeriesKey]) -> list[float]:
        """A row for each key. Of those that begin now: for how many seconds, by place, each knows
        too little to end a flag; nothing when none begins but at the end."""
        count = len(keys)
        if self.state is None:
            self.state, self._begun = session.started([0.0] * count), [False] * count
            return self._revive(session, self.state, keys)
        if len(self.state) < count:
            more = count - len(self.state)
            self.state = session.joined(self.state, session.started([0.0] * more))
            self._begun += [False] * more
        return []

    def _revive(
        self, session: ModelSession, state: Tensor, keys: Sequence[SeriesKey]
    ) -> list[float]:
        rows, self._waiting = self._waiting, {}
        holds = []
        for place, key in enumerate(keys[: len(state)]):
            row, begun, hold_s = rows.get(key, (b"", False, self._warm_s))
            try:
                state[place], self._begun[place] = session.row(row), begun
            except ModelError:
                hold_s = self._warm_s
            holds.append(hold_s)
        return holds

    def snapshot(self, keys: list[SeriesKey]) -> tuple[bytes, list[bool]]:
        """All rows as bytes, and which have begun. Sorts `keys`: rows belong to the first ones."""
        if self.state is not None:
            return self.state.tobytes(), list(self._begun)
        keys.sort(key=lambda key: key not in self._waiting)
        waiting = [self._waiting[key] for key in keys if key in self._waiting]
        return b"".join(row for row, _, _ in waiting), [was for _, was, _ in waiting]

    def restore(self, keys: Sequence[SeriesKey], data: bytes, begun: Sequence[bool]) -> None:
        """Back from `snapshot`: they wait."""
        size = len(data) // max(1, len(begun))
        self._waiting = {
            key: (data[i * size : (i + 1) * size], was, 0.0)
            for i, (key, was) in enumerate(zip(keys, begun, strict=False))
        }
        self.state = None

    def snapshot_one(self, key: SeriesKey, place: int, hold_s: float) -> tuple[bytes, float]:
        """One row, and for how long it knows too little; `hold_s` where that is not known."""
        if self.state is None:
            row, _, hold_s = self._waiting.get(key, (b"", False, hold_s))
            return row, hold_s
        return (self.state[place].tobytes() if place < len(self.state) else b""), hold_s

    def restore_one(self, key: SeriesKey, row: bytes, hold_s: float) -> None:
        """This row waits, of a series whose flag is up; without one it is what waits already."""
        if row:
            self._waiting[key] = (row, True, hold_s)
        elif key in self._waiting:  # older than the flag
            self._waiting[key] = (*self._waiting[key][:2], self._warm_s)

    def leave(self, key: SeriesKey) -> None:
        """Nobody watches this series any more."""
        self._waiting.pop(key, None)


class SeriesRules:
    """They begin anew whenever the model has answered in between."""

    def __init__(self) -> None:
        self._rules: dict[SeriesKey, RobustZRule] = {}
        # of those that wait: for how long each knows too little to end a flag
        self._waiting: dict[SeriesKey, tuple[RobustZRule, float]] = {}

    def __bool__(self) -> bool:
        """Is one of them at work?"""
        return bool(self._rules)

    def drop(self) -> None:
        """The model answers, or others are to be known: what these knew is forgotten."""
        self._rules, self._waiting = {}, {}

    def wake(self) -> dict[SeriesKey, float]:
        """Those that waited are at work: for how long each knows too little to end a flag."""
        waiting, self._waiting = self._waiting, {}
        self._rules |= {key: rule for key, (rule, _) in waiting.items()}
        return {key: hold_s for key, (_, hold_s) in waiting.items()}

    def step(
        self, keys: Iterable[SeriesKey], samples: Mapping[SeriesKey, SeriesSample]
    ) -> dict[SeriesKey, Oddity]:
        """What they say of one window; a series without a value is left out."""
        oddities = {}
        for key in keys:
            reading = samples.get(key, NOTHING)
            rule = self._rules.setdefault(key, RobustZRule())
            odd = rule.step(reading.value, reading.quantum)
            if odd is not None:
                oddities[key] = odd
        return oddities

    def snapshot_one(self, key: SeriesKey, hold_s: float) -> tuple[tuple[float, ...], float]:
        """What one remembers, and for how long that is too little; `hold_s` if it is at work."""
        rule, hold_s = self._waiting.get(key, (self._rules.get(key), hold_s))
        return (rule.snapshot() if rule else ()), hold_s

    def restore_one(self, key: SeriesKey, one: SeriesState) -> None:
        """This one waits, of a series whose flag is up."""
        if one.rule:
            try:
                self._waiting[key] = (RobustZRule.restore(one.rule), one.hold_s)
            except ValueError as error:
                log.warning("%s of %s: %s", key[1], key[0], error)

    def leave(self, key: SeriesKey) -> None:
        """Nobody watches this series any more."""
        self._waiting.pop(key, None)


class SeriesHistory:
    """`count` are all windows of ever; who has seen so many has seen them all."""

    def __init__(self) -> None:
        self.count = 0
        self._last: deque[Window] = deque(maxlen=WINDOWS_KEPT)

    def __len__(self) -> int:
        return len(self._last)

    def add(self, hour: float, samples: Mapping[SeriesKey, SeriesSample]) -> None:
        self._last.append((hour, samples))
        self.count += 1

    def missing(self, steps: int, *, forgotten: bool) -> None:
        """So many in which nobody watched, or of which nothing is known any more."""
        for _ in range(min(steps, WINDOWS_KEPT)):
            self.add(FORGOTTEN if forgotten else UNKNOWN_HOUR, {})

    def unseen(self, saw: int) -> Sequence[Window]:
        """Those that came after so many, as far as they are kept."""
        return list(self._last)[max(0, len(self._last) - (self.count - saw)) :]

    def clear(self) -> None:
        """Nobody needs to catch up."""
        self._last.clear()
