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
from edge.rig.guestwires import DELAY_NS
from edge.rig.qemulayer import GuestAdapter, seldom, sources_on_lines
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


def test_what_is_said_of_a_line_is_dated_as_that_was_in_the_street() -> None:
    """Lines come later into the guest; nothing else does."""
    street = ScriptedGateway()
    street.start(1 << 32)
    body = {"event": "gap", "reason": "hold", "sources": ["*"], "gap": [1, 2], "text": "Nobody."}
    moments = dict[str, float | None]()
    for source in ("km_3_1", "hut"):
        street.event(body, source)
        (entry,) = entries(street.messages[-1:])
        topic = TOPICS.record(Stream.EVENT, source)
        message = ArrivedMessage(topic, entry.payload, None, retained=False)
        (heard,) = adapter({}).hear(3.0, 0, message)
        assert heard.from_s == heard.to_s
        moments[source] = heard.to_s
    late_s = DELAY_NS / 1e9
    assert moments == {"km_3_1": pytest.approx(-41 - late_s), "hut": pytest.approx(-41)}


def test_only_what_hangs_on_lines_is_late() -> None:
    site = load_site(SITE, drivers.catalogue())
    found = sources_on_lines(site)
    assert {"km_3_1", "km_4_2"} <= found
    assert not found & {name for name, one in site.devices.items() if one.bus in ("air", "meters")}


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
