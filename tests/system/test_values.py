"""From the wires to the city: what the broker gives is what the devices held."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer

from drivers.chips.sen55 import DRIVER as SEN55
from drivers.meters.register_map import load_register_map
from drivers.sim.sen55 import Sen55
from tests.kit.broker import Mosquitto
from tests.kit.gateway import AIR, LAST, LOOPS, METER, GatewayProcess, Tail
from tests.kit.pymodbuspeer import Peer, device
from tests.kit.serialport import PtyPair
from tests.kit.street import LoopStreet

AIR_HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
TABLE = load_register_map("sdm630")
PERIOD_S = 2.0


def meter_held() -> dict[str, float]:
    """A value per point, each another one, in whole steps of the point."""
    held = {}
    for i, register in enumerate(TABLE.registers):
        point = register.point
        low, high = point.low, min(point.high, 9_000)  # float32 holds whole steps up to there
        steps = round((low + (high - low) * (0.1 + 0.7 * i / len(TABLE.registers))) / point.step)
        held[point.key] = steps * point.step
    return held


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_every_point_arrives_as_the_devices_held_it(
    tmp_path: Path, broker: Mosquitto, site: Callable[..., GatewayProcess], encoding: str
) -> None:
    held = meter_held()
    ptys = PtyPair()
    server = lambda: ModbusSerialServer(  # noqa: E731
        device(TABLE, held, 1), framer=FramerType.RTU, port=ptys.a, baudrate=38_400
    )
    sensor = Sen55(AIR_HELD, powered_s=86_400)  # since yesterday: its gas sensors have settled
    with Peer(server), LoopStreet(tmp_path, sensor) as street:
        # the records themselves where they are JSON; the retained last ones are JSON always
        prefix = {"json": ("energy/", "air/", "traffic/"), "msgpack": ("last/",) * 3}[encoding]
        wanted = {"json": "+/+", "msgpack": "last/+"}[encoding]
        energy, air, lane = (
            f"{stream}{name}"
            for stream, name in zip(prefix, ("main_meter", "hut_air", "north_1"), strict=True)
        )
        tail = Tail(broker, f"kerbstone/v1/test/gw-1/up/{wanted}", tmp_path)
        one = site(LAST, LOOPS, AIR, METER, meter=ptys.b, encoding=encoding)
        one.start()
        street.drive()
        got = tail.wait({energy, air, lane}, is_meant=is_whole)
        check_points(got[energy], held)
        check_points(got[air], AIR_HELD)
        check_traffic(got[lane])
        meta = Tail(broker, "kerbstone/v1/test/gw-1/up/meta", tmp_path).wait({"meta"})["meta"]
        assert {m["answers"] for m in meta["models"].values()} == {"model"}, meta["models"]
        assert one.stop() == 0, one.log.read_text()
    ptys.close()


def is_whole(record: dict[str, Any]) -> bool:
    """The first windows are cut short, and the sensor warms up; and on a busy machine a poll may be
    late, or no vehicle come. Whatever a whole one says is right."""
    if "volume" in record:
        return bool(record["covered_s"] == PERIOD_S and record["volume"] > 0)
    found = record["points"].values()
    return all(set(point["quality"]) == {"good"} for point in found)


def check_points(record: dict[str, object], held: dict[str, float]) -> None:
    points = record["points"]
    assert isinstance(points, dict)
    assert set(points) == set(held)
    for key, value in held.items():
        summary = points[key]
        found = summary["last"] if "last" in summary else summary["mean"]
        assert found == pytest.approx(value, abs=1e-9), (key, summary)
        assert set(summary["quality"]) == {"good"}, (key, summary)


def check_traffic(record: dict[str, object]) -> None:
    assert record["volume"] in (1, 2)
    speed, length = record["speed"], record["length"]
    assert isinstance(speed, dict)
    assert isinstance(length, dict)
    assert speed["mean"] == pytest.approx(50.0, abs=0.5)
    assert length["mean"] == pytest.approx(4.5, abs=0.05)


def test_the_points_of_the_sensor_are_those_that_were_checked() -> None:
    assert {point.key for point in SEN55.points} == set(AIR_HELD)
