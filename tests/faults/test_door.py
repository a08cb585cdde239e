"""The cabinet's door is opened while there is no way to the city."""

import json
import time
from pathlib import Path

import pytest

from drivers.sim.gpio import SimChip
from tests.kit.broker import Mosquitto
from tests.kit.gateway import GatewayProcess, Records
from tests.kit.subscribed import events
from tests.kit.waiting import wait_until

DOOR = """
[bus.contacts]
kind = "gpio"
chip = "sim:{dir}/gpio"
[device.cabinet]
driver = "contact"
bus = "contacts"
line = "door"
active = "high"
event = "door"
"""
AT_ONCE_S = 5.0


@pytest.mark.long
def test_a_door_that_is_opened_offline_is_kept_with_its_moment_over_a_kill(
    tmp_path: Path, broker: Mosquitto
) -> None:
    """In the outbox long before its window ends, and there after a kill -9: told with its time."""
    with SimChip(("door",), tmp_path / "gpio", clock_ns=time.monotonic_ns) as chip:
        chip.drive("door", False, time.monotonic_ns())
        one = GatewayProcess(tmp_path, broker, DOOR, period_s=300)
        records = Records(broker, tmp_path, "--check", "--filter", "kerbstone/v1/test/gw-1/up/#")
        try:
            one.start()
            assert chip.wait_requested(["door"], 60)
            records.wait(lambda r: events(r.all(), "gap"))
            wait_until(lambda: not unsent(one), "what it said of its start is not confirmed")
            broker.stop()
            opened_ns = time.monotonic_ns()
            chip.drive("door", True, opened_ns)
            waited_s = time_until_kept(one, opened_ns)
            one.kill()
            one.start()
            broker.start()
            records.wait(lambda r: events(r.all(), "door"))
            assert one.stop() == 0
            (door,) = events(records.all(), "door")
            assert (door["source"], door["state"]) == ("cabinet", "on")
            assert abs(door["mono"][0] - opened_ns // 1000) <= 100_000, (
                "its moment, but for its debounce"
            )
            assert waited_s < 6 * AT_ONCE_S, "and not at the end of the window"
        finally:
            one.close()
            code, said = records.stop()
    assert code == 0, said


def unsent(one: GatewayProcess) -> int:
    """Rows that nobody has confirmed."""
    told = json.loads(one.ask("outbox").stdout)
    return int(told["rows"] - told["confirmed"])


def time_until_kept(one: GatewayProcess, since_ns: int) -> float:
    """Seconds until the outbox has a row that has to be sent."""
    while not unsent(one):
        assert time.monotonic_ns() - since_ns < 60e9, "it is nowhere"
        time.sleep(0.1)
    return (time.monotonic_ns() - since_ns) / 1e9
