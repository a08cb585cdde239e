"""What the judge of series reads out of a window's drafts: values per series."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from edge.core import Draft, Reason, uncertain
from edge.infer.sites import LaneSite
from edge.wire.contract.points import Air, Energy, Gauge, Total
from edge.wire.contract.traffic import Lane

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
        body = draft.body
        if isinstance(body, Lane) and lanes and draft.source in lanes:
            out |= _lane(draft, body, lanes[draft.source])
        if not isinstance(body, Air | Energy):
            continue
        for name, point in body.points.items():
            group = f"{draft.stream.value}/{name}"
            covered_s = body.covered_s if _covered(draft, body) else None
            out[draft.source, name] = _reading(point, covered_s, period_s, group)
    return out


def _reading(
    point: Gauge | Total, covered_s: float | None, period_s: float, group: str
) -> SeriesSample:
    if covered_s is None:
        return _sample(None, point.step, group)
    if isinstance(point, Gauge):
        return _sample(point.mean, point.step, group)
    grown = point.delta
    if grown is not None and covered_s:
        grown = grown * period_s / covered_s  # less time, less growth: judge that of a period
    return _sample(grown, point.step, group)


def _sample(value: float | None, quantum: float, group: str, road: bool = False) -> SeriesSample:
    if value is None or not math.isfinite(value):
        return SeriesSample(None, quantum, group, road)
    return SeriesSample(max(-LARGEST, min(LARGEST, float(value))), quantum, group, road)


def _lane(draft: Draft, body: Lane, site: LaneSite) -> dict[SeriesKey, SeriesSample]:
    """Vehicles an hour, occupancy, and the time mean of the speed in km/h; neighbours are the
    lanes of the approach. One who stands on a pair at red takes all of a space mean with him."""
    # what a doubted loop has counted is neither odd nor usual
    known = _covered(draft, body) and body.covered_s > 0 and UNCERTAIN_LOOP not in body.quality
    volume, speed = body.volume, body.speed
    an_hour = 3600.0 / body.covered_s if known else 0.0
    values = {
        "volume": (None if volume is None else volume * an_hour, an_hour),
        "occupancy": (body.occupancy, 0.0001),
        "speed": (speed.mean if speed else None, 0.0),
    }
    return {
        (draft.source, name): _sample(
            value if known else None, step, f"{site.approach}/{site.position}/{name}", road=True
        )
        for name, (value, step) in values.items()
    }


def _covered(draft: Draft, body: Lane | Air | Energy) -> bool:
    whole_s = (draft.to_ns - draft.from_ns) / 1e9
    return body.covered_s > LEAST_COVER * whole_s
