"""Trains the congestion model and writes its bundle.

    python -m models.congestion.train --streets DIR... --out models/congestion [--legacy DIR]

Streets are left out in folds: what the trees say of a street that they have not seen decides where
flags go on and off, how odds become probabilities, and in which situations they speak at all. They
speak where they beat the published rule, clean and with injured loops; elsewhere the rule does. So
it does where `--rule` says it. The rule itself is taken as the
gateway has it, unless `--tune-rule` is given. The tables that it prints are of streets left out.
Streets of the set `choosing` and those with seeds from UNSEEN on are never learned from: they are
for scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.occupancy import THRESHOLDS
from models.congestion import treelearning, tuning
from models.congestion.approachrows import (
    ApproachRow,
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
from models.congestion.speakerchoice import Days, Odds, RowScore, choose_speakers, row_counts
from models.congestion.treelearning import RowSample, is_unseen

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


def usual_rows(rows: Sequence[ApproachRow]) -> list[ApproachRow]:
    """The usual days that these rows have behind them, at sites that have seen such days before."""
    days = [row.before for row in rows if row.before is not None]
    return [replace(day, before=day) for day in days]


def with_parts(samples: Sequence[RowSample]) -> list[RowSample]:
    """All links, and all subsets of their positions."""
    return [one for sample in samples for one in (sample, *sample.parts())]


def published_rules() -> dict[str, PositionRule]:
    """The rule as the gateway has it: it was tuned on the older streets, and is a promise."""
    return {position: PositionRule(**asdict(rule)) for position, rule in THRESHOLDS.items()}


def tuned_rules(rows: Sequence[ApproachRow]) -> dict[str, PositionRule]:
    """The rule tuned anew: each position where it is alone, then what it needs beside others."""
    rules = {position: tuning.rule_trials(
        [row for row in rows if row.situation == position], position).best()
        for position in POSITIONS}  # fmt: skip
    links = [row for row in rows if row.situation == "link"]
    beside = tuning.beside_trials(links, rule_chances(links, rules), chances_beside).best()
    return {
        position: replace(rules[position], beside=needed)
        for position, needed in zip(POSITIONS, beside, strict=True)
    }


def unseen_odds(
    samples: Sequence[RowSample],
    scored: Sequence[int],
    folds: Sequence[frozenset[str]],
) -> Odds:
    """The odds of the samples `scored` from trees that have not seen their street."""
    found: dict[int, NDArray[np.float64]] = {}
    for fold in folds:
        learned = [sample for sample in samples if sample.row.street not in fold]
        boosting = treelearning.learn_boosting(learned)
        for i in scored:
            if samples[i].row.street in fold:
                found[i] = boosting.decision_function(samples[i].features)
    return [found[i] for i in scored]


def left_out_tables(
    rows: Sequence[ApproachRow],
    days: Days,
    chances: Odds,
    model: Mapping[int, RowScore],
    fusion: Mapping[int, EventTally],
) -> Iterator[str]:
    """What each says of streets that were left out."""
    for name, at in (("sound", days.sound), ("injured", days.injured)):
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
    parser.add_argument("--tune-rule", action="store_true", help="its thresholds, too")
    parser.add_argument("--rule", nargs="*", default=[], choices=SITUATIONS, help="it speaks here")
    args = parser.parse_args()
    try:
        streets = learned_streets(args.streets)
    except FinalSetError as error:
        parser.error(str(error))
    streets += [(street, None) for street in load_legacy(args.legacy)] if args.legacy else []
    clean, faulty = whole_rows(streets, 0.0), whole_rows(streets, FAULTY)
    usual = usual_rows(clean)
    link_days, usual_days = (sum(row.days for row in rows) for rows in (clean, usual))
    print(f"{len(streets)} streets, {link_days:.1f} link-days, {usual_days:.1f} usual", flush=True)
    whole = treelearning.row_samples(clean + faulty + usual)
    busy = len(clean) + len(faulty)
    sound, injured = with_parts(whole[: len(clean)]), with_parts(whole[len(clean) : busy])
    samples = [*sound, *injured, *whole[busy:]]
    ends = (len(sound), len(sound) + len(injured))
    scored = [i for i, sample in enumerate(samples) if row_counts(sample.row)]
    days = Days(*(
        [k for k, i in enumerate(scored) if begin <= i < end]
        for begin, end in ((0, ends[0]), ends, (ends[1], len(samples)))
    ))  # fmt: skip
    counted = [samples[i] for i in scored]
    folds = treelearning.street_folds(street.name for street, _ in streets)
    rows = [sample.row for sample in counted]
    rules = tuned_rules(rows) if args.tune_rule else published_rules()
    chances = rule_chances(rows, rules)
    trees = unseen_odds(samples, scored, folds)
    print("odds of streets left out", flush=True)
    chosen = choose_speakers(counted, days, trees, chances, folds, args.rule)
    for situation, figures in chosen.figures.items():
        print(situation, figures, flush=True)
    if args.tables:
        fusion = fusion_scores(counted, folds)
        for line in left_out_tables(rows, days, chances, chosen.scores, fusion):
            print(line, flush=True)
    if args.out:
        about = {
            "streets": len(streets),
            "link_days": round(link_days, 1),
            "usual_link_days": round(usual_days, 1),
            "events": sum(len(row.link.events) for row in clean),
            "left_out_in_folds": dict(chosen.figures),
            "rule_speaks": args.rule,
        }
        by_position = [rules[position] for position in POSITIONS]
        parts = FormulaParts(by_position, chosen.speakers, treelearning.learn_forest(samples))
        export_bundle(parts, args.out, about, samples)


if __name__ == "__main__":
    main()
