"""The street of a scenario, played on a cabinet: its vehicles and signals come at their moments.

What is true is kept beside it, by what the wires then show: a fault of a loop is seen as the
difference. Used by every layer that has a cabinet; time comes from the cabinet's timeline.
"""

import heapq
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, takewhile
from typing import Final

from drivers.sim.drivencontact import NS
from drivers.sim.lanetraffic import LaneTraffic
from drivers.sim.loopcard import PULSE_S, LoopCard
from drivers.sim.loops import Spell
from drivers.sim.traffic import JAM_KMH, LEAST_GAP_S
from edge.cabinet.cabinet import Cabinet
from edge.rig.recordedcontacts import LoopSpell, RecordedChange
from edge.rig.runlog import Driven
from edge.rig.scenario import Scenario
from edge.rig.traces import recorded_contacts, recorded_passages, recorded_spells
from edge.rig.vehicles import (
    Passage,
    cycle_of,
    driven,
    following,
    passages,
    signals_of,
    times,
)

SHORTEST_NS: Final = 200_000  # a difference that is shorter is none: changes have one stamp each
RECORDED_M: Final = 4.5  # nobody knows how long who was recorded is


@dataclass(frozen=True, slots=True)
class Difference:
    """From then to then a contact was not what was true: closed, or open."""

    from_ns: int
    to_ns: int
    closed: bool


class LoopRecord:
    """What one loop should show and what its contact shows, as it happens."""

    def __init__(self, card: LoopCard) -> None:
        self.card = card
        self.true: list[Spell] = []
        self.changes: list[tuple[int, bool]] = []
        self._drive = card.drive
        card.drive = self._driven

    def over(self, spell: Spell) -> None:
        """Somebody is over it then. In the order of time."""
        from_ns, to_ns = spell
        if self.card.mode == "pulse":
            to_ns = from_ns + round(PULSE_S * NS)
        if self.true and from_ns <= self.true[-1][1]:
            self.true[-1] = self.true[-1][0], max(to_ns, self.true[-1][1])
        else:
            self.true.append((from_ns, to_ns))

    def differences(self, from_ns: int, to_ns: int, most: int) -> list[Difference]:
        """The first ones between these moments."""
        found: list[Difference] = []
        closed, there = self._closed(from_ns), self._there(from_ns)
        since_ns = from_ns
        end = (to_ns, None, None)
        for at_ns, wire, truth in chain(self._states(from_ns, to_ns), (end,)):
            if closed is not there and at_ns - since_ns >= SHORTEST_NS:
                found.append(Difference(since_ns, at_ns, closed))
            if len(found) >= most:
                break
            closed = closed if wire is None else wire
            there = there if truth is None else truth
            since_ns = at_ns
        return found

    def _closed(self, at_ns: int) -> bool:
        place = bisect_right(self.changes, at_ns, key=lambda change: change[0])
        return place > 0 and self.changes[place - 1][1]

    def _there(self, at_ns: int) -> bool:
        place = bisect_right(self.true, at_ns, key=lambda spell: spell[0])
        return place > 0 and at_ns < self.true[place - 1][1]

    def _states(self, from_ns: int, to_ns: int) -> Iterator[tuple[int, bool | None, bool | None]]:
        """What the wire shows, or what is true, from a moment on."""
        begin = bisect_right(self.changes, from_ns, key=lambda change: change[0])
        wire = ((at_ns, closed, None) for at_ns, closed in islice(self.changes, begin, None))
        begin = max(0, bisect_right(self.true, from_ns, key=lambda spell: spell[0]) - 1)
        truth = (
            (at_ns, None, there)
            for spell in islice(self.true, begin, None)
            for at_ns, there in zip(spell, (True, False), strict=True)
            if at_ns > from_ns
        )
        merged: Iterator[tuple[int, bool | None, bool | None]]
        merged = heapq.merge(wire, truth, key=lambda state: state[0])
        return takewhile(lambda state: state[0] <= to_ns, merged)

    def _driven(self, high: bool, t_ns: int) -> None:
        self.changes.append((t_ns, high is self.card.active_high))
        self._drive(high, t_ns)


