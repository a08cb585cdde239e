"""What is said of a series in a window: by the model's outputs, and in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.infer.cause import CauseOrigin, cause_origin, name_cause
from edge.infer.hysteresis import FlagTurn
from edge.infer.robustz import Oddity
from edge.infer.seriesfeatures import SeriesKey, SeriesSample
from edge.wire.contract.event import Cause

OddityAndOrigin = tuple[Oddity, CauseOrigin | None]


@dataclass(frozen=True, slots=True)
class SeriesVerdict:
    """One series in one window in which it is odd, or was in the one before."""

    key: SeriesKey
    odd: Oddity
    turn: FlagTurn | None
    by: str
    meant: CauseOrigin | None = None  # whose doing it is, by its neighbours


def read_verdicts(
    outputs: Sequence[Any],
    values: Sequence[float | None],
    samples: Mapping[SeriesKey, SeriesSample],
    places: Mapping[SeriesKey, int],
    since: Sequence[int],
    matters: Callable[[int, float, float], bool],
) -> dict[int, OddityAndOrigin]:
    """By place, of those that `matter` by their onset and level; `since` are samples of a flag."""
    onsets, levels = outputs[0][:, 0].tolist(), outputs[1][:, 0].tolist()
    surprises = outputs[2][:, 2:].max(axis=1).tolist()
    verdicts: dict[int, OddityAndOrigin] = {}
    for key, place in places.items():
        value, onset, level = values[place], onsets[place], levels[place]
        if value is not None and matters(place, onset, level):
            row = outputs[2][place].tolist()
            whose = cause_origin(_neighbour_surprises(key, samples, places, surprises))
            why: Cause = "event" if whose == "world" else name_cause(row, value, since[place])
            verdicts[place] = Oddity(round(onset, 3), round(level, 3), why), whose
    return verdicts


def _neighbour_surprises(
    key: SeriesKey,
    samples: Mapping[SeriesKey, SeriesSample],
    places: Mapping[SeriesKey, int],
    surprises: Sequence[float],
) -> list[float]:
    """The surprise of those that measure the same nearby, in this window."""
    group, place = samples[key].group, places[key]
    if not group:
        return []
    return [
        surprises[at]
        for beside, other in samples.items()
        if other.group == group
        and other.value is not None
        and (at := places.get(beside, place)) != place
    ]
