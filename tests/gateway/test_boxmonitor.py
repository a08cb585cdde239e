"""The box observes itself: records, alarms and numbers, in virtual time."""

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from edge.core import Draft, Stamp, Stream, TimeQuality
from edge.gateway.boxmonitor import BoxFacts, BoxMonitor
from edge.gateway.healthsources import HealthSources, link_health
from edge.health.board import Board, Space, Vitals
from edge.health.boxalarms import BoxReadings
from edge.health.flash import Wear
from edge.health.loglimit import LogCounts
from edge.health.reboot import Cause, Reboot
from edge.outbox import OutboxCounts
from edge.uplink.rowtable import UplinkCounters
from edge.wire.contract.body import body_map
from edge.wire.contract.health import Health
from tests.kit.asread import as_read
from tests.kit.clock import NONE, NTP, RTC

S = 1_000_000_000
WELL = BoxReadings(
    Vitals(
        cpu_temperature=50.0,
        memory_available_bytes=200 << 20,
        memory_total_bytes=400 << 20,
        oom_kills=0,
        throttled=(),
        seen=(),
        undervoltage=False,
    ),
    Space(5 << 30, 10 << 30),
    read_only=False,
    wear=Wear(0.1, "normal"),
)


class MonitoredGateway:
    """A gateway whose every reading is under the test's thumb; time goes in steps of 30 s."""

    def __init__(self, health_s: float = 900.0) -> None:
        self.look, self.mono_ns = WELL, 1000 * S
        self.tq: TimeQuality = NTP
        self.log = LogCounts(3, 200, 1, None)
        self.devices: dict[str, tuple[int, int]] = {"hut_air": (0, 0), "meter": (0, 0)}
        self.active: list[Draft] = []
        self.queue = OutboxCounts(rows=4, size=9, limit=99).health(7, 0)
        about = BoxFacts(
            "junction", "gw-1", Reboot(Cause.POWER, "The power was cut."), Board("Pi", "00ff")
        )
        sources = HealthSources(
            self._queue,
            lambda: self.devices,
            lambda: Health(connected=True, sent=12),
            lambda: Health(stage_overflow=0),
            lambda: self.log,
        )
        self.box_monitor = BoxMonitor(
            about, sources, Path("/"), self.now, health_s, read_box=lambda _: self.look
        )

    async def _queue(self) -> Health:
        return self.queue

    def body(self) -> Mapping[str, Any]:
        return body_map(self.box_monitor.health(self.mono_ns))

    @property
    def now(self) -> Stamp:
        return Stamp(self.mono_ns, 0, self.tq)

    async def run(self, minutes: float, write: int = 0) -> list[Draft]:
        """What is told in that time; `write` bytes go to the disk in each step."""
        reported: list[Draft] = []
        for _ in range(int(minutes * 2)):
            reported += await self.box_monitor.observe(self.now) + self.box_monitor.due(self.now)
            self.mono_ns += 30 * S
            self.look = replace(self.look, disk_written=(self.look.disk_written or 0) + write)
        return reported

    def vital(self, **values: Any) -> None:
        self.look = replace(self.look, vitals=replace(self.look.vitals, **values))


def conditions(drafts: list[Draft]) -> list[tuple[str, str]]:
    return [
        (as_read(draft)["condition"], as_read(draft)["state"])
        for draft in drafts
        if as_read(draft).get("event") == "board"
    ]