class StreetPlay:
    """Its vehicles are those of `edge.rig.vehicles`. `begin` says when the scenario begins.

    Lanes of the cabinet have no traffic of their own (`Flow(0)`). Raises ConfigError for recorded
    traffic that cannot be used.
    """

    def __init__(self, scenario: Scenario, cabinet: Cabinet) -> None:
        site = cabinet.site
        self._site, self._cabinet, self._timeline = site, cabinet, cabinet.timeline
        self._signals = signals_of(scenario, site)
        self._spells = recorded_spells(scenario, site)
        self._changes = recorded_contacts(scenario, site)
        self._lanes: dict[str, LaneTraffic] = {}
        self.loops: dict[str, LoopRecord] = {}
        for played in cabinet.lines.values():
            self._lanes |= played.lanes
            self.loops |= {name: LoopRecord(card) for name, card in played.loops.items()}
        contacts = (played.contacts.items() for played in cabinet.lines.values())
        self._contacts = dict(chain.from_iterable(contacts))
        for source in {change.source for change in self._changes}:
            self._contacts[source].recorded = True
        chance = scenario.about.seed
        self._chances = {name: random.Random(f"{chance}/jam/{name}") for name in self._lanes}
        self._coming: dict[str, list[Passage]] = {name: [] for name in self._lanes}
        for one in reversed(passages(scenario, site, recorded_passages(scenario, site))):
            self._coming[one.lane].append(one)
        self._added: dict[str, Passage] = {}  # lane -> the last one that `add` was given
        self._free_ns = dict.fromkeys(self._lanes, 0)
        self._zero_ns = 0
        self._driven: list[Driven] = []
        self.turned_away = 0
        """Vehicles that have not come because their approach was empty."""
        self.slowed = 0
        """Vehicles that came slowly because their approach was congested."""

    def begin(self, zero_ns: int) -> None:
        """The scenario begins then, by the timeline's clock."""
        self._zero_ns = zero_ns
        self._timeline.at(zero_ns, self._show_signals)
        for name in self._lanes:
            self._plan(name)
        self._plan_recorded(iter(self._spells))
        self._plan_change(iter(self._changes))

    def add(self, one: Passage) -> Driven:
        """Somebody of whom the scenario does not tell, behind all that were added before. Gives
        what will be true of him. May be called from any thread, once the scenario has begun."""
        keys = self._site.lanes[one.lane]
        if one.lane in self._added:
            one = following(self._added[one.lane], one, keys)
        self._added[one.lane] = one
        at_ns = self._zero_ns + round(one.t_s * NS)
        self._timeline.at(at_ns, lambda t_ns: self._come(one, t_ns))
        return driven(one, keys)

    def driven(self, now_ns: int) -> list[Driven]:
        """Who has come onto the loops by now: a box may have counted him before he leaves."""
        now_s = (now_ns - self._zero_ns) / NS
        return sorted(
            (one for one in self._driven if one.on_s <= now_s),
            key=lambda one: (one.on_s, one.lane),
        )

    def passed(self, lanes: Sequence[str], from_ns: int, to_ns: int) -> int:
        """How many vehicles reached the first loops of these lanes between two moments."""
        from_s, to_s = ((at_ns - self._zero_ns) / NS for at_ns in (from_ns, to_ns))
        leads = {f"{lane}.lead" for lane in lanes}
        made = sum(one.lane in lanes and from_s <= one.on_s <= to_s for one in self._driven)
        return made + sum(one.loop in leads and from_s <= one.on_s <= to_s for one in self._spells)

    # in the timeline's thread

    def _show_signals(self, t_ns: int) -> None:
        for played in self._cabinet.lines.values():
            for approach, play in played.signals.items():
                signal = self._signals[approach]
                zero_ns = self._zero_ns + round(signal.offset_s * NS)
                play.follow(cycle_of(signal), zero_ns, t_ns)

    def _plan(self, name: str) -> None:
        if self._coming[name]:
            one = self._coming[name].pop()
            at_ns = max(self._zero_ns + round(one.t_s * NS), self._free_ns[name])
            self._timeline.at(at_ns, lambda t_ns: self._pass(one, t_ns))

    def _pass(self, one: Passage, t_ns: int) -> None:
        self._come(one, t_ns)
        self._plan(one.lane)

    def _come(self, one: Passage, t_ns: int) -> None:
        lane = self._lanes[one.lane]
        stream = lane.stream
        if stream.empty:
            self.turned_away += 1
        else:
            one = replace(one, t_s=(t_ns - self._zero_ns) / NS)
            if stream.jammed:
                self.slowed += 1
                slow_kmh = self._chances[one.lane].uniform(*JAM_KMH)
                one = replace(one, speed_kmh=min(one.speed_kmh, slow_kmh))
            self._drive(one, lane)

    def _drive(self, one: Passage, lane: LaneTraffic) -> None:
        keys = self._site.lanes[one.lane]
        for row in times(one, keys):
            lead, trail = (self._span(*span) for span in (row.lead, row.trail))
            lane.cover(lead, trail, row.length_m)
            self.loops[f"{one.lane}.lead"].over(lead)
            if lane.trail is not None:
                self.loops[f"{one.lane}.trail"].over(trail)
        true = driven(one, keys)
        self._driven.append(true)
        if lane.stream.jammed:  # who comes behind waits for it
            self._free_ns[one.lane] = self._zero_ns + round((true.off_s + LEAST_GAP_S) * NS)

    def _plan_recorded(self, rest: Iterator[LoopSpell]) -> None:
        if (one := next(rest, None)) is None:
            return

        def close(t_ns: int) -> None:
            _, to_ns = spell = self._span(one.on_s, one.off_s)
            self.loops[one.loop].card.over(t_ns, to_ns, RECORDED_M)
            self.loops[one.loop].over(spell)
            self._plan_recorded(rest)

        self._timeline.at(self._zero_ns + round(one.on_s * NS), close)

    def _plan_change(self, rest: Iterator[RecordedChange]) -> None:
        if (one := next(rest, None)) is None:
            return

        def change(t_ns: int) -> None:
            self._contacts[one.source].replay(bool(one.closed), t_ns)
            self._plan_change(rest)

        self._timeline.at(self._zero_ns + round(one.t_s * NS), change)

    def _span(self, from_s: float, to_s: float) -> Spell:
        return self._zero_ns + round(from_s * NS), self._zero_ns + round(to_s * NS)
