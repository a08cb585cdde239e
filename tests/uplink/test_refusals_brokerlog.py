"""What the broker does to us is told once, and again after a while, over all connections."""

import logging

import pytest

from edge.uplink.refusals import QUIET_NS, BrokerLogThrottle
from edge.wire.contract.boxevent import AlarmKind


def test_one_trouble_is_told_once_a_while_however_often_the_link_comes_and_goes() -> None:
    reported: list[tuple[str, str]] = []
    throttle = BrokerLogThrottle(lambda kind, text: reported.append((kind, text)))

    def say(now_ns: int, kind: AlarmKind = "denied", stream: str = "air") -> int:
        throttle.connected(now_ns)
        for _ in range(3):
            throttle.report(kind, stream, f"{kind} {stream}", now_ns)
        return len(reported)

    assert [say(7), say(8), say(6 + QUIET_NS), say(7 + QUIET_NS)] == [1, 1, 1, 2]
    assert [say(8, stream="energy"), say(8, kind="refused")] == [3, 4]
    assert reported[-1] == ("refused", "refused air")


def test_what_happens_to_an_event_makes_no_event(caplog: pytest.LogCaptureFixture) -> None:
    reported: list[str] = []
    throttle = BrokerLogThrottle(lambda kind, text: reported.append(kind))
    with caplog.at_level(logging.WARNING):
        throttle.report("refused", "event", "an event", 0)
        throttle.log("last", "no record", 0)
        throttle.log("last", "no record", 0)
    assert (reported, caplog.messages) == ([], ["an event", "no record"])
