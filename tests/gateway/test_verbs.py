"""What the control socket says of the daemon: as of this moment, and of parts that are slow."""

from pathlib import Path

import pytest

from edge.control.protocol import VerbError
from edge.core import Reason
from edge.gateway import gatewaystatus
from edge.gateway.deviceconditions import DeviceConditions
from edge.outbox import OutboxCounts
from tests.gateway.statusgateway import WALL_NS, S, StatusGateway
from tests.kit.asread import as_read


async def test_the_outbox_is_counted_at_this_moment(tmp_path: Path) -> None:
    counts = OutboxCounts(rows=4, size=10, limit=99, oldest=(7, 40 * S), dropped=3)
    found = await StatusGateway(tmp_path, counts).status()
    assert (found["outbox"]["rows"], found["outbox"]["age_s"], found["outbox"]["boot"]) == (
        4,
        60,
        7,
    )
    assert found["outbox"]["letters"] == []
    health = found["box"]["health"]
    assert (health["queue_rows"], health["queue_age_s"], health["dropped"]) == (4, 60, 3)
    assert health["sent"] == 5
    assert (found["site"], found["gateway"]) == ("quay", "gw-1")
    assert found["devices"]["hut"]["bus"] == "air"
    assert found["buses"] == {"air": "/dev/i2c-1", "loops": "/dev/gpiochip0"}
    assert found["bays"] == {"bakery": {"bus": "loops", "kind": "loading"}}
    assert found["lanes"]["north_1"]["bus"] == "loops"
    assert found["signals"] == {"green": {"bus": "loops", "approach": "north"}}
    assert found["contacts"] == {name: {"bus": "loops"} for name in ("green", "bakery")}
    assert (found["boot"], found["epoch"], found["uptime_s"]) == (7, 7 << 32, 20.0)


async def test_the_clock_says_how_well_it_is_known_and_since_when_not(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts())
    assert (await one.status())["clock"] == {
        "tq": "ntp", "wall_s": WALL_NS // S, "max_error_us": 250, "steps": 0, "unsynced_s": 10.0
    }  # fmt: skip


async def test_an_age_that_nobody_knows_is_no_old_one(tmp_path: Path) -> None:
    found = await StatusGateway(tmp_path, OutboxCounts(rows=1, oldest=(6, 5))).status()
    assert found["outbox"]["age_s"] is None
    assert "queue_age_s" not in found["box"]["health"]


async def test_a_disk_that_hangs_does_not_hide_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gatewaystatus, "COUNTING_S", 0.01)
    known = await StatusGateway(tmp_path, None).verbs()
    found = await known["status"]({})
    assert found["outbox"] is None
    assert found["box"]["health"]["queue_rows"] == 1, "as it was minutes ago"
    assert found["link"]["connected"] is True
    with pytest.raises(VerbError, match="may hang"):
        await known["outbox"]({})


async def test_the_link_says_since_when_and_what_is_under_way(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts())
    one.link.connection.limit_notice = "it takes 200 bytes"
    assert (await one.status())["link"] == {
        "connected": True, "brokers": ["mqtt://a:1883"], "confirm": "platform",
        "broker": "mqtts://a:8883", "for_s": 60.0, "failure": None, "confirmed_s": 3.0,
        "trouble": "it takes 200 bytes", "silent_s": None, "silence_limit_s": 600.0,
        "unconfirmed": 12, "failed_by": None, "remedy": None,
        "unsubscribed": [], "denied": [], "status_arrived": True, "round_trip_s": 0.04,
    }  # fmt: skip
    one.link.connection.confirmed_ns = None
    assert (await one.status())["link"]["confirmed_s"] is None


async def test_a_device_is_what_it_had_reported_to_the_process_before(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts())
    one.buses.restore({"hut": "no answer"}, {"hut": DeviceConditions("4711")})
    device = (await one.status())["devices"]["hut"]
    assert (device["state"], device["serial"]) == (str(Reason.SILENT), "4711")


async def test_what_the_link_asks_is_told_and_what_it_reports_is_an_event(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts())
    known = await one.verbs()
    one.ingest.announce("configuration", "the last good one runs")
    assert await known["link_facts"]({}) == {
        "connected": True, "faults": 1, "tq": "ntp", "wall_s": WALL_NS // S
    }  # fmt: skip
    await known["data_saver"]({"level": 1, "used": 8, "budget": 10, "why": "80 % are used"})
    await known["link_step"]({"step": "modem", "boots": 3, "age_s": 60.0})
    assert [as_read(draft)["event"] for draft in one.urgent.take()] == [
        "configuration", "data_saver", "link",
    ]  # fmt: skip
    with pytest.raises(VerbError, match="level is one of"):
        await known["data_saver"]({"level": 3})
    with pytest.raises(VerbError, match="there are hut"):
        await known["read"]({"device": "green"})
