"""From what a profile noted to the way of one thing: which call handed it on to which module.

Backwards, from its end: a call has what it was given, what a call of its own brought it, or what
its object had kept; so on up to where it came in.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

PROJECT: Final = ("edge/", "drivers/")

Kind = Literal["gives", "asks", "brings", "returns", "waits", "thread"]


class Touch(NamedTuple):
    """A call had it in hand: it was `given`, it `brought` it, its object `had` or has `kept` it."""

    time: int
    call: int
    kind: str
    bits: int
    me: int
    note: str


@dataclass(frozen=True, slots=True)
class TracedCall:
    """One activation of a function."""

    number: int
    module: str
    function: str
    parent: int | None
    begin: int
    end: int | None

    def __str__(self) -> str:
        return f"{self.module}:{self.function}"


@dataclass(frozen=True, slots=True)
class Move:
    """It goes from one call to another."""

    source: TracedCall
    target: TracedCall
    kind: Kind

    @property
    def is_hop(self) -> bool:
        ours = self.target.module.startswith(PROJECT)  # a library's way is its own
        return ours and self.kind != "returns" and self.source.module != self.target.module


class Trace:
    """All that was noted of one run."""

    def __init__(self, noted: Mapping[str, Any]) -> None:
        self.calls = {each["number"]: TracedCall(**each) for each in noted["calls"]}
        self.touches = [Touch(*each) for each in noted["touches"]]
        self._of: dict[int, list[Touch]] = defaultdict(list)
        self._brought: dict[int, list[Touch]] = defaultdict(list)  # to a call, by what it called
        for touch in self.touches:
            self._of[touch.call].append(touch)
        self._parents = {number: each.parent for number, each in self.calls.items()}
        self._crossed: set[int] = set()
        self._adopt()
        self._called: dict[int, list[int]] = defaultdict(list)
        for called, caller in self._parents.items():
            if caller is not None:
                self._called[caller].append(called)
        for touch in self.touches:
            parent = self._parents[touch.call]
            if touch.kind == "brought" and parent is not None:
                self._brought[parent].append(touch)

    def _adopt(self) -> None:
        """What another thread or task was asked to call belongs to who waits for it."""
        for touch in self.touches:
            call = self.calls[touch.call]
            if touch.kind != "given" or self._parents[call.number] is not None:
                continue
            asked = self._before(touch.time, touch.bits)
            if asked is None:
                continue
            who = self.calls[asked.call]
            if who.end is None or (call.end is not None and who.end > call.end):
                self._parents[call.number] = who.number
                self._crossed.add(call.number)

    def above(self, call: TracedCall) -> Iterator[TracedCall]:
        """Who waits for it, the nearest first."""
        number = self._parents[call.number]
        while number is not None:
            yield self.calls[number]
            number = self._parents[number]

    def below(self, call: TracedCall) -> Iterator[TracedCall]:
        """All that was called in it."""
        for number in self._called[call.number]:
            yield self.calls[number]
            yield from self.below(self.calls[number])

    def was_given(self, call: TracedCall, bit: int) -> bool:
        return any(t.kind == "given" and t.bits & bit for t in self._of[call.number])

    def way(self, end: Touch, forms: Sequence[int], begin: int = 0) -> list[Move]:
        """From where it came in, at `begin` or later, to the call that it ends with.

        `forms`: its bits, the last form first. What a call has in a later form was made of what it
        had in an earlier one.
        """
        moves: list[Move] = []
        call, time = self.calls[end.call], end.time + 1
        forms = [each for each in forms if each <= end.bits]
        while True:
            found = self._received(call, time, forms)
            if found is None or found[0].time < begin:
                moves.reverse()
                return _with_returns(moves)
            step, forms = found
            source = self.calls[step.call]
            if step.kind == "given" and source is call:
                parent = self._parents[call.number]
                if parent is None:
                    before = self._before(step.time, forms[0])
                    if before is None or before.time < begin:
                        moves.reverse()
                        return _with_returns(moves)
                    moves.append(Move(self.calls[before.call], call, "waits"))
                    call, time = self.calls[before.call], before.time + 1
                    continue
                kind: Kind = "thread" if call.number in self._crossed else "gives"
                moves.append(Move(self.calls[parent], call, kind))
                call, time = self.calls[parent], step.time
            elif step.kind == "brought" and self._parents[source.number] == call.number:
                moves.append(Move(source, call, "brings"))
                call, time = source, step.time
            else:
                moves.append(Move(source, call, "waits"))
                call, time = source, step.time + 1

    def _received(
        self, call: TracedCall, time: int, forms: Sequence[int]
    ) -> tuple[Touch, Sequence[int]] | None:
        """How a call got it, last before this time, and in which form."""
        own = [t for t in self._of[call.number] if t.kind == "given"] + self._brought[call.number]
        for place, bit in enumerate(forms):
            if found := [t for t in own if t.bits & bit and t.time < time]:
                return max(found), forms[place:]
        for place, bit in enumerate(forms):
            had = [t for t in self._of[call.number] if t.kind == "had" and t.bits & bit]
            kept = [t for each in had for t in self._kept(each, bit)]
            if kept:
                return max(kept), forms[place:]
        for place, bit in enumerate(forms):
            if (touch := self._before(call.begin, bit)) is not None:
                return touch, forms[place:]
        return None

    def _kept(self, had: Touch, bit: int) -> list[Touch]:
        """Who put it where it was found. One that only saw it come, while it waited, did not."""
        found: list[Touch] = []
        for touch in self.touches:
            if touch.time >= had.time:
                break
            if touch.kind == "kept" and touch.bits & bit and (touch.me, touch.note) == (
                had.me, had.note
            ):  # fmt: skip
                begin = self.calls[touch.call].begin
                if not any(begin < other.time for other in found):
                    found.append(touch)
        return found

    def _before(self, time: int, bits: int) -> Touch | None:
        """Who had it in hand last."""
        place = bisect_left(self.touches, (time,))
        while place > 0:
            place -= 1
            touch = self.touches[place]
            if touch.bits & bits and touch.kind != "had":
                return touch
        return None


def return_visits(trace: Trace, inside: Touch, bit: int) -> list[Move]:
    """Of the call that was given it first, and in which `inside` lies: calls into a module, or from
    one package into another one, that waits for this very call. Each function once."""
    outer = trace.calls[inside.call]
    for each in trace.above(outer):
        if trace.was_given(each, bit):
            outer = each
    found: dict[tuple[str, str], Move] = {}
    for call in sorted(trace.below(outer), key=lambda each: each.begin):
        waiting = list(trace.above(call))
        caller = waiting[0]
        modules = {each.module for each in waiting}
        packages = {package(each) for each in waiting}
        back = call.module != caller.module and call.module in modules
        back |= package(call) != package(caller) and package(call) in packages
        if back:
            found.setdefault((call.module, call.function), Move(caller, call, "gives"))
    return list(found.values())


def package(call: TracedCall) -> str:
    return call.module.rpartition("/")[0]


def _with_returns(moves: list[Move]) -> list[Move]:
    """What a call brings that was given it before is its return, and no call of its own; such a
    call was asked."""
    given = {move.target.number for move in moves if move.kind in ("gives", "thread")}
    asked = {m.source.number for m in moves if m.kind == "brings" and m.source.number in given}

    def kind(move: Move) -> Kind:
        if move.kind == "brings" and move.source.number in asked:
            return "returns"
        return "asks" if move.kind == "gives" and move.target.number in asked else move.kind

    return [Move(move.source, move.target, kind(move)) for move in moves]
