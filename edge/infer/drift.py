"""Measures how far a model's inputs and answers are from those of its training, over a day.

For every column that the manifest's `reference` names a histogram over its bins, an hour a bucket,
a day of buckets: a few hundred integers, whatever comes. Compared by the population stability index

    PSI = sum over bins of (now - then) * ln(now / then)

of the shares. By the usual reading below 0.1 nothing has changed, above 0.25 much has.

An hour counts for as long as it was watched: a start ends none, and a model that is seldom asked
has not seen a day.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from edge.infer.bundlemanifest import BundleManifest
from edge.wire.contract.models import Drift

if TYPE_CHECKING:
    from edge.infer.modelsession import Tensor

HOUR_NS: Final = 3_600_000_000_000
EVERY_NS: Final = 55_000_000_000  # a sample a minute of each row is enough for a day's histogram
LONGEST_NS: Final = 1_000_000_000_000  # between two looks; windows are of 900 s at most
HOURS: Final = 24
MIN_HOURS: Final = 20  # of the last day: a night alone differs from any training
MIN_SAMPLES: Final = 200  # samples of a column; with fewer the index is mostly chance
LARGE_PSI: Final = 0.25
MIN_SHARE: Final = 1e-4  # a share that is none: its logarithm must stay a number
VERSION: Final = 2


def psi(now: Sequence[float], then: Sequence[float]) -> float:
    """Population stability index of two rows of counts or shares over the same bins."""
    all_now, all_then = sum(now), sum(then)
    out = 0.0
    for a, b in zip(now, then, strict=True):
        share, was = max(a / all_now, MIN_SHARE), max(b / all_then, MIN_SHARE)
        out += (share - was) * math.log(share / was)
    return out


class DriftMonitor:
    """The histograms of one model. `see` costs one pass over the columns, once a minute."""

    def __init__(self, manifest: BundleManifest) -> None:
        import numpy  # only where a model runs

        self._numpy = numpy
        self._references = manifest.reference
        self._inputs = frozenset(manifest.inputs)
        self._outputs = {o.name: i for i, o in enumerate(manifest.outputs)}
        self._edges = [numpy.asarray(r.edges, numpy.float32) for r in self._references]
        self._hours: deque[list[list[int]]] = deque(maxlen=HOURS)
        self._watched: deque[int] = deque(maxlen=HOURS)  # nanoseconds of each bucket
        self._hour_ns: int | None = None  # when the newest bucket began
        self._seen_ns: int | None = None

    def see(self, now_ns: int, inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]) -> None:
        """Count one batch: every row that its mask lets count."""
        if not self._references:
            return
        if self._seen_ns is not None and 0 <= now_ns - self._seen_ns < EVERY_NS:
            return
        self._turn(now_ns)
        since_ns, self._seen_ns = self._since_ns(now_ns), now_ns
        counted = False
        for counts, edges, one in zip(self._hours[-1], self._edges, self._references, strict=True):
            column = self._column(one.tensor, one.column, inputs, outputs)
            if one.mask is not None:
                column = column[self._column(*one.mask, inputs, outputs) > 0.5]
            bins = edges.searchsorted(column)
            counted |= bins.size > 0
            found = self._numpy.bincount(bins, minlength=len(counts)).tolist()
            for place, more in enumerate(found):
                counts[place] += more
        if counted:
            self._watched[-1] = min(self._watched[-1] + since_ns, HOUR_NS)

    def _since_ns(self, now_ns: int) -> int:
        """A look stands for the time since the one before it, the first one for a minute."""
        since_ns = EVERY_NS if self._seen_ns is None else now_ns - self._seen_ns
        return since_ns if 0 <= since_ns <= LONGEST_NS else EVERY_NS

    def _column(
        self, tensor: str, column: int, inputs: Mapping[str, Tensor], outputs: Sequence[Tensor]
    ) -> Any:
        whole = inputs[tensor] if tensor in self._inputs else outputs[self._outputs[tensor]]
        return whole[:, column]

    def _turn(self, now_ns: int) -> None:
        """Begin a new bucket for each hour that has passed.

        After a start, or where the clock went back, the newest one goes on with what it lacks.
        """
        if self._hour_ns is None or now_ns < self._hour_ns:
            has_ns = self._watched[-1] if self._watched else HOUR_NS
            steps, has_ns = (1, 0) if has_ns >= HOUR_NS else (0, has_ns)
            self._hour_ns = now_ns - has_ns
        else:
            steps = (now_ns - self._hour_ns) // HOUR_NS
            self._hour_ns += steps * HOUR_NS
        for _ in range(min(steps, HOURS)):
            self._hours.append([[0] * len(one.shares) for one in self._references])
            self._watched.append(0)

    def measured(self) -> Drift | None:
        """The column that is furthest away over the last day; None without a reference.

        `psi` is None, and `text` says why, until a day is nearly full.
        """
        if not self._references:
            return None
        hours = round(sum(self._watched) / HOUR_NS)
        found: list[tuple[float, int]] = []
        for place, one in enumerate(self._references):
            counts = [sum(hour[place][b] for hour in self._hours) for b in range(len(one.shares))]
            if sum(counts) >= MIN_SAMPLES:
                found.append((psi(counts, one.shares), place))
        if hours < MIN_HOURS or not found:
            text = f"not known yet: {hours} of {MIN_HOURS} hours have been seen"
            return Drift(psi=None, column=None, hours=hours, text=text)
        worst, place = max(found)
        one = self._references[place]
        what = "inputs" if one.tensor in self._inputs else "answers"
        text = (
            f"{what} differ from the training data; most in {one.name}" if worst > LARGE_PSI else ""
        )
        return Drift(psi=round(worst, 3), column=one.name, hours=hours, text=text)

    def snapshot(self) -> dict[str, object]:
        """The buckets, the oldest first, JSON-like."""
        return {
            "v": VERSION,
            "hours": [[list(c) for c in hour] for hour in self._hours],
            "seen_s": [ns // 1_000_000_000 for ns in self._watched],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Go on with what was saved; False when that is of other columns: left alone.

        Raises KeyError, TypeError or ValueError for what is not a snapshot. How long nobody
        watched is not known: the hours before a start count as the hours just before it.
        """
        if saved["v"] != VERSION:
            raise ValueError(f"version {saved['v']!r}")
        hours = [[[_count(n) for n in counts] for counts in hour] for hour in saved["hours"]]
        watched = [_count(s) * 1_000_000_000 for s in saved["seen_s"]]
        if len(watched) != len(hours) or any(ns > HOUR_NS for ns in watched):
            raise ValueError(f"hours of {saved['seen_s']} seconds")
        widths = [len(one.shares) for one in self._references]
        if any([len(counts) for counts in hour] != widths for hour in hours):
            return False
        self._hours, self._watched = deque(hours, maxlen=HOURS), deque(watched, maxlen=HOURS)
        self._hour_ns = None
        return True


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value
