"""A crash loop from a bad configuration: after three bad starts the last good one runs."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from edge.gateway.lastgood import GOOD_NAME, STARTS_NAME, StartHistory
from tests.kit.broker import Mosquitto
from tests.kit.gateway import GatewayProcess, Records, Tail

AIR = """
[bus.hut]
kind = "i2c"
path = "sim:{dir}/hut.sock"
[device.hut_air]
driver = "sht4x"
bus = "hut"
"""
UP = "kerbstone/v1/test/gw-1/up/"


class Impatient(GatewayProcess):
    command = (sys.executable, "-m", "tests.system.impatient")

    @property
    def process(self) -> Any:
        assert self._daemon is not None
        return self._daemon


@pytest.fixture
def one(tmp_path: Path, broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> Iterator[Impatient]:
    """As systemd starts it, though nobody listens to what it says to systemd."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    kernel = I2cKernel({0x44: Sht4x({"temperature": 21.0, "humidity": 50.0})})
    with I2cServer(kernel, tmp_path / "hut.sock"):
        made = Impatient(tmp_path, broker, AIR)
        yield made
        made.close()


def wait(true: Callable[[], Any], one: Impatient) -> None:
    end = time.monotonic() + 90
    while not true():
        assert time.monotonic() < end, one.log.read_text()
        time.sleep(0.05)


def events(records: Records) -> list[dict[str, Any]]:
    return [r for r in records.of("event") if r["event"] == "configuration"]


def test_after_three_bad_starts_the_last_good_configuration_runs_until_it_is_mended(
    tmp_path: Path, broker: Mosquitto, one: Impatient
) -> None:
    good = tmp_path / "state" / GOOD_NAME
    fine = one.config.read_bytes()
    one.start()
    wait(good.exists, one)
    assert good.read_bytes() == fine
    assert one.stop() == 0

    one.config.write_bytes(fine.replace(b'driver = "sht4x"', b'driver = "sht4"'))
    for _ in range(3):
        one.start()
        assert one.process.wait(90) == 2, one.log.read_text()
    records = Records(broker, tmp_path, "--filter", f"{UP}#")
    one.start()
    records.wait(events)
    text = events(records)[0]["text"]
    assert "site.toml:19: device.hut_air.driver" in text
    assert "the last good configuration runs" in text
    assert text in one.log.read_text()
    status = Tail(broker, f"{UP}status", tmp_path).wait({"status"})["status"]
    assert status["problems"]["configuration"] == text
    records.wait(lambda r: r.of("air"))  # the work goes on
    assert one.running

    mended = fine.replace(b'gateway = "gw-1"', b'gateway = "gw-1" # mended')
    one.config.write_bytes(mended)
    assert one.process.wait(90) == 0, one.log.read_text()  # systemd starts it again
    one.start()
    wait(lambda: good.read_bytes() == mended, one)
    wait(lambda: StartHistory.parse((good.parent / STARTS_NAME).read_bytes()).count == 0, one)
    assert one.stop() == 0
    records.stop()


def test_a_person_is_told_of_a_broken_file_at_once_and_nothing_is_counted(
    tmp_path: Path, one: Impatient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET")
    monkeypatch.delenv("STATE_DIRECTORY")
    one.config.write_text("[site]\n")
    for _ in range(2):
        one.start()
        assert one.process.wait(90) == 2
    assert not (tmp_path / "state").exists()
