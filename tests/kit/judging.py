"""Judges a window that no engine has made, in the same order as the pipeline does."""

from collections.abc import Sequence

from edge.core import Draft, LoopTick, Stream
from edge.infer.judge import Judge, Verdict


def judged(
    judge: Judge, end_ns: int, drafts: Sequence[Draft], ticks: Sequence[LoopTick] = ()
) -> Verdict:
    """Its records and events, judged."""
    judge.doubt(end_ns, ticks, [each for each in drafts if each.stream is Stream.EVENT])
    return judge.judge(end_ns, drafts, ticks)
