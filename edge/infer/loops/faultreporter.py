"""Reports what is wrong with a loop: one sentence of what it looks like, one of what to do."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Final, cast

from edge.core import Draft, Stream
from edge.infer.loops.loopjudge import LoopVerdict
from edge.wire.contract.event import SensorFault
from edge.wire.contract.terms import LoopFault
from edge.wire.contract.terms import LoopPart as Part

FAULT_TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "stuck_on": (
        "is occupied all the time while traffic moves elsewhere (a constant call)",
        "reset the loop card, then measure the loop (a failed card and an open "
        "loop both look like this)",
    ),
    "stuck_off": (
        "detects nothing while traffic passes elsewhere, so it looks dead",
        "check that the loop card has power and that its output reaches the "
        "input, then measure the loop",
    ),
    "chatter": (
        "switches on and off without vehicles, which looks like a loose splice or "
        "a loop card that is set too sensitive",
        "move the feeder cable while you watch the loop card, then lower the card's sensitivity",
    ),
    "breakup": (
        "counts long vehicles several times, so its sensitivity looks too low for high-bed "
        "vehicles",
        "raise the sensitivity of the loop card",
    ),
    "crosstalk": (
        "detects at the same moments as {beside}, which looks like crosstalk",
        "check that the two loop cards run on different frequencies and that "
        "their feeders do not share a cable pair",
    ),
    "undercount": (
        "counts fewer vehicles than the loops around it, so its sensitivity looks too low",
        "raise the sensitivity of the loop card, and check whether vehicles pass beside the loop",
    ),
    "splashover": (
        "also counts vehicles of {beside}, which looks like splashover",
        "lower the sensitivity of the loop card, and check the position of the loop",
    ),
    "mismatch": (
        "has different on-times from the other loop of its pair, so the sensitivities seem to "
        "differ",
        "set both channels of the pair to the same sensitivity (speeds and "
        "lengths are wrong until then)",
    ),
    "swapped": (
        "and the other loop of its pair detect vehicles in the wrong order, "
        "so their wires seem to be swapped",
        "exchange the two inputs, or exchange lead and trail in the configuration",
    ),
    "never_active": (
        "has not detected a vehicle since the gateway began to watch it, while traffic passes "
        "elsewhere",
        "check that lead, trail and active in the configuration agree with the "
        "input that the loop is wired to, and that the loop card has power, "
        "then measure the loop",
    ),
    "inverted": (
        "is off while vehicles pass and on between them, so its contact is inverted",
        'exchange "low" and "high" in active of the lane, or change the output of the loop card '
        "between NO and NC",
    ),
    "late_release": (
        "stays on for seconds after some of the vehicles have left, so it lets go late",
        "set the extension of the channel to 0 and reset the loop card; if it goes on, exchange "
        "the card, whose relay may stick",
    ),
}
EQUIVALENT_FAULTS: Final[Mapping[str, str]] = {
    "no_activity": "stuck_off"
}  # what edge/process calls it: here
EXPLAINING_FAULT: Final = "inverted"  # what edge/process finds wrong with such a loop comes of it


def fault_text(v: LoopVerdict, beside: Sequence[str] = ()) -> str:
    """The sentences of a verdict; `beside` are the lanes beside its loop."""
    head = f"{v.lane}: the {v.part} loop"
    if v.fault is None:
        return f"{head} works correctly again (decided by the {v.by})."
    if v.text is not None:
        return f"{head} {v.text}."
    looks, do = FAULT_TEXTS[v.fault]
    others = " or ".join(beside) or "the lane beside it"
    return f"{head} {v.evidence or looks.format(beside=others)}; {do}."


def loop_fault_event(at_ns: int, v: LoopVerdict, fault: str, beside: Sequence[str] = ()) -> Draft:
    """The event of a turn. `fault` is what goes on, or what is over: `v` may know a better one."""
    on = v.fault == fault
    better = f"{v.lane}: the {v.part} loop does not have the fault {fault}; its fault is"
    better += f" {v.fault} (decided by the {v.by})."
    body = SensorFault(
        state="on" if on else "off",
        by=v.by,
        fault=cast("LoopFault", fault),
        part=cast("Part", v.part),
        score=v.score,
        text=fault_text(v, beside) if on or v.fault is None else better,
    )
    if v.fault is not None and v.doubt_ns is not None:
        body.since_s = round(max(0.0, (at_ns - v.doubt_ns) / 1e9), 3)
    return Draft(Stream.EVENT, v.lane, at_ns, at_ns, body)


def unwatched_loop_event(at_ns: int, lane: str, part: str, fault: str) -> Draft:
    """A fault was reported when the configuration gave up its loop: nobody else would clear it."""
    body = SensorFault(
        state="off",
        fault=cast("LoopFault", fault),
        part=cast("Part", part),
        text=f"{lane}: the {part} loop is no longer watched, so the fault is closed.",
    )
    return Draft(Stream.EVENT, lane, at_ns, at_ns, body)


class FaultReporter:
    """Knows what has been reported, by this judge and by the rules of edge/process.

    What those have raised for a loop is not raised a second time, and what was not raised here
    is not cleared here. What they raise while it is up here, and its end, is `dropped`.
    """

    def __init__(self) -> None:
        self._process_faults: set[tuple[str, str, str]] = set()  # lane, part, fault
        self._own_faults: dict[tuple[str, str], str] = {}
        self._suppressed: set[tuple[str, str, str]] = set()  # up with them, not reported by them
        self._ended: set[tuple[str, str, str]] = set()  # theirs, in the last window
        self.dropped: list[Draft] = []  # of the last window's events: not to be passed on

    def report(
        self,
        at_ns: int,
        verdicts: Sequence[LoopVerdict],
        process_events: Sequence[Draft] = (),
        beside: Callable[[str, str], Sequence[str]] = lambda lane, part: (),
    ) -> list[Draft]:
        """Events of the verdicts that have turned; `process_events` are those of the window."""
        self._ended.clear()
        self.dropped = [draft for draft in process_events if not self._take_process_event(draft)]
        out = []
        for v in verdicts:
            loop = (v.lane, v.part)
            if v.change == "on" and v.fault is not None:
                if (before := self._own_faults.pop(loop, None)) is not None:
                    out.append(loop_fault_event(at_ns, v, before))
                if (*loop, v.fault) not in self._process_faults | self._ended:
                    self._own_faults[loop] = v.fault
                    out.append(loop_fault_event(at_ns, v, v.fault, beside(*loop)))
            elif v.change == "off":
                was = self._own_faults.pop(loop, None)
                if was is not None:
                    out.append(loop_fault_event(at_ns, v, was))
        return out

    @property
    def own_faults(self) -> Mapping[tuple[str, str], str]:
        """What this judge has reported and not ended, by lane and part."""
        return self._own_faults

    @property
    def chattering(self) -> list[tuple[str, str]]:
        """The loops of which others have reported chatter, and not its end."""
        return [key[:2] for key in self._process_faults | self._suppressed if key[2] == "chatter"]

    def forget_unwatched(self, watched: Container[tuple[str, str]]) -> list[tuple[str, str, str]]:
        """Forget what was reported of loops that are not watched; gives lane, part and fault."""
        gone = [(*loop, fault) for loop, fault in self._own_faults.items() if loop not in watched]
        for lane, part, _ in gone:
            del self._own_faults[lane, part]
        self._process_faults = {key for key in self._process_faults if key[:2] in watched}
        self._suppressed = {key for key in self._suppressed if key[:2] in watched}
        return gone

    def mark_free(self, lane: str, part: str) -> None:
        """This loop is seen to be free: a `stuck_on` of theirs is over, whoever lost its end."""
        self._process_faults.discard((lane, part, "stuck_on"))

    def _take_process_event(self, draft: Draft) -> bool:
        """Whether the draft is to be passed on."""
        body = draft.body
        if not isinstance(body, SensorFault):
            return True
        fault = str(body.fault)
        key = (draft.source, str(body.part or "lead"), EQUIVALENT_FAULTS.get(fault, fault))
        up = body.state == "on"
        if up and self._own_faults.get(key[:2]) in (key[2], EXPLAINING_FAULT):
            self._suppressed.add(key)
            return False
        if not up and key in self._suppressed:
            self._suppressed.discard(key)
            return False
        if up:
            self._process_faults.add(key)
        else:
            self._process_faults.discard(key)
            if key[2] == "chatter":
                self._ended.add(key)  # the judge may have called it so in slots before
        self._suppressed.discard(key)
        return True

    def snapshot(self) -> dict[str, object]:
        """JSON-like."""
        return {
            "theirs": sorted(list(key) for key in self._process_faults),
            "ours": [[*loop, fault] for loop, fault in self._own_faults.items()],
            "dropped": sorted(list(key) for key in self._suppressed),
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Raises KeyError, TypeError or ValueError for what is no snapshot."""
        theirs = {(str(a), str(b), str(c)) for a, b, c in saved["theirs"]}
        ours = {(str(a), str(b)): str(c) for a, b, c in saved["ours"]}
        unsaid = {(str(a), str(b), str(c)) for a, b, c in saved["dropped"]}
        self._process_faults, self._own_faults, self._suppressed = theirs, ours, unsaid
