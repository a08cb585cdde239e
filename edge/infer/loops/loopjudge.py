"""Judges all loops of a site, slot by slot: is each to be believed, and if not, what is wrong.

    loops = LoopJudge(lanes, approaches, ModelGuard("loopfault", BUNDLES / "loopfault"))
    verdicts = loops.step(now_ns, engine.ticks)
    mask = loops.weights()

The model is asked once a call for all loops and slots. When it cannot be asked, the rules speak.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from edge.core.looptick import DoubtedLoop, LoopTick
from edge.core.record import Draft
from edge.infer.bundlemanifest import BundleManifest
from edge.infer.hysteresis import FlagTurn
from edge.infer.judgestate import UNREADABLE
from edge.infer.loops.activity import LaneActivity
from edge.infer.loops.burst import BurstRule
from edge.infer.loops.countedchatter import FAULT as CHATTER
from edge.infer.loops.countedchatter import CountedChatter
from edge.infer.loops.crosstalk import FAULT as CROSSTALK
from edge.infer.loops.crosstalk import CrosstalkRule
from edge.infer.loops.evidence import LoopKey, slots_of
from edge.infer.loops.flowbalance import FlowBalanceRule
from edge.infer.loops.laterelease import LateReleaseRule
from edge.infer.loops.loopfeatures import LoopFeatures
from edge.infer.loops.loopflag import FAULTS, LOUD_FAULTS, WIDTH, LoopFlag, over_s, without_faults
from edge.infer.loops.loopmemory import SCALES_S
from edge.infer.loops.looprules import (
    ALONE,
    ALWAYS,
    COLUMN,
    RULE_NAME,
    SURE_SCORE,
    LoopRule,
    Ruling,
)
from edge.infer.loops.missedvehicles import MissedVehicleRule
from edge.infer.loops.polarity import PolarityRule
from edge.infer.loops.presence import is_held
from edge.infer.loops.severallanes import FAULTS as LANE_FAULTS
from edge.infer.loops.severallanes import SeveralLanes
from edge.infer.loops.silence import as_never_active, without_unproven_silence
from edge.infer.loops.silentsite import SilentSite, silent_approaches
from edge.infer.loops.siterule import Row, SiteRule
from edge.infer.loops.surroundings import presumed_roles
from edge.infer.modelguard import ModelGuard
from edge.infer.shadow import Shadow
from edge.infer.sites import ApproachSite, LaneSite

ON: Final = 0.6
OFF: Final = 0.3
OPEN: Final = 0.5  # sound by so much, says the model: then a rule that is better at it may speak
LOOK_BACK_S: Final = {"chatter": 30.0}
LOOK_BACK_MOST_S: Final = SCALES_S[1]  # a row looks back for so long: faults begin before doubt
STUCK_ON: Final = 1 + FAULTS.index("stuck_on")
SOUND_RULING: Final = Ruling(None, 0.0)
COUNTED_RULING: Final = Ruling(CHATTER, SURE_SCORE)
COMPARED: Final = ("undercount", *ALONE)
"""Found by comparing a loop with the other one of its pair."""
VERSION: Final = 1

log = logging.getLogger(__name__)


class LoopVerdict(NamedTuple):
    """One loop as of the last slot. `score`: how likely it is not to be believed, 0..1.

    `fault` is its state, up since `since_ns`; `change` says that it has just changed. What it told
    from `doubt_ns` on is in doubt; `evidence` and `text` are those of the rule (see `Ruling`).
    """

    lane: str
    part: str
    score: float
    fault: str | None
    since_ns: int | None
    change: FlagTurn | None
    by: str
    doubt_ns: int | None = None
    evidence: str = ""
    text: str | None = None


class LoopJudge:
    """State and flags of all loops. Not for more than one thread."""

    def __init__(
        self, lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite], guard: ModelGuard
    ) -> None:
        ways = tuple(approaches)
        sites = {lane.name: lane for lane in presumed_roles(lanes, ways)}
        self.guard = guard
        self.shadow: Shadow | None = None  # a candidate that runs beside the model
        # of bicycles the model knows nothing: they are watched for activity alone
        judged = [lane for lane in sites.values() if lane.judged]
        self._watch = LoopFeatures(judged, ways)
        places = self._watch.places
        self._polarity = PolarityRule(places, {key: each.partner for key, each in places.items()})
        self._activity = LaneActivity(sites.values(), ways, self._fault)
        self._crosstalk = CrosstalkRule(self._watch.places, self._fault)
        self._lanes = SeveralLanes(judged, self._fault)
        # by the name under which they are kept; what the first says of a loop counts
        self._site_rules: dict[str, SiteRule] = {
            "polarity": self._polarity,
            "burst": BurstRule(tuple(self._watch.places)),
            "site": SilentSite(tuple(self._watch.places)),
            **silent_approaches(sites.values(), self._watch.places),
            "activity": self._activity,
            "crosstalk": self._crosstalk,
            "release": LateReleaseRule(judged, self._fault),
            "missed": MissedVehicleRule(self._watch.places, self._fault),
            "balance": FlowBalanceRule(judged, ways, self._fault),
            "lanes": self._lanes,
        }
        known = guard.manifest
        on, off = (known.on, known.off) if known else (ON, OFF)
        self._flags = {key: LoopFlag(on, off) for key in self._activity.keys}
        self._counted = CountedChatter(self._watch.places)
        self._chattering = frozenset[LoopKey]()  # in the slot that is judged, by the counting
        self._lineage = guard.lineage
        self._rules = {
            key: LoopRule(
                sites[key[0]].position,
                sites[key[0]].mode,
                along=bool(self._watch.places[key].along),
                role=sites[key[0]].role,
            )
            for key in self._watch.places
        }

    def step(
        self, now_ns: int, ticks: Sequence[LoopTick], wall_s: float | None = None
    ) -> list[LoopVerdict]:
        """Judge the slots that ended; one verdict for each loop with a tick, in the site's order.

        `wall_s` is `now_ns` in seconds since 1970, None while the clock is not to be trusted.

        A loop that turned more than once has one for each turn; the earlier ones come first of
        all, by time. Never raises for what a model does. Ticks of loops that the site does not
        have are passed over.
        """
        slots = [(slot, self._watch.step(list(slot.values()))) for slot in slots_of(ticks)]
        rulings = [
            {key: self._rules[key].step(row, slot[key]) for key, row in rows.items()}
            for slot, rows in slots
        ]
        names = ["|".join(key) for _, rows in slots for key in rows]
        rule_answers = self._asked(
            now_ns, names, [row for _, rows in slots for row in rows.values()]
        )
        known = self.guard.manifest
        by = known.by if rule_answers is not None and known else RULE_NAME
        turned: dict[LoopKey, LoopVerdict] = {}  # with its last turn
        verdicts: list[LoopVerdict] = []
        spoken_by: dict[LoopKey, str] = {}  # by whom, where not by the model
        at = 0
        for (slot, rows), ruled in zip(slots, rulings, strict=True):
            self._chattering = self._counted.in_slot(slot)
            # they ask what is up: also what the slot before this one has raised
            over, unsaid = self._overruled(now_ns, slot, rows, wall_s)
            for key in [*rows, *(key for key in slot if key not in rows and key in self._flags)]:
                tick, flag, overruled = slot[key], self._flags[key], key in over
                ruling = over[key] if overruled else ruled.get(key, SOUND_RULING)
                alone = self._beside_a_chattering_one(key) and flag.fault not in COMPARED
                odd = ruling.fault in ALONE and self._beside_a_loud_one(key)
                lost = alone and not overruled and ruling.fault in COMPARED
                if odd or lost or ruling.fault in unsaid.get(key, ()):
                    ruling = SOUND_RULING
                p = None
                if key in rows:
                    p = (
                        without_unproven_silence(rule_answers[at], silent=ruling.silent)
                        if rule_answers is not None
                        else None
                    )
                    at += 1
                    if p is not None:
                        others = unsaid.get(key, ())
                        if alone:
                            others = (*others, *COMPARED)
                        if p[STUCK_ON] > OFF and not is_held(rows[key]):
                            others = (*others, "stuck_on")
                        if others:
                            p = without_faults(p, others)
                if p is None or overruled or (ruling.fault in ALWAYS and p[0] >= OPEN):
                    p, spoken_by[key] = _spread(ruling), RULE_NAME
                if not self._activity.has_lived(key):
                    p = as_never_active(p)
                came = bool(tick.stays) or tick.stays_left_out > 0
                at_once = rule_answers is None or overruled or key not in rows
                another = self._counted.may_turn(tick, flag.fault, chatters=key in self._chattering)
                turn = flag.step(
                    p, tick.to_ns, tick.length_s, traffic=came, at_once=at_once,
                    over=overruled or another,
                    quiet_s=over_s(flag.fault),
                )  # fmt: skip
                if turn is not None:
                    if key in turned:
                        verdicts.append(turned[key])
                    who = RULE_NAME if key in spoken_by else by
                    found = over.get(key, SOUND_RULING)
                    found = found if found.fault == flag.fault else SOUND_RULING
                    doubt_ns = found.since_ns
                    if flag.fault is not None and doubt_ns is None:
                        doubt_ns = _doubt_ns(flag, tick, rows)
                    turned[key] = LoopVerdict(
                        *key, round(flag.score, 3), flag.fault, flag.since_ns, turn, who,
                        doubt_ns, found.evidence, found.text,
                    )  # fmt: skip
        seen = {key for slot, _ in slots for key in slot}
        for key, f in self._flags.items():
            if key in seen:
                now = LoopVerdict(
                    *key, round(f.score, 3), f.fault, f.since_ns, None, spoken_by.get(key, by)
                )
                last = turned.get(key)
                verdicts.append(now if last is None else last._replace(score=now.score, by=now.by))
        return verdicts

    def hear(self, events: Iterable[Draft]) -> None:
        """What others report in a window, before its slots: of this the chatter that is counted."""
        self._counted.hear(events)

    def mark_chattering(self, loops: Iterable[LoopKey]) -> None:
        """After a restart: others have reported these, and not their end."""
        self._counted.mark_chattering(loops)

    def _fault(self, key: LoopKey) -> str | None:
        return CHATTER if key in self._chattering else self._flags[key].fault

    def _unsaid(self) -> dict[LoopKey, tuple[str, ...]]:
        """What nobody may say of a loop, for what it looks like has another cause."""
        unsaid = dict.fromkeys(self._crosstalk.unproven(), (CROSSTALK,))
        return unsaid | dict.fromkeys(self._lanes.found(), LANE_FAULTS)

    def _beside_a_loud_one(self, key: LoopKey) -> bool:
        """Whether a loop is one of a pair whose other one says nothing that fits to anything."""
        mate = _mate(key)
        return mate in self._flags and self._fault(mate) in LOUD_FAULTS

    def _beside_a_chattering_one(self, key: LoopKey) -> bool:
        """Whether a loop is one of a pair whose other one chatters, by the counting."""
        return _mate(key) in self._chattering

    def _overruled(
        self,
        now_ns: int,
        slot: Mapping[LoopKey, LoopTick],
        rows: Mapping[LoopKey, Row],
        wall_s: float | None,
    ) -> tuple[dict[LoopKey, Ruling], dict[LoopKey, tuple[str, ...]]]:
        """What witnesses say of a slot, and what nobody may say. Of two that speak of one loop the
        first that may counts."""
        ends = {tick.to_ns for tick in slot.values()}
        at_s = None if wall_s is None or not ends else wall_s - (now_ns - max(ends)) / 1e9
        said = [rule.step(slot, rows, at_s) for rule in self._site_rules.values()]
        unsaid, rulings = self._unsaid(), dict[LoopKey, Ruling]()
        for one in said:
            for key, ruling in one.items():
                if ruling.fault not in unsaid.get(key, ()):
                    rulings.setdefault(key, ruling)
        for key in self._chattering:
            rulings.setdefault(key, COUNTED_RULING)
        return rulings, unsaid

    def _asked(self, now_ns: int, names: Sequence[str], rows: Sequence[Row]) -> list[Row] | None:
        """What the model says of each row: probabilities of `sound` and of each kind."""
        if not rows or not self.guard.is_ready(now_ns):
            return None
        session = self.guard.session
        assert session is not None
        self._follow(session.manifest)
        inputs = {"x": session.tensor(rows)}
        answer = self.guard.ask(now_ns, inputs)
        if answer is None:
            return None
        (outputs, in_time) = answer
        if self.shadow is not None:
            self.shadow.see(now_ns, session.manifest, inputs, outputs, names)
        p: list[Row] = outputs[0].tolist()
        return p if in_time and len(p[0]) == WIDTH else None

    def _follow(self, known: BundleManifest) -> None:
        """Another model speaks than before: with its thresholds, and nothing smoothed."""
        for flag in self._flags.values():
            flag.on, flag.off = known.on, known.off
        if self._lineage != self.guard.lineage:
            self._lineage = self.guard.lineage
            for flag in self._flags.values():
                flag.anew()

    def weights(self) -> Mapping[LoopKey, float]:
        """The latest score of every loop, for the mask of the congestion model."""
        out = {key: round(flag.score, 3) for key, flag in self._flags.items()}
        return out | dict.fromkeys(self._polarity.unproven(), 1.0)

    def faulty(self) -> list[LoopVerdict]:
        """The loops with a fault, in the site's order."""
        return [
            LoopVerdict(*key, round(f.score, 3), f.fault, f.since_ns, None, RULE_NAME)
            for key, f in self._flags.items()
            if f.fault is not None
        ]

    def faults(self) -> Iterator[DoubtedLoop]:
        """The flags that are up."""
        return (DoubtedLoop(*key, flag.fault) for key, flag in self._flags.items() if flag.fault)

    @property
    def watched_loops(self) -> Container[LoopKey]:
        """The loops of the site."""
        return self._flags.keys()

    def beside(self, lane: str, part: str) -> tuple[str, ...]:
        """Names of the lanes beside a loop, for what people read."""
        place = self._watch.places.get((lane, part))
        return tuple(other for other, _ in place.beside) if place else ()

    def missing(self, gap_s: float) -> None:
        """Nobody watched for `gap_s`."""
        self._watch.missing(gap_s)
        for rule in self._site_rules.values():
            rule.missing(gap_s)
        for flag in self._flags.values():
            flag.low_s = 0.0

    def snapshot(self) -> dict[str, object]:
        """State as of the last slot, JSON-like; a few kilobytes a loop."""
        return {
            "v": VERSION,
            "model": self.guard.sha256,
            "watch": self._watch.snapshot(),
            "flags": {"|".join(key): flag.snapshot() for key, flag in self._flags.items()},
            "rules": {"|".join(key): rule.snapshot() for key, rule in self._rules.items()},
            "counted": self._counted.snapshot(),
            "witnesses": {name: each.snapshot() for name, each in self._site_rules.items()},
        }

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """Take up a snapshot; False, and a line in the log, when its model was another.

        Raises what is UNREADABLE for what is not a snapshot, and then nothing has changed.
        """
        if saved["v"] != VERSION:
            raise ValueError(f"version {saved['v']!r}")
        same, before = bool(saved["model"] == self.guard.sha256), self.snapshot()
        try:
            self._take_up(saved, same)
        except UNREADABLE:  # nothing half
            self._take_up(before, True)
            raise
        if not same:
            log.warning("loops: what another model had smoothed is discarded")
        return same

    def _take_up(self, saved: Mapping[str, Any], same: bool) -> None:
        """A loop that is new begins anew; so does the rule of one that was not judged before."""
        self._watch.restore(saved["watch"])
        self._counted.restore(saved.get("counted", {}))  # 0.3.0 did not keep it
        for witness, rule in self._site_rules.items():
            if witness in saved["witnesses"]:
                rule.restore(saved["witnesses"][witness])
        for key, flag in self._flags.items():
            name = "|".join(key)
            if name in saved["flags"]:
                flag.restore(saved["flags"][name], same_model=same)
            if key in self._rules and name in saved["rules"]:
                self._rules[key].restore(saved["rules"][name])

    def snapshot_flags(self) -> dict[str, object]:
        """The flags that are up, small, to be kept with every window."""
        return {"|".join(key): f.snapshot() for key, f in self._flags.items() if f.fault}

    def restore_flags(self, raised: Mapping[str, Any], *, same_model: bool) -> None:
        """These flags are up, and no other; after `restore`, which may be older.

        `same_model`: what speaks now is what smoothed them. Raises KeyError, TypeError or
        ValueError for what is not from `snapshot_flags`.
        """
        for key, flag in self._flags.items():
            saved = raised.get("|".join(key))
            if saved is not None:
                flag.restore(saved, same_model=same_model)
                if flag.fault == "inverted":
                    self._polarity.mark_inverted(key)
                elif flag.fault == "stuck_off":
                    self._activity.mark_dead(key)
            elif flag.fault is not None:
                flag.put_down()


