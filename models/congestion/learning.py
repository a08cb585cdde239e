"""Learns the trees: features of rows as the graph makes them, and forests on streets in folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion import signals
from models.congestion.rows import PASSES, Row
from models.graph import Eager
from models.trees import Forest

AHEAD_S: Final = (0.0, 300.0, 900.0)  # now, and what is forecast
FOLDS: Final = 4
UNSEEN: Final = 5066  # streets with this seed and above are kept for the last score
MOST: Final = 120_000  # slots to learn from
RARER: Final = 4.0  # slots without congestion are drawn so much more seldom; calibration knows
TREES: Final = (100, 50, 50)
LEAVES: Final = (16, 12, 12)

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Sample:
    """A row and its features [S, F]; `known` [S, COUNT]."""

    row: Row
    features: Floats
    known: Floats


def samples(rows: Iterable[Row]) -> list[Sample]:
    """Features of rows, in their order, by the formula of the graph."""
    every = list(rows)
    groups: dict[bytes, list[int]] = {}
    for i, row in enumerate(every):
        groups.setdefault(rhythm(row), []).append(i)
    found: dict[int, Sample] = {}
    for at in groups.values():
        found.update(zip(at, _samples([every[i] for i in at]), strict=True))
    return [found[i] for i in range(len(every))]


def rhythm(row: Row) -> bytes:
    """Equal for rows that can go through a model together."""
    return row.dt_s.tobytes() + (b"|" + row.before.dt_s.tobytes() if row.before else b"")


def _samples(rows: Sequence[Row]) -> Iterator[Sample]:
    o, length = Eager(), len(rows[0].dt_s)
    state = np.tile(np.asarray(signals.start(), np.float32), (len(rows), 1))
    for x, present, dt in usual_days(rows):
        state, _ = signals.remember(o, x, present, dt, state)
    features = np.empty((length, len(rows), len(signals.names())), np.float32)
    known = np.empty((length, len(rows), signals.COUNT), np.float32)
    for i in range(length):
        x = np.stack([row.x[i] for row in rows])
        present = np.stack([row.present[i] for row in rows])
        dt = np.full((len(rows), 1), rows[0].dt_s[i], np.float32)
        state, known[i] = signals.remember(o, x, present, dt, state)
        features[i], _ = signals.features(o, x, state, known[i])
    for j, row in enumerate(rows):
        yield Sample(row, features[:, j].copy(), known[:, j].copy())


def usual_days(rows: Sequence[Row]) -> Iterator[tuple[Floats, Floats, Floats]]:
    """x, present, dt of all rows, slot by slot, of what their sites saw before."""
    before = [row.before for row in rows if row.before is not None]
    for _ in range(PASSES if before else 0):
        for i, dt_s in enumerate(before[0].dt_s):
            x = np.stack([row.x[i] for row in before])
            yield (
                x,
                np.stack([r.present[i] for r in before]),
                np.full((len(x), 1), dt_s, np.float32),
            )


def truth(row: Row, ahead_s: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """(congested `ahead_s` after each slot, how much that counts: not in events too short)."""
    there = row.inside(row.link.events, ahead_s)
    unclear = row.inside(row.link.short, ahead_s) & ~there
    beyond = row.ends_s + ahead_s > row.ends_s[-1]
    return there, (~unclear & ~beyond).astype(np.float64)


def learn(samples: Sequence[Sample], which: int, seed: int = 0) -> Forest:
    """One forest, for AHEAD_S[which]."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    random = np.random.default_rng([seed, which])
    truths = [(sample, *truth(sample.row, AHEAD_S[which])) for sample in samples]
    jammed = sum(int((y & (w > 0)).sum()) for _, y, w in truths)
    free = sum(int((~y & (w > 0)).sum()) for _, y, w in truths)
    share = min(1.0, MOST / (jammed + free / RARER))
    xs, ys = [], []
    for sample, y, w in truths:
        drawn = np.where(y, share, share / RARER)
        keep = (w > 0) & (sample.known[:, : signals.OWN].max(axis=1) > 0)
        keep &= random.random(len(y)) < drawn
        xs.append(sample.features[keep])
        ys.append(y[keep])
    boosting = HistGradientBoostingClassifier(
        max_iter=TREES[which],
        learning_rate=0.1,
        max_leaf_nodes=LEAVES[which],
        min_samples_leaf=200,
        l2_regularization=20.0,
        max_features=0.25,
        max_bins=100,
        early_stopping=False,
        random_state=seed,
    )
    boosting.fit(np.concatenate(xs), np.concatenate(ys))
    return Forest.of(boosting)


def folds(streets: Iterable[str], seed: int = 0) -> list[frozenset[str]]:
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
