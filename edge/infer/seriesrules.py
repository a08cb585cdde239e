"""The rule of each series: who answers when the model cannot. What they knew waits to be asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from edge.infer.judgestate import SeriesState
from edge.infer.robustz import Oddity, RobustZRule
from edge.infer.seriesfeatures import SeriesKey, SeriesSample
from edge.infer.seriesrows import NOTHING

log = logging.getLogger(__name__)


class SeriesRules:
    """They begin anew whenever the model has answered in between."""

    def __init__(self) -> None:
        self._rules: dict[SeriesKey, RobustZRule] = {}
        # of those that wait: for how long each knows too little to end a flag
        self._waiting: dict[SeriesKey, tuple[RobustZRule, float]] = {}

    def __bool__(self) -> bool:
        """Is one of them at work?"""
        return bool(self._rules)

    def drop(self) -> None:
        """The model answers, or others are to be known: what these knew is forgotten."""
        self._rules, self._waiting = {}, {}

    def wake(self) -> dict[SeriesKey, float]:
        """Those that waited are at work: for how long each knows too little to end a flag."""
        waiting, self._waiting = self._waiting, {}
        self._rules |= {key: rule for key, (rule, _) in waiting.items()}
        return {key: hold_s for key, (_, hold_s) in waiting.items()}

    def step(
        self, keys: Iterable[SeriesKey], samples: Mapping[SeriesKey, SeriesSample]
    ) -> dict[SeriesKey, Oddity]:
        """What they say of one window; a series without a value is left out."""
        oddities = {}
        for key in keys:
            reading = samples.get(key, NOTHING)
            rule = self._rules.setdefault(key, RobustZRule())
            odd = rule.step(reading.value, reading.quantum)
            if odd is not None:
                oddities[key] = odd
        return oddities

    def snapshot_one(self, key: SeriesKey, hold_s: float) -> tuple[tuple[float, ...], float]:
        """What one remembers, and for how long that is too little; `hold_s` if it is at work."""
        rule, hold_s = self._waiting.get(key, (self._rules.get(key), hold_s))
        return (rule.snapshot() if rule else ()), hold_s

    def restore_one(self, key: SeriesKey, one: SeriesState) -> None:
        """This one waits, of a series whose flag is up."""
        if one.rule:
            try:
                self._waiting[key] = (RobustZRule.restore(one.rule), one.hold_s)
            except ValueError as error:
                log.warning("%s of %s: %s", key[1], key[0], error)

    def leave(self, key: SeriesKey) -> None:
        """Nobody watches this series any more."""
        self._waiting.pop(key, None)
