"""All wires at once, and the daemon itself: what a broker outside of the guest is given."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.chips.s0 import SHORTEST_PULSE_S
from drivers.sim.meter import MeterLine
from tests.kernel.held import METER
from tests.kernel.machine import GuestMachine
from tests.kit.broker import BINARY, Mosquitto, Subscriber

pytestmark = pytest.mark.kernel

HOST = "10.0.2.2"  # what QEMU's network calls the machine it runs on


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    one = Mosquitto(tmp_path / "broker").start()
    yield one
    one.kill()


def test_the_daemon_tells_what_passed_its_wires(
    machine: GuestMachine, line: MeterLine, broker: Mosquitto
) -> None:
    listener = Subscriber(broker, "kerbstone/v1/kernel/gw-1/up/#")
    reported = machine.python("cabinet", f"mqtt://{HOST}:{broker.port}", timeout_s=400.0)
    broker.wait_for_acknowledgements()  # a busy host is slow to hand on the last records
    records: dict[str, list[dict[str, Any]]] = {}
    for message in listener.stop():
        topic, _, payload = message.partition(" ")
        records.setdefault(topic.partition("/up/")[2], []).append(json.loads(payload))
    assert reported["exit"] == 0

    traffic = records["traffic/north_1"]
    assert sum(record["volume"] for record in traffic) == reported["vehicles"]
    speeds = [record["speed"] for record in traffic]
    judged = sum(speed["n"] for speed in speeds)
    mean = sum(speed["sum"] * speed["step"] for speed in speeds) / judged
    # where the host stops the one who plays for long, a vehicle crawls, and has no speed
    assert reported["vehicles"] - 2 <= judged <= reported["vehicles"]
    exact = judged == reported["vehicles"]
    assert mean == pytest.approx(reported["speed_kmh"], rel=0.02 if exact else 0.3)

    assert (
        reported["shortest_s"] >= SHORTEST_PULSE_S
    )  # otherwise it is no pulse, and not to be counted
    pulses = [record["points"]["energy_import"] for record in records["energy/heat"]]
    assert pulses[-1]["last"] == pytest.approx(reported["pulses"] / 1000)
    assert sum(p["delta"] for p in pulses) == pytest.approx(reported["pulses"] / 1000)

    for device, held in reported["air"].items():
        # in the first window it warms up; a poll after a late one may find nothing new
        check(records[f"air/{device}"][1], held, {"bad:stale"})
    # a busy host cuts questions on the serial line; then nobody answers, and what is damaged puts
    # the next answers in doubt; so do the first that are all the same, and they are over by then
    doubts = {"bad:silent", "uncertain:stale"} if line.damaged else set()
    check(records["energy/main_meter"][2], METER, doubts)
    assert records["status"][-1]["state"] == "offline"
    faults = {e["source"] for r in records.values() for e in r if e.get("event") == "sensor_fault"}
    assert faults <= ({"main_meter"} if line.damaged else set())


def check(
    record: dict[str, Any], held: dict[str, float], beside: Collection[str] = frozenset()
) -> None:
    """Each value is what the device held, and good; or bad in a way that is known."""
    for key, value in held.items():
        summary = record["points"][key]
        found = summary["last"] if "last" in summary else summary["mean"]  # of an energy
        assert found == pytest.approx(value, abs=0.06), key
        assert summary["quality"].keys() - beside == {"good"}, (key, summary)
