"""Trains the congestion model and writes its bundle.

    python -m models.congestion.train --streets DIR --out models/congestion [--legacy DIR]

Streets are left out in folds: what the trees say of a street that they have not seen decides where
flags go on and off, how odds become probabilities, and in which situations they speak at all. They
speak where they beat the tuned rule, clean and with injured loops; elsewhere the rule does. So it
does where `--rule` says it: in situations in which the trees did not hold on other streets.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion import learning, tuning
from models.congestion.bundled import export
from models.congestion.events import Tally, total
from models.congestion.formula import SITUATIONS, Parts, Rule, Speaker, mixed
from models.congestion.learning import AHEAD_S, Sample, truth
from models.congestion.rows import Row, parts_of, rows_of, simulated
from models.congestion.running import UNKNOWN, rule_odds
from models.congestion.scenarios.faults import inject
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.street import Street, load_all
from models.congestion.signals import OWN, POSITIONS
from models.congestion.tuning import Limits, worth
from models.graph import Eager

FAULTY: Final = 0.25  # of the loops of the second copy of each street
SEED: Final = 1
RULE_LIMITS: Final = Limits(0.0, float(np.log(tuning.LEVEL_OFF / (1 - tuning.LEVEL_OFF))))

SLACK: Final = 0.005  # of F1: less than one event
SHARES: Final = (1.0, 0.7, 0.4)  # of the trees in the odds
TAUS_S: Final = (0.0, 45.0, 90.0)
FLOORS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
NO_FLOOR: Final = 30.0

Odds = list[NDArray[Any]]


def rows(streets: Sequence[Street], share: float, seed: int = SEED) -> list[Row]:
    """All links of all streets, all subsets of their positions; `share` of the loops injured."""
    whole: list[Row] = []
    for street in streets:
        if share:
            injured, faults = inject(street, seed, share)
            whole += rows_of(injured, simulated(faults, street, seed))
        else:
            whole += rows_of(street)
    return whole + [part for row in whole for part in parts_of(row)]


def tuned(all_rows: Sequence[Row]) -> dict[str, tuning.Trials]:
    """Trials of the rule for each position, on the rows that have it alone."""
    return {
        position: tuning.trials([r for r in all_rows if r.situation == position], position)
        for position in POSITIONS
    }


def unseen(samples: Sequence[Sample], folds: Sequence[frozenset[str]], which: int) -> Odds:
    """The odds of each sample from trees that have not seen its street."""
    out: Odds = [np.zeros(0)] * len(samples)
    for fold in folds:
        forest = learning.learn([s for s in samples if s.row.street not in fold], which)
        for i, sample in enumerate(samples):
            if sample.row.street in fold:
                out[i] = forest.run(sample.features)[:, 0]
    return out


def ruled(
    all_rows: Sequence[Row], trials: Mapping[str, tuning.Trials], folds: Sequence[frozenset[str]]
) -> Odds:
    """The odds of each row from rules that were tuned without its street."""
    chosen = [{position: trials[position].best(fold) for position in POSITIONS} for fold in folds]
    fold_of = {name: k for k, fold in enumerate(folds) for name in fold}
    return [rule_odds(row, chosen[fold_of[row.street]]) for row in all_rows]


def score(odds: Odds, all_rows: Sequence[Row], limits: Limits, at: Sequence[int]) -> Tally:
    return total(tuning.scored(odds[i], all_rows[i], limits.on, limits.off) for i in at)


@dataclass(frozen=True)
class Choice:
    """How odds are mixed and smoothed, and where flags go on and off."""

    trees: float
    tau_s: float
    limits: Limits


def speaker(
    situation: str, samples: Sequence[Sample], clean: int, trees: Sequence[Odds], rule: Odds,
    shares: Sequence[float] = SHARES,
) -> tuple[Speaker, dict[str, Any]]:  # fmt: skip
    """Who speaks in one situation, and the figures that decided it.

    The first `clean` samples are of sound loops. The rule speaks unless trees, or both together,
    have at least its F1 on sound loops and on injured ones; of those the worthiest.
    """
    all_rows = [sample.row for sample in samples]
    here = [i for i, row in enumerate(all_rows) if row.situation == situation]
    kept = [i for i in here if row_counts(all_rows[i])]
    halves = [[i for i in kept if (i < clean) == sound] for sound in (True, False)]
    alone = Choice(0.0, 0.0, RULE_LIMITS)
    best, odds = alone, rule
    floors = [score(rule, all_rows, RULE_LIMITS, half) for half in halves]
    most = worth(score(rule, all_rows, RULE_LIMITS, kept))
    tried = []
    for share, tau_s in product(shares, TAUS_S):
        said = smoothed_odds(samples, kept, trees[0], rule, share, tau_s)
        limits = tuning.limits([said[i] for i in kept], [all_rows[i] for i in kept])
        told = [score(said, all_rows, limits, half) for half in halves]
        value = worth(score(said, all_rows, limits, kept))
        tried.append([share, tau_s, *(round(t.f1, 3) for t in told), round(value, 3)])
        never_below = all(t.f1 >= f.f1 - SLACK for t, f in zip(told, floors, strict=True))
        if never_below and value > most:
            best, most, odds = Choice(share, tau_s, limits), value, said
    floor = floor_of(odds, rule, best.limits, all_rows, halves) if best.trees else 0.0
    said = smoothed_odds(samples, here, trees[0], rule, best.trees, best.tau_s)
    lines = [best.limits.line]
    for now, ahead_s in zip((said, *trees[1:]), AHEAD_S, strict=True):
        told_true = [truth(all_rows[i], ahead_s) for i in here]
        z = np.concatenate([now[i][w > 0] for i, (_, w) in zip(here, told_true, strict=True)])
        y = np.concatenate([y[w > 0] for y, w in told_true])
        lines.append(tuning.calibrated(z, y))
    rounded = [(round(a, 4), round(b, 4)) for a, b in lines]
    figures = {
        name: {
            word: figure(score(series, all_rows, limits, half))
            for word, half in zip(("clean", "faulty"), halves, strict=True)
        }
        for name, series, limits in (
            ("speaks", odds, best.limits), ("tuned occupancy", rule, RULE_LIMITS),
        )
    }  # fmt: skip
    print(situation, "tried (trees, tau, F1 clean, F1 faulty, worth):", tried, flush=True)
    return Speaker(best.trees, best.tau_s, floor, *rounded), figures


def smoothed_odds(
    samples: Sequence[Sample], at: Sequence[int], trees: Odds, rule: Odds, share: float,
    tau_s: float,
) -> Odds:  # fmt: skip
    """As the graph mixes and smooths them; only for the samples in `at`."""
    out: Odds = [np.zeros(0)] * len(samples)
    for i in at:
        now = np.asarray(mixed(Eager(), trees[i], rule[i], share), np.float64)
        fade = 1.0 - np.exp(-samples[i].row.dt_s / tau_s) if tau_s else np.ones(len(now))
        known = samples[i].known[:, :OWN].max(axis=1) > 0
        out[i] = fading(np.where(known, now, UNKNOWN), fade, known)
    return out


def fading(now: NDArray[Any], share: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    """Smoothed, and begun anew where nothing was known before."""
    out, value, before = now.copy(), 0.0, False
    for i in range(len(now)):
        value = value + share[i] * (now[i] - value) if before and known[i] else now[i]
        out[i], before = value, known[i]
    return out


def floor_of(
    odds: Odds, rule: Odds, limits: Limits, all_rows: Sequence[Row], halves: Sequence[list[int]]
) -> float:
    """The lowest odds of the rule that may overrule the others without making flags worse."""
    scale, shift = limits.line
    before = [worth(score(odds, all_rows, limits, half)) for half in halves]
    for floor in FLOORS:
        level: Odds = [np.zeros(0)] * len(odds)
        for i in (i for half in halves for i in half):
            level[i] = np.maximum(odds[i] * scale + shift, rule[i] - floor)
        after = [worth(score(level, all_rows, RULE_LIMITS, half)) for half in halves]
        if all(a >= b - 0.002 for a, b in zip(after, before, strict=True)):
            return floor
    return NO_FLOOR


def row_counts(row: Row) -> bool:
    """Of a link with more positions, only the whole one is scored; of single ones each is."""
    return row.situation != "link" or row.whole


def figure(t: Tally) -> dict[str, float]:
    return {
        "f1": round(t.f1, 3),
        "detection": round(t.recall, 3),
        "false_a_day": round(t.wrong_a_day, 2),
        "delay_s": round(t.delay_s, 0) if t.delays else -1.0,
        "events": t.events,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, required=True)
    parser.add_argument("--legacy", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rule", nargs="*", default=[], choices=SITUATIONS, help="it speaks here")
    args = parser.parse_args()
    streets = load_all(args.streets) + (load_legacy(args.legacy) if args.legacy else [])
    clean, faulty = rows(streets, 0.0), rows(streets, FAULTY)
    print(
        f"{len(streets)} streets, {sum(r.days for r in clean if r.whole):.1f} link-days", flush=True
    )
    all_rows = clean + faulty
    samples = learning.samples(all_rows)
    folds = learning.folds(street.name for street in streets)
    trials = tuned(all_rows)
    rule = ruled(all_rows, trials, folds)
    halves = [frozenset().union(*folds[k::2]) for k in (0, 1)]  # forecasts only need odds
    print("rule tuned", flush=True)
    trees = [unseen(samples, halves if which else folds, which) for which in range(len(AHEAD_S))]
    speakers: dict[str, Speaker] = {}
    figures: dict[str, Any] = {}
    for situation in SITUATIONS:
        speakers[situation], figures[situation] = speaker(
            situation, samples, len(clean), trees, rule, () if situation in args.rule else SHARES
        )
        print(situation, figures[situation], flush=True)
    if args.out:
        rules: list[Rule] = [trials[position].best() for position in POSITIONS]
        forests = [learning.learn(samples, which) for which in range(len(AHEAD_S))]
        about = {
            "streets": len(streets),
            "link_days": round(sum(r.days for r in clean if r.whole), 1),
            "events": sum(len(r.link.events) for r in clean if r.whole),
            "left_out_in_folds": figures,
            "rule_speaks": args.rule,
        }
        export(Parts(rules, speakers, forests), args.out, about, samples)


if __name__ == "__main__":
    main()
