"""Scores flags of loops against the faults that were put in: found or not, how late, how wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from edge.infer.loops.evidence import LoopKey
from models.congestion.scenarios.loopfaults import KINDS, LoopFault

AFTER_S: Final = 60.0  # a flag that comes so late after a fault's end still is of that fault
WORDS: Final = (*KINDS, "inverted")
"""With which flags are raised; a loop that is `never_active` is stuck off from the start."""
OF_PAIRS: Final = ("mismatch", "swapped")  # a flag on either loop of the pair is right


class FlagAlarm(NamedTuple):
    """A flag: from when to when, and the word with which it was raised."""

    from_s: float
    to_s: float
    word: str


@dataclass
class FlagScore:
    """Counts that add up over streets. `found` and `named` by kind; delays in seconds.

    A fault is found by a flag that is up at some time in it, except one that was raised before it
    for another reason; it is named if that flag was raised with its word.
    """

    faults: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    named: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    delays: dict[str, list[float]] = field(default_factory=lambda: {k: [] for k in WORDS})
    called: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    right_kind: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    false_on_sound: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS, 0))
    sound_days: float = 0.0

    def __add__(self, other: FlagScore) -> FlagScore:
        out = FlagScore()
        for name in ("faults", "found", "named", "called", "right", "right_kind", "false_on_sound"):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(out, name, {k: mine[k] + theirs[k] for k in WORDS})
        out.delays = {k: self.delays[k] + other.delays[k] for k in WORDS}
        out.sound_days = self.sound_days + other.sound_days
        return out

    def recall(self, kind: str | None = None) -> float:
        """Share of faults found, under whatever word."""
        return _ratio(_of(self.found, kind), _of(self.faults, kind))

    def precision(self) -> float:
        """Share of flags that fell into a fault of whatever kind."""
        return _ratio(_of(self.right), _of(self.called))

    def f1(self) -> float:
        """Detection: of precision and recall, words aside."""
        return _f1(self.precision(), self.recall())

    def kind_f1(self, kind: str | None = None) -> float:
        """The same, but a flag and a fault only count together when the word is right."""
        named = _ratio(_of(self.named, kind), _of(self.faults, kind))
        return _f1(_ratio(_of(self.right_kind, kind), _of(self.called, kind)), named)

    def delay_s(self, kind: str | None = None) -> float:
        """Median, from the fault's begin to the end of the first slot with the flag up."""
        delays = [d for k in WORDS if kind in (None, k) for d in self.delays[k]]
        return float(np.median(delays)) if delays else float("nan")

    def false_a_day(self) -> float:
        """Flags a day on a loop that never has a fault."""
        return _ratio(_of(self.false_on_sound), self.sound_days)


def _of(counts: Mapping[str, int], kind: str | None = None) -> int:
    return sum(counts.values()) if kind is None else counts[kind]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _f1(precision: float, recall: float) -> float:
    both = precision + recall
    return 2 * precision * recall / both if both > 0 else 0.0  # not a number: none was called


def score_street(
    alarms: Mapping[LoopKey, Sequence[FlagAlarm]], faults: Sequence[LoopFault], hours: float
) -> FlagScore:
    """One street. `alarms` has every loop of it, the flags of each in order of time."""
    out = FlagScore()
    by_loop: dict[LoopKey, list[LoopFault]] = {key: [] for key in alarms}
    for fault in faults:
        by_loop[fault.lane, fault.part].append(fault)
        out.faults[fault.kind] += 1
        if fault.kind in OF_PAIRS:
            other: LoopKey = (fault.lane, "trail" if fault.part == "lead" else "lead")
            by_loop[other].append(fault)
    for key, here in by_loop.items():
        if not here:
            out.sound_days += hours / 24
        for alarm in alarms[key]:
            out.called[alarm.word] += 1
            meant = [f for f in here if _within(alarm, f)]
            if meant:
                out.right[alarm.word] += 1
                out.right_kind[alarm.word] += any(f.kind == alarm.word for f in meant)
            elif not here:
                out.false_on_sound[alarm.word] += 1
    for fault in faults:
        flags = _flags_of(fault, alarms)
        if flags:
            out.found[fault.kind] += 1
            out.named[fault.kind] += any(a.word == fault.kind for a in flags)
            out.delays[fault.kind].append(min(a.from_s for a in flags) - fault.from_s)
    return out


def missed_faults(
    alarms: Mapping[LoopKey, Sequence[FlagAlarm]], faults: Iterable[LoopFault]
) -> list[LoopFault]:
    """The faults that no flag told."""
    return [fault for fault in faults if not _flags_of(fault, alarms)]


def _flags_of(fault: LoopFault, alarms: Mapping[LoopKey, Sequence[FlagAlarm]]) -> list[FlagAlarm]:
    """The flags that are of this fault, under whatever word."""
    keys: list[LoopKey] = [(fault.lane, fault.part)]
    if fault.kind in OF_PAIRS:
        keys.append((fault.lane, "trail" if fault.part == "lead" else "lead"))
    return [a for key in keys for a in alarms.get(key, ()) if _within(a, fault)]


def _within(alarm: FlagAlarm, fault: LoopFault) -> bool:
    return fault.from_s <= alarm.from_s <= fault.to_s + AFTER_S


def total_score(scores: Iterable[FlagScore]) -> FlagScore:
    """All added up."""
    out = FlagScore()
    for each in scores:
        out = out + each
    return out


def score_table(s: FlagScore) -> str:
    """For people, in Markdown."""
    lines = [
        "| kind | faults | found | named | F1 of the name | median delay | false alarms |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in WORDS:
        if s.faults[kind] or s.called[kind]:
            lines.append(
                f"| {kind} | {s.faults[kind]} | {s.recall(kind):.2f} "
                f"| {_ratio(s.named[kind], s.faults[kind]):.2f} | {s.kind_f1(kind):.2f} "
                f"| {s.delay_s(kind):.0f} s | {s.false_on_sound[kind]} |"
            )
    lines.append(
        f"| all | {_of(s.faults)} | {s.recall():.2f} "
        f"| {_ratio(_of(s.named), _of(s.faults)):.2f} | {s.kind_f1():.2f} | {s.delay_s():.0f} s "
        f"| {s.false_a_day():.2f} a detector-day |"
    )
    lines.append(f"\nDetection: precision {s.precision():.3f}, F1 {s.f1():.3f}.")
    return "\n".join(lines)