def records(drafts: list[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.stream is Stream.HEALTH]


async def test_a_start_tells_its_reason_once() -> None:
    box = MonitoredGateway()
    reported = await box.run(14)
    assert [as_read(draft) for draft in reported] == [
        {"event": "start", "reason": "power", "text": "The power was cut."}
    ]
    assert (reported[0].stream, reported[0].source) == (Stream.EVENT, "gateway")


async def test_a_record_is_made_each_quarter_of_an_hour_and_they_meet() -> None:
    box = MonitoredGateway()
    found = records(await box.run(61))
    assert len(found) == 4
    assert all(draft.to_ns - draft.from_ns == 900 * S for draft in found)
    assert all(a.to_ns == b.from_ns for a, b in pairwise(found))


async def test_between_the_looks_nothing_is_read() -> None:
    box = MonitoredGateway()
    await box.run(1)
    box.mono_ns -= 1
    box.box_monitor._read_box = lambda _: pytest.fail("looked too early")
    assert await box.box_monitor.observe(box.now) == []


async def test_a_record_holds_what_is_known_and_nothing_else() -> None:
    box = MonitoredGateway()
    for minute in range(60):
        box.devices = {"hut_air": (minute * 60, minute * 15), "meter": (minute * 60, 0)}
        await box.run(1, write=100_000)
    await box.run(10, write=100_000)
    body = box.body()
    assert body["device_error_ratio"] == {"hut_air": 0.25, "meter": 0.0}
    assert body["flash_written_mb_day"] == 288.0
    assert body["card_life_years"] == 3.8
    assert body["card_endurance_tb"] == 0.4
    assert body["connected"] is True
    assert body["reboot_cause"] == "power"
    assert body["clock_synchronised"] is True
    assert body["throttled"] == []
    assert body["alarms"] == []
    assert body["read_only"] is False
    assert (body["queue_rows"], body["log_suppressed"]) == (4, 1)
    for absent in ("bus_restarts", "queue_age_s", "flash_own_mb_day", "cpu_frequency_hz"):
        assert absent not in body


async def test_of_very_many_devices_the_worst_are_told() -> None:
    box = MonitoredGateway()
    box.devices = {f"meter_{n}": (0, 0) for n in range(100)}
    await box.run(1)
    box.devices = {f"meter_{n}": (100, n) for n in range(100)}
    await box.run(10)
    ratios = box.body()["device_error_ratio"]
    assert list(ratios.values()) == [n / 100 for n in range(99, 35, -1)]


async def test_a_board_that_tells_nothing_makes_a_short_record() -> None:
    box = MonitoredGateway()
    box.look = BoxReadings()
    await box.run(20)
    body = box.body()
    assert not {"cpu_temperature", "throttled", "read_only", "disk_free_bytes"} & set(body)
    assert box.box_monitor.metrics(box.mono_ns).endswith("# EOF\n")


async def test_an_alarm_goes_on_and_off_and_stands_in_the_record() -> None:
    box = MonitoredGateway()
    await box.run(1)
    box.vital(undervoltage=True, throttled=("undervoltage",))
    [draft] = [d for d in await box.run(5) if as_read(d)["event"] == "board"]
    assert as_read(draft)["condition"] == "undervoltage"
    assert as_read(draft)["state"] == "on"
    assert "power supply" in as_read(draft)["text"]
    assert box.body()["alarms"] == ["undervoltage"]
    box.vital(undervoltage=False, throttled=())
    assert conditions(await box.run(9)) == []
    assert conditions(await box.run(3)) == [("undervoltage", "off")]
    assert box.body()["throttled_seen"] == ["undervoltage"]


async def test_a_supply_that_flaps_makes_few_events() -> None:
    box, reported = MonitoredGateway(), []
    for step in range(600):
        box.vital(undervoltage=step % 3 == 0)
        reported += conditions(await box.run(0.5))
    assert reported == [("undervoltage", "on")]


async def test_a_clock_that_is_not_synchronised_is_told_after_an_hour() -> None:
    box = MonitoredGateway()
    await box.run(5)
    box.tq = RTC
    assert conditions(await box.run(60)) == []
    assert box.body()["clock_synchronised"] is False
    assert conditions(await box.run(2)) == [("clock_unsynchronised", "on")]
    box.tq = NTP
    assert conditions(await box.run(12)) == [("clock_unsynchronised", "off")]


async def test_a_card_is_said_to_wear_only_after_hours_of_writing() -> None:
    box = MonitoredGateway()
    assert conditions(await box.run(5 * 60, write=1_000_000)) == []
    assert conditions(await box.run(2 * 60, write=1_000_000)) == [("card_worn", "on")]


async def test_a_process_that_was_killed_for_memory_is_told() -> None:
    box = MonitoredGateway()
    box.vital(oom_kills=2)  # before the daemon started: no news
    assert conditions(await box.run(2)) == []
    box.vital(oom_kills=3)
    assert conditions(await box.run(2)) == [("memory", "on")]
    assert conditions(await box.run(12)) == [("memory", "off")]


async def test_a_log_that_floods_names_who() -> None:
    box = MonitoredGateway()
    box.log = LogCounts(9, 9, 9, "kerbstone.bus: %s")
    [draft] = [d for d in await box.run(2) if as_read(d)["event"] == "board"]
    assert "kerbstone.bus: %s" in as_read(draft)["text"]


async def test_alarms_outlive_the_process() -> None:
    before, after = MonitoredGateway(), MonitoredGateway()
    before.vital(cpu_temperature=90.0)
    assert conditions(await before.run(1)) == [("hot", "on")]
    after.box_monitor.alarms.restore(["hot"])
    after.box_monitor.alarms.restore(before.box_monitor.alarms.snapshot())
    assert conditions(await after.run(12)) == [("hot", "off")]


async def test_status_and_metrics_say_the_same_as_the_record() -> None:
    box = MonitoredGateway()
    await box.run(1)
    status = box.box_monitor.status(box.mono_ns)
    assert status["start"] == {"cause": "power", "text": "The power was cut."}
    assert (status["model"], status["serial"]) == ("Pi", "00ff")
    assert body_map(status["health"]) == box.body()
    lines = box.box_monitor.metrics(box.mono_ns).splitlines()
    assert 'kerbstone_gateway_info{gateway="gw-1",model="Pi",site="junction"} 1' in lines
    assert "kerbstone_queue_rows 4" in lines
    assert "kerbstone_connected 1" in lines
    assert "kerbstone_sent_total 12" in lines


def test_the_age_of_the_oldest_row_is_known_within_its_boot() -> None:
    counts = OutboxCounts(rows=1, oldest=(7, 5 * S), in_memory="the disk failed", forecast_s=3600.4)
    found = counts.health(7, 65 * S)
    assert (found.queue_age_s, found.queue_forecast_s, found.in_memory) == (60.0, 3600, True)
    assert found.queue_forecast_downsampled_s is UNSET
    assert counts.health(8, 65 * S).queue_age_s is UNSET
    assert (counts.oldest_age_s(7, 65 * S), counts.oldest_age_s(8, 65 * S)) == (60.0, None)


def test_each_count_of_the_link_is_told_but_for_what_the_outbox_keeps() -> None:
    found = body_map(link_health(UplinkCounters(sent_redelivered=2, dead_letters=3), False))
    counted = {each.name for each in fields(UplinkCounters)}
    assert found == {name: 0 for name in counted - {"dead_letters"}} | {
        "connected": False,
        "sent_redelivered": 2,
    }


async def test_a_short_period_is_kept() -> None:
    box = MonitoredGateway(health_s=60)
    found = []
    for minute in range(5):
        box.queue = OutboxCounts(rows=minute).health(7, 0)
        found += records(await box.run(1))
    assert [as_read(draft)["queue_rows"] for draft in found] == [1, 2, 3, 4]
    assert box.box_monitor.due(box.now) != []
    assert box.box_monitor.due(box.now) == []


async def test_a_look_at_this_machine_is_told_as_it_is(tmp_path: Path) -> None:
    box = MonitoredGateway()
    box_monitor = BoxMonitor(
        box.box_monitor._facts, box.box_monitor._sources, tmp_path, Stamp(0, 0, NONE), 60.0
    )
    await box_monitor.observe(Stamp(30 * S, 0, NONE))
    body = body_map(box_monitor.health(60 * S))
    assert body["memory_total_bytes"] > body["rss_bytes"] > 0
    assert body["disk_total_bytes"] > 0
