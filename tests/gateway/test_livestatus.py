"""What is shown of the box as it is now: last values with their age, and lanes; no bus is asked."""

from pathlib import Path
from typing import Any

import pytest

from edge.control.protocol import VerbError
from edge.core import Bad, Edge, Reason, sweep
from edge.gateway import livestatus
from edge.gateway.calibrationsetup import expired_points
from edge.outbox import OutboxCounts
from tests.gateway.statusgateway import S, StatusGateway

PAIR = """
[lane.west_1]
approach = "west"
bus = "loops"
lead = "w1"
trail = "w2"
spacing_m = 4.0
active = "high"
"""


async def live(one: StatusGateway, **words: Any) -> Any:
    return await (await one.verbs())["live"](words)


def drive(one: StatusGateway, at_s: float, kmh: float = 72.0) -> None:
    """A vehicle of 4.5 m over the pair."""
    over_s, later_s = 6.5 * 3.6 / kmh, 4.0 * 3.6 / kmh
    edges = [
        Edge("w1", True, round(at_s * S), 1),
        Edge("w2", True, round((at_s + later_s) * S), 1),
        Edge("w1", False, round((at_s + over_s) * S), 2),
        Edge("w2", False, round((at_s + over_s + later_s) * S), 2),
    ]
    one.ingest.edges(edges)


async def test_a_device_shows_its_last_value_and_its_age(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(rows=3))
    (device,) = one.buses.devices()
    device.latest = sweep("hut", 96 * S, (21.53, Bad(Reason.CRC)))
    device.reason, device.text = Reason.SILENT, "no answer at 0x44"
    found = await live(one)
    assert found["devices"] == [
        {
            "name": "hut", "driver": "sht4x", "bus": "air", "every_s": 1.0, "state": "silent",
            "text": "no answer at 0x44", "reads": 0, "errors": 0,
            "unsettled": None, "unsettled_age_s": None, "age_s": 4.0, "health": {},
            "readings": [
                {"point": "temperature", "value": 21.53, "unit": "Cel", "quality": "good"},
                {"point": "humidity", "value": None, "unit": "%RH", "quality": "bad:crc"},
            ],
        }
    ]  # fmt: skip
    assert (found["gateway"], found["queue"]["rows"]) == ("gw-1", 3)
    assert found["link"]["connected"] is True


CALIBRATED = """
[calibration.hut]
device = "hut"
point = "temperature"
offset = -1.5
by = "City laboratory"
on = 2025-03-02
until = 2026-03-01
publish = "both"
"""


async def test_a_value_is_shown_as_the_city_gets_it(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), CALIBRATED)
    one.sources.pipeline.engine.expired(expired_points(one.sources.site, one.clock.now()))
    (device,) = one.buses.devices()
    device.latest = sweep("hut", 96 * S, (21.5, 40.0))
    (found,) = (await live(one))["devices"]
    assert [(row["point"], row["value"], row["quality"]) for row in found["readings"]] == [
        ("temperature", 20.0, "uncertain:calibration"),
        ("humidity", 40.0, "good"),
        ("temperature_raw", 21.5, "good"),
    ]


async def test_a_value_is_never_younger_than_now(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts())
    (device,) = one.buses.devices()
    device.latest = sweep("hut", 105 * S, (21.5, 40.0))
    one.ingest.edges([Edge("g", True, 103 * S, 1)])
    found = await live(one)
    assert found["devices"][0]["age_s"] == 0
    (green,) = [each for each in found["contacts"] if each["name"] == "green"]
    assert green["edge_age_s"] == 0


