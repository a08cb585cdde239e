"""Trains the loopfault model on streets with injured loops and writes the bundle.

    python -m models.loopfault.train --streets DIR/train DIR/training --out models/loopfault

These hold streets as `models.congestion.scenarios.generate` makes them. Each is played several
times, on the day on which something happens or on its usual day, without faults, with some, or with
a cause that hits several loops, through the features that the gateway computes. Trees are fitted in
two rounds: the second knows the sound slots that the first took for faults. The threshold of each
kind is chosen on streets that the trees were not fitted on, fold by fold; then all streets fit
those that are shipped. Held-out streets are never touched here.
"""

from __future__ import annotations

import argparse
import itertools
import pickle
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from edge.infer.loops.loopfeatures import FEATURES
from models.congestion.scenarios.commoncauses import inject_cause
from models.congestion.scenarios.finalset import FinalSetError
from models.congestion.scenarios.loopfaults import LoopFault, inject_faults
from models.congestion.scenarios.simstreet import SimStreet, find_streets, load_street, load_usual
from models.loopfault.ensemble import TreeEnsemble, ensemble_graph, of_boosting
from models.loopfault.export import NAME, VERSION, export_bundle
from models.loopfault.flagscores import score_table
from models.loopfault.graphrunner import GraphRunner
from models.loopfault.playedstreets import CLASSES, SHARE, PlayedStreet, Rows, play_street
from models.loopfault.tuning import Answered, score_bias, tune_bias, without_rows

SEED: Final = 1
PERIODS_S: Final = (60.0, 40.0, 5.0)  # slots of 30 s, 40 s, 30 s that gather
PLAYS_TURN: Final = 4  # of so many plays one is without faults, and one with a common cause
USUAL_EVERY: Final = 3  # one play of so many is of the street's usual day
FOLDS: Final = 3
FIRST_SLOTS: Final = 12  # of a fault, all taken: there it must be found
SLOW: Final = ("breakup", "crosstalk", "undercount", "splashover", "mismatch")
SLOW_SLOTS: Final = 4  # of these say little: there a fault of these kinds has hardly left a trace
LATER_SLOTS: Final = 24  # of the rest, so many by chance
SOUND: Final = 0.08  # of the sound slots in the first round
HARD: Final = 0.2  # sound slots that the first round takes for a fault with more than this

NOT_LEARNED: Final = ("idle", "idle_usual", "age")
"""Columns for the rules alone: when traffic stands, silence is no sign; and no fault is young."""

Labels = NDArray[np.int64]
Sample = tuple[Rows, Labels, NDArray[np.float64]]


class EnsembleShape(NamedTuple):
    """How large the ensemble is: trees of each class, leaves of each tree, steps of a column."""

    rounds: int
    leaves: int
    bins: int = 128


def find_training(folders: Sequence[Path]) -> list[Path]:
    """Where the streets are, folder by folder. Raises as `find_streets`."""
    return [place for folder in folders for place in find_streets(folder)]


def injure_street(street: SimStreet, seed: int) -> tuple[SimStreet, tuple[LoopFault, ...]]:
    """As it is, with a common cause, or with faults of single loops."""
    turn = (street.seed + seed) % PLAYS_TURN
    if turn == 0:
        return street, ()
    if turn > 1:
        return inject_faults(street, seed, SHARE)
    injured, _, faults = inject_cause(street, seed)
    return injured, faults


class Plays:
    """Streets played once for each seed, kept in `folder` from one use to the next."""

    def __init__(self, places: Sequence[Path], seeds: Sequence[int], folder: Path) -> None:
        self.places, self.seeds, self.folder = tuple(places), tuple(seeds), folder
        self.folds = {place: fold_of(load_street(place).seed) for place in self.places}

    def of(self, place: Path) -> Iterator[PlayedStreet]:
        """All plays of a street: few at a time fit into memory."""
        for seed in self.seeds:
            kept = self.folder / f"{place.parent.name}_{place.name}_{seed}.pickle"
            if not kept.exists():
                part = kept.with_suffix(".part")
                part.write_bytes(pickle.dumps(play(place, seed), protocol=5))
                part.rename(kept)
            yield pickle.loads(kept.read_bytes())


def play(place: Path, seed: int) -> PlayedStreet:
    """A street played on one of its days, with what the seed does to its loops."""
    usual = load_usual(place) if seed % USUAL_EVERY == 0 else None
    street = load_street(place) if usual is None else usual
    injured, faults = injure_street(street, seed)
    return play_street(injured, faults, PERIODS_S[(street.seed + seed) % len(PERIODS_S)])


def draw_sample(p: PlayedStreet, random: np.random.Generator) -> Sample:
    """Rows of a street with their labels and weights: all kinds of moments, few of each."""
    take = (p.kinds == 0) & (random.random(p.kinds.shape) < SOUND)
    weight = np.where(p.kinds == 0, 1.0 / SOUND, 1.0)
    for column in range(p.kinds.shape[1]):
        edges = np.flatnonzero(np.diff(p.kinds[:, column], prepend=0, append=0))
        for first, last in pairwise(edges):
            if p.kinds[first, column] <= 0:  # sound, or of a fault that is not learned
                continue
            early = np.arange(first, min(first + FIRST_SLOTS, last))
            later = np.arange(first + FIRST_SLOTS, last)
            some = random.permutation(later)[:LATER_SLOTS]
            take[early, column] = take[some, column] = True
            if CLASSES[p.kinds[first, column]] in SLOW:
                weight[early[:SLOW_SLOTS], column] = 0.3
            if len(some):
                weight[some, column] = min(4.0, len(later) / len(some))
    return p.rows[take], p.kinds[take].astype(np.int64), weight[take]


