"""Judges all series of a site in one batch: how odd each is, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from edge.infer.cause import CauseOrigin
from edge.infer.hourofday import UNKNOWN_HOUR, HourOfDay
from edge.infer.hysteresis import FlagTurn, HysteresisFlag
from edge.infer.judgestate import SeriesState
from edge.infer.modelguard import ModelGuard
from edge.infer.robustz import ROBUST_Z, WARMUP_SAMPLES, Oddity
from edge.infer.seriesfeatures import SeriesKey, SeriesSample
from edge.infer.seriesmemory import (
    FORGOTTEN,
    NOTHING,
    SeriesHistory,
    SeriesRows,
    SeriesRules,
)
from edge.infer.seriesverdict import OddityAndOrigin, SeriesVerdict, read_verdicts
from edge.infer.shadow import Shadow

__all__ = ["SHOWN_ONSET", "SeriesJudge", "SeriesVerdict"]

SERIES_LIMIT: Final = 512  # series; a box with more has a configuration that nobody meant
ON: Final = 0.5
OFF: Final = 0.25
SHOWN_ONSET: Final = 0.05  # a level that is worth a place in the record


class SeriesJudge:
    """State and flags of all series. They are known from the windows, in order of appearance.

    Model or rule, whoever begins anew while a flag is up has no say in its end before it knows
    the series: for as many windows as it takes before a first onset.
    """

    def __init__(self, guard: ModelGuard, period_s: float) -> None:
        self.guard = guard
        self._lineage = guard.lineage
        self.shadow: Shadow | None = None  # a candidate that runs beside the model
        self._warm_s = WARMUP_SAMPLES * period_s
        self.dropped = 0  # series beyond SERIES_LIMIT
        known = guard.manifest
        self._thresholds = (known.on, known.off) if known else (ON, OFF)
        self._places: dict[SeriesKey, int] = {}
        self._keys: list[SeriesKey] = []  # by place
        self._flags: list[HysteresisFlag] = []
        self._since: list[int] = []  # samples since the flag went on
        self._rules = SeriesRules()
        self._rule_saw = 0  # windows, of all
        self._model_saw = 0
        self._past = SeriesHistory()
        self._hours = HourOfDay()
        self._rows = SeriesRows(self._warm_s)

    def step(
        self,
        now_ns: int,
        dt_s: float,
        now: Mapping[SeriesKey, SeriesSample],
        wall_s: float | None = None,
    ) -> list[SeriesVerdict]:
        """Judge one window that ends at `now_ns`; returns the series that are odd, or were.

        `wall_s` is its end in seconds since 1970; None while the clock is not to be trusted: then
        nothing is judged by the hour, and nothing learnt of it.
        """
        hour = self._hours.at(now_ns, wall_s)
        self._meet(now)
        if not self._places:
            return []
        self._past.add(hour, now)
        outputs = self._model(now_ns) if self.guard.is_ready(now_ns) else None
        if outputs is not None and self.guard.manifest is not None:
            by = self.guard.manifest.by
            self._rules.drop()
        else:
            outputs, by = self._rule(), ROBUST_Z
        return [
            SeriesVerdict(
                self._keys[place], odd,
                self._turn(place, self._ruled(place, odd, whose, now), dt_s), by, whose,
            )
            for place, (odd, whose) in outputs.items()
        ]  # fmt: skip

    def _ruled(
        self,
        place: int,
        odd: Oddity,
        whose: CauseOrigin | None,
        now: Mapping[SeriesKey, SeriesSample],
    ) -> Oddity:
        """What all lanes of an approach show is traffic, and no news: it raises no flag."""
        road = now.get(self._keys[place], NOTHING).road
        if road and whose != "sensor" and not self._flags[place].raised:
            return replace(odd, onset=0.0)
        return odd

    def _meet(self, now: Mapping[SeriesKey, SeriesSample]) -> None:
        for key in now:
            if key in self._places:
                continue
            if len(self._places) >= SERIES_LIMIT:
                self.dropped += 1
                continue
            self._places[key] = len(self._places)
            self._keys.append(key)
            self._flags.append(HysteresisFlag(*self._thresholds))
            self._since.append(0)

    def _turn(self, place: int, odd: Oddity, dt_s: float) -> FlagTurn | None:
        flag = self._flags[place]
        turn = flag.step(odd.onset, odd.level, dt_s)
        self._since[place] = self._since[place] + 1 if flag.raised and turn is None else 0
        return turn

    @property
    def _names(self) -> list[str]:
        return [".".join(key) for key in self._keys]

    def _matters(self, place: int, onset: float, level: float) -> bool:
        return level > SHOWN_ONSET or onset >= self._thresholds[0] or self._flags[place].raised

    def _rule(self) -> dict[int, OddityAndOrigin]:
        if not self._rules:
            self._rule_saw = self._past.count - len(self._past)  # all that is left: warm up with it
            if len(self._past) < WARMUP_SAMPLES:
                for flag in self._flags:
                    flag.hold(self._warm_s)
            for key, hold_s in self._rules.wake().items():
                self._flags[self._places[key]].hold(hold_s)
        odds: dict[SeriesKey, Oddity] = {}
        for _, window in self._past.unseen(self._rule_saw):
            odds = self._rules.step(self._keys, window)
        self._rule_saw = self._past.count
        return {
            place: (Oddity(round(odd.onset, 3), round(odd.level, 3), odd.cause), None)
            for key, odd in odds.items()
            if self._matters(place := self._places[key], odd.onset, odd.level)
        }

    def _model(self, now_ns: int) -> dict[int, OddityAndOrigin] | None:
        session = self.guard.session
        assert session is not None
        if self._lineage != self.guard.lineage:  # another model speaks: rows mean nothing to it
            self._lineage = self.guard.lineage
            self._rows.drop()
        self._thresholds = session.manifest.on, session.manifest.off
        for flag in self._flags:
            flag.on, flag.off = self._thresholds
        in_time, outputs = True, None
        values: list[float | None] = []
        samples: Mapping[SeriesKey, SeriesSample] = {}
        for hour, samples in self._past.unseen(self._model_saw):
            lost = hour == FORGOTTEN
            hour = UNKNOWN_HOUR if lost else hour
            for place, hold_s in enumerate(self._rows.grow(session, self._keys)):
                self._flags[place].hold(hold_s)
            values, inputs = self._rows.feed(session, self._keys, hour, samples)
            answer = self.guard.ask(now_ns, inputs)
            if answer is None:
                self._rows.state = None  # an answer that cannot be may have come from its state
                self._model_saw = self._past.count
                return None
            outputs, quick = answer
            if self.shadow is not None:
                self.shadow.see(now_ns, session.manifest, inputs, outputs, self._names)
            self._rows.state = state = outputs[3]
            if lost:
                held = [place for place, flag in enumerate(self._flags) if flag.raised]
                state[held] = inputs["state"][held]
            in_time = in_time and quick
        self._model_saw = self._past.count
        if outputs is None or not in_time:
            return None
        return read_verdicts(outputs, values, samples, self._places, self._since, self._matters)

    def missing(self, steps: int, *, forgotten: bool = False) -> None:
        """Nobody watched for so many windows: samples that are missing.

        `forgotten`: they were seen, and what was learnt from them is lost. Rows of series whose
        flag is up are kept with every window: they have lost nothing.
        """
        if self._places:
            self._past.missing(steps, forgotten=forgotten)

    def snapshot(self) -> dict[str, object]:
        """State as of the last window, for msgpack. The rule starts anew after a restart."""
        keys = list(self._places)
        data, begun = self._rows.snapshot(keys)
        return {
            "model": self.guard.sha256,
            "keys": [list(key) for key in keys],
            "state": data,
            "begun": begun,
            "raised": [self._flags[self._places[key]].raised for key in keys],
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False when the model's part of it had to be discarded.

        Raises KeyError, TypeError or ValueError for what is not a snapshot.
        """
        keys = [(str(source), str(point)) for source, point in saved["keys"]][:SERIES_LIMIT]
        raised, begun = [bool(v) for v in saved["raised"]], [bool(v) for v in saved["begun"]]
        data = saved["state"]
        if not isinstance(data, bytes):
            raise TypeError(f"{data!r:.80} is not a state")
        self._meet(dict.fromkeys(keys, NOTHING))
        for key, up in zip(keys, raised, strict=False):
            self._flags[self._places[key]].put(up)
        if not data:
            return True
        if saved["model"] != self.guard.sha256:
            return False
        self._rows.restore(keys, data, begun)
        return True

    @property
    def raised(self) -> list[SeriesKey]:
        """The series whose flag is up."""
        return [key for key, place in self._places.items() if self._flags[place].raised]

    def snapshot_flags(self) -> dict[SeriesKey, SeriesState]:
        """The series whose flag is up, as of the last window."""
        out = {}
        for key, place in self._places.items():
            flag, row = self._flags[place], b""
            if not flag.raised:
                continue
            rule, hold_s = self._rules.snapshot_one(key, flag.hold_s)
            if self._model_saw == self._past.count:
                row, hold_s = self._rows.snapshot_one(key, place, hold_s)
            out[key] = SeriesState(self._since[place], hold_s, row, rule)
        return out

    def restore_flags(self, kept: Mapping[SeriesKey, SeriesState], model: str) -> None:
        """Raise the flags that were kept, and no other."""
        for flag in self._flags:
            flag.put(False)
        self._meet(dict.fromkeys(kept, NOTHING))
        self._past.clear()
        self._model_saw = self._rule_saw = self._past.count
        self._rows.state = None
        self._rules.drop()
        for key, one in kept.items():
            if key not in self._places:
                continue
            place = self._places[key]
            self._flags[place].put(True, hold_s=self._warm_s)
            self._since[place] = one.samples
            same = model == self.guard.sha256
            self._rows.restore_one(key, one.row if same else b"", one.hold_s)
            self._rules.restore_one(key, one)

    def seek(self, key: SeriesKey, here: Mapping[SeriesKey, SeriesSample]) -> bool:
        """Is this series still watched? Its flag goes down when it is not."""
        place = self._places.get(key)
        if place is not None and key not in here:
            self._flags[place].put(False)
            self._rows.leave(key)
            self._rules.leave(key)
        return place is not None and key in here
