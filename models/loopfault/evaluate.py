"""Scores the shipped model and the rules on streets that training has not seen.

    python -m models.loopfault.evaluate --streets DIR/held_out [--legacy DIR]

Each is played as often without faults as with faults on three loops of ten. Nothing is tuned here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from models import BUNDLES
from models.congestion.scenarios.faults import inject
from models.congestion.scenarios.legacy import load_legacy
from models.congestion.scenarios.street import Street, load
from models.loopfault.data import SHARE, played
from models.loopfault.export import OFF, ON
from models.loopfault.flagging import alarms, floored, ruling
from models.loopfault.running import Running
from models.loopfault.scoring import Score, score, table

SEED: Final = 1000


def evaluate(streets: Iterable[Street], run: Running, plays: int) -> tuple[Score, Score]:
    """The model's score and the rules'."""
    model, ruled = Score(), Score()
    for street in streets:
        for seed in range(SEED, SEED + plays):
            hurt = (street.seed // 3 + seed) % 2
            injured, faults = inject(street, seed, SHARE if hurt else 0.0)
            p = played(injured, faults)
            (flags,) = alarms([p], [floored(run.answer(p), p.ruled)], ON, OFF)
            model += score(flags, faults, p.hours)
            (flags,) = alarms([p], [ruling(p.ruled)], ON, OFF, at_once=True)
            ruled += score(flags, faults, p.hours)
    return model, ruled


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streets", type=Path)
    parser.add_argument("--legacy", type=Path)
    parser.add_argument("--bundle", type=Path, default=BUNDLES / "loopfault")
    parser.add_argument("--plays", type=int, default=2, help="of each street")
    args = parser.parse_args()
    run = Running((args.bundle / "loopfault.onnx").read_bytes())
    for title, streets in (
        ("held out", (load(p.parent) for p in sorted(args.streets.glob("**/meta.json"))))
        if args.streets
        else ("", ()),
        ("legacy", load_legacy(args.legacy)) if args.legacy else ("", ()),
    ):
        if title:
            for name, s in zip(("model", "rules"), evaluate(streets, run, args.plays), strict=True):
                print(f"\n{title}, {name}: {s.sound_days:.1f} sound detector-days\n\n{table(s)}")


if __name__ == "__main__":
    main()
