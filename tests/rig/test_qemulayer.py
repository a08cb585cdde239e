"""What the layer `qemu` does outside of its guest; `make rig-qemu` boots one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import drivers
from edge.config import load_site
from edge.core import Stream
from edge.platform.subscription import ArrivedMessage
from edge.rig.guestclock import GuestClock
from edge.rig.qemulayer import GuestAdapter, seldom
from tests.kit.scripted import GW, TOPICS, ScriptedGateway, entries

SITE = Path(__file__).parents[2] / "edge/rig/library/sites/ringroad.toml"
AHEAD_NS = 41_000_000_000  # the guest booted later or earlier than this machine


def adapter(status: Mapping[str, Any]) -> GuestAdapter:
    now_ns = 1_000_000_000
    clock = GuestClock(lambda: now_ns + AHEAD_NS, lambda: now_ns)
    clock.begin()
    site = load_site(SITE, drivers.catalogue())
    return GuestAdapter(site, clock, lambda: status)


def test_times_of_records_are_those_of_the_rig() -> None:
    street = ScriptedGateway()
    street.start(1 << 32)
    street.minutes(1)
    (entry,) = (one for one in entries(street.messages) if one.key[2] == "air")
    message = ArrivedMessage(TOPICS.record(Stream.AIR, "hut"), entry.payload, None, retained=False)
    zero_ns = 7_000_000_000
    (heard,) = adapter({}).hear(3.0, zero_ns, message)
    start_us, end_us = entry.mono
    expected = [(us * 1000 - AHEAD_NS - zero_ns) / 1e9 for us in (start_us, end_us)]
    assert [heard.from_s, heard.to_s] == pytest.approx(expected)
    assert (heard.t_s, heard.source, entry.key[0]) == (3.0, "hut", GW)


def test_a_guest_in_which_no_daemon_runs_says_nothing() -> None:
    assert adapter({}).look(5.0).queue is None
    seen = adapter({"outbox": {"rows": 7, "confirmed": 2}, "link": {"connected": True}}).look(5.0)
    assert (seen.queue, seen.connected) == (5, True)


def test_a_sign_is_looked_for_once_in_a_second() -> None:
    asked = list[int]()

    def reads() -> bool:
        asked.append(1)
        return True

    check = seldom(reads)
    assert [check() for _ in range(50)].count(True) == len(asked) >= 1
    assert len(asked) < 50
