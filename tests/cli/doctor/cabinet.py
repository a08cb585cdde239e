"""The parts of a cabinet for `kerbstone doctor`, and what it said of one of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.sht4x import Sht4x
from edge.diagnose import probe
from edge.gateway import wiring
from tests.kit import serialport as patient_port
from tests.kit.command import CommandResult
from tests.kit.serialport import Other

ROOT = Path(__file__).parents[3]
HEAD = """
[site]
id = "s"
gateway = "g"
[uplink]
url = "mqtt://127.0.0.1:1"
confirm = "broker"
[store]
dir = "{0}/store"
run_dir = "{0}/run"
[models]
congestion = false
anomaly = false
"""
AIR = """
[bus.hut]
kind = "i2c"
path = "sim:{0}/i2c"
[device.hut_air]
driver = "sht4x"
bus = "hut"
"""
LOOPS = """
[bus.loops]
kind = "gpio"
chip = "sim:{0}/gpio"
[lane.north_1]
approach = "north"
bus = "loops"
lead = "lead"
active = "high"
bias = "none"
"""
PLACES = """
[bay.bakery]
kind = "loading"
bus = "loops"
line = "spare"
active = "high"
bias = "none"
[device.north_green]
driver = "contact"
bus = "loops"
line = "green"
active = "high"
bias = "none"
phase = {{ approach = "north", colour = "green" }}
"""
METERS = """
[bus.meters]
kind = "modbus-rtu"
port = "{1}"
timeout_s = 0.4
[device.main]
driver = "sdm120"
bus = "meters"
unit = 1
[device.shop]
driver = "sdm120"
bus = "meters"
unit = 12
"""
QUICK = METERS.replace("0.4", "0.05")  # for ports that know who is still to answer
VALUES = {"voltage": 230.0, "frequency": 50.0}
Site = Callable[..., Path]


def unhurried(monkeypatch: pytest.MonkeyPatch, other: Other) -> None:
    """Nobody is silent who has not had his turn yet: then a time-out may be short."""
    monkeypatch.setattr(patient_port, "GRACE_NS", 50_000_000)
    port = patient_port.waiting(other)
    for module in (wiring, probe):
        monkeypatch.setattr(module, "SerialPort", port)


def sht4x() -> Any:
    return Sht4x({"temperature": 20.0}, powered_s=9.0)


def reported(said: CommandResult, device: str) -> str:
    found = json.loads(said.out)["findings"]
    return "\n".join(
        f"{f['severity']}: {f['sentence']} | {f['remedy']}" for f in found if f["device"] == device
    )
