"""A bus thread that hangs in a running daemon: replaced once, then the process ends.

It takes a quarter of a minute: a pause of the whole process, and two hangs of three seconds each.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from tests.kit.broker import Mosquitto
from tests.kit.gateway import GatewayProcess, Records
from tests.kit.subscribed import states
from tests.kit.watchdog import manager, wait_for
from tests.system.hanging import FLOOR_S, LATE_S

BUSES = """
[privacy]
passages = true
[streams]
raw = true
raw_commit_s = 0.5
[bus.hut]
kind = "i2c"
path = "sim:{dir}/hut.sock"
[bus.road]
kind = "i2c"
path = "sim:{dir}/road.sock"
[device.hut_air]
driver = "sht4x"
bus = "hut"
every_s = 0.5
[device.road_air]
driver = "sht4x"
bus = "road"
every_s = 0.5
"""
HELD = {"temperature": 21.0, "humidity": 50.0}
UP = "kerbstone/v1/test/gw-1/up/#"


class Hanging(GatewayProcess):
    command = (sys.executable, "-m", "tests.system.hanging")

    @property
    def process(self) -> Any:
        assert self._daemon is not None
        return self._daemon


@pytest.fixture
def one(tmp_path: Path, broker: Mosquitto) -> Iterator[Hanging]:
    os.mkfifo(tmp_path / "never")
    names = ("hut", "road")
    servers = [I2cServer(I2cKernel({0x44: Sht4x(HELD)}), tmp_path / f"{n}.sock") for n in names]
    for server in servers:
        server.start()
    made = Hanging(tmp_path, broker, BUSES)
    yield made
    made.close()
    for server in servers:
        server.stop()


def polls(records: Records, device: str) -> list[float]:
    """When each value of a device was read, in seconds."""
    sweeps = [s for r in records.of("raw") for s in r["sweeps"] if s["source"] == device]
    return [s["mono"] / 1e6 for s in sweeps if s["values"][0] is not None]


def reported(records: Records, kind: str) -> list[str]:
    return [r["text"] for r in records.of("event") if r["event"] == kind]


def test_a_hung_bus_is_replaced_and_a_second_hang_ends_the_process(
    tmp_path: Path, broker: Mosquitto, one: Hanging
) -> None:
    hang, never = tmp_path / "hang", tmp_path / "never"
    records = Records(broker, tmp_path, "--filter", UP)
    one.start()
    records.wait(lambda r: all(len(polls(r, d)) > 2 for d in ("hut_air", "road_air")))

    one.process.send_signal(signal.SIGSTOP)  # longer than a bus may be silent
    time.sleep(FLOOR_S + 2 * LATE_S)
    one.process.send_signal(signal.SIGCONT)
    count = len(polls(records, "hut_air"))
    records.wait(lambda r: len(polls(r, "hut_air")) > count + 4)
    assert reported(records, "bus") == [], "nobody had hung"
    assert reported(records, "sensor_fault") == []

    begun_s = time.monotonic()
    hang.touch()
    records.wait(lambda r: reported(r, "bus"))
    hang.unlink()
    assert "bus hut: its thread hung in a system call" in reported(records, "bus")[0]
    replaced_s = time.monotonic()
    # it is back, and so is the word of it: the one is a record, the other an event
    records.wait(lambda r: polls(r, "hut_air")[-1] > replaced_s)
    records.wait(lambda r: states(r.all(), "hut_air")[-1:] == ["off"])
    faults = [r for r in records.of("event") if r["event"] == "sensor_fault"]
    assert [(f["source"], f["state"]) for f in faults] == [("hut_air", "on"), ("hut_air", "off")]
    assert faults[0]["reason"] == "silent"
    late = os.open(never, os.O_WRONLY | os.O_NONBLOCK)  # the hung thread comes back
    os.close(late)

    hang.touch()  # and now it hangs for good
    assert one.process.wait(120) not in (0, 2), one.log.read_text()
    assert "HungError: bus hut hangs in a system call again" in one.log.read_text()
    records.wait(lambda r: len(reported(r, "bus")) == 2)
    assert len({r["epoch"] for r in records.of("event")}) == 1, "one process all the time"

    # the neighbour was polled all the time: no pause to speak of, no fault
    road = [at for at in polls(records, "road_air") if at > begun_s]
    assert max(b - a for a, b in pairwise(road)) < FLOOR_S
    assert len(road) > 0.8 * (road[-1] - road[0]) / 0.5
    with suppress(OSError):
        os.close(os.open(never, os.O_WRONLY | os.O_NONBLOCK))
    records.stop()


def test_a_writer_that_hangs_is_not_covered_up_by_the_rest(
    tmp_path: Path, one: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The buses go on: systemd hears nothing more all the same."""
    monkeypatch.setenv("HANG", str(tmp_path))
    with manager(tmp_path, monkeypatch) as systemd:
        one.start()
        for _ in range(3):
            systemd.fed()
        (tmp_path / "hang_commit").touch()
        wait_for(tmp_path / "hangs", one.log.read_text)
        systemd.starved()
        assert one.running
        one.process.kill()  # as systemd does
