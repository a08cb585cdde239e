"""A process is killed an hour after its models' state was written: no series is odd for that."""

import math

import msgpack
import pytest

from edge.core import Draft, Stream
from edge.infer.judge import Judge, JudgeSetup
from edge.wire.contract.points import Air
from tests.kit.bodies import gauge

pytest.importorskip("onnxruntime")

MINUTE_NS = 60_000_000_000
SETUP = JudgeSetup(congestion=False, loopfault=False, hurry=False)
WRITTEN, KILLED, LAST = 2200, 2259, 2300


def loaded() -> Judge:
    judge = Judge(SETUP)
    judge.load()
    return judge


def window(minute: int) -> list[Draft]:
    """Temperatures of ten huts, each with a day's course of its own."""
    reported = []
    for hut in range(10):
        course = 12 + 8 * math.sin(2 * math.pi * (minute / 1440 + hut / 10))
        mean = round(course + 0.05 * math.sin(1.7 * minute + hut), 2)
        body = Air(covered_s=60.0, points={"temperature": gauge(mean, 0.01)})
        at_ns = minute * MINUTE_NS
        reported.append(Draft(Stream.AIR, f"hut_{hut}", at_ns, at_ns + MINUTE_NS, body))
    return reported


def judged(judge: Judge, first: int, last: int) -> list[str]:
    events = []
    for minute in range(first, last):
        events += judge.judge((minute + 1) * MINUTE_NS, window(minute)).events
    return [event.source for event in events]


@pytest.mark.long
def test_an_hour_of_learning_that_was_lost_raises_nothing() -> None:
    judge = loaded()
    judged(judge, 0, WRITTEN)
    state = msgpack.packb(judge.snapshot())
    assert judged(judge, WRITTEN, KILLED) == []
    flags = msgpack.packb(judge.snapshot_flags())
    calm = judged(judge, KILLED, LAST)
    after = loaded()
    after.restore(msgpack.unpackb(state))
    after.restore_flags(msgpack.unpackb(flags))
    assert judged(after, KILLED, LAST) == calm == []
    assert judge.snapshot_flags()["judged_s"] == after.snapshot_flags()["judged_s"]
