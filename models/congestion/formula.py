"""The congestion model as a formula: one slot for all approaches, state in and out.

Inside stands the published rule: per loop position the occupancy of its lanes (mean, highest or
lowest of them), smoothed with that position's time constant, over that position's threshold; the
best position that has been seen lately speaks. The threshold follows what is usual at the site: the
level that busy traffic without a flag seldom exceeds, learned as a high quantile. It moves by no
more than BOUND, so that no site falls silent. Boosted trees over all positions speak instead where
they were better on every street that they had not seen, which depends on what loops there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from edge.infer.occupancy import BOUND, CEILING, OFF_ODDS
from models.congestion import congestionstate
from models.congestion.congestionstate import COUNT, OWN, POSITIONS, STALE_S, WIDTH
from models.trees import Forest

AGGREGATES: Final = ("mean", "highest", "lowest")  # over the believed lanes of a position
SITUATIONS: Final = (*POSITIONS, "link")  # one position alone, or more of one link
# And of the rule: smoothed occupancy, its usual level, slots learned from; then smoothed odds.
STATE: Final = congestionstate.STATE + 3 * OWN + 1
RULE_SCALE: Final = 3.0  # makes the rule's odds as wide as the trees' where they are mixed
RULE_MOST: Final = 6.0
OUTPUTS: Final[Mapping[str, int]] = {
    "p": 1, "known": 1, "p5": 1, "p15": 1, "level": 1, "slow": OWN, "state_out": STATE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PositionRule:
    """One position: which aggregate, its time constant, the threshold where p is 0.5, the slope.

    The threshold is that of a site whose usual level is `usual`; of the difference at another site
    it moves by the share `follow`.
    """

    aggregate: str
    tau_s: float
    threshold: float
    slope: float
    usual: float
    follow: float


@dataclass(frozen=True, slots=True)
class SituationSpeaker:
    """What is made of the odds in one situation: scale and shift of each output.

    Odds are mixed of trees (`trees`, 0..1: their share) and rule, and smoothed with `tau_s` (0: not
    at all). `level` is what flags go by: 0.5 where they go on, 0.35 where they go off. `p`, `p5`
    and `p15` are calibrated; the forecasts are the trees'. The rule is the floor of the level:
    trees cannot keep silent when its odds are `floor` and above.
    """

    trees: float
    tau_s: float
    floor: float
    level: tuple[float, float]
    p: tuple[float, float]
    p5: tuple[float, float]
    p15: tuple[float, float]


_Here = Sequence[tuple[Any, SituationSpeaker]]  # 1 where it is that situation, and who speaks there


@dataclass(frozen=True)
class FormulaParts:
    """All that was tuned: rules by position, speakers by situation, forests now, +5 and +15 min."""

    rules: Sequence[PositionRule]
    speakers: Mapping[str, SituationSpeaker]
    forests: Sequence[Forest]


def start_state(rules: Sequence[PositionRule]) -> list[float]:
    """The state of an approach of which nothing is known."""
    return [
        *congestionstate.start_signals(),
        *[0.0] * OWN,
        *(rule.usual for rule in rules),
        *[0.0] * OWN,
        0.0,
    ]


def congestion_step(
    o: Any, x: Any, present: Any, dt: Any, state: Any, parts: FormulaParts
) -> dict[str, Any]:
    """One slot of every approach: OUTPUTS by name.

    `x` [A, WIDTH] holds blocks of one number a place, as `signals.BLOCKS` names them; `present`
    [A, COUNT] is 1 where a believed loop spoke; `dt` [A, 1] is the slot's length in seconds.
    """
    remembered, smooth, usual, learned, odds_before = o.split(
        state, [congestionstate.STATE, *[OWN] * 3, 1]
    )
    remembered_out, known = congestionstate.remember_slot(o, x, present, dt, remembered)
    own = o.columns(known, 0, OWN)
    there = o.columns(present, 0, OWN)
    smooth_out = _smoothed(o, x, there, dt, remembered, smooth, parts.rules)
    chances = _chances(o, smooth_out, usual, parts.rules)
    calm = o.number(chances < OFF_ODDS)  # what is near a flag is not usual
    usual_out, learned_out = congestionstate.learn_usual(
        o, smooth_out, there * calm, dt, usual, learned
    )
    rule = _best(o, chances, own)
    all_features, slow = congestionstate.congestion_features(o, x, remembered_out, known)
    trees = o.split(o.trees(all_features, parts.forests), [1, 1, 1])
    here = [
        (column, parts.speakers[name])
        for column, name in zip(situations(o, own), SITUATIONS, strict=True)
    ]
    age = o.columns(remembered, congestionstate.SMOOTH, congestionstate.SMOOTH + OWN)
    went_on = o.number(o.highest(0.0 - age) > -STALE_S)
    odds = _odds(o, here, dt, rule, trees[0], odds_before, went_on)
    out = {
        "known": o.number(o.highest(own) > 0.5),
        "level": o.sigmoid(_level(o, here, odds, rule)),
        "slow": o.columns(slow, 0, OWN),
        "state_out": o.join([remembered_out, smooth_out, usual_out, learned_out, odds]),
    }
    for name, mixed_odds in zip(("p", "p5", "p15"), (odds, *trees[1:]), strict=True):
        out[name] = o.sigmoid(_line(here, mixed_odds, name))
    return {name: out[name] for name in OUTPUTS}


def _smoothed(
    o: Any, x: Any, present: Any, dt: Any, before: Any, smooth: Any, rules: Sequence[PositionRule]
) -> Any:
    """Occupancy of each position [A, OWN] as its rule aggregates and smooths it."""
    occupancy = o.split(x, [COUNT] * (WIDTH // COUNT))[: len(AGGREGATES)]
    chosen: Any = 0.0
    for block, name in zip(occupancy, AGGREGATES, strict=True):
        mine = o.const([[float(r.aggregate == name) for r in rules]])
        chosen = chosen + o.columns(block, 0, OWN) * mine
    age = o.columns(before, congestionstate.SMOOTH, congestionstate.SMOOTH + OWN)
    smooth = smooth * o.number(age < STALE_S)  # too old to build on: start anew
    share = 1.0 - o.exp(dt * o.const([[-1.0 / r.tau_s for r in rules]]))
    return smooth + present * share * (chosen - smooth)


def _chances(o: Any, smooth: Any, usual: Any, rules: Sequence[PositionRule]) -> Any:
    """Odds of each position [A, OWN], by the threshold that its site has."""
    follow = o.const([[r.follow for r in rules]])
    moved = o.clip(follow * (usual - o.const([[r.usual for r in rules]])), -BOUND, BOUND)
    threshold = o.minimum(o.const([[r.threshold for r in rules]]) + moved, CEILING)
    return (smooth - threshold) * o.const([[r.slope for r in rules]])


def _best(o: Any, chances: Any, known: Any) -> Any:
    """Odds [A, 1] of the best position that is known."""
    best_odds: Any = 0.0
    left: Any = 1.0
    for chance, here in zip(o.split(chances, [1] * OWN), o.split(known, [1] * OWN), strict=True):
        best_odds = best_odds + left * here * chance
        left = left * (1.0 - here)
    return best_odds


def situations(o: Any, known: Any) -> list[Any]:
    """One column [A, 1] for each situation, 1 where it is that one; of nothing known all are 0."""
    count = o.total(known)
    alone = known * o.number(count < 1.5)
    return [*o.split(alone, [1] * OWN), o.number(count > 1.5)]


def mix_odds(o: Any, trees: Any, rule: Any, share: float) -> Any:
    """Odds of both, `share` of them the trees'; of the rule alone as it says them."""
    if share == 0.0:
        return rule
    rest = o.clip(rule * RULE_SCALE, -RULE_MOST, RULE_MOST) * (1.0 - share)
    return trees * share + rest


def _odds(o: Any, here: _Here, dt: Any, rule: Any, trees: Any, before: Any, went_on: Any) -> Any:
    """Mixed and smoothed; where nothing was known before they begin anew."""
    now: Any = 0.0
    share: Any = 0.0
    for column, speaker in here:
        now = now + column * mix_odds(o, trees, rule, speaker.trees)
        fade = 1.0 - o.exp(dt * (-1.0 / speaker.tau_s)) if speaker.tau_s else 1.0
        share = share + column * fade
    return now + went_on * (1.0 - share) * (before - now)


def _level(o: Any, here: _Here, odds: Any, rule: Any) -> Any:
    out: Any = 0.0
    for column, speaker in here:
        scale, shift = speaker.level
        level = odds * scale + shift
        if speaker.trees:
            level = o.maximum(level, rule - speaker.floor)
        out = out + column * level
    return out


def _line(here: _Here, odds: Any, name: str) -> Any:
    out: Any = 0.0
    for column, speaker in here:
        scale, shift = getattr(speaker, name)
        out = out + column * (odds * scale + shift)
    return out
