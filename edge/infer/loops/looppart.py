"""Loop health as a part of the judge: what goes into records, what is reported, what is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, cast

from edge.core import DoubtedLoop, Draft, LoopTick
from edge.infer.loops.faultreporter import (
    EQUIVALENT_FAULTS,
    FaultReporter,
    fault_text,
    unwatched_loop_event,
)
from edge.infer.loops.loopjudge import LoopJudge
from edge.infer.modelguard import ModelGuard
from edge.infer.shadow import Shadow
from edge.infer.sites import ApproachSite, LaneSite
from edge.wire.contract.terms import LoopFault
from edge.wire.contract.terms import LoopPart as Part
from edge.wire.contract.traffic import LoopDoubt

SHOWN_SCORE: Final = 0.05  # a score that is worth a place in the record

LoopNotes = dict[Part, LoopDoubt]


class LoopPart:
    """All loops of a site, and what has been reported of them."""

    def __init__(
        self, lanes: Iterable[LaneSite], approaches: Iterable[ApproachSite], guard: ModelGuard
    ) -> None:
        self.loops = LoopJudge(lanes, approaches, guard)
        self.guard = guard
        self._fault_reporter = FaultReporter()
        # of the last window: what was up at any time in it, what stands in the record of each
        # lane, and the events
        self.doubts: Collection[DoubtedLoop] = ()
        self.notes: Mapping[str, LoopNotes] = {}
        self.events: list[Draft] = []
        self._notes: dict[str, LoopNotes] = {}
        self._texts: dict[tuple[str, str], str] = {}  # of what is up, since the start
        self._gone: list[tuple[str, str, str]] = []  # of loops that are not watched any more

    @property
    def shadow(self) -> Shadow | None:
        """A candidate that runs beside the model."""
        return self.loops.shadow

    @shadow.setter
    def shadow(self, shadow: Shadow | None) -> None:
        self.loops.shadow = shadow

    def step(
        self,
        end_ns: int,
        ticks: Sequence[LoopTick],
        events: Sequence[Draft],
        wall_s: float | None = None,
    ) -> None:
        """A window ends; `events` are those of others in it."""
        up = set(self.loops.faults())
        self.loops.hear(events)
        verdicts = self.loops.step(end_ns, ticks, wall_s) if ticks else []
        up |= {DoubtedLoop(v.lane, v.part, v.fault) for v in verdicts if v.fault}
        self.doubts = up
        for v in verdicts:
            note, part = self._notes.setdefault(v.lane, {}), cast("Part", v.part)
            if v.score > SHOWN_SCORE or v.fault is not None:
                note[part] = LoopDoubt(score=v.score, fault=cast("LoopFault | None", v.fault))
            else:
                note.pop(part, None)
            if v.change == "on":
                self._texts[v.lane, v.part] = fault_text(v, self.loops.beside(v.lane, v.part))
        for tick in ticks:
            if tick.since_ns is None and tick.seen_ns >= tick.to_ns - tick.from_ns:
                self._fault_reporter.mark_free(tick.lane, tick.part)
        self.events = self._fault_reporter.report(end_ns, verdicts, events, self.loops.beside)
        self.events += [unwatched_loop_event(end_ns, *gone) for gone in self._gone]
        self._gone = []
        self.notes = {lane: dict(note) for lane, note in self._notes.items() if note}

    def faults(self) -> dict[str, str]:
        """What is wrong now, in a sentence or two for each loop, for people."""
        return {
            f"{v.lane} {v.part}": self._texts.get(
                (v.lane, v.part), fault_text(v, self.loops.beside(v.lane, v.part))
            )
            for v in self.loops.faulty()
        }

    def reported(self) -> dict[tuple[str, str, str], str]:
        """What was reported and is not over, by lane, part and fault, with what people read."""
        texts = self.faults()
        return {
            (lane, part, fault): texts.get(f"{lane} {part}", "")
            for (lane, part), fault in self._fault_reporter.own_faults.items()
        }

    @property
    def suppressed(self) -> Sequence[Draft]:
        """Of the last window's events of others: those of what this judge has reported itself."""
        return self._fault_reporter.dropped

    def missing(self, gap_s: float) -> None:
        """Nobody watched for so long."""
        self.loops.missing(gap_s)
        self._notes.clear()

    def snapshot(self) -> dict[str, object]:
        """State as of the last window, JSON-like; large, and written seldom."""
        return self.loops.snapshot()

    def restore(self, saved: Mapping[str, Any]) -> bool:
        """See `LoopJudge.restore`."""
        return self.loops.restore(saved)

    def snapshot_flags(self) -> dict[str, object]:
        """What must be kept with every window: flags that are up, and what was reported."""
        up = {"model": self.guard.sha256, "raised": self.loops.snapshot_flags()}
        return {**self._fault_reporter.snapshot(), **up}

    def restore_flags(self, saved: Mapping[str, Any]) -> None:
        """Know again what is up. Raises KeyError, TypeError or ValueError for what is no state."""
        self._fault_reporter.restore(saved)
        same = saved["model"] == self.guard.sha256
        self.loops.restore_flags(saved["raised"], same_model=same)
        self.loops.mark_chattering(self._fault_reporter.chattering)
        self._gone = self._fault_reporter.forget_unwatched(self.loops.watched_loops)


def unwatched_loop_events(end_ns: int, saved: Mapping[str, Any]) -> list[Draft]:
    """Ends all that was reported, of `LoopPart.snapshot_flags`, when nobody judges loops any more.

    What the rules of edge/process hold up under the same name, they end themselves. Raises
    KeyError, TypeError or ValueError for what is no state.
    """
    theirs = {(str(a), str(b), str(c)) for a, b, c in saved["dropped"]}
    ours = [(str(a), str(b), str(c)) for a, b, c in saved["ours"]]
    return [
        unwatched_loop_event(end_ns, *fault)
        for fault in ours
        if fault not in theirs or fault[2] in EQUIVALENT_FAULTS.values()
    ]
