"""A device that answers and fails by turns is told so often; how it stands in the end always is."""

from itertools import pairwise
from pathlib import Path

from edge.core import Draft, Reason, Stream
from tests.kit.asread import as_read
from tests.kit.engine import S
from tests.kit.lives import GatewayLife, GatewayStorage

METER, LINE = "main_meter", "line d"
HOUR_S = 3600


def flap(life: GatewayLife, times: int, *, broken: bool) -> list[Draft]:
    """So often, a second apart; at last it is `broken`, or not. What was told."""
    for n in range(times):
        life.now_ns += S
        fails = n % 2 == (times - 1) % 2 if broken else n % 2 != (times - 1) % 2
        life.ingest.fault(METER, Reason.CRC if fails else None, f"damage {n}" if fails else "works")
    return taken(life)


def taken(life: GatewayLife) -> list[Draft]:
    reported = life.urgent.take()
    return [d for d in reported if d.source == METER and as_read(d)["event"] == "sensor_fault"]


def rested(life: GatewayLife, seconds: int) -> list[Draft]:
    """Windows end, and nothing changes."""
    for _ in range(0, seconds, 60):
        life.now_ns += 60 * S
        life.ingest.settle()
    return taken(life)


def test_a_device_that_answers_and_fails_by_turns_floods_nobody(tmp_path: Path) -> None:
    life = GatewayLife(GatewayStorage(tmp_path), 0)
    reported = flap(life, 7001, broken=True)
    assert 2 <= len(reported) <= 40, "two hours of a second each"
    assert life.retained.statuses == len(reported), "a status has the size of many events"
    assert all(each.stream is Stream.EVENT for each in reported)
    assert any("comes and goes" in as_read(each)["text"] for each in reported)
    assert life.ingest.problems.keys() == {METER}, "the status says how it stands"
    before = life.retained.statuses
    [last] = (late := rested(life, 2 * HOUR_S)) or reported[-1:]
    assert as_read(last)["state"] == "on"
    assert life.retained.statuses == before + len(late)
    assert rested(life, 3 * HOUR_S) == [], "that was told"
    reported = flap(life, 1, broken=False)
    assert [as_read(each)["state"] for each in reported] == ["off"]


def test_the_last_state_is_told_when_it_has_come_to_rest(tmp_path: Path) -> None:
    life = GatewayLife(GatewayStorage(tmp_path), 0)
    reported = flap(life, 501, broken=True)
    life.ingest.fault(METER, None, "works")
    assert taken(life) == []
    states = [as_read(each)["state"] for each in (*reported, *rested(life, 2 * HOUR_S))]
    assert states[-1] == "off"
    assert all(one != two for one, two in pairwise(states)), "by turns"


def test_what_the_platform_knows_outlives_a_kill(tmp_path: Path) -> None:
    box = GatewayStorage(tmp_path)
    life = GatewayLife(box, 0)
    reported = flap(life, 301, broken=False)
    knows = as_read(reported[-1])["state"]
    life.run(life.now_ns + 12 * S)
    life.stage.close()
    again = GatewayLife(box, life.now_ns)
    again.ingest.fault(METER, None, "works")
    assert [as_read(each)["state"] for each in taken(again)] == (["off"] if knows == "on" else [])


def test_the_device_beside_it_is_told_at_once(tmp_path: Path) -> None:
    life = GatewayLife(GatewayStorage(tmp_path), 0)
    flap(life, 301, broken=True)
    life.ingest.line(LINE.removeprefix("line "), Reason.FAULT, "closed", life.now_ns)
    assert any(as_read(d)["event"] == "sensor_fault" for d in life.urgent.waiting)
