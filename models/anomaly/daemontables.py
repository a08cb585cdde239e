"""What the daemon would have told, as tables: faults in real series, and alarms in sound ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from models.anomaly import cabinetseries, daemonrun, faultscores, realseries
from models.anomaly.cabinetseries import A_DAY, DAYS, CabinetSite
from models.anomaly.daemonrun import DAY_S, Alarms
from models.anomaly.faultinjection import KINDS
from models.anomaly.labelledseries import TRAIN, Series, generate_series, load_labelled
from models.confidence import bootstrap_interval

LABELLED: Final = "labelled_faults"
CHOOSE: Final = ("choose", 7)  # the part of the real series, and the seed of its faults
REPORT: Final = ("report", 20261130)  # opened by the evaluation of what ships, and by nothing else
SOUND_SEEDS: Final = {"choose": 31, "report": 20261130}


def fault_groups(data: Path, part: str) -> dict[str, list[Series]]:
    """Real and generated series with faults by name, and real ones as they are."""
    folder = data / LABELLED if (data / LABELLED).is_dir() else data
    whole = realseries.has_real(data)
    labelled = realseries.labelled_walls(load_labelled(folder), data if whole else None)
    groups = {
        "labelled, tuned on": [s for s in labelled if s.name in TRAIN],
        "labelled, others": [s for s in labelled if s.name not in TRAIN],
        "generated, seed 3": generate_series(3),
    }
    if whole:
        name, seed = REPORT if part == "report" else CHOOSE
        real = realseries.load_real(data)
        sound = real.report if name == "report" else real.choose
        groups[f"new faults, part `{name}`, seed {seed}"] = realseries.with_faults(sound, seed)
        groups[f"no faults, part `{name}`"] = list(sound)
    return groups


def fault_tables(
    groups: Mapping[str, Sequence[Series]], bundle: Path, *, batch: bool
) -> Iterator[str]:
    """Of `fault_groups`, hours known and not; each series is a part of the intervals."""
    yield (
        "| series | hours | F1 | found | first day: false / series | later: false / 1,000 | "
        "later: false / series-month | " + " | ".join(KINDS) + " |"
    )
    yield "|---" * (7 + len(KINDS)) + "|"
    for name, series in groups.items():
        for hours in (True, False) if any(one.faults for one in series) else (True,):
            alarms = daemonrun.judge_series(bundle, series, hours=hours, batch=batch)
            yield fault_row(
                f"{name} ({len(series)})", "known" if hours else "not known", series, alarms
            )
        alarms = [faultscores.alarm_samples(*pair) for pair in daemonrun.by_rule(series)]
        yield fault_row(f"{name}: the rule", "not known", series, alarms)


def fault_row(name: str, hours: str, series: Sequence[Series], alarms: Sequence[Alarms]) -> str:
    """Found are those of all days; false alarms are of the first day and of what follows apart."""
    tallies, first, later = [], 0, []
    for one, at in zip(series, alarms, strict=True):
        tallies.append(faultscores.series_tally(one, at))
        day = daemonrun.first_day(one)
        first += faultscores.series_tally(one, at[at < day]).wrong
        rest = faultscores.series_tally(one, at[at >= day])
        later.append(replace(rest, points=rest.points - day))
    t = faultscores.total_tally(tallies)
    cells = [name, hours]
    if t.faults:
        f1 = bootstrap_interval(tallies, lambda parts: faultscores.total_tally(parts).f1)
        cells += [f1.shown(), f"{t.found}/{t.faults}"]
    else:
        cells += ["-", "-"]
    wrong = bootstrap_interval(later, lambda parts: faultscores.total_tally(parts).wrong_per_1000)
    months = _months(series)
    false = faultscores.total_tally(later).wrong
    a_month = f"{false / months:.2f}" if months else "-"
    cells += [f"{first / len(series):.2f}", wrong.shown(), a_month]
    cells += ["{}/{}".format(*t.kinds[kind]) if kind in t.kinds else "-" for kind in KINDS]
    return f"| {' | '.join(cells)} |"


def _months(series: Sequence[Series]) -> float:
    """Series-months after the first day of those whose times are known; 0 if any has none."""
    if any(one.wall is None for one in series):
        return 0.0
    spans = [(one.wall[-1] - one.wall[0]) / DAY_S - 1 for one in series if one.wall is not None]
    return float(np.sum(spans)) / 30


def sound_sites(part: str) -> list[CabinetSite]:
    """Series of one minute that nothing was trained on."""
    seed = SOUND_SEEDS[part]
    return [
        *(cabinetseries.switched_loads(seed + k) for k in range(3)),
        *(cabinetseries.clean_curves(seed + k) for k in range(2)),
        cabinetseries.road_lanes(seed),
    ]


def sound_tables(bundle: Path, part: str, *, batch: bool) -> Iterator[str]:
    """Alarms a series-day by age, and the spikes of clean curves."""
    yield "| sound, one minute | first day | days 2 to 7 | later, a series-month | by series |"
    yield "|---|---|---|---|---|"
    found: dict[str, list[dict[str, tuple[int, float]]]] = {}
    kinds: dict[str, dict[str, int]] = {}
    seed = SOUND_SEEDS[part]
    spiked = cabinetseries.spiked(cabinetseries.clean_curves(seed), seed)
    sites = [*sound_sites(part), spiked]
    *told, of_spikes = daemonrun.judge_sites(bundle, sites, batch=batch)
    for site, alarms in zip(sites[:-1], told, strict=True):
        found.setdefault(site.name, []).append(daemonrun.by_age(alarms, A_DAY, DAYS))
        late = kinds.setdefault(site.name, {})
        for (source, point), at in alarms.items():
            name = point if site.road else source
            late[name] = late.get(name, 0) + int((at >= 7 * A_DAY).sum())
    for name, ages in found.items():
        cells = []
        for age, per in (("first day", 1), ("days 2 to 7", 1), ("after a week", 30)):
            count, days = sum(s[age][0] for s in ages), sum(s[age][1] for s in ages)
            cells.append(f"{count} in {days:.0f}: {per * count / days:.3f}")
        where = ", ".join(f"{k} {v}" for k, v in kinds[name].items() if v)
        yield f"| {name} | {' | '.join(cells)} | {where or '-'} |"
    tally = faultscores.total_tally(
        [faultscores.series_tally(spiked.series[key], at) for key, at in of_spikes.items()]
    )
    yield ""
    yield (
        f"Spikes of ten deviations of the noise on clean curves: {tally.found} of {tally.faults} "
        f"found, {tally.wrong} false alarms in {len(of_spikes) * DAYS} series-days."
    )