async def test_a_lane_shows_its_loops_and_its_last_vehicles(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    one.ingest.edges([Edge("w1", False, 91 * S, 0), Edge("w2", False, 91 * S, 0)])
    drive(one, 92)
    drive(one, 96, 36)
    (lane,) = (await live(one, names=["west_1"]))["lanes"]
    assert [each["speed_kmh"] for each in lane["vehicles"]] == [36.0, 72.0], "the newest first"
    assert lane["vehicles"][0] == {
        "age_s": 4.0, "on_s": 0.65, "speed_kmh": 36.0, "length_m": 4.5, "class": "short"
    }  # fmt: skip
    lead = lane["loops"][0]
    assert lead == {
        "name": "west_1.lead", "line": "w1", "on": False, "edge_age_s": 3.4, "edges": 4,
        "edges_hour": 4, "watched_age_s": 9.0,
    }  # fmt: skip
    assert (lane["window"], lane["since_window"]) == (None, None)


async def test_a_lane_shows_its_last_window_and_what_came_since(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    engine = one.sources.pipeline.engine
    engine.start(80 * S)
    one.ingest.edges([Edge("w1", False, 80 * S, 0), Edge("w2", False, 80 * S, 0)])
    drive(one, 84)
    one.ingest.lines.see_records(engine.close(90 * S))
    drive(one, 92)
    drive(one, 94)
    (lane,) = (await live(one, names=["west_1"]))["lanes"]
    assert (lane["window"]["age_s"], lane["window"]["volume"]) == (10.0, 1)
    assert lane["window"]["speed"]["mean"] == 72.0
    assert lane["since_window"] == {"vehicles": 2, "more": False}


async def test_more_vehicles_than_are_remembered_are_said_to_be_more(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    engine = one.sources.pipeline.engine
    engine.start(10 * S)
    one.ingest.lines.see_records(engine.close(11 * S))
    for number in range(60):
        drive(one, 12 + number)
    (lane,) = (await live(one, names=["west_1"]))["lanes"]
    assert lane["since_window"]["more"] is True
    assert 25 < lane["since_window"]["vehicles"] <= 32
    assert len(lane["vehicles"]) == 8


async def test_a_vehicle_that_has_just_left_gets_its_speed_without_another_edge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(livestatus, "FRESH_NS", 0)
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    verbs = await one.verbs()
    drive(one, 99.475)
    (lane,) = (await verbs["live"]({}))["lanes"][1:]
    assert "speed_kmh" not in lane["vehicles"][0]
    one.mono_ns += S // 2
    (lane,) = (await verbs["live"]({}))["lanes"][1:]
    assert lane["vehicles"][0]["speed_kmh"] == 72.0


async def test_a_line_that_is_closed_says_why(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    one.ingest.edges([Edge("w1", True, 91 * S, 0)])
    one.ingest.line("w1", Reason.FAULT, "line w1 chatters: look for a loose wire", 92 * S)
    (lane,) = (await live(one, names=["west_1"]))["lanes"]
    assert lane["loops"][0]["on"] is None
    assert lane["loops"][0]["closed"] == "line w1 chatters: look for a loose wire"


async def test_it_is_made_once_for_all_who_look_on(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    verbs = await one.verbs()
    first = await verbs["live"]({})
    drive(one, 99.9)
    assert await verbs["live"]({}) is first
    one.mono_ns += S
    assert await verbs["live"]({}) is not first


async def test_only_what_is_asked_for_and_nothing_unknown(tmp_path: Path) -> None:
    one = StatusGateway(tmp_path, OutboxCounts(), PAIR)
    verbs = await one.verbs()
    found = await verbs["live"]({"names": ["bakery"]})
    assert (found["devices"], found["lanes"]) == ([], [])
    assert [each["kind"] for each in found["contacts"]] == ["loading bay"]
    for names in (["hutt"], "hut", [5], {"hut": 1}):
        with pytest.raises(VerbError, match=r"names is a list|there are hut, north_1, west_1"):
            await verbs["live"]({"names": names})


async def test_a_device_that_is_being_removed_is_left_out(tmp_path: Path) -> None:
    """A changed site file is in use before the bus that it has no more has gone: a page looks each
    second."""
    one = StatusGateway(tmp_path, OutboxCounts(rows=3))
    one.sources.site.devices.pop("hut")  # type: ignore[attr-defined]
    assert (await live(one))["devices"] == []
    assert (await (await one.verbs())["status"]({}))["devices"] == {}
