"""The real smbus2 with real ioctls of a real process, by Debian's umockdev."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
SYSTEM_PYTHON = "/usr/bin/python3"  # its bindings are Debian's and no wheel
BINDINGS = "import gi; gi.require_version('UMockdev', '1.0'); from gi.repository import UMockdev"
CLIENT = """
import asyncio, json
from drivers.buses.i2c import SmbusI2c
from drivers.chips.sen55 import Sen55
from drivers.chips.sht4x import Sht4x
from edge.core import BusError

async def main():
    bus = SmbusI2c("/dev/i2c-1")
    said = {}
    for device in (Sht4x(bus), Sen55(bus)):
        await device.open()
        said[type(device).__name__] = device.identity
    said["values"] = await Sht4x(bus).read()
    said["probed"] = [await bus.probe(0x44), await bus.probe(0x50)]
    try:
        await bus.transfer(0x50, b"\\0", read=1)
    except BusError as error:
        said["error"] = str(error)
    bus.close()
    print(json.dumps(said))

asyncio.run(main())
"""


def missing() -> str:
    """Why it cannot run here; "" when it can."""
    if shutil.which("umockdev-wrapper") is None or not Path(SYSTEM_PYTHON).exists():
        return "umockdev is not installed: apt-get install umockdev"
    asked = [SYSTEM_PYTHON, "-c", BINDINGS]
    if subprocess.run(asked, check=False, capture_output=True).returncode:
        return "umockdev's bindings are missing: apt-get install gir1.2-umockdev-1.0 python3-gi"
    return ""


def talk() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the client said, and what the adapter was asked."""
    module = ("-m", "tests.drivers.buses.mock_i2c", "sht4x,sen55")
    command = ["umockdev-wrapper", SYSTEM_PYTHON, "-B", *module, sys.executable, "-c", CLIENT]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    client, adapter = map(json.loads, done.stdout.splitlines())
    return client, adapter


def test_two_sensors_and_an_empty_address_over_real_ioctls() -> None:
    if why := missing():
        pytest.skip(why)
    client, adapter = talk()
    assert client["Sht4x"] == "186395966"
    assert client["Sen55"] == "SIMULATED"
    assert [round(value) for value in client["values"]] == [20, 50]
    assert client["probed"][1] is False
    assert "no device answers at 0x50 on /dev/i2c-1" in client["error"]
    assert adapter == {"timeout_s": 0.25, "retries": 1, "addresses": [0x44, 0x69]}
