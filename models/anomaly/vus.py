"""The volume under the precision-recall surface of a score against labelled ranges (VUS-PR).

No threshold is chosen: precision and recall are taken at 250 ranks of the score, and for every
width of a buffer around the labelled ranges from 0 to one period, in which being near counts in
part. Precision is weighed hits over alarms; recall is weighed hits over what was to be found, times
the share of ranges that are touched at all. The area under each curve is averaged over the buffers.

Definition: Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin, "Volume Under the Surface: A New
Accuracy Evaluation Measure for Time-Series Anomaly Detection", PVLDB 15(11), 2022. Where the paper
leaves it open, as its authors' library computes (`RangeAUC_volume_opt`): the buffer is to be found
only where an alarm is in it, and the area is that of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

RANKS: Final = 250
USUAL: Final = 125  # the period of a series that shows none
LAGS: Final = 400
SHORTEST: Final = 3  # lags below are correlation with the neighbour, not a period
LONGEST: Final = 300

Range = tuple[int, int]  # first and last sample


def ranges(labels: NDArray[Any]) -> list[Range]:
    """Stretches of labelled samples."""
    marked = np.concatenate([[0], np.asarray(labels) > 0, [0]]).astype(np.int8)
    turns = np.flatnonzero(np.diff(marked))
    return [(int(a), int(b) - 1) for a, b in zip(turns[::2], turns[1::2], strict=True)]


def period(values: NDArray[Any]) -> int:
    """The lag of the highest peak of the autocorrelation, in samples; 125 where there is none."""
    x = np.asarray(values, np.float64)[:20_000]
    x = x - x.mean()
    size = 1 << (2 * len(x) - 1).bit_length()
    power = np.abs(np.fft.rfft(x, size)) ** 2
    lags = np.fft.irfft(power, size)[: min(LAGS + 1, len(x))]
    if lags[0] <= 0:
        return USUAL
    tail = (lags / lags[0])[SHORTEST:]
    peaks = np.flatnonzero((tail[1:-1] > tail[:-2]) & (tail[1:-1] > tail[2:])) + 1
    if not len(peaks):
        return USUAL
    best = int(peaks[np.argmax(tail[peaks])])
    return best + SHORTEST if SHORTEST <= best <= LONGEST else USUAL


def vus_pr(labels: NDArray[Any], score: NDArray[Any], widest: int) -> float:
    """0..1; a random score gets about the share of labelled samples.

    `widest` is the widest buffer in samples, half of it on each side. Raises ValueError without a
    labelled sample.
    """
    found = ranges(labels)
    if not found:
        raise ValueError("nothing is labelled: there is no precision to speak of")
    score = np.asarray(score, np.float64)
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    levels = falling[np.linspace(0, len(score) - 1, RANKS).astype(int)]
    alarms = np.searchsorted(-falling, -levels, side="right")  # samples at or above each level
    areas = [_area(found, score, order, levels, alarms, width) for width in range(widest + 1)]
    return float(np.mean(areas))


def _area(
    found: Sequence[Range],
    score: NDArray[Any],
    order: NDArray[Any],
    levels: NDArray[Any],
    alarms: NDArray[Any],
    width: int,
) -> float:
    inside, near = _weights(found, len(score), width)
    hits = np.cumsum((inside + near)[order])[alarms - 1]
    beside = np.cumsum(near[order])[alarms - 1]
    labelled = inside.sum()
    touched = np.mean(
        [score[a : b + 1].max() >= levels for a, b in _widened(found, len(score), width)], axis=0
    )
    recall = np.minimum(hits / (labelled + beside / 2), 1.0) * touched
    return float(np.sum(np.diff(recall, prepend=0.0) * (hits / alarms)))


def _weights(found: Sequence[Range], length: int, width: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """(1 in the ranges, what being near them is worth outside of them)."""
    inside, near = np.zeros(length), np.zeros(length)
    for first, last in found:
        inside[first : last + 1] = 1.0
        after = np.arange(last + 1, min(last + width // 2 + 1, length))
        near[after] += np.sqrt(1 - (after - last) / max(width, 1))
        before = np.arange(max(first - width // 2, 0), first)
        near[before] += np.sqrt(1 - (first - before) / max(width, 1))
    return inside, np.where(inside > 0, 0.0, np.minimum(near, 1.0))


def _widened(found: Sequence[Range], length: int, width: int) -> list[Range]:
    """The ranges with their buffers; those that meet are one."""
    out: list[Range] = []
    half = width // 2
    for first, last in found:
        begin, end = max(first - half, 0), min(last + half, length - 1)
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], end)
        else:
            out.append((begin, end))
    return out
