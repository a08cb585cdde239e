"""The windows that passed lately, for whoever did not watch them and has to catch up."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from edge.infer.features import Key, Reading
from edge.infer.hours import UNKNOWN

KEPT: Final = 120  # windows
FORGOTTEN: Final = -9.0  # in place of an hour: the window was judged, by a process that was killed

Window = tuple[float, Mapping[Key, Reading]]  # the hour as the model takes it, and the samples


class SeriesPast:
    """`count` are all windows of ever; who has seen so many has seen them all."""

    def __init__(self) -> None:
        self.count = 0
        self._last: deque[Window] = deque(maxlen=KEPT)

    def __len__(self) -> int:
        return len(self._last)

    def add(self, hour: float, window: Mapping[Key, Reading]) -> None:
        self._last.append((hour, window))
        self.count += 1

    def missing(self, steps: int, *, forgotten: bool) -> None:
        """So many in which nobody watched, or of which nothing is known any more."""
        for _ in range(min(steps, KEPT)):
            self.add(FORGOTTEN if forgotten else UNKNOWN, {})

    def unseen(self, saw: int) -> Sequence[Window]:
        """Those that came after so many, as far as they are kept."""
        return list(self._last)[max(0, len(self._last) - (self.count - saw)) :]

    def clear(self) -> None:
        """Nobody needs to catch up."""
        self._last.clear()
