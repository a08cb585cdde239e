"""What the control socket says of the daemon: as of this moment, and of parts that are slow."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from edge.control.protocol import VerbError
from edge.core import Stamp
from edge.gateway import verbs as module
from edge.gateway.verbs import control_verbs
from edge.infer.judge import Judge, JudgeSetup
from edge.outbox import OutboxCounts
from tests.kit.clock import NTP

S = 1_000_000_000


class Daemon(SimpleNamespace):
    """As much of one as the verbs look at; the outbox is `counts`, or hangs."""

    def __init__(self, counts: OutboxCounts | None, **more: Any) -> None:
        async def counted() -> OutboxCounts:
            if counts is None:
                await asyncio.Event().wait()
            assert counts is not None
            return counts

        site = SimpleNamespace(
            place=SimpleNamespace(id="quay", gateway="gw-1"),
            uplink=SimpleNamespace(confirm="platform"),
            buses={"air": SimpleNamespace(path="/dev/i2c-1")},
            devices={
                "hut": SimpleNamespace(bus="air"),
                "green": SimpleNamespace(bus="loops"),
            },
            lanes={"north": SimpleNamespace(bus="loops")},
            bays={"bakery": SimpleNamespace(bus="loops", kind="loading")},
            signals={"north": ["green"]},
        )
        super().__init__(
            site=site,
            clock=SimpleNamespace(now=lambda: Stamp(100 * S, 1_795_000_000 * S, NTP), steps=2),
            epoch=SimpleNamespace(boot=7),
            writer=SimpleNamespace(counts=counted),
            sender=SimpleNamespace(connected=True, **more),
            brokers=["mqtts://a:8883"],
            box_monitor=SimpleNamespace(synced_ns=90 * S),
            pipeline=SimpleNamespace(judge=Judge(JudgeSetup(()))),
        )

    def status(self) -> dict[str, Any]:
        """What the box monitor counted minutes ago."""
        health = {"queue_rows": 1, "queue_age_s": 9.0, "dropped": 0, "sent": 5}
        return {"box": {"health": health}, "devices": {"hut": {"state": "ok"}}}


async def test_the_outbox_is_counted_at_this_moment() -> None:
    counts = OutboxCounts(rows=4, size=10, limit=99, oldest=(7, 40 * S), dropped=3)
    found = await control_verbs(Daemon(counts))["status"]({})  # type: ignore[arg-type]
    assert (found["outbox"]["rows"], found["outbox"]["age_s"], found["outbox"]["boot"]) == (
        4,
        60,
        7,
    )
    health = found["box"]["health"]
    assert (health["queue_rows"], health["queue_age_s"], health["dropped"]) == (4, 60, 3)
    assert health["sent"] == 5
    assert (found["site"], found["gateway"]) == ("quay", "gw-1")
    assert found["devices"]["hut"]["bus"] == "air"
    assert found["buses"] == {"air": "/dev/i2c-1"}
    assert found["bays"] == {"bakery": {"bus": "loops", "kind": "loading"}}
    assert found["signals"] == {"green": {"bus": "loops", "approach": "north"}}
    assert found["clock"] == {
        "tq": "ntp", "wall_s": 1_795_000_000, "steps": 2, "unsynced_s": 10.0
    }  # fmt: skip


async def test_an_age_that_nobody_knows_is_no_old_one() -> None:
    found = await control_verbs(Daemon(OutboxCounts(rows=1, oldest=(6, 5))))["status"]({})  # type: ignore[arg-type]
    assert found["outbox"]["age_s"] is None
    assert "queue_age_s" not in found["box"]["health"]


async def test_a_disk_that_hangs_does_not_hide_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTING_S", 0.01)
    known = control_verbs(Daemon(None))  # type: ignore[arg-type]
    found = await known["status"]({})
    assert found["outbox"] is None
    assert found["link"]["connected"] is True
    with pytest.raises(VerbError, match="may hang"):
        await known["outbox"]({})


async def test_the_link_says_since_when_and_what_is_under_way() -> None:
    connection = SimpleNamespace(
        broker="mqtts://a:8883", since_ns=40 * S, failure="", limit_notice="it takes 200 bytes",
        confirmed_ns=97 * S,
    )  # fmt: skip
    daemon = Daemon(OutboxCounts(), connection=connection, outstanding=12)
    found = await control_verbs(daemon)["status"]({})  # type: ignore[arg-type]
    assert found["link"] == {
        "connected": True, "brokers": ["mqtts://a:8883"], "confirm": "platform",
        "broker": "mqtts://a:8883", "for_s": 60.0, "failure": None, "confirmed_s": 3.0,
        "trouble": "it takes 200 bytes",
        "unconfirmed": 12,
    }  # fmt: skip
    connection.confirmed_ns = None
    found = await control_verbs(daemon)["status"]({})  # type: ignore[arg-type]
    assert found["link"]["confirmed_s"] is None
