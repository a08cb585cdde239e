"""The congestion model as a formula: one slot for all approaches, state in and out.

Inside stands the published rule: per loop position the occupancy of its lanes (mean, highest or
lowest of them), smoothed with that position's time constant, over that position's threshold. The
threshold follows what is usual at the site: the level that busy traffic without a flag seldom
exceeds, learned as a high quantile. It moves by no more than BOUND, so that no site falls silent.

What is said of an approach is one number, the odds of p: those of boosted trees over all positions,
and those of the rule, weighed so that p is calibrated, which depends on what loops there are. Any
position whose rule is sure enough raises p, whatever the others see: an empty advance loop behind
an incident says nothing of the jam before it. A flag goes by p, with thresholds of its own: it goes
on at once where p is high, and where p was fairly high for minutes, which also keeps it from
clearing in a lull.
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
# And of the rule: smoothed occupancy, its usual level, slots learned from; then smoothed odds of p.
STATE: Final = congestionstate.STATE + 3 * OWN + 1
RULE_MOST: Final = 6.0  # odds of the rule that count
STEEP: Final = 3.0  # how fast the odds of p fall below a position's floor
NEVER: Final = 30.0  # a floor that no position reaches
OUTPUTS: Final[Mapping[str, int]] = {
    "p": 1, "known": 1, "p5": 1, "p15": 1, "level": 1, "slow": OWN, "state_out": STATE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PositionRule:
    """One position: which aggregate, its time constant, the threshold where p is 0.5, the slope.

    The threshold is that of a site whose usual level is `usual`; of the difference at another site
    it moves by the share `follow`. Where other positions of the link are known, too, this one needs
    `beside` more odds: it was tuned alone, where there is nobody to find what it misses.
    """

    aggregate: str
    tau_s: float
    threshold: float
    slope: float
    usual: float
    follow: float
    beside: float = 0.0


@dataclass(frozen=True, slots=True)
class SituationSpeaker:
    """What is made of the odds in one situation.

    The odds of p are `trees` times those of the trees, `rule` times those of the rule, and `shift`.
    A position whose rule has odds of `floors` and above raises them to `on`. A flag goes on at odds
    `on`, or where they were above `on` less `patience` for long, smoothed with `steady_s` (0: not
    looked at); it goes off at `off`, of both. The forecasts are of the trees' odds of now: scale
    and shift of each make the probability of so far ahead.
    """

    trees: float
    rule: float
    shift: float
    floors: tuple[float, ...]
    on: float
    off: float
    steady_s: float
    patience: float
    p5: tuple[float, float]
    p15: tuple[float, float]

    @property
    def level(self) -> tuple[float, float]:
        """Scale and shift that make the level's odds of those of p."""
        scale = OFF_ODDS / (self.off - self.on)
        return scale, -scale * self.on

    @property
    def patient(self) -> tuple[float, float]:
        """The same, of those that are smoothed."""
        scale, shift = self.level
        return scale, shift + scale * self.patience


_Here = Sequence[tuple[Any, SituationSpeaker]]  # 1 where it is that situation, and who speaks there


@dataclass(frozen=True)
class FormulaParts:
    """All that was tuned: rules by position, speakers by situation, and the forest.

    Forests that had learned what comes in 5 and 15 minutes forecast no better than this one.
    """

    rules: Sequence[PositionRule]
    speakers: Mapping[str, SituationSpeaker]
    forest: Forest


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
    remembered, smooth, usual, learned, before = o.split(
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
    all_features, slow = congestionstate.congestion_features(o, x, remembered_out, known)
    trees = o.trees(all_features, [parts.forest])
    columns = situations(o, own)
    here = [
        (column, parts.speakers[name]) for column, name in zip(columns, SITUATIONS, strict=True)
    ]
    chances = chances - columns[-1] * o.const([[rule.beside for rule in parts.rules]])
    age = o.columns(remembered, congestionstate.SMOOTH, congestionstate.SMOOTH + OWN)
    went_on = o.number(o.highest(0.0 - age) > -STALE_S)
    mixed = _mixed(here, trees, highest_known(o, chances, own), o)
    odds = o.maximum(mixed, _overruling(o, here, chances, own))
    steady = odds + went_on * _fades(o, here, dt) * (before - odds)
    level = o.maximum(_line(here, odds, "level"), _line(here, steady, "patient"))
    out = {
        "p": o.sigmoid(odds),
        "known": o.number(o.highest(own) > 0.5),
        "p5": o.sigmoid(_line(here, trees, "p5")),
        "p15": o.sigmoid(_line(here, trees, "p15")),
        "level": o.sigmoid(level),
        "slow": o.columns(slow, 0, OWN),
        "state_out": o.join([remembered_out, smooth_out, usual_out, learned_out, steady]),
    }
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


def highest_known(o: Any, odds: Any, known: Any) -> Any:
    """The highest odds [A, 1] of the positions that are known."""
    return o.highest(odds * known + (known - 1.0) * NEVER)


def _overruling(o: Any, here: _Here, chances: Any, known: Any) -> Any:
    """Odds of p [A, 1] that one position demands, by its rule alone."""
    over: Any = 0.0
    for column, speaker in here:
        floors = o.const([list(speaker.floors)])
        over = over + column * ((chances - floors) * STEEP + speaker.on)
    return highest_known(o, over, known)


def situations(o: Any, known: Any) -> list[Any]:
    """One column [A, 1] for each situation, 1 where it is that one; of nothing known all are 0."""
    count = o.total(known)
    alone = known * o.number(count < 1.5)
    return [*o.split(alone, [1] * OWN), o.number(count > 1.5)]


def mix_odds(o: Any, trees: Any, rule: Any, speaker: SituationSpeaker) -> Any:
    """Odds of p by both."""
    said = o.clip(rule, -RULE_MOST, RULE_MOST) * speaker.rule
    return trees * speaker.trees + said + speaker.shift


def _mixed(here: _Here, trees: Any, rule: Any, o: Any) -> Any:
    out: Any = 0.0
    for column, speaker in here:
        out = out + column * mix_odds(o, trees, rule, speaker)
    return out


def _fades(o: Any, here: _Here, dt: Any) -> Any:
    """What is left of a difference after the slot; none where nobody looks at the past."""
    out: Any = 0.0
    for column, speaker in here:
        if speaker.steady_s:
            out = out + column * o.exp(dt * (-1.0 / speaker.steady_s))
    return out


def _line(here: _Here, odds: Any, name: str) -> Any:
    out: Any = 0.0
    for column, speaker in here:
        scale, shift = getattr(speaker, name)
        out = out + column * (odds * scale + shift)
    return out
