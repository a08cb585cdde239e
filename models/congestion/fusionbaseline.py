"""What others would do: gradient boosting over all loops of a link at once, and no rule beside it.

It is trained on the same streets as the model, with sound and with injured loops, and sees the same
features as the model's trees; only whole links are its rows, and its forest is four times as large.
Where its flag turns is chosen by what it makes of flags on streets that it has not seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion import treelearning, tuning
from models.congestion.congestionstate import OWN
from models.congestion.eventscores import EventTally, total_tally
from models.congestion.treelearning import ForestShape, RowSample
from models.trees import Forest

SHAPE: Final = ForestShape(trees=200, leaves=31, smallest=50, features=1.0)
ONS: Final = tuple(0.5 * i for i in range(-4, 9))
GAPS: Final = (1.0, 2.0, 3.0)
LIMITS: Final = tuple((on, on - gap) for on, gap in product(ONS, GAPS))  # odds, of flags: on, off
SILENT: Final = -30.0  # odds where no loop of the link is believed

Limits = tuple[float, float]
Trials = Mapping[Limits, EventTally]


@dataclass(frozen=True)
class FusionBaseline:
    """One forest, and the odds at which its flag goes on and off."""

    forest: Forest
    limits: Limits

    def score(self, samples: Sequence[RowSample]) -> list[EventTally]:
        """Its flags on whole links."""
        return [
            tuning.score_holds(fusion_odds(self.forest, one), one.row, *self.limits)
            for one in samples
        ]


def fusion_odds(forest: Forest, sample: RowSample) -> NDArray[Any]:
    known = sample.known[:, :OWN].max(axis=1) > 0
    return np.where(known, forest.run(sample.features)[:, 0], SILENT)


def learn_fusion(
    samples: Sequence[RowSample], folds: Sequence[frozenset[str]]
) -> tuple[FusionBaseline, list[EventTally]]:
    """(the baseline, what each fold's flags are by what was learned and chosen without it).

    `samples` are whole links.
    """
    tried: list[dict[Limits, EventTally]] = [{} for _ in samples]
    for fold in folds:
        inside = [i for i, one in enumerate(samples) if one.row.street in fold]
        forest = _learn([one for one in samples if one.row.street not in fold])
        for i in inside:
            odds = fusion_odds(forest, samples[i])
            for limits in LIMITS:
                tried[i][limits] = tuning.score_holds(odds, samples[i].row, *limits)
    scores = [EventTally() for _ in samples]
    for fold in folds:
        left_out = [one.row.street in fold for one in samples]
        limits = _best([one for one, out in zip(tried, left_out, strict=True) if not out])
        for i in np.flatnonzero(left_out).tolist():
            scores[i] = tried[i][limits]
    return FusionBaseline(_learn(samples), _best(tried)), scores


def _learn(samples: Sequence[RowSample]) -> Forest:
    return treelearning.learn_forest(samples, SHAPE)


def _best(tried: Sequence[Trials]) -> Limits:
    worths = [tuning.tally_worth(total_tally(one[limits] for one in tried)) for limits in LIMITS]
    return LIMITS[int(np.argmax(worths))]
