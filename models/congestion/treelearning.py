"""Learns the trees: features of rows as the graph makes them, and forests on streets in folds.

Usual days are learned from like all others: what is seen there every day is no congestion.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion import congestionstate
from models.congestion.approachrows import PASSES, ApproachRow, parts_of
from models.congestion.scenarios.simstreet import SimStreet
from models.graph import NumpyOps
from models.trees import Forest

# Between two days nobody watches: roads begin empty, and a queue at the end of a day is not there.
BETWEEN_S: Final = 3600.0
AHEAD_S: Final = (0.0, 300.0, 900.0)  # now, and what is forecast
FOLDS: Final = 4
UNSEEN: Final = 5066  # streets with this seed and above are never learned from
MOST: Final = 120_000  # slots to learn from
RARER: Final = 4.0  # slots without congestion are drawn so much more seldom; calibration knows


@dataclass(frozen=True, slots=True)
class ForestShape:
    """How large a forest is; `features` is the share of them that a node may choose from."""

    trees: int
    leaves: int
    smallest: int = 200  # slots in a leaf
    features: float = 0.25


SHAPE: Final = ForestShape(100, 16)

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RowSample:
    """A row and its features [S, F]; `known` [S, COUNT] is of the places that were kept."""

    row: ApproachRow
    all_features: Floats  # of all places of the link
    known: Floats

    @property
    def features(self) -> Floats:
        """Those of the places that were kept; made anew, for they are most of the memory."""
        if self.row.whole:
            return self.all_features
        return congestionstate.without_places(self.all_features, self.row.kept)

    def parts(self) -> Iterator[RowSample]:
        """The same link with fewer places: `approachrows.parts_of`."""
        for row in parts_of(self.row):
            keep = np.isin(np.arange(congestionstate.COUNT), row.kept)
            yield RowSample(row, self.all_features, self.known * keep.astype(np.float32))


def is_unseen(street: SimStreet) -> bool:
    """Whether a street is kept for scores: of the sets for choices and for the last score, too."""
    return street.seed >= UNSEEN or street.split in ("choosing", "final")


def row_samples(rows: Iterable[ApproachRow]) -> list[RowSample]:
    """Features of rows, in their order, by the formula of the graph."""
    every = list(rows)
    groups: dict[bytes, list[int]] = {}
    for i, row in enumerate(every):
        groups.setdefault(row_rhythm(row), []).append(i)
    found: dict[int, RowSample] = {}
    for at in groups.values():
        found.update(zip(at, _samples([every[i] for i in at]), strict=True))
    return [found[i] for i in range(len(every))]


def row_rhythm(row: ApproachRow) -> bytes:
    """Equal for rows that can go through a model together."""
    return row.dt_s.tobytes() + (b"|" + row.before.dt_s.tobytes() if row.before else b"")


def _samples(rows: Sequence[ApproachRow]) -> Iterator[RowSample]:
    o, length = NumpyOps(), len(rows[0].dt_s)
    state = np.tile(np.asarray(congestionstate.start_signals(), np.float32), (len(rows), 1))
    for x, present, dt in usual_days(rows):
        state, _ = congestionstate.remember_slot(o, x, present, dt, state)
    features = np.empty((length, len(rows), len(congestionstate.feature_names())), np.float32)
    known = np.empty((length, len(rows), congestionstate.COUNT), np.float32)
    for i in range(length):
        x = np.stack([row.x[i] for row in rows])
        present = np.stack([row.present[i] for row in rows])
        dt = np.full((len(rows), 1), rows[0].dt_s[i], np.float32)
        state, known[i] = congestionstate.remember_slot(o, x, present, dt, state)
        features[i], _ = congestionstate.congestion_features(o, x, state, known[i])
    for j, row in enumerate(rows):
        yield RowSample(row, features[:, j].copy(), known[:, j].copy())


def usual_days(rows: Sequence[ApproachRow]) -> Iterator[tuple[Floats, Floats, Floats]]:
    """x, present, dt of all rows, slot by slot, of what their sites saw before."""
    before = [row.before for row in rows if row.before is not None]
    for _ in range(PASSES if before else 0):
        for i, dt_s in enumerate(before[0].dt_s):
            x = np.stack([row.x[i] for row in before])
            present = np.stack([row.present[i] for row in before])
            dt = np.full((len(before), 1), dt_s, np.float32)
            yield x, present, dt
        yield np.zeros_like(x), np.zeros_like(present), np.full_like(dt, BETWEEN_S)


def row_truth(row: ApproachRow, ahead_s: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """(congested `ahead_s` after each slot, how much that counts: not in events too short)."""
    there = row.inside(row.link.events, ahead_s)
    unclear = row.inside(row.link.short, ahead_s) & ~there
    beyond = row.ends_s + ahead_s > row.ends_s[-1]
    return there, (~unclear & ~beyond).astype(np.float64)


def learn_forest(samples: Sequence[RowSample], shape: ForestShape = SHAPE, seed: int = 0) -> Forest:
    """Whether an approach is congested now."""
    return Forest.of(learn_boosting(samples, shape, seed))


def learn_boosting(samples: Sequence[RowSample], shape: ForestShape = SHAPE, seed: int = 0) -> Any:
    """The same, as scikit-learn has it: it answers for many rows more quickly."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng([seed, 0])
    truths = [(sample, *row_truth(sample.row, 0.0)) for sample in samples]
    jammed = sum(int((y & (w > 0)).sum()) for _, y, w in truths)
    free = sum(int((~y & (w > 0)).sum()) for _, y, w in truths)
    share = min(1.0, MOST / (jammed + free / RARER))
    xs, ys = [], []
    for sample, y, w in truths:
        drawn = np.where(y, share, share / RARER)
        keep = (w > 0) & (sample.known[:, : congestionstate.OWN].max(axis=1) > 0)
        keep &= random.random(len(y)) < drawn
        xs.append(sample.features[keep])
        ys.append(y[keep])
    boosting = HistGradientBoostingClassifier(
        max_iter=shape.trees,
        learning_rate=0.1,
        max_leaf_nodes=shape.leaves,
        min_samples_leaf=shape.smallest,
        l2_regularization=20.0,
        max_features=shape.features,
        max_bins=100,
        early_stopping=False,
        random_state=seed,
    )
    boosting.fit(np.concatenate(xs), np.concatenate(ys))
    return boosting


def street_folds(streets: Iterable[str], seed: int = 0) -> list[frozenset[str]]:
    """Streets to be left out together, so shuffled that kinds are spread."""
    names = sorted(set(streets))
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(name.split("_")[0], []).append(name)
    random = np.random.default_rng(seed)
    out: list[set[str]] = [set() for _ in range(FOLDS)]
    at = 0
    for kind in sorted(by_kind):
        for name in random.permutation(by_kind[kind]).tolist():
            out[at % FOLDS].add(name)
            at += 1
    return [frozenset(each) for each in out if each]
