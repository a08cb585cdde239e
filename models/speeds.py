"""Scores the speeds of lanes against those of vehicles: how far off, and how often none is given.

    python -m models.speeds --streets DIR [--period 60]

--streets holds simulated streets that `models.congestion.scenarios.generate` made; those that have
pairs of loops (`crossings.npz`) are scored. Each of their pairs is played through the engine, once
with both loops and once with the lead loop alone. The true speed of a window is the space mean of
the vehicles that have left the pair in it: their number over the sum of their times for a metre
from loop to loop, by SUMO, standing included. Windows without such a vehicle are not counted.
`entry` is another mean of the same vehicles, which no loop measures: of the speeds at which their
fronts came to the lead loop, so that who stands there stands for no longer than who rolls on.

Beside them stands what the limits of MnDOT IRIS alone make of the true times of all vehicles
(`measure_passage`), the tolerance being that of a lane. The interval is that of the bias, drawn
over whole streets.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge.process.engine import Engine, EngineSetup, LaneSetup
from edge.process.traffic.histogram import PACE_TO_KMH, SPEED_BINS
from edge.process.traffic.pairing import speed_trap
from edge.process.traffic.passage import SpeedTrap, measure_passage
from edge.wire.contract.traffic import Lane
from models.confidence import bootstrap_interval
from models.congestion.scenarios import crossings
from models.congestion.scenarios.playstreet import engine_setup, nanos, street_contacts
from models.congestion.scenarios.simstreet import Floats, SimStreet, find_streets, load_street

PERIOD_S: Final = 60.0  # of a window
BANDS_KMH: Final = (0, 5, 10, 20, 30, 50, 200)
SLOWEST_MS: Final = 0.1  # of a speed of entry
NEAR: Final = 0.10  # of the true speed: so far off is near


class SpeedWindow(NamedTuple):
    """One lane in one window. `said_kmh` is None where no speed is given."""

    street: str
    place: str  # the position of the loops
    vehicles: int  # that truly left the pair
    true_kmh: float
    entry_kmh: float
    said_kmh: float | None
    estimated: int  # of the vehicles in `said_kmh`: those that the pair did not measure
    true_bands: tuple[int, ...]  # vehicles by BANDS_KMH
    said_bands: tuple[int, ...]
    iris_kmh: float | None  # of the vehicles that IRIS accepts


def played_windows(
    street: SimStreet, truth: crossings.Crossings, period_s: float, *, paired: bool
) -> Iterator[SpeedWindow]:
    """All windows in which vehicles left a pair, of both loops or as if it had the lead only."""
    pairs = {lane.name: lane for lane in engine_setup(street).lanes if lane.name in truth}
    lanes = pairs.values() if paired else [replace(x, spacing_m=None) for x in pairs.values()]
    engine = Engine(EngineSetup(tuple(lanes)))
    sources = {name for lane in pairs.values() for name in (lane.lead, lane.trail)}
    contacts = [each for each in street_contacts(street) if each.source in sources]
    places = {p.lane: _place(street, p.link, p.position) for p in street.loops}
    engine.start(0)
    at = 0
    for k in range(int(street.hours * 3600 / period_s + 1e-6)):
        end_ns, upto = round((k + 1) * period_s * 1e9), at
        while upto < len(contacts) and contacts[upto].mono_ns < end_ns:
            upto += 1
        engine.contacts(contacts[at:upto])
        at = upto
        for draft in engine.close(end_ns):
            if isinstance(draft.body, Lane):
                crossed = _left(truth[draft.source], k * period_s, (k + 1) * period_s)
                if len(crossed):
                    where = (street.name, places[draft.source])
                    yield _window(where, crossed, draft.body, pairs[draft.source])


def _place(street: SimStreet, link: str, position: str) -> str:
    return position if street.link(link).green is not None else f"{position}, no signal"


def _left(crossed: Floats, from_s: float, to_s: float) -> Floats:
    """The vehicles that have left the pair in a span."""
    left, pace = crossed[:, crossings.TRAIL_OFF], crossed[:, crossings.PACE]
    here = (left >= from_s) & (left < to_s) & (pace > 0)  # no pace: to the next lane in between
    return np.asarray(crossed[here])


def _window(where: tuple[str, str], crossed: Floats, body: Lane, lane: LaneSetup) -> SpeedWindow:
    said: float | None = None
    estimated, counts = 0, np.zeros(SPEED_BINS.count + 1)
    if body.speed:
        said, estimated = body.speed.harmonic, body.speed.estimated or 0
        first = body.speed.first
        counts[first : first + len(body.speed.counts)] = body.speed.counts
    elif body.speed_single:
        said = body.speed_single.kmh
    true = np.asarray(3.6 / crossed[:, crossings.PACE])
    entry = 3.6 * np.maximum(crossed[:, crossings.SPEED], SLOWEST_MS)
    entry = entry[np.isfinite(entry)]  # not of those that changed to this lane on the loop
    middles = (np.arange(len(counts)) + 0.5) * SPEED_BINS.width / SPEED_BINS.per_unit
    return SpeedWindow(
        *where,
        vehicles=len(true),
        true_kmh=len(true) / float(np.sum(1 / true)),
        entry_kmh=len(entry) / float(np.sum(1 / entry)) if len(entry) else float("nan"),
        said_kmh=said,
        estimated=estimated,
        true_bands=_banded(true, np.ones(len(true))),
        said_bands=_banded(middles, counts),
        iris_kmh=_iris(crossed, speed_trap(lane)),
    )


def _banded(kmh: Floats, counts: Floats) -> tuple[int, ...]:
    found, _ = np.histogram(kmh, BANDS_KMH, weights=counts)
    return tuple(int(each) for each in found)


def _iris(crossed: Floats, trap: SpeedTrap) -> float | None:
    """The space mean of those vehicles that make a passage of steady speed."""
    times = nanos(crossed[:, : crossings.PACE]).reshape(-1, 4).tolist()
    found = [measure_passage(trap, *each) for each in times]
    paces = [each.pace for each in found if each is not None]
    return len(paces) * PACE_TO_KMH / sum(paces) if paces else None


def speed_table(windows: Sequence[SpeedWindow]) -> Iterator[str]:
    """Lines of a Markdown table, one row for each place."""
    yield (
        "| place | windows | given | entry km/h | true km/h | said km/h | bias | median error "
        "| within 10 % | estimated |"
    )
    yield "|---" * 10 + "|"
    for place in sorted({each.place for each in windows}):
        here = [each for each in windows if each.place == place]
        given = [each for each in here if each.said_kmh is not None]
        if not given:
            yield f"| {place} | {len(here)} | 0 % | | | | | | | |"
            continue
        true, said = np.array([(each.true_kmh, each.said_kmh) for each in given]).T
        off = np.abs(said / true - 1)
        vehicles = sum(each.vehicles for each in here)
        entry = np.nanmean([each.entry_kmh for each in given])
        yield (
            f"| {place} | {len(here)} | {_percent(len(given) / len(here))} | {entry:.1f} "
            f"| {true.mean():.1f} | {said.mean():.1f} | {_bias_text(given)} "
            f"| {_percent(float(np.median(off)))} | {_percent(float((off <= NEAR).mean()))} "
            f"| {_percent(sum(each.estimated for each in here) / vehicles)} |"
        )


def _bias_text(given: Sequence[SpeedWindow]) -> str:
    streets = [
        [each for each in given if each.street == name] for name in {one.street for one in given}
    ]
    streets.sort(key=lambda windows: windows[0].street)
    found = bootstrap_interval(streets, lambda parts: 100 * _bias([*chain(*parts)]))
    return f"{found.shown(1)} %"


def _bias(given: Sequence[SpeedWindow]) -> float:
    true = sum(each.true_kmh for each in given)
    return sum(each.said_kmh or 0.0 for each in given) / true - 1


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def band_table(windows: Sequence[SpeedWindow]) -> Iterator[str]:
    """Vehicles of which a speed is given in each band, for a hundred that truly drove so."""
    bands = [f"{a} to {b}" for a, b in pairwise(BANDS_KMH)]
    yield f"| place | {' | '.join(bands)} |"
    yield "|---" * (len(bands) + 1) + "|"
    for place in sorted({each.place for each in windows}):
        here = [each for each in windows if each.place == place]
        true = np.sum([each.true_bands for each in here], axis=0)
        said = np.sum([each.said_bands for each in here], axis=0)
        cells = [_percent(s / t) if t else "" for s, t in zip(said, true, strict=True)]
        yield f"| {place} | {' | '.join(cells)} |"


def report_lines(places: Iterable[Path], period_s: float) -> Iterator[str]:
    """All tables."""
    windows: dict[bool, list[SpeedWindow]] = {True: [], False: []}
    streets = 0
    for place in places:
        truth = crossings.load_crossings(place)
        if not truth:
            continue
        streets += 1
        street = load_street(place)
        for paired, found in windows.items():
            found += played_windows(street, truth, period_s, paired=paired)
    yield f"{streets} streets with pairs, windows of {period_s:g} s"
    if not streets:
        return
    pairs = windows[True]
    iris = [each._replace(said_kmh=each.iris_kmh, estimated=0) for each in pairs]
    yield from ("", "pairs:", "", *speed_table(pairs))
    yield from ("", "vehicles with a speed, by km/h:", "", *band_table(pairs))
    yield from ("", "the limits of IRIS alone:", "", *speed_table(iris))
    yield from ("", "the lead loop alone:", "", *speed_table(windows[False]))


def tables(args: argparse.Namespace) -> Iterator[str]:
    """All tables, line by line: of `args.streets`."""
    places = find_streets(args.streets, final=getattr(args, "final", False))
    return report_lines(places[::5] if getattr(args, "quick", False) else places, PERIOD_S)


def main(arguments: list[str] | None = None) -> int:
    """0 when there was a street to score."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streets", type=Path, required=True, metavar="DIR")
    parser.add_argument("--period", type=float, default=PERIOD_S, metavar="S")
    options = parser.parse_args(arguments)
    try:
        lines = list(report_lines(find_streets(options.streets), options.period))
    except FileNotFoundError as error:
        parser.error(str(error))
    print("\n".join(lines))
    return 0 if len(lines) > 1 else 1


if __name__ == "__main__":
    sys.exit(main())
