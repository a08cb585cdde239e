"""Trains the congestion model and writes its bundle.

    python -m models.congestion.train --streets DIR... --out models/congestion [--legacy DIR]

Streets are left out in folds: what the trees say of a street that they have not seen decides where
flags go on and off, how odds become probabilities, and in which situations they speak at all. They
speak where they beat the tuned rule, clean and with injured loops; elsewhere the rule does. So it
does where `--rule` says it. Streets with seeds from UNSEEN on are never learned from: they are for
the last score.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from models.congestion import treelearning, tuning
from models.congestion.approachrows import (
    ApproachRow,
    parts_of,
    rows_after_usual_days,
    rows_of,
    simulated_judge,
)
from models.congestion.congestionbundle import export_bundle
from models.congestion.congestionrunner import rule_odds
from models.congestion.congestionstate import POSITIONS
from models.congestion.formula import SITUATIONS, FormulaParts, PositionRule, SituationSpeaker
from models.congestion.scenarios.finalset import FinalSetError
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.simstreet import SimStreet, find_streets, load_street, load_usual
from models.congestion.speakerchoice import Odds, choose_speaker
from models.congestion.treelearning import AHEAD_S, UNSEEN, RowSample

FAULTY: Final = 0.25  # of the loops of the second copy of each street
SEED: Final = 1


def learned_streets(folders: Sequence[Path]) -> list[tuple[SimStreet, SimStreet | None]]:
    """All streets below these folders that may be learned from, each with its usual day."""
    found = [
        (load_street(place), load_usual(place))
        for folder in folders
        for place in find_streets(folder)
    ]
    return [(street, usual) for street, usual in found if street.seed < UNSEEN]


def whole_rows(
    streets: Sequence[tuple[SimStreet, SimStreet | None]], share: float, seed: int = SEED
) -> list[ApproachRow]:
    """All links of all streets; `share` of the loops injured.

    Beside each street its usual day, in which all loops are sound.
    """
    out: list[ApproachRow] = []
    for street, usual in streets:
        if share:
            injured, faults = inject_faults(street, seed, share)
            here = rows_of(injured, simulated_judge(faults, street, seed))
        else:
            here = rows_of(street)
        out += rows_after_usual_days(here, rows_of(usual)) if usual else here
    return out


def training_rows(
    streets: Sequence[tuple[SimStreet, SimStreet | None]], share: float
) -> list[ApproachRow]:
    """All links, and all subsets of their positions."""
    whole = whole_rows(streets, share)
    return whole + [part for row in whole for part in parts_of(row)]


def tuned_rules(all_rows: Sequence[ApproachRow]) -> dict[str, tuning.RuleTrials]:
    """Trials of the rule for each position, on the rows that have it alone."""
    return {
        position: tuning.rule_trials([r for r in all_rows if r.situation == position], position)
        for position in POSITIONS
    }


def unseen_odds(samples: Sequence[RowSample], folds: Sequence[frozenset[str]], which: int) -> Odds:
    """The odds of each sample from trees that have not seen its street."""
    out: Odds = [np.zeros(0)] * len(samples)
    for fold in folds:
        forest = treelearning.learn_forest([s for s in samples if s.row.street not in fold], which)
        for i, sample in enumerate(samples):
            if sample.row.street in fold:
                out[i] = forest.run(sample.features)[:, 0]
    return out


def unseen_rule_odds(
    all_rows: Sequence[ApproachRow],
    trials: Mapping[str, tuning.RuleTrials],
    folds: Sequence[frozenset[str]],
) -> Odds:
    """The odds of each row from rules that were tuned without its street."""
    out: Odds = [np.zeros(0)] * len(all_rows)
    for fold in folds:
        chosen = {position: trials[position].best(fold) for position in POSITIONS}
        at = [i for i, row in enumerate(all_rows) if row.street in fold]
        for i, odds in zip(at, rule_odds([all_rows[i] for i in at], chosen), strict=True):
            out[i] = odds
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, nargs="+", required=True)
    parser.add_argument("--legacy", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rule", nargs="*", default=[], choices=SITUATIONS, help="it speaks here")
    args = parser.parse_args()
    try:
        streets = learned_streets(args.streets)
    except FinalSetError as error:
        parser.error(str(error))
    streets += [(street, None) for street in load_legacy(args.legacy)] if args.legacy else []
    clean, faulty = training_rows(streets, 0.0), training_rows(streets, FAULTY)
    print(
        f"{len(streets)} streets, {sum(r.days for r in clean if r.whole):.1f} link-days", flush=True
    )
    all_rows = clean + faulty
    samples = treelearning.row_samples(all_rows)
    folds = treelearning.street_folds(street.name for street, _ in streets)
    trials = tuned_rules(all_rows)
    rule = unseen_rule_odds(all_rows, trials, folds)
    halves = [frozenset().union(*folds[k::2]) for k in (0, 1)]  # forecasts only need odds
    print("rule tuned", flush=True)
    trees = [
        unseen_odds(samples, halves if which else folds, which) for which in range(len(AHEAD_S))
    ]
    speakers: dict[str, SituationSpeaker] = {}
    figures: dict[str, Any] = {}
    for situation in SITUATIONS:
        speakers[situation], figures[situation] = choose_speaker(
            situation, samples, len(clean), trees, rule, folds, situation in args.rule
        )
        print(situation, figures[situation], flush=True)
    if args.out:
        rules: list[PositionRule] = [trials[position].best() for position in POSITIONS]
        forests = [treelearning.learn_forest(samples, which) for which in range(len(AHEAD_S))]
        about = {
            "streets": len(streets),
            "link_days": round(sum(r.days for r in clean if r.whole), 1),
            "events": sum(len(r.link.events) for r in clean if r.whole),
            "left_out_in_folds": figures,
            "rule_speaks": args.rule,
        }
        export_bundle(FormulaParts(rules, speakers, forests), args.out, about, samples)


if __name__ == "__main__":
    main()
