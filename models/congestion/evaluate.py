"""Scores the bundle that ships, as it ships, on simulated streets; prints tables in Markdown.

    python -m models.congestion.evaluate --streets DIR [--fusion DIR...] [--health simulated]

The graph runs slot by slot through onnxruntime. Beside it: the occupancy rule that was tuned on the
same streets as the model and stands inside it; mean occupancy above 30 % of the last minute, the
usual fixed rule; and with `--fusion` gradient boosting over whole links that is trained on those
streets now. All see the same rows, without loops that are called broken: by the judge
of loop health that ships, or by a simulated one. Each position alone stands for a site
that has no other loops; `link` is all loops of a link, and those of the links beside it.
False alarms are counted on these streets, and on the usual day of each, on which nothing happens.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.occupancy import OFF_ODDS
from models.congestion import treelearning, tuning
from models.congestion.approachrows import (
    ApproachRow,
    all_sound,
    parts_of,
    rows_after_usual_days,
    rows_of,
)
from models.congestion.congestionrunner import FIXED, ShippedBundle, fixed_rule, rule_odds, rules_of
from models.congestion.eventscores import EventTally
from models.congestion.fusionbaseline import FusionBaseline, learn_fusion
from models.congestion.scenarios.loopfaults import inject_faults
from models.congestion.scenarios.simstreet import SimStreet, find_streets, load_street, load_usual
from models.congestion.scoretables import (
    Tallies,
    curve_table,
    delays_table,
    events_table,
    forecast_table,
    quiet_table,
    reliability_table,
)
from models.congestion.simulatedhealth import HEALTHS
from models.congestion.train import learned_streets, whole_rows
from models.congestion.treelearning import is_unseen

FAULTY: Final = 0.25
SEED: Final = 101  # not the faults of the training
LIMITS: Final = (0.6, 0.7, 0.8, 0.85, 0.9, 0.92, 0.95, 0.97)  # of p, of the curve


def played(
    streets: Sequence[tuple[SimStreet, SimStreet | None]], share: float, health: str
) -> list[ApproachRow]:
    """All rows that are scored, at sites that have seen their usual day, where there is one."""
    out: list[ApproachRow] = []
    for street, usual in streets:
        injured, faults = inject_faults(street, SEED, share) if share else (street, ())
        here = rows_of(injured, HEALTHS[health](injured, faults, SEED) if share else all_sound)
        out += rows_after_usual_days(here, rows_of(usual)) if usual else here
    return out + [part for row in out for part in parts_of(row)]


def quiet_rows(streets: Sequence[tuple[SimStreet, SimStreet | None]]) -> list[ApproachRow]:
    """The usual days themselves, at sites that have seen them before."""
    whole = [row for _, usual in streets if usual for row in rows_of(usual)]
    return [replace(row, before=row) for row in whole]


def model_flags(
    bundle: ShippedBundle, rows: Sequence[ApproachRow], outputs: Sequence[dict[str, NDArray[Any]]]
) -> list[EventTally]:
    """The flags of the bundle; puts each row's slots with a flag beside its outputs."""
    on, off = bundle.manifest["flags"]["on"], bundle.manifest["flags"]["off"]
    out = []
    for row, one in zip(rows, outputs, strict=True):
        level = np.round(one["level"] * one["known"], 3)
        one["flag"] = tuning.flags_of(level, row, on, off)
        out.append(tuning.score_holds(level, row, on, off))
    return out


def limit_tallies(
    bundle: ShippedBundle, rows: Sequence[ApproachRow], outputs: Sequence[dict[str, NDArray[Any]]],
    p: float,
) -> list[EventTally]:  # fmt: skip
    """The flags, had they gone on at this p on links, and off as much below as they do."""
    speaker = bundle.manifest["speakers"]["link"]
    scale = OFF_ODDS / (speaker["off"] - speaker["on"])
    on = scale * (np.log(p / (1.0 - p)) - speaker["on"])
    limits = [1.0 / (1.0 + float(np.exp(-odds))) for odds in (on, on + OFF_ODDS)]
    return [
        tuning.score_holds(one["level"] * one["known"], row, *limits)
        for row, one in zip(rows, outputs, strict=True)
    ]


