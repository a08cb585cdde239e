"""Trains the congestion model and writes its bundle.

    python -m models.congestion.train --streets DIR... --out models/congestion [--legacy DIR]

Streets are left out in folds: what the trees say of a street that they have not seen decides where
flags go on and off, how odds become probabilities, and in which situations they speak at all. They
speak where they beat the tuned rule, clean and with injured loops; elsewhere the rule does. So it
does where `--rule` says it. The tables that it prints are of streets left out. Streets of the set
`choosing` and those with seeds from UNSEEN on are never learned from: they are for scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

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
from models.congestion.congestionrunner import FIXED, chances_beside, fixed_rule, rule_chances
from models.congestion.congestionstate import POSITIONS
from models.congestion.eventscores import EventTally
from models.congestion.formula import SITUATIONS, FormulaParts, PositionRule
from models.congestion.fusionbaseline import learn_fusion
from models.congestion.scenarios.finalset import FinalSetError
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.simstreet import SimStreet, find_streets, load_street, load_usual
from models.congestion.scoretables import Tallies, delays_table, events_table, reliability_table
from models.congestion.speakerchoice import Odds, RowScore, choose_speakers
from models.congestion.treelearning import AHEAD_S, RowSample, is_unseen

FAULTY: Final = 0.25  # of the loops of the second copy of each street
SEED: Final = 1


def learned_streets(folders: Sequence[Path]) -> list[tuple[SimStreet, SimStreet | None]]:
    """All streets below these folders that may be learned from, each with its usual day."""
    found = [
        (load_street(place), load_usual(place))
        for folder in folders
        for place in find_streets(folder)
    ]
    return [(street, usual) for street, usual in found if not is_unseen(street)]


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


def unseen_rule_chances(
    all_rows: Sequence[ApproachRow],
    trials: Mapping[str, tuning.RuleTrials],
    folds: Sequence[frozenset[str]],
) -> Odds:
    """The odds of each row, by position, from rules that were tuned without its street."""
    out: Odds = [np.zeros(0)] * len(all_rows)
    for fold in folds:
        chosen = {position: trials[position].best(fold) for position in POSITIONS}
        at = [i for i, row in enumerate(all_rows) if row.street in fold]
        for i, chances in zip(at, rule_chances([all_rows[i] for i in at], chosen), strict=True):
            out[i] = chances
    return out


def beside_of_links(all_rows: Sequence[ApproachRow], chances: Odds) -> tuning.BesideTrials:
    """Trials of what positions need more where the link has others."""
    at = [i for i, row in enumerate(all_rows) if row.situation == "link" and row.whole]
    return tuning.beside_trials([all_rows[i] for i in at], [chances[i] for i in at], chances_beside)


def left_out_tables(
    rows: Sequence[ApproachRow],
    clean: int,
    chances: Odds,
    model: Mapping[int, RowScore],
    fusion: Mapping[int, EventTally],
) -> Iterator[str]:
    """What each says of streets that were left out; the first `clean` rows are of sound loops."""
    for name, at in (("sound", range(clean)), ("injured", range(clean, len(rows)))):
        here = [rows[i] for i in at]
        scores: dict[str, Tallies] = {
            "model": [model[i].tally for i in at],
            "fusion GBM": [fusion.get(i) for i in at],
            "tuned occupancy": [
                tuning.score_holds(chances[i].max(axis=1), rows[i], *tuning.RULE_LIMITS) for i in at
            ],
            "over 30 %": [tuning.score_holds(fixed_rule(row), row, *FIXED) for row in here],
        }
        yield from events_table(f"Left out in folds, {name} loops", here, scores)
        yield from delays_table(here, scores)
        yield from reliability_table(here, [model[i].p for i in at])


def fusion_scores(
    samples: Sequence[RowSample], folds: Sequence[frozenset[str]]
) -> dict[int, EventTally]:
    """The flags of the fusion on whole links that it has not seen, by index of the sample."""
    at = [i for i, sample in enumerate(samples) if sample.row.whole]
    return dict(zip(at, learn_fusion([samples[i] for i in at], folds)[1], strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, nargs="+", required=True)
    parser.add_argument("--legacy", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tables", action="store_true", help="of streets that were left out")
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
    chances = unseen_rule_chances(all_rows, trials, folds)
    beside = beside_of_links(all_rows, chances)
    for fold in folds:
        needed = beside.best(fold)
        for i, row in enumerate(all_rows):
            if row.street in fold:
                chances[i] = chances_beside(chances[i], needed)
    halves = [frozenset().union(*folds[k::2]) for k in (0, 1)]  # forecasts only need odds
    print("rule tuned", flush=True)
    trees = [
        unseen_odds(samples, halves if which else folds, which) for which in range(len(AHEAD_S))
    ]
    chosen = choose_speakers(samples, len(clean), trees, chances, folds, args.rule)
    for situation, figures in chosen.figures.items():
        print(situation, figures, flush=True)
    if args.tables:
        fusion = fusion_scores(samples, folds)
        for line in left_out_tables(all_rows, len(clean), chances, chosen.scores, fusion):
            print(line, flush=True)
    if args.out:
        rules: list[PositionRule] = [
            replace(trials[position].best(), beside=needed)
            for position, needed in zip(POSITIONS, beside.best(), strict=True)
        ]
        forests = [treelearning.learn_forest(samples, which) for which in range(len(AHEAD_S))]
        about = {
            "streets": len(streets),
            "link_days": round(sum(r.days for r in clean if r.whole), 1),
            "events": sum(len(r.link.events) for r in clean if r.whole),
            "left_out_in_folds": dict(chosen.figures),
            "rule_speaks": args.rule,
        }
        export_bundle(FormulaParts(rules, chosen.speakers, forests), args.out, about, samples)


if __name__ == "__main__":
    main()
