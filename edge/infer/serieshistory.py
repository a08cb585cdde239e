"""The windows that passed lately, for whoever did not watch them and has to catch up."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from edge.infer.hourofday import UNKNOWN_HOUR
from edge.infer.seriesfeatures import SeriesKey, SeriesSample

WINDOWS_KEPT: Final = 120  # windows
FORGOTTEN: Final = -9.0  # in place of an hour: the window was judged, by a process that was killed

Window = tuple[
    float, Mapping[SeriesKey, SeriesSample]
]  # the hour as the model takes it, and the samples


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
