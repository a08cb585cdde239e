"""A cabinet of simulated devices, which answer at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.sim.gpio import SimChip
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.meter_rtu import MeterRtu
from drivers.sim.meter_server import MeterServer
from edge.diagnose import brokerway, diagnosis, probe
from tests.cli.doctor.cabinet import HEAD, VALUES, Site, unhurried
from tests.kit.fixtures import broker, mosquitto
from tests.kit.fixtures import site as gateway

__all__ = ["broker", "gateway", "mosquitto"]


@pytest.fixture
def wired(tmp_path: Path) -> Site:
    """A site file of these parts; the lines of the file are in them, the folder and `words`."""

    def make(*parts: str, words: tuple[object, ...] = ()) -> Path:
        file = tmp_path / "site.toml"
        file.write_text("".join(parts).format(tmp_path, *words), encoding="utf-8")
        return file

    return lambda *parts, words=(): make(HEAD, *parts, words=words)


@pytest.fixture
def air(tmp_path: Path) -> Iterator[I2cKernel]:
    kernel = I2cKernel({})
    with I2cServer(kernel, tmp_path / "i2c"):
        yield kernel


@pytest.fixture
def meters(monkeypatch: pytest.MonkeyPatch) -> Iterator[MeterRtu]:
    with MeterRtu({1: MeterServer("sdm120", VALUES), 12: MeterServer("sdm120", VALUES)}) as line:
        unhurried(monkeypatch, line)
        yield line


@pytest.fixture
def chip(tmp_path: Path) -> Iterator[SimChip]:
    made = SimChip(("lead", "spare", "green"), tmp_path / "gpio")
    made.start()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated devices answer at once, unless the machine is busy."""
    monkeypatch.setattr(diagnosis, "LOOK_S", 0.01)
    monkeypatch.setattr(brokerway, "ALERT_S", 0.3)
    monkeypatch.setattr(probe, "QUIET_S", 0.05)
    monkeypatch.setattr(probe, "LISTEN_S", (0.1, 0.1))
    monkeypatch.setattr(probe, "ANSWER_S", 0.2)
    monkeypatch.setattr(probe, "PROBED_UNITS", (3, 7))
