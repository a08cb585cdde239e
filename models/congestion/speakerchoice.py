"""Decides in which situations the trees speak, and how: mixing, smoothing, where flags turn.

All is judged on streets that the trees have not seen, and a choice on streets that it was not made
on: in turn each fold is scored with what the other folds would choose.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.congestion import tuning
from models.congestion.approachrows import ApproachRow
from models.congestion.congestionrunner import UNKNOWN
from models.congestion.congestionstate import OWN
from models.congestion.eventscores import EventTally, total_tally
from models.congestion.formula import SituationSpeaker, mix_odds
from models.congestion.treelearning import AHEAD_S, RowSample, row_truth
from models.congestion.tuning import FlagLimits, tally_worth
from models.graph import NumpyOps

RULE_LIMITS: Final = FlagLimits(0.0, float(np.log(tuning.LEVEL_OFF / (1 - tuning.LEVEL_OFF))))
MARGIN: Final = 0.02  # of F1: trees that are not better by this, sound and injured, do not speak
SHARES: Final = (1.0, 0.6)  # of the trees in the odds
TAUS_S: Final = (0.0, 60.0)
ONS: Final = tuple(0.5 * i for i in range(-2, 9))  # odds at which a flag goes on
GAPS: Final = (1.0, 3.0)  # and so much lower off
FLOORS: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
NO_FLOOR: Final = 30.0

Odds = list[NDArray[Any]]


@dataclass(frozen=True)
class SpeakerChoice:
    """How odds are mixed and smoothed, and where flags go on and off."""

    trees: float
    tau_s: float
    limits: FlagLimits


CHOICES: Final = tuple(
    SpeakerChoice(share, tau_s, FlagLimits(on, on - gap))
    for share, tau_s, on, gap in product(SHARES, TAUS_S, ONS, GAPS)
)
ALONE: Final = SpeakerChoice(0.0, 0.0, RULE_LIMITS)


def score_odds(
    odds: Odds, rows: Sequence[ApproachRow], limits: FlagLimits, at: Iterable[int]
) -> EventTally:
    return total_tally(tuning.score_flags(odds[i], rows[i], limits.on, limits.off) for i in at)


def choose_speaker(
    situation: str, samples: Sequence[RowSample], clean: int, trees: Sequence[Odds], rule: Odds,
    folds: Sequence[frozenset[str]], ruled: bool = False,
) -> tuple[SituationSpeaker, dict[str, Any]]:  # fmt: skip
    """Who speaks in one situation, and the figures that decided it; `ruled`: the rule, whatever.

    The first `clean` samples are of sound loops.
    """
    rows = [sample.row for sample in samples]
    here = [i for i, row in enumerate(rows) if row.situation == situation]
    kept = [i for i in here if row_counts(rows[i])]
    halves = [[k for k, i in enumerate(kept) if (i < clean) == sound] for sound in (True, False)]
    by_rule = [tuning.score_flags(rule[i], rows[i], RULE_LIMITS.on, RULE_LIMITS.off) for i in kept]
    results = {"tuned occupancy": figures(by_rule, halves)}
    best = ALONE
    if not ruled:
        tried = _tried(samples, kept, trees[0], rule)
        found, mine = nested_choice(tried, [rows[i].street for i in kept], folds)
        results["trees"] = figures(mine, halves)
        if all(
            total_tally(mine[k] for k in half).f1
            >= total_tally(by_rule[k] for k in half).f1 + MARGIN
            for half in halves
        ):
            best = found
    at = [[kept[k] for k in half] for half in halves]
    mixed_odds = smoothed_odds(samples, here, trees[0], rule, best.trees, best.tau_s)
    floor = floor_of(mixed_odds, rule, best.limits, rows, at) if best.trees else 0.0
    lines = [best.limits.line]
    for now, ahead_s in zip((mixed_odds, *trees[1:]), AHEAD_S, strict=True):
        truth = [row_truth(rows[i], ahead_s) for i in here]
        z = np.concatenate([now[i][w > 0] for i, (_, w) in zip(here, truth, strict=True)])
        y = np.concatenate([y[w > 0] for y, w in truth])
        lines.append(tuning.platt_scaling(z, y))
    rounded = [(round(a, 4), round(b, 4)) for a, b in lines]
    return SituationSpeaker(best.trees, best.tau_s, floor, *rounded), results


def _tried(
    samples: Sequence[RowSample], kept: Sequence[int], trees: Odds, rule: Odds
) -> list[list[EventTally]]:
    """By CHOICES, then by `kept`."""
    out = []
    for share, tau_s in product(SHARES, TAUS_S):
        mixed_odds = smoothed_odds(samples, kept, trees, rule, share, tau_s)
        out += [
            [tuning.score_flags(mixed_odds[i], samples[i].row, on, on - gap) for i in kept]
            for on, gap in product(ONS, GAPS)
        ]
    return out


def nested_choice(
    tried: Sequence[Sequence[EventTally]], streets: Sequence[str], folds: Sequence[frozenset[str]]
) -> tuple[SpeakerChoice, list[EventTally]]:
    """(the choice of all streets, of each row what was chosen without its fold makes of it)."""
    out = [EventTally() for _ in streets]
    for fold in folds:
        chosen = tried[
            widest_choice(tried, [k for k, name in enumerate(streets) if name not in fold])
        ]
        for k, name in enumerate(streets):
            if name in fold:
                out[k] = chosen[k]
    return CHOICES[widest_choice(tried, range(len(streets)))], out


def widest_choice(tried: Sequence[Sequence[EventTally]], at: Sequence[int]) -> int:
    """The choice that is best together with its neighbours, which go on earlier and later."""
    shape = (len(SHARES) * len(TAUS_S), len(ONS), len(GAPS))
    value = np.asarray([tally_worth(total_tally(one[k] for k in at)) for one in tried]).reshape(
        shape
    )
    return int(np.argmax(tuning.broad(value)))


def smoothed_odds(
    samples: Sequence[RowSample], at: Sequence[int], trees: Odds, rule: Odds, share: float,
    tau_s: float,
) -> Odds:  # fmt: skip
    """As the graph mixes and smooths them; only for the samples in `at`."""
    out: Odds = [np.zeros(0)] * len(samples)
    for i in at:
        now = np.asarray(mix_odds(NumpyOps(), trees[i], rule[i], share), np.float64)
        fade = 1.0 - np.exp(-samples[i].row.dt_s / tau_s) if tau_s else np.ones(len(now))
        known = samples[i].known[:, :OWN].max(axis=1) > 0
        out[i] = fading_odds(np.where(known, now, UNKNOWN), fade, known)
    return out


def fading_odds(now: NDArray[Any], share: NDArray[Any], known: NDArray[Any]) -> NDArray[Any]:
    """Smoothed, and begun anew where nothing was known before."""
    out, value, before = now.copy(), 0.0, False
    for i in range(len(now)):
        value = value + share[i] * (now[i] - value) if before and known[i] else now[i]
        out[i], before = value, known[i]
    return out


def floor_of(
    odds: Odds,
    rule: Odds,
    limits: FlagLimits,
    rows: Sequence[ApproachRow],
    halves: Sequence[list[int]],
) -> float:
    """The lowest odds of the rule that may overrule the others without making flags worse."""
    scale, shift = limits.line
    before = [tally_worth(score_odds(odds, rows, limits, half)) for half in halves]
    for floor in FLOORS:
        level: Odds = [np.zeros(0)] * len(odds)
        for i in (i for half in halves for i in half):
            level[i] = np.maximum(odds[i] * scale + shift, rule[i] - floor)
        after = [tally_worth(score_odds(level, rows, RULE_LIMITS, half)) for half in halves]
        if all(a >= b - 0.002 for a, b in zip(after, before, strict=True)):
            return floor
    return NO_FLOOR


def row_counts(row: ApproachRow) -> bool:
    """Of a link with more positions, only the whole one is scored; of single ones each is."""
    return row.situation != "link" or row.whole


def figures(tallies: Sequence[EventTally], halves: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Of sound loops and of injured ones."""
    return {
        word: _figure(total_tally(tallies[k] for k in half))
        for word, half in zip(("clean", "faulty"), halves, strict=True)
    }


def _figure(t: EventTally) -> dict[str, float]:
    return {
        "f1": round(t.f1, 3),
        "detection": round(t.recall, 3),
        "false_a_day": round(t.wrong_a_day, 2),
        "delay_s": round(t.delay_s, 0) if t.delays else -1.0,
        "events": t.events,
    }
