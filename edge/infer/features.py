"""What the judges read out of a window's drafts: occupancy per approach, values per series."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.core import Draft, Stream
from edge.infer.rules import Occupancy
from edge.infer.sites import LaneSite

SERIES: Final = (Stream.AIR, Stream.ENERGY)
LEAST_COVER: Final = 0.1  # of the window: what is known of less says nothing
LARGEST: Final = 1e12  # what is larger is as odd as this; it keeps single precision finite

Key = tuple[str, str]  # source, point


@dataclass(frozen=True, slots=True)
class Reading:
    """One sample of a series: None is missing. `quantum` is the step of one count, 0 unknown."""

    value: float | None
    quantum: float


def approaches(
    drafts: Iterable[Draft], lanes: Mapping[str, LaneSite]
) -> dict[str, dict[str, Occupancy]]:
    """Occupancy by approach and position, over the lanes whose loops are healthy."""
    found: dict[tuple[str, str], list[float]] = {}
    for draft in drafts:
        site = lanes.get(draft.source) if draft.stream is Stream.TRAFFIC else None
        if site is None:
            continue
        value = draft.body.get("occupancy")
        if value is None or draft.body.get("health", "ok") != "ok" or not _covered(draft):
            continue
        found.setdefault((site.approach, site.position), []).append(min(1.0, max(0.0, value)))
    out: dict[str, dict[str, Occupancy]] = {}
    for (approach, position), values in found.items():
        seen = Occupancy(sum(values) / len(values), max(values), min(values))
        out.setdefault(approach, {})[position] = seen
    return out


def readings(drafts: Sequence[Draft], period_s: float) -> dict[Key, Reading]:
    """Every point of every air and energy draft: gauges by mean, totals by growth a period."""
    out: dict[Key, Reading] = {}
    for draft in drafts:
        if draft.stream not in SERIES:
            continue
        covered = _covered(draft)
        for name, point in draft.body.get("points", {}).items():
            out[draft.source, name] = _reading(draft, point, covered, period_s)
    return out


def _reading(draft: Draft, point: Mapping[str, Any], covered: bool, period_s: float) -> Reading:
    quantum = float(point.get("step") or 0.0)
    value = point.get("mean")
    if "delta" in point:
        value = point["delta"]
        seen_s = draft.body.get("covered_s", (draft.to_ns - draft.from_ns) / 1e9)
        if value is not None and covered and seen_s:
            value = value * period_s / seen_s  # less time, less growth: judge that of a period
    if value is None or not covered or not math.isfinite(value):
        return Reading(None, quantum)
    return Reading(max(-LARGEST, min(LARGEST, float(value))), quantum)


def _covered(draft: Draft) -> bool:
    whole_s = (draft.to_ns - draft.from_ns) / 1e9
    return bool(draft.body.get("covered_s", whole_s) > LEAST_COVER * whole_s)
