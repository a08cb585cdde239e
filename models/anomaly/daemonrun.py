"""Judges recorded series as the daemon does: by its judge of series, hours known.

With `batch` by the graph alone, all series at once: sooner, and the same but for what the judge
adds: a gap in time counts as missing samples, and what all lanes of an approach show raises no
flag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.bundlemanifest import read_manifest
from edge.infer.modelguard import ModelGuard
from edge.infer.robustz import RobustZRule
from edge.infer.series import SeriesJudge
from edge.infer.seriesfeatures import SeriesKey, SeriesSample
from models.anomaly import anomalyrunner, faultscores
from models.anomaly.cabinetseries import CabinetSite
from models.anomaly.labelledseries import Floats, Series

Alarms = NDArray[np.intp]

VALUE: Final = "value"
MINUTE_S: Final = 60.0
DAY_S: Final = 86400.0


def judge_sites(
    bundle: Path, sites: Sequence[CabinetSite], *, hours: bool = True, batch: bool = False
) -> list[dict[SeriesKey, Alarms]]:
    """The samples at which each series' flag goes on, by site. All have the same times, and are
    judged in one batch; neighbours are those of one group and site."""
    series = {(f"{i} {a}", b): one for i, s in enumerate(sites) for (a, b), one in s.series.items()}
    about = {
        (f"{i} {a}", b): (f"{i} {s.groups[a, b]}" if (a, b) in s.groups else "", s.road)
        for i, s in enumerate(sites)
        for a, b in s.series
    }
    if batch:
        at = iter(_by_graph(bundle, list(series.values()), hours=hours))
        told = {key: next(at) for key in series}
    else:
        told = _judged(bundle, series, about, hours=hours)
    return [{(a, b): told[f"{i} {a}", b] for a, b in site.series} for i, site in enumerate(sites)]


def judge_series(
    bundle: Path, series: Sequence[Series], *, hours: bool = True, batch: bool = False
) -> list[Alarms]:
    """The same for series that are no neighbours; those with the same times in one batch."""
    if batch:
        return _by_graph(bundle, series, hours=hours)
    batches: dict[tuple[int, float, float], list[int]] = {}
    for place, one in enumerate(series):
        wall = _times(one)
        batches.setdefault((len(wall), float(wall[0]), float(wall[-1])), []).append(place)
    out: list[Alarms] = [np.zeros(0, np.intp)] * len(series)
    for places in batches.values():
        some = {(str(place), VALUE): series[place] for place in places}
        told = _judged(bundle, some, {}, hours=hours)
        for place in places:
            out[place] = told[str(place), VALUE]
    return out


def by_graph(bundle: Path, series: Sequence[Series]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(onset, level) of every sample, rounded as flags are decided."""
    session = anomalyrunner.make_session((bundle / read_manifest(bundle).file).read_bytes())
    pairs = anomalyrunner.run_series(session, series)
    return [(np.round(onset, 3), np.round(level, 3)) for onset, level in pairs]


def _by_graph(bundle: Path, series: Sequence[Series], *, hours: bool) -> list[Alarms]:
    known = read_manifest(bundle)
    some = series if hours else [replace(one, wall=None) for one in series]
    pairs = by_graph(bundle, some)
    return [faultscores.alarm_samples(*pair, known.on, known.off) for pair in pairs]


def _judged(
    bundle: Path,
    series: Mapping[SeriesKey, Series],
    about: Mapping[SeriesKey, tuple[str, bool]],
    *,
    hours: bool,
) -> dict[SeriesKey, Alarms]:
    guard = ModelGuard("anomaly", bundle, hurry=False)
    if not guard.load():
        raise RuntimeError(guard.why)
    first = next(iter(series.values()))
    wall, known = _times(first).tolist(), hours and first.wall is not None
    period_s = float(np.median(np.diff(wall)))
    judge = SeriesJudge(guard, period_s)
    rows = [
        (key, one.quantum, *about.get(key, ("", False)), one.values.tolist())
        for key, one in series.items()
    ]
    out: dict[SeriesKey, list[int]] = {key: [] for key in series}
    end_s, before_s = 0.0, wall[0] - period_s
    for i, wall_s in enumerate(wall):
        passed_s = max(wall_s - before_s, period_s)
        end_s, before_s = end_s + passed_s, wall_s
        judge.missing(round(passed_s / period_s) - 1)
        now = {
            key: SeriesSample(value if (value := values[i]) == value else None, step, group, road)
            for key, step, group, road, values in rows
        }
        for verdict in judge.step(int(end_s * 1e9), period_s, now, wall_s if known else None):
            if verdict.turn == "on":
                out[verdict.key].append(i)
    return {key: np.asarray(at, np.intp) for key, at in out.items()}


def _times(one: Series) -> Floats:
    """A minute each where nobody knows them."""
    if one.wall is not None:
        return one.wall
    return np.asarray(MINUTE_S * np.arange(len(one.values)), np.float64)


def first_day(one: Series) -> int:
    """Samples of the first 24 hours."""
    wall = _times(one)
    return int((wall < wall[0] + DAY_S).sum())


def by_rule(series: Sequence[Series]) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """(onset, level) of every sample, by the rule that answers without a model."""
    out = []
    for s in series:
        rule, onset, level = RobustZRule(), np.zeros(len(s.values)), np.zeros(len(s.values))
        for i, value in enumerate(s.values):
            odd = rule.step(float(value), s.quantum)
            onset[i], level[i] = (odd.onset, odd.level) if odd else (0.0, rule.level)
        out.append((onset, level))
    return out


def by_age(alarms: Mapping[SeriesKey, Any], a_day: int, days: int) -> dict[str, tuple[int, float]]:
    """(alarms, series-days) of the first day, the rest of the first week, and what follows."""
    edges = {"first day": (0, 1), "days 2 to 7": (1, 7), "after a week": (7, days)}
    return {
        name: (
            sum(int(((at >= a * a_day) & (at < b * a_day)).sum()) for at in alarms.values()),
            float((b - a) * len(alarms)),
        )
        for name, (a, b) in edges.items()
    }