def hard_negatives(p: PlayedStreet, answer: Rows, random: np.random.Generator) -> Sample:
    """Sound slots that the first round doubts."""
    wrong = (p.kinds == 0) & (1.0 - answer[..., 0] > HARD)
    wrong &= random.random(wrong.shape) < 0.5
    rows = p.rows[wrong]
    return rows, np.zeros(len(rows), np.int64), np.full(len(rows), 6.0)


def fit_ensemble(samples: Sequence[Sample], shape: EnsembleShape) -> TreeEnsemble:
    """Boosted trees on all samples. Deterministic."""
    rows = np.concatenate([s[0] for s in samples])
    rows[:, [FEATURES.index(name) for name in NOT_LEARNED]] = 0.0
    labels = np.concatenate([s[1] for s in samples])
    weights = np.concatenate([s[2] for s in samples])
    counts = np.bincount(labels, weights, minlength=len(CLASSES))
    # Sound slots are the most by far; so that kinds are told apart too, they weigh no more than
    # eight times all others, and each kind a little towards the others.
    share = np.ones(len(CLASSES))
    share[0] = min(1.0, 8.0 * counts[1:].sum() / max(1.0, counts[0]))
    mean = counts[1:][counts[1:] > 0].mean()
    share[1:] = np.sqrt(mean / np.maximum(counts[1:], 1.0))
    print("rows", rows.shape, dict(zip(CLASSES, counts.astype(int), strict=True)), flush=True)
    model = HistGradientBoostingClassifier(
        max_iter=shape.rounds,
        max_leaf_nodes=shape.leaves,
        learning_rate=0.15,
        min_samples_leaf=150,
        max_features=0.4,
        l2_regularization=10.0,
        max_bins=shape.bins,
        early_stopping=False,
        random_state=SEED,
    )
    model.fit(rows, labels, sample_weight=weights * share[labels])
    return of_boosting(model, len(CLASSES))


def fold_of(seed: int) -> int:
    """Neighbouring seeds are of different kinds: each fold has all kinds."""
    return seed // 3 % FOLDS


def fit_without_fold(plays: Plays, left_out: int | None, shape: EnsembleShape) -> TreeEnsemble:
    """Two rounds on all streets but those of one fold."""
    random = np.random.default_rng(SEED)

    def some() -> Iterator[PlayedStreet]:
        for place, fold in plays.folds.items():
            if fold != left_out:
                yield from plays.of(place)

    samples = [draw_sample(p, random) for p in some()]
    rough = fit_ensemble(samples, shape._replace(rounds=shape.rounds // 2))
    first = GraphRunner(ensemble_graph(rough, NAME, VERSION).SerializeToString())
    samples += [hard_negatives(p, first.answer(p), random) for p in some()]
    return fit_ensemble(samples, shape)


def main() -> None:
    """Choose thresholds on what each fold's model says of streets it has not seen; fit; export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--streets", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, help="keeps played streets from run to run")
    parser.add_argument("--plays", type=int, default=8, help="of each street")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--leaves", type=int, default=15)
    parser.add_argument("--bins", type=int, default=128, help="of each column")
    args = parser.parse_args()
    try:
        places = find_training(args.streets)
    except FinalSetError as error:
        parser.error(str(error))
    with tempfile.TemporaryDirectory() as scratch:
        plays = Plays(places, range(1, args.plays + 1), args.cache or Path(scratch))
        train(plays, EnsembleShape(args.rounds, args.leaves, args.bins), args.out)


def train(plays: Plays, shape: EnsembleShape, out: Path) -> None:
    """The bundle that follows from these plays."""
    answers: list[Answered] = []
    for fold in sorted(set(plays.folds.values())):
        trees = fit_without_fold(plays, fold, shape)
        run = GraphRunner(ensemble_graph(trees, NAME, VERSION).SerializeToString())
        for place, its in plays.folds.items():
            if its == fold:
                answers += [(without_rows(p), run.answer(p)) for p in plays.of(place)]
    bias = tune_bias(answers)
    print(score_table(score_bias(answers, bias)), flush=True)
    trees = fit_without_fold(plays, None, shape)
    golden = [p for place in plays.places for p in itertools.islice(plays.of(place), 1)]
    export_bundle(
        trees.shifted(bias),
        out,
        golden,
        {
            "script": "models/loopfault/train.py",
            "streets": [place.name for place in plays.places],
            "seed": SEED,
            "plays": len(plays.seeds),
            "rounds": shape.rounds,
            "leaves": shape.leaves,
            "bias": bias,
        },
    )


if __name__ == "__main__":
    main()
