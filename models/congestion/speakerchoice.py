"""Decides how odds of trees and rule become p, where flags turn, and where trees speak at all.

All is judged on streets that the trees have not seen, and a choice on streets that it was not made
on: in turn each fold is scored with what the other folds would choose. p is calibrated in each
situation, so one pair of limits and one set of floors serve all: each situation alone has too few
events to choose by. Only the weights that make p, three numbers a situation, are those of all
streets.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.infer.occupancy import OFF_ODDS
from models.congestion import tuning
from models.congestion.approachrows import ApproachRow
from models.congestion.congestionrunner import UNKNOWN
from models.congestion.congestionstate import OWN
from models.congestion.eventscores import EventTally, tally_flags, total_tally
from models.congestion.formula import (
    NEVER,
    RULE_MOST,
    SITUATIONS,
    STEEP,
    SituationSpeaker,
    mix_odds,
)
from models.congestion.treelearning import AHEAD_S, RowSample, row_truth
from models.congestion.tuning import tally_worth
from models.graph import NumpyOps

CHANCE: Final = 0.01  # of F1: one alarm of a hundred events
ONS: Final = tuple(round(-0.35 + 0.35 * i, 2) for i in range(10))  # odds of p: 0.41 to 0.94
GAPS: Final = (1.0, 2.0)  # and so much lower off
STEADY: Final = ((0.0, 0.0), (120.0, 0.7))  # smoothing and patience
HOLDS_S: Final = (0.0, 120.0, 240.0)  # of the rule's flag, where the rule speaks
FLOORS: Final = (0.4, 0.8, 1.2, 2.0, 3.0)
SLACK: Final = 0.002  # of what a floor is chosen by: it may cost so much
NO_FLOORS: Final = (NEVER,) * OWN

Odds = list[NDArray[Any]]


@dataclass(frozen=True, slots=True)
class SpeakerChoice:
    """Odds of p at which flags go on and off, at once and after a while."""

    on: float
    off: float
    steady_s: float = 0.0
    patience: float = 0.0


CHOICES: Final = tuple(
    SpeakerChoice(on, round(on - gap, 2), *steady) for steady, on, gap in product(STEADY, ONS, GAPS)
)


@dataclass(frozen=True, eq=False)
class RowScore:
    """What was said of one row by a choice that was made without its street."""

    tally: EventTally
    p: NDArray[np.float64]
    flag: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SpeakersChoice:
    """Who speaks in each situation, the figures that decided it, and scores by index of the row."""

    speakers: Mapping[str, SituationSpeaker]
    figures: Mapping[str, Any]
    scores: Mapping[int, RowScore]


@dataclass(frozen=True, eq=False)
class OddsPool:
    """Rows with the odds of p: their indices, and those of them that are scored."""

    samples: Sequence[RowSample]
    here: Sequence[int]
    halves: Sequence[Sequence[int]]  # that are scored: with sound loops, and with injured ones
    odds: Odds
    chances: Odds

    def row(self, i: int) -> ApproachRow:
        return self.samples[i].row

    @property
    def kept(self) -> list[int]:
        return [i for half in self.halves for i in half]

    def outside(self, fold: frozenset[str]) -> list[list[int]]:
        """The halves without the streets of a fold."""
        return [[i for i in half if self.row(i).street not in fold] for half in self.halves]

    def of(self, situation: str) -> OddsPool:
        def mine(at: Sequence[int]) -> list[int]:
            return [i for i in at if self.row(i).situation == situation]

        halves = [mine(half) for half in self.halves]
        return replace(self, here=mine(self.here), halves=halves)


def choose_speakers(
    samples: Sequence[RowSample], clean: int, trees: Sequence[Odds], chances: Odds,
    folds: Sequence[frozenset[str]], ruled: Collection[str] = (),
) -> SpeakersChoice:  # fmt: skip
    """Who speaks where; in the situations `ruled` the rule, whatever.

    The first `clean` samples are of sound loops. `chances` are the rule's odds by position.
    """
    rule = [each.max(axis=1) for each in chances]
    silent = [np.zeros(len(each)) for each in rule]
    by_rule = _speakers(samples, silent, rule, trees)
    by_both = _speakers(samples, trees[0], rule, trees)
    alone = _pool(samples, clean, spoken_odds(samples, silent, rule, by_rule), chances)
    both = _pool(samples, clean, spoken_odds(samples, trees[0], rule, by_both), chances)
    choice, floors, mixed_scores = nested_choice(both, folds)
    speakers: dict[str, SituationSpeaker] = {}
    results: dict[str, Any] = {}
    scores: dict[int, RowScore] = {}
    for name, speaker in by_rule.items():
        # the published rule, as it is: where its flag turns, in odds of p
        limits = SpeakerChoice(speaker.shift, speaker.rule * OFF_ODDS + speaker.shift)
        pool = alone.of(name)
        held, held_scores = nested_hold(pool, folds, limits)
        candidates = {
            "tuned occupancy": (
                _spoken_by(speaker, limits, NO_FLOORS),
                {i: score_row(pool, i, limits, NO_FLOORS) for i in pool.here},
            ),
            "rule, held": (_spoken_by(speaker, held, NO_FLOORS), held_scores),
            "trees and rule": (
                _spoken_by(by_both[name], choice, floors),
                {i: mixed_scores[i] for i in pool.here},
            ),
        }
        best = "tuned occupancy"
        for other in ("rule, held", *(() if name in ruled else ("trees and rule",))):
            if _better(candidates[other][1], candidates[best][1], pool.halves):
                best = other
        speakers[name], said = candidates[best]
        scores.update(said)
        results[name] = {who: figures(one, pool.halves) for who, (_, one) in candidates.items()}
        results[name]["speaks"] = best
    return SpeakersChoice(speakers, results, scores)


def _pool(samples: Sequence[RowSample], clean: int, odds: Odds, chances: Odds) -> OddsPool:
    kept = [i for i, sample in enumerate(samples) if row_counts(sample.row)]
    halves = [[i for i in kept if (i < clean) == sound] for sound in (True, False)]
    return OddsPool(samples, range(len(samples)), halves, odds, chances)


def _speakers(
    samples: Sequence[RowSample], said: Odds, rule: Odds, trees: Sequence[Odds]
) -> dict[str, SituationSpeaker]:
    """Weights and forecasts of each situation."""
    rows = [sample.row for sample in samples]
    out = {}
    for name in SITUATIONS:
        here = [i for i, row in enumerate(rows) if row.situation == name]
        by_trees, by_rule, shift = odds_weights([(rows[i], said[i], rule[i]) for i in here])
        p5, p15 = (_forecast(rows, here, trees[k], AHEAD_S[k]) for k in (1, 2))
        out[name] = SituationSpeaker(
            by_trees, by_rule, shift, NO_FLOORS, 0.0, OFF_ODDS, 0.0, 0.0, p5, p15
        )
    return out


def _better(
    these: Mapping[int, RowScore], those: Mapping[int, RowScore], halves: Sequence[Sequence[int]]
) -> bool:
    """By what flags are worth, sound and injured; and F1 is not given up for the rest of it."""
    for half in halves:
        now, before = (total_tally(scores[i].tally for i in half) for scores in (these, those))
        if tally_worth(now) < tally_worth(before) or now.f1 < before.f1 - CHANCE:
            return False
    return True


def _spoken_by(
    speaker: SituationSpeaker, choice: SpeakerChoice, floors: Sequence[float]
) -> SituationSpeaker:
    return SituationSpeaker(
        speaker.trees, speaker.rule, speaker.shift, tuple(floors), round(choice.on, 4),
        round(choice.off, 4), choice.steady_s, choice.patience, speaker.p5, speaker.p15,
    )  # fmt: skip


def odds_weights(said: Sequence[tuple[ApproachRow, Any, Any]]) -> list[float]:
    """Weights of the odds of trees and rule, and the shift: those that make p calibrated."""
    truth = [row_truth(row, 0.0) for row, _, _ in said]
    trees = np.concatenate([one[1][w > 0] for one, (_, w) in zip(said, truth, strict=True)])
    rule = np.concatenate([one[2][w > 0] for one, (_, w) in zip(said, truth, strict=True)])
    columns = [trees, np.clip(rule, -RULE_MOST, RULE_MOST)]
    y = np.concatenate([y[w > 0] for y, w in truth])
    return [round(weight, 4) for weight in tuning.logistic_weights(columns, y)]


def _forecast(
    rows: Sequence[ApproachRow], here: Sequence[int], trees: Odds, ahead_s: float
) -> tuple[float, float]:
    truth = [row_truth(rows[i], ahead_s) for i in here]
    z = np.concatenate([trees[i][w > 0] for i, (_, w) in zip(here, truth, strict=True)])
    scale, shift = tuning.platt_scaling(z, np.concatenate([y[w > 0] for y, w in truth]))
    return round(scale, 4), round(shift, 4)


def spoken_odds(
    samples: Sequence[RowSample], trees: Odds, rule: Odds, speakers: Mapping[str, SituationSpeaker]
) -> Odds:
    """The odds of p as the graph mixes them, before a position overrules them; by sample."""
    out: Odds = []
    for sample, by_trees, by_rule in zip(samples, trees, rule, strict=True):
        speaker = speakers[sample.row.situation]
        now = np.asarray(mix_odds(NumpyOps(), by_trees, by_rule, speaker), np.float64)
        out.append(np.where(known_slots(sample), now, UNKNOWN))
    return out


def known_slots(sample: RowSample) -> NDArray[np.bool_]:
    return np.asarray(sample.known[:, :OWN].max(axis=1) > 0)


def nested_choice(
    s: OddsPool, folds: Sequence[frozenset[str]]
) -> tuple[SpeakerChoice, tuple[float, ...], dict[int, RowScore]]:
    """(choice and floors of all streets, scores of each row by what is chosen without its fold)."""
    tried = _tried(s)
    scores: dict[int, RowScore] = {}
    for fold in folds:
        halves = s.outside(fold)
        choice = widest_choice(tried, halves)
        floors = chosen_floors(s, choice, halves)
        for i in s.here:
            if s.row(i).street in fold:
                scores[i] = score_row(s, i, choice, floors)
    choice = widest_choice(tried, s.halves)
    return choice, chosen_floors(s, choice, s.halves), scores


def nested_hold(
    s: OddsPool, folds: Sequence[frozenset[str]], limits: SpeakerChoice
) -> tuple[SpeakerChoice, dict[int, RowScore]]:
    """How long a flag of the rule looks back before it goes off; it goes on as before."""
    choices = [replace(limits, steady_s=steady_s) for steady_s in HOLDS_S]
    tried = [{i: score_row(s, i, choice, NO_FLOORS) for i in s.here} for choice in choices]

    def best(halves: Sequence[Sequence[int]]) -> int:
        at = [i for half in halves for i in half]
        worths = [tally_worth(total_tally(one[i].tally for i in at)) for one in tried]
        return int(np.argmax(worths))

    scores: dict[int, RowScore] = {}
    for fold in folds:
        chosen = tried[best(s.outside(fold))]
        scores.update({i: chosen[i] for i in s.here if s.row(i).street in fold})
    return choices[best(s.halves)], scores


def _tried(s: OddsPool) -> dict[SpeakerChoice, dict[int, EventTally]]:
    """Every choice on every row that is scored."""
    out: dict[SpeakerChoice, dict[int, EventTally]] = {choice: {} for choice in CHOICES}
    for i in s.kept:
        row, known = s.row(i), known_slots(s.samples[i])
        for steady_s, patience in STEADY:
            level = patient_odds(s.odds[i], row, known, steady_s, patience)
            for choice in CHOICES:
                if (choice.steady_s, choice.patience) == (steady_s, patience):
                    out[choice][i] = tuning.score_holds(level, row, choice.on, choice.off)
    return out


def widest_choice(
    tried: Mapping[SpeakerChoice, Mapping[int, EventTally]], halves: Sequence[Sequence[int]]
) -> SpeakerChoice:
    """The choice that is best together with its neighbours, which go on earlier and later."""
    shape = (len(STEADY), len(ONS), len(GAPS))
    at = [i for half in halves for i in half]
    value = [tally_worth(total_tally(tried[choice][i] for i in at)) for choice in CHOICES]
    return CHOICES[int(np.argmax(tuning.broad(np.asarray(value).reshape(shape))))]


def chosen_floors(
    s: OddsPool, choice: SpeakerChoice, halves: Sequence[Sequence[int]]
) -> tuple[float, ...]:
    """Of each position the lowest odds of its rule that may overrule without making flags worse.

    Judged by whole links, in which a position has others beside it.
    """
    floors = list(NO_FLOORS)
    whole = [[i for i in half if s.row(i).whole] for half in halves]
    best = [_worth(s, choice, floors, half) for half in whole]
    for k in range(OWN):
        for floor in FLOORS:
            tried = [*floors[:k], floor, *floors[k + 1 :]]
            now = [_worth(s, choice, tried, half) for half in whole]
            if all(a >= b - SLACK for a, b in zip(now, best, strict=True)):
                floors, best = tried, now
                break
    return tuple(floors)


def _worth(
    s: OddsPool, choice: SpeakerChoice, floors: Sequence[float], half: Sequence[int]
) -> float:
    return tally_worth(total_tally(score_row(s, i, choice, floors).tally for i in half))


def score_row(s: OddsPool, i: int, choice: SpeakerChoice, floors: Sequence[float]) -> RowScore:
    """Odds, p and flags of a row, as the graph and the gateway make them."""
    row, known = s.row(i), known_slots(s.samples[i])
    over = (s.chances[i] - np.asarray(floors)) * STEEP + choice.on
    odds = np.where(known, np.maximum(s.odds[i], over.max(axis=1)), UNKNOWN)
    level = patient_odds(odds, row, known, choice.steady_s, choice.patience)
    flag = tuning.flags_of(level, row, choice.on, choice.off)
    link = row.link
    tally = tally_flags(flag, row.ends_s, link.events, link.short, row.days)
    return RowScore(tally, 1.0 / (1.0 + np.exp(-odds)), flag)


def patient_odds(
    now: NDArray[Any], row: ApproachRow, known: NDArray[Any], steady_s: float, patience: float
) -> NDArray[np.float64]:
    """The odds that a flag goes by: those of now, or those that lasted, with some patience."""
    if not steady_s:
        return now
    out = now.astype(np.float64)
    fades = np.exp(-row.dt_s / steady_s).tolist()
    value, before = 0.0, False
    for i, (odds, fade, here) in enumerate(zip(now.tolist(), fades, known.tolist(), strict=True)):
        value = odds + fade * (value - odds) if before and here else odds
        out[i], before = max(odds, value + patience) if here else UNKNOWN, here
    return out


def row_counts(row: ApproachRow) -> bool:
    """Of a link with more positions, only the whole one is scored; of single ones each is."""
    return row.situation != "link" or row.whole


def figures(scores: Mapping[int, RowScore], halves: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Of sound loops and of injured ones."""
    return {
        word: _figure(total_tally(scores[i].tally for i in half))
        for word, half in zip(("clean", "faulty"), halves, strict=True)
    }


def _figure(t: EventTally) -> dict[str, float]:
    return {
        "f1": round(t.f1, 3),
        "detection": round(t.recall, 3),
        "false_a_day": round(t.wrong_a_day, 2),
        "delay_s": round(t.delay_s, 0) if t.delays else -1.0,
        "cleared": round(t.cleared, 3),
        "over": round(t.over, 3),
        "events": t.events,
    }
