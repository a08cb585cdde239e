"""Scores the shipped model, and what stands beside it, on streets that training has not seen.

    python -m models.loopfault.evaluate --streets DIR [--legacy DIR] [--plays 4] [--every 1]

With `--causes` each is played with causes that hit several loops, and never without faults.

Each is played as often without faults as with faults on three loops of ten, and judged as the
gateway does it, with all rules; beside it the rules without the model, the model's trees without
any rule, and rules as they are published (`baselines`). Nothing is tuned here. With `held_out` in
DIR only that is taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from models import BUNDLES
from models.confidence import bootstrap_interval
from models.congestion.scenarios.commoncauses import inject_cause
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.loopfaults import KINDS, inject_faults
from models.congestion.scenarios.simstreet import SimStreet, find_streets, load_street
from models.loopfault.baselines import TreesAlone, published_alarms
from models.loopfault.flagging import Alarms
from models.loopfault.flagscores import FlagScore, score_street, score_table
from models.loopfault.judgedstreets import judged_alarms
from models.loopfault.playedstreets import SHARE

SEED: Final = 1000
PLAYS: Final = 4  # of each street
CHOSEN_ON: Final = ("arterial_101", "arterial_102", "corridor_101", "corridor_102")
"""The older days with which the numbers of `edge/infer/loops/silence.py` were chosen."""


def evaluate(
    streets: Iterable[SimStreet], bundle: Path, plays: int, *, causes: bool = False
) -> dict[str, list[FlagScore]]:
    """Scores by who judges, one for each street. `causes`: of `commoncauses`."""
    trees = TreesAlone(bundle)
    judges: dict[str, Callable[[SimStreet], Alarms]] = {
        "model": lambda street: judged_alarms(street, bundle),
        "rules": lambda street: judged_alarms(street, None),
        "trees alone": trees.alarms,
        "published rules": published_alarms,
    }
    scores: dict[str, list[FlagScore]] = {name: [] for name in judges}
    for street in streets:
        sums = {name: FlagScore() for name in judges}
        for seed in range(SEED, SEED + plays):
            if causes:
                injured, _, faults = inject_cause(street, seed)
            else:
                hurt = (street.seed // 3 + seed) % 2
                injured, faults = inject_faults(street, seed, SHARE if hurt else 0.0, KINDS)
            for name, alarms in judges.items():
                sums[name] += score_street(alarms(injured), faults, street.hours)
        for name, found in sums.items():
            scores[name].append(found)
    return scores


def tables(args: argparse.Namespace) -> Iterator[str]:
    """What the card tells, line by line: of `args.streets`, and of `args.legacy` where given."""
    plays = 1 if getattr(args, "quick", False) else getattr(args, "plays", PLAYS)
    causes = getattr(args, "causes", False)
    which = slice(getattr(args, "first", 0), None, getattr(args, "every", 1))
    final = getattr(args, "final", False)
    for title, streets in _sets(args.streets, getattr(args, "legacy", None), final, which):
        scores = evaluate(streets, args.bundle, plays, causes=causes)
        for name in ("model", "rules"):
            parts = scores[name]
            s = sum(parts, FlagScore())
            yield ""
            yield f"{title}, {name}: {len(parts)} streets, {s.sound_days:.1f} sound detector-days"
            yield ""
            yield from score_table(s).splitlines()
            yield f"By street, 95 %: {', '.join(intervals(parts))}."
        yield ""
        yield f"{title}, all that judge"
        yield ""
        yield from beside_table(scores)


def beside_table(scores: Mapping[str, Sequence[FlagScore]]) -> Iterator[str]:
    """Each judge in a line, words aside; (95 %, by street)."""
    yield "| judge | F1 | precision | found | false alarms a detector-day | median delay |"
    yield "|---|---|---|---|---|---|"
    for name, parts in scores.items():
        s = sum(parts, FlagScore())
        yield (
            f"| {name} | {_shown(parts, FlagScore.f1)} | {s.precision():.2f} | {s.recall():.2f} "
            f"| {_shown(parts, FlagScore.false_a_day)} | {s.delay_s():.0f} s |"
        )


def _shown(parts: Sequence[FlagScore], measure: Callable[[FlagScore], float]) -> str:
    return bootstrap_interval(parts, lambda some: measure(sum(some, FlagScore()))).shown()


def intervals(parts: Sequence[FlagScore]) -> Iterator[str]:
    """What the score lies between when streets are drawn again."""
    yield f"F1 {_shown(parts, FlagScore.f1)}"
    yield f"recall {_shown(parts, FlagScore.recall)}"
    yield f"false {_shown(parts, FlagScore.false_a_day)}"


def _sets(
    streets: Path | None, legacy: Path | None, final: bool, which: slice
) -> Iterator[tuple[str, Iterable[SimStreet]]]:
    """What is scored, by its name. One street at a time: all of them do not fit into memory."""
    if streets is not None:
        below = streets / "held_out"
        found = find_streets(below if below.is_dir() else streets, final=final)[which]
        yield "final set" if final else "held out", (load_street(place) for place in found)
    if legacy is not None:
        days = load_legacy(legacy)
        yield "older days", [day for day in days if day.name not in CHOSEN_ON]
        yield "older days, chosen on", [day for day in days if day.name in CHOSEN_ON]


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streets", type=Path)
    parser.add_argument("--legacy", type=Path)
    parser.add_argument("--bundle", type=Path, default=BUNDLES / "loopfault")
    parser.add_argument("--plays", type=int, default=PLAYS, help="of each street")
    parser.add_argument("--quick", action="store_true", help="each street once")
    parser.add_argument("--every", type=int, default=1, help="one street of so many")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    parser.add_argument("--causes", action="store_true", help="causes that hit several loops")
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
