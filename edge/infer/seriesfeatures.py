"""What the judge of series reads out of a window's drafts: values per series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.core import Draft, Reason, Stream, uncertain
from edge.infer.sites import LaneSite

SERIES_STREAMS: Final = (Stream.AIR, Stream.ENERGY)
LEAST_COVER: Final = 0.1  # of the window: what is known of less says nothing
UNCERTAIN_LOOP: Final = str(uncertain(Reason.LOOP))
LARGEST: Final = 1e12  # what is larger is as odd as this; it keeps single precision finite

SeriesKey = tuple[str, str]  # source, point


@dataclass(frozen=True, slots=True)
class SeriesSample:
    """One sample of a series: None is missing. `quantum` is the step of one count, 0 unknown.

    Those of one `group` measure the same nearby: they are neighbours. Empty: it has none. Of a
    `road` only what its neighbours do not show is reported: the rest is traffic.
    """

    value: float | None
    quantum: float
    group: str = ""
    road: bool = False


def series_samples(
    drafts: Sequence[Draft], period_s: float, lanes: Mapping[str, LaneSite] | None = None
) -> dict[SeriesKey, SeriesSample]:
    """Every point of every air and energy draft: gauges by mean, totals by growth a period.

    With `lanes` also volume, occupancy and speed of every lane that is named there.
    """
    out: dict[SeriesKey, SeriesSample] = {}
    for draft in drafts:
        if lanes and draft.stream is Stream.TRAFFIC and draft.source in lanes:
            out |= _lane(draft, lanes[draft.source])
        if draft.stream not in SERIES_STREAMS:
            continue
        covered = _covered(draft)
        for name, point in draft.body.get("points", {}).items():
            group = f"{draft.stream.value}/{name}"
            out[draft.source, name] = _reading(draft, point, covered, period_s, group)
    return out


def _reading(
    draft: Draft, point: Mapping[str, Any], covered: bool, period_s: float, group: str
) -> SeriesSample:
    quantum = float(point.get("step") or 0.0)
    value = point.get("mean")
    if "delta" in point:
        value = point["delta"]
        seen_s = draft.body.get("covered_s", (draft.to_ns - draft.from_ns) / 1e9)
        if value is not None and covered and seen_s:
            value = value * period_s / seen_s  # less time, less growth: judge that of a period
    return _sample(value if covered else None, quantum, group)


def _sample(value: float | None, quantum: float, group: str, road: bool = False) -> SeriesSample:
    if value is None or not math.isfinite(value):
        return SeriesSample(None, quantum, group, road)
    return SeriesSample(max(-LARGEST, min(LARGEST, float(value))), quantum, group, road)


def _lane(draft: Draft, site: LaneSite) -> dict[SeriesKey, SeriesSample]:
    """Vehicles an hour, occupancy, and the space mean of the speed in km/h; neighbours are the
    lanes of the approach."""
    body, covered_s = draft.body, draft.body.get("covered_s") or 0.0
    # what a doubted loop has counted is neither odd nor usual
    known = _covered(draft) and covered_s > 0 and UNCERTAIN_LOOP not in body.get("quality", ())
    volume, speed = body.get("volume"), body.get("speed") or {}
    an_hour = 3600.0 / covered_s if known else 0.0
    values = {
        "volume": (None if volume is None else volume * an_hour, an_hour),
        "occupancy": (body.get("occupancy"), 0.0001),
        "speed": (speed.get("harmonic"), 0.0),
    }
    return {
        (draft.source, name): _sample(
            value if known else None, step, f"{site.approach}/{site.position}/{name}", road=True
        )
        for name, (value, step) in values.items()
    }


def _covered(draft: Draft) -> bool:
    whole_s = (draft.to_ns - draft.from_ns) / 1e9
    return bool(draft.body.get("covered_s", whole_s) > LEAST_COVER * whole_s)
