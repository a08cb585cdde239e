"""Steps one model over rows that have names: each row's state is kept, and begun where it is new.

For a model that runs beside the judges, which keep the state of their own model themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge.infer.modelsession import ModelSession, Tensor


class Stepper:
    """A session and the state of its rows. Rows may come, go, and change their order."""

    def __init__(self, session: ModelSession) -> None:
        self.session = session
        manifest = session.manifest
        names = [output.name for output in manifest.outputs]
        self._out = names.index("state_out") if "state_out" in names else None
        self._first = any(manifest.times_first)  # a state that begins with a first value
        self._names: tuple[str, ...] = ()
        self._begun: list[bool] = []
        self._state: Tensor | None = None

    def step(self, inputs: Mapping[str, Tensor], rows: Sequence[str]) -> list[Any]:
        """All outputs for a feed without state, a row for each name. Raises ModelError."""
        self._line_up(tuple(rows))
        given = dict(inputs)
        if self._out is not None:
            if not all(self._begun):
                given["present"] = self._begin(inputs)
            assert self._state is not None
            given["state"] = self._state
        answer = self.session.run(given)
        if self._out is not None:
            self._state = answer[self._out]
        return answer

    def _line_up(self, rows: tuple[str, ...]) -> None:
        if rows == self._names:
            return
        former = self._state
        places = {} if former is None else {name: i for i, name in enumerate(self._names)}
        state: Any = self.session.started([0.0] * len(rows))
        begun = [not self._first] * len(rows)
        for i, name in enumerate(rows):
            if former is not None and (was := places.get(name)) is not None:
                state[i], begun[i] = former[was], self._begun[was]
        self._names, self._state, self._begun = rows, state, begun

    def _begin(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """The first value of a row is where its state begins, not a step."""
        assert self._state is not None
        present = inputs["present"].copy()
        for i, begun in enumerate(self._begun):
            if not begun and present[i, 0] > 0.5:
                self._state[i] = self.session.started([float(inputs["x"][i, 0])])[0]
                self._begun[i], present[i, 0] = True, 0.0
        return present
