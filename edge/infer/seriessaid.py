"""What is said of a series in a window: by the model's outputs, and in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.infer.cause import Meant, cause, meant
from edge.infer.features import Key, Reading
from edge.infer.flags import Turn
from edge.infer.rules import Odd

Said = tuple[Odd, Meant | None]


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """One series in one window in which it is odd, or was in the one before."""

    key: Key
    odd: Odd
    turn: Turn | None
    by: str
    meant: Meant | None = None  # whose doing it is, by its neighbours


def read(
    outputs: Sequence[Any],
    values: Sequence[float | None],
    window: Mapping[Key, Reading],
    places: Mapping[Key, int],
    since: Sequence[int],
    matters: Callable[[int, float, float], bool],
) -> dict[int, Said]:
    """By place, of those that `matter` by their onset and level; `since` are samples of a flag."""
    onsets, levels = outputs[0][:, 0].tolist(), outputs[1][:, 0].tolist()
    surprises = outputs[2][:, 2:].max(axis=1).tolist()
    verdicts: dict[int, Said] = {}
    for key, place in places.items():
        value, onset, level = values[place], onsets[place], levels[place]
        if value is not None and matters(place, onset, level):
            row = outputs[2][place].tolist()
            whose = meant(_beside(key, window, places, surprises))
            why = "event" if whose == "world" else cause(row, value, since[place])
            verdicts[place] = Odd(round(onset, 3), round(level, 3), why), whose
    return verdicts


def _beside(
    key: Key, window: Mapping[Key, Reading], places: Mapping[Key, int], surprises: Sequence[float]
) -> list[float]:
    """The surprise of those that measure the same nearby, in this window."""
    group, place = window[key].group, places[key]
    if not group:
        return []
    return [
        surprises[at]
        for beside, other in window.items()
        if other.group == group
        and other.value is not None
        and (at := places.get(beside, place)) != place
    ]
