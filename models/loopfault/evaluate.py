"""Scores the shipped model and the rules on streets that training has not seen.

    python -m models.loopfault.evaluate --streets DIR [--legacy DIR] [--plays 4] [--quick]

Each is played as often without faults as with faults on three loops of ten. Nothing is tuned here.
With `held_out` in DIR only that is taken.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from models import BUNDLES
from models.confidence import interval
from models.congestion.scenarios.faults import inject
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.street import Street, load, places
from models.loopfault.data import SHARE, played
from models.loopfault.export import OFF, ON
from models.loopfault.flagging import alarms, floored, heeded, ruling
from models.loopfault.running import Running
from models.loopfault.scoring import Score, score, table

SEED: Final = 1000
PLAYS: Final = 4  # of each street
CHOSEN_ON: Final = ("arterial_101", "arterial_102", "corridor_101", "corridor_102")
"""The older days with which the numbers of `edge/infer/loops/silence.py` were chosen."""


def evaluate(
    streets: Iterable[Street], run: Running, plays: int
) -> tuple[list[Score], list[Score]]:
    """The model's scores and the rules', one for each street."""
    models, rules = [], []
    for street in streets:
        model, ruled = Score(), Score()
        for seed in range(SEED, SEED + plays):
            hurt = (street.seed // 3 + seed) % 2
            injured, faults = inject(street, seed, SHARE if hurt else 0.0)
            p = played(injured, faults)
            answers = floored(heeded(run.answer(p), p.silent), p.ruled)
            (flags,) = alarms([p], [answers], ON, OFF)
            model += score(flags, faults, p.hours)
            (flags,) = alarms([p], [ruling(p.ruled)], ON, OFF, at_once=True)
            ruled += score(flags, faults, p.hours)
        models.append(model)
        rules.append(ruled)
    return models, rules


def tables(args: argparse.Namespace) -> Iterator[str]:
    """What the card tells, line by line: of `args.streets`, and of `args.legacy` where given."""
    run = Running((args.bundle / "loopfault.onnx").read_bytes())
    plays = 1 if getattr(args, "quick", False) else getattr(args, "plays", PLAYS)
    for title, streets in _sets(args.streets, getattr(args, "legacy", None)):
        for name, parts in zip(("model", "rules"), evaluate(streets, run, plays), strict=True):
            s = sum(parts, Score())
            yield ""
            yield f"{title}, {name}: {len(parts)} streets, {s.sound_days:.1f} sound detector-days"
            yield ""
            yield from table(s).splitlines()
            yield f"By street, 95 %: {', '.join(intervals(parts))}."


def intervals(parts: Sequence[Score]) -> Iterator[str]:
    """What the score lies between when streets are drawn again."""
    yield f"F1 {interval(parts, lambda some: sum(some, Score()).f1()).shown()}"
    yield f"recall {interval(parts, lambda some: sum(some, Score()).recall()).shown()}"
    yield f"false {interval(parts, lambda some: sum(some, Score()).false_a_day()).shown()}"


def _sets(streets: Path | None, legacy: Path | None) -> Iterator[tuple[str, Iterable[Street]]]:
    """What is scored, by its name. One street at a time: all of them do not fit into memory."""
    if streets is not None:
        below = streets / "held_out"
        found = places(below if below.is_dir() else streets)
        yield "held out", (load(place) for place in found)
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
    for line in tables(parser.parse_args()):
        print(line, flush=True)


if __name__ == "__main__":
    main()
