"""Decides how odds of trees and rule become p, where flags turn, and where trees speak at all.

All is judged on streets that the trees have not seen, and a choice on streets that it was not made
on: in turn each fold is scored with what the other folds would choose. p is calibrated in each
situation, so one pair of limits and one set of floors serve all: each situation alone has too few
events to choose by. Only the weights that make p, three numbers a situation, are those of all
streets.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from models.congestion.tuning import ALLOWED, tally_worth
from models.graph import NumpyOps

CHANCE: Final = 0.01  # of F1: one alarm of a hundred events
ONS: Final = tuple(round(0.5 + 0.25 * i, 2) for i in range(13))  # odds of p: 0.62 to 0.97
GAPS: Final = (1.0, 2.0)  # and so much lower off
STEADY: Final = ((0.0, 0.0), (120.0, 0.7))  # smoothing and patience
QUIET_COST: Final = 5.0  # of F1, for each false alarm a usual link-day above what is allowed
RUSH_COST: Final = 0.1  # and a rush link-day, beside what `tally_worth` takes
HOLDS_S: Final = (0.0, 120.0, 240.0)  # of the rule's flag, where the rule speaks
FLOORS: Final = (0.4, 1.2, 3.0)
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


@dataclass(frozen=True, slots=True)
class Days:
    """Indices of rows: of busy hours with sound loops and with injured ones, and of usual days."""

    sound: Sequence[int]
    injured: Sequence[int]
    usual: Sequence[int] = ()

    def only(self, kept: Callable[[int], bool]) -> Days:
        return Days(*([i for i in at if kept(i)] for at in (self.sound, self.injured, self.usual)))

    def worth(self, tallies: Mapping[int, EventTally]) -> float:
        """What flags are worth in busy hours, less what they cost on usual days."""
        busy = total_tally(tallies[i] for i in (*self.sound, *self.injured))
        usual = total_tally(tallies[i] for i in self.usual)
        return (
            tally_worth(busy)
            - RUSH_COST * max(0.0, busy.wrong_a_day - ALLOWED)
            - QUIET_COST * max(0.0, usual.wrong_a_day - ALLOWED)
        )


@dataclass(frozen=True, eq=False)
class OddsPool:
    """Rows with the odds of p."""

    samples: Sequence[RowSample]
    days: Days
    odds: Odds
    chances: Odds

    def row(self, i: int) -> ApproachRow:
        return self.samples[i].row

    @property
    def here(self) -> list[int]:
        return [*self.days.sound, *self.days.injured, *self.days.usual]

    def only(self, kept: Callable[[ApproachRow], bool]) -> OddsPool:
        """Those rows alone."""
        return replace(self, days=self.days.only(lambda i: kept(self.row(i))))


def choose_speakers(
    samples: Sequence[RowSample], days: Days, trees: Odds, chances: Odds,
    folds: Sequence[frozenset[str]], ruled: Collection[str] = (),
) -> SpeakersChoice:  # fmt: skip
    """Who speaks where; in the situations `ruled` the rule, whatever.

    `chances` are the rule's odds by position, `trees` those of the trees.
    """
    rule = [each.max(axis=1) for each in chances]
    silent = [np.zeros(len(each)) for each in rule]
    by_rule = _speakers(samples, silent, rule, trees)
    by_both = _speakers(samples, trees, rule, trees)
    alone = OddsPool(samples, days, spoken_odds(samples, silent, rule, by_rule), chances)
    both = OddsPool(samples, days, spoken_odds(samples, trees, rule, by_both), chances)
    choice, floors, curve, mixed_scores = nested_choice(both, folds)
    speakers: dict[str, SituationSpeaker] = {}
    results: dict[str, Any] = {"curve": curve}
    scores: dict[int, RowScore] = {}
    for name, speaker in by_rule.items():
        # the published rule, as it is: where its flag turns, in odds of p
        limits = SpeakerChoice(speaker.shift, speaker.rule * OFF_ODDS + speaker.shift)
        pool = alone.only(partial(_is_situation, name))
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
            if _better(candidates[other][1], candidates[best][1], pool.days):
                best = other
        speakers[name], said = candidates[best]
        scores.update(said)
        results[name] = {who: figures(one, pool.days) for who, (_, one) in candidates.items()}
        results[name]["speaks"] = best
    return SpeakersChoice(speakers, results, scores)


def _is_situation(name: str, row: ApproachRow) -> bool:
    return row.situation == name


def _speakers(
    samples: Sequence[RowSample], said: Odds, rule: Odds, trees: Odds
) -> dict[str, SituationSpeaker]:
    """Weights and forecasts of each situation."""
    rows = [sample.row for sample in samples]
    out = {}
    for name in SITUATIONS:
        here = [i for i, row in enumerate(rows) if row.situation == name]
        by_trees, by_rule, shift = odds_weights([(rows[i], said[i], rule[i]) for i in here])
        p5, p15 = (_forecast(rows, here, trees, ahead_s) for ahead_s in AHEAD_S[1:])
        out[name] = SituationSpeaker(
            by_trees, by_rule, shift, NO_FLOORS, 0.0, OFF_ODDS, 0.0, 0.0, p5, p15
        )
    return out


def _better(these: Mapping[int, RowScore], those: Mapping[int, RowScore], days: Days) -> bool:
    """By what flags are worth; and F1 is not given up for the rest of it, sound or injured.

    Within chance these are: they clear later, or have the better p.
    """
    now, before = ({i: score.tally for i, score in scores.items()} for scores in (these, those))
    if days.worth(now) < days.worth(before) - CHANCE:
        return False
    return all(
        total_tally(now[i] for i in at).f1 >= total_tally(before[i] for i in at).f1 - CHANCE
        for at in (days.sound, days.injured)
    )


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
) -> tuple[SpeakerChoice, tuple[float, ...], list[dict[str, float]], dict[int, RowScore]]:
    """(choice, floors, the curve of limits, scores of each row by a choice without its fold).

    All is chosen by whole links, in which a position has others beside it.
    """
    whole = s.only(lambda row: row.whole)
    tried = _tried(whole)
    scores: dict[int, RowScore] = {}
    for fold in folds:
        outside = whole.only(partial(_is_outside, fold))
        choice = widest_choice(tried, outside.days)
        floors = chosen_floors(outside, choice)
        for i in s.here:
            if s.row(i).street in fold:
                scores[i] = score_row(s, i, choice, floors)
    choice = widest_choice(tried, whole.days)
    return choice, chosen_floors(whole, choice), _curve(tried, choice, whole.days), scores


def _is_outside(fold: frozenset[str], row: ApproachRow) -> bool:
    return row.street not in fold


def _curve(
    tried: Mapping[SpeakerChoice, Mapping[int, EventTally]], chosen: SpeakerChoice, days: Days
) -> list[dict[str, float]]:
    """What each limit like the chosen one makes of whole links with sound loops."""
    out = []
    for on in ONS:
        tallies = tried[replace(chosen, on=on, off=round(on - chosen.on + chosen.off, 2))]
        usual = total_tally(tallies[i] for i in days.usual)
        figure = _figure(total_tally(tallies[i] for i in days.sound))
        out.append({"on": on, **figure, "false_a_usual_day": round(usual.wrong_a_day, 3)})
    return out


def nested_hold(
    s: OddsPool, folds: Sequence[frozenset[str]], limits: SpeakerChoice
) -> tuple[SpeakerChoice, dict[int, RowScore]]:
    """How long a flag of the rule looks back before it goes off; it goes on as before."""
    choices = [replace(limits, steady_s=steady_s) for steady_s in HOLDS_S]
    tried = [{i: score_row(s, i, choice, NO_FLOORS) for i in s.here} for choice in choices]
    tallies = [{i: score.tally for i, score in one.items()} for one in tried]

    def best(days: Days) -> int:
        return int(np.argmax([days.worth(one) for one in tallies]))

    scores: dict[int, RowScore] = {}
    for fold in folds:
        chosen = tried[best(s.only(partial(_is_outside, fold)).days)]
        scores.update({i: chosen[i] for i in s.here if s.row(i).street in fold})
    return choices[best(s.days)], scores


def _tried(s: OddsPool) -> dict[SpeakerChoice, dict[int, EventTally]]:
    """Every choice on every row."""
    out: dict[SpeakerChoice, dict[int, EventTally]] = {choice: {} for choice in CHOICES}
    for i in s.here:
        row, known = s.row(i), known_slots(s.samples[i])
        for steady_s, patience in STEADY:
            level = patient_odds(s.odds[i], row, known, steady_s, patience)
            for choice in CHOICES:
                if (choice.steady_s, choice.patience) == (steady_s, patience):
                    out[choice][i] = tuning.score_holds(level, row, choice.on, choice.off)
    return out


def widest_choice(
    tried: Mapping[SpeakerChoice, Mapping[int, EventTally]], days: Days
) -> SpeakerChoice:
    """The choice that is best together with its neighbours, which go on earlier and later."""
    shape = (len(STEADY), len(ONS), len(GAPS))
    value = [days.worth(tried[choice]) for choice in CHOICES]
    return CHOICES[int(np.argmax(tuning.broad(np.asarray(value).reshape(shape))))]


def chosen_floors(s: OddsPool, choice: SpeakerChoice) -> tuple[float, ...]:
    """Of each position the lowest odds of its rule that may overrule without making flags worse."""
    floors = list(NO_FLOORS)
    best = _worth(s, choice, floors)
    for k in range(OWN):
        for floor in FLOORS:
            tried = [*floors[:k], floor, *floors[k + 1 :]]
            now = _worth(s, choice, tried)
            if now >= best - SLACK:
                floors, best = tried, now
                break
    return tuple(floors)


def _worth(s: OddsPool, choice: SpeakerChoice, floors: Sequence[float]) -> float:
    return s.days.worth({i: score_row(s, i, choice, floors).tally for i in s.here})


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


def figures(scores: Mapping[int, RowScore], days: Days) -> dict[str, Any]:
    """Of sound loops, of injured ones, and of usual days."""
    return {
        word: _figure(total_tally(scores[i].tally for i in at))
        for word, at in (("clean", days.sound), ("faulty", days.injured), ("usual", days.usual))
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