def _mate(key: LoopKey) -> LoopKey:
    lane, part = key
    return lane, "trail" if part == "lead" else "lead"


def _doubt_ns(flag: LoopFlag, tick: LoopTick, rows: Mapping[LoopKey, Row]) -> int:
    """From when on a loop is in doubt that has a fault since this slot."""
    if flag.fault == "stuck_on" and tick.since_ns is not None:
        return tick.since_ns
    row = rows.get((tick.lane, tick.part))
    if flag.fault in ("stuck_off", "never_active") and row is not None:
        return tick.to_ns - round(math.expm1(row[COLUMN["idle"]]) * 1e9)
    back_s = flag.doubt_s + LOOK_BACK_S.get(flag.fault or "", LOOK_BACK_MOST_S)
    if row is not None:  # before it was watched nothing was sent
        back_s = min(back_s, 600.0 * math.expm1(row[COLUMN["age"]]))
    return tick.to_ns - round(back_s * 1e9)


def _spread(ruling: Ruling) -> Row:
    """A rule's word: a probability of `sound` and of each fault."""
    row = [0.0] * (1 + len(FAULTS))
    row[0] = 1.0 - ruling.score
    if ruling.fault is not None:
        row[1 + FAULTS.index(ruling.fault)] = ruling.score
    return row
