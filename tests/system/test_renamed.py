"""A device is renamed while its killed daemon has left sweeps behind: the next start sends them."""

import time
from pathlib import Path

import pytest

from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.sht4x import Sht4x
from tests.kit.broker import Mosquitto
from tests.kit.gateway import GatewayProcess, Records
from tests.system.test_last_good import AIR

RAW = """
[streams]
raw = true
raw_commit_s = 60
[privacy]
passages = true
"""


def sources(records: Records) -> set[str]:
    return {name for record in records.of("raw") for name in record["points"]}


def wait_staged(folder: Path, name: str, site: GatewayProcess) -> None:
    """Until sweeps of this device are in the stage: its header names it once, each sweep again."""
    end = time.monotonic() + 90
    while sum(path.read_bytes().count(name.encode()) for path in folder.glob("stage.*")) < 6:
        assert site.running, site.log.read_text()
        assert time.monotonic() < end, f"no sweep of {name} reaches the stage"
        time.sleep(0.1)


@pytest.mark.long
def test_what_a_device_said_before_it_was_renamed_is_sent_under_its_old_name(
    tmp_path: Path, broker: Mosquitto
) -> None:
    kernel = I2cKernel({0x44: Sht4x({"temperature": 21.0, "humidity": 50.0})})
    with I2cServer(kernel, tmp_path / "hut.sock"):
        site = GatewayProcess(tmp_path, broker, RAW, AIR, period_s=900)
        records = Records(broker, tmp_path)
        try:
            site.start()
            wait_staged(tmp_path / "run", "hut_air", site)
            site.kill()
            assert sources(records) == set(), "nothing of it has gone out yet"
            site.config.write_text(site.config.read_text().replace("hut_air", "cellar"))
            site.start()
            records.wait(lambda each: "hut_air" in sources(each))
            assert site.running, site.log.read_text()
            reported = [
                event["sources"] for event in records.of("event") if event["event"] == "gap"
            ]
            assert ["cellar"] in reported
            wait_staged(tmp_path / "run", "cellar", site)
            site.stop()
            records.wait(lambda each: "cellar" in sources(each))
        finally:
            site.close()
            records.stop()
