"""Knows which loops the counting calls chattering (`edge/process/traffic/activitycheck.py`).

One cause has one report. What chatters may look like anything else besides: parts of vehicles,
vehicles of the next lane, a pair that does not fit. So while the counting calls a loop so, the
judge does, too, and says nothing else of it. When the chatter is over and something is still wrong
for as long as a row of the model looks back, that is another fault, and is told.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Final, NamedTuple

from edge.core.looptick import LoopTick
from edge.core.record import Draft
from edge.infer.loops.evidence import CAP, FAR_NS, LoopKey
from edge.infer.loops.expectedcount import check_amounts
from edge.infer.loops.loopmemory import SCALES_S
from edge.wire.contract.event import SensorFault

FAULT: Final = "chatter"
CLEAN_S: Final = SCALES_S[2]  # after its end: in ten minutes what it left has not faded
LONG_AGO_NS: Final = -1  # when it began is not known any more


class CountedChatter:
    """The loops of a site that are watched."""

    def __init__(self, loops: Container[LoopKey]) -> None:
        self._loops = loops
        self._spans: dict[LoopKey, list[_Span]] = {}
        self._since_s: dict[LoopKey, float] = {}  # since the end, of loops whose flag is up

    def hear(self, events: Iterable[Draft]) -> None:
        """The events of a window, of whatever kind, in their order. A slot may end later."""
        for draft in events:
            body = draft.body
            if not isinstance(body, SensorFault) or body.fault != FAULT:
                continue
            key = (draft.source, str(body.part or "lead"))
            if key not in self._loops:
                continue
            spans = self._spans.setdefault(key, [])
            if body.state == "on":
                spans.append(_Span(draft.from_ns))
            elif spans:
                spans[-1] = spans[-1]._replace(to_ns=draft.from_ns)

    def in_slot(self, slot: Mapping[LoopKey, LoopTick]) -> frozenset[LoopKey]:
        """The loops that chattered at any time in a slot. Slots come in their order."""
        found = set[LoopKey]()
        for key, tick in slot.items():
            spans = [s for s in self._spans.get(key, ()) if s.to_ns > tick.from_ns]
            if spans and spans[0].from_ns == LONG_AGO_NS and _may_be_vehicles(tick):
                del spans[0]  # its end was lost
            if spans:
                self._spans[key] = spans
            else:
                self._spans.pop(key, None)
            if any(s.from_ns < tick.to_ns for s in spans):
                found.add(key)
        return frozenset(found)

    def may_turn(self, tick: LoopTick, fault: str | None, *, chatters: bool) -> bool:
        """A slot of a loop with this flag. Whether what is still wrong is another fault."""
        key = (tick.lane, tick.part)
        if chatters:
            self._since_s[key] = 0.0
        elif fault != FAULT:
            self._since_s.pop(key, None)
        elif key in self._since_s:
            self._since_s[key] = min(CLEAN_S, self._since_s[key] + tick.length_s)
        return self._since_s.get(key, 0.0) >= CLEAN_S

    def mark_chattering(self, loops: Iterable[LoopKey]) -> None:
        """After a restart: these were called so and were not over, and no others."""
        self._spans = {key: [_Span(LONG_AGO_NS)] for key in loops if key in self._loops}

    def snapshot(self) -> dict[str, float]:
        """JSON-like; which loops chatter now is kept by who reports it."""
        return {"|".join(key): since_s for key, since_s in self._since_s.items()}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises TypeError or ValueError for what is no snapshot."""
        known: dict[LoopKey, float] = {}
        for name, since_s in saved.items():
            lane, _, part = str(name).rpartition("|")
            (known[lane, part],) = check_amounts([since_s], 1)
        self._since_s = {key: min(CLEAN_S, s) for key, s in known.items() if key in self._loops}


class _Span(NamedTuple):
    """From when until when a loop is called chattering (monotonic)."""

    from_ns: int
    to_ns: int = FAR_NS


def _may_be_vehicles(tick: LoopTick) -> bool:
    """Whether the slot was watched and no more came than vehicles can."""
    watched = tick.seen_ns >= tick.to_ns - tick.from_ns
    return watched and (len(tick.stays) + tick.stays_left_out) * 30.0 <= CAP * tick.length_s
