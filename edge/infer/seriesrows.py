"""What the model of series remembers: a row of its state for each, and of those that wait for it.

Rows wait from a start until the model speaks for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from edge.infer.bundlemanifest import ModelError
from edge.infer.seriesfeatures import SeriesKey, SeriesSample

if TYPE_CHECKING:
    from edge.infer.modelsession import ModelSession, Tensor

NOTHING: Final = SeriesSample(None, 0.0)


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