def rival_flags(bundle: ShippedBundle, rows: Sequence[ApproachRow]) -> dict[str, Tallies]:
    """The flags of both rules."""
    tuned = zip(rule_odds(rows, rules_of(bundle.manifest)), rows, strict=True)
    return {
        "tuned occupancy": [
            tuning.score_holds(odds, row, *tuning.RULE_LIMITS) for odds, row in tuned
        ],
        "over 30 %": [tuning.score_holds(fixed_rule(row), row, *FIXED) for row in rows],
    }


def fusion_flags(fusion: FusionBaseline, rows: Sequence[ApproachRow]) -> list[EventTally | None]:
    """The flags of the fusion on whole links, the only ones that it knows."""
    samples = treelearning.row_samples(row for row in rows if row.whole)
    said = iter(fusion.score(samples))
    return [next(said) if row.whole else None for row in rows]


def trained_fusion(folders: Sequence[Path]) -> FusionBaseline:
    """The fusion of these streets."""
    streets = learned_streets(folders)
    clean, faulty = whole_rows(streets, 0.0), whole_rows(streets, FAULTY)
    folds = treelearning.street_folds(street.name for street, _ in streets)
    return learn_fusion(treelearning.row_samples(clean + faulty), folds)[0]


def tables(args: argparse.Namespace) -> Iterator[str]:
    """All tables of the card, line by line, on streets that were never learned from."""
    every, health = getattr(args, "every", False), getattr(args, "health", "judged")
    cold = getattr(args, "cold", False)
    found = [
        (load_street(place), None if cold else load_usual(place))
        for place in find_streets(args.streets, final=getattr(args, "final", False))
    ]
    streets = [(street, usual) for street, usual in found if every or is_unseen(street)]
    if not streets:
        yield f"left out: no street below {args.streets} was kept from the training"
        return
    if getattr(args, "quick", False):
        streets = streets[::5]
    bundle = ShippedBundle(args.bundle)
    fusion = trained_fusion(args.fusion) if getattr(args, "fusion", None) else None
    curves: tuple[list[ApproachRow], list[dict[str, NDArray[Any]]]] | None = None
    for name, share in (("Sound", 0.0), ("With injured loops", FAULTY)):
        rows = played(streets, share, health)
        outputs = bundle.run(rows)
        scores: dict[str, Tallies] = {"model": model_flags(bundle, rows, outputs)}
        if fusion is not None:
            scores["fusion GBM"] = fusion_flags(fusion, rows)
        scores |= rival_flags(bundle, rows)
        days = sum(row.days for row in rows if row.whole)
        yield from events_table(
            f"{name}: {len(streets)} streets, {days:.1f} link-days", rows, scores
        )
        yield from delays_table(rows, scores)
        yield from reliability_table(rows, [one["p"] for one in outputs])
        yield from forecast_table(rows, outputs)
        curves = curves or (rows, outputs)
    usual = quiet_rows(streets)
    if usual and curves:
        outputs = bundle.run(usual)
        rows, said = curves
        yield from curve_table(rows, usual, {
            p: (limit_tallies(bundle, rows, said, p), limit_tallies(bundle, usual, outputs, p))
            for p in LIMITS
        })  # fmt: skip
        quiet: dict[str, Tallies] = {"model": model_flags(bundle, usual, outputs)}
        if fusion is not None:
            quiet["fusion GBM"] = fusion_flags(fusion, usual)
        quiet |= rival_flags(bundle, usual)
        yield from quiet_table(usual, quiet)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streets", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=Path(__file__).parent)
    parser.add_argument("--fusion", type=Path, nargs="+", help="streets that a fusion learns from")
    parser.add_argument("--health", choices=sorted(HEALTHS), default="judged")
    parser.add_argument("--cold", action="store_true", help="sites that have learned nothing yet")
    parser.add_argument("--every", action="store_true", help="streets of the training, too")
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
