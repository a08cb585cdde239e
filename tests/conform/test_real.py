"""Our own gateways pass at a real broker, with real time; what has no broker is exit 3."""

import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from drivers.sim.sen55 import Sen55
from tests.kit.broker import Mosquitto
from tests.kit.gateway import AIR, KERBSTONE, LOOPS, ROOT, GatewayProcess
from tests.kit.street import LoopStreet

HELD: Final = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
PRODUCT: Final = """
name = "Kerbstone"
version = "test"
site = "{site}"
gateway = "{gateway}"
encoding = "{encoding}"
receipt_s = {receipt_s}
period_s = {period_s}
return_s = 60
client_id = "{gateway}"
expendable = true
"""
NOT_HERE: Final = {"records.backfilled", "manifests.sealed", "manifests.signed", "last.held"}
"""What a short run of a gateway without a key, and with its defaults, does not show."""


def conform(broker: Mosquitto, folder: Path, *options: str, **product: Any) -> dict[str, Any]:
    """What `kerbstone conform` says of it."""
    words = {"site": "test", "gateway": "gw-1", "encoding": "json", "receipt_s": 5, "period_s": 2}
    file = folder / "product.toml"
    file.write_text(PRODUCT.format(**{**words, **product}))
    done = subprocess.run(
        [*KERBSTONE, "conform", "--broker", broker.url, "--product", str(file), "--json", *options],
        cwd=ROOT, capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def faults(report: dict[str, Any]) -> dict[str, Any]:
    return {c["id"]: c for c in report["checks"] if c["verdict"] == "failed"}


def skipped(report: dict[str, Any]) -> set[str]:
    return {c["id"] for c in report["checks"] if c["verdict"] == "skipped"}


@pytest.mark.scene
@pytest.mark.parametrize("encoding", ["json", "msgpack"])
def test_our_gateway_passes(
    site: Callable[..., GatewayProcess], broker: Mosquitto, tmp_path: Path, encoding: str
) -> None:
    gateway = site(LOOPS, AIR, period_s=2, encoding=encoding)
    text = gateway.config.read_text()
    gateway.config.write_text(
        text.replace('confirm = "broker"', 'confirm = "platform"\nreceipt_s = 5')
    )
    wanted = tmp_path / "restart"
    restarting = threading.Thread(target=restart, args=(gateway, wanted))
    with LoopStreet(tmp_path, air=Sen55(HELD, powered_s=86_400)) as street:
        gateway.start()
        street.drive(every_s=3.0)
        restarting.start()
        command = f"touch {wanted}; while [ -e {wanted} ]; do sleep 0.1; done"
        report = conform(broker, tmp_path, "--restart-command", command, encoding=encoding)
        restarting.join()
    assert not faults(report), faults(report)
    assert skipped(report) == NOT_HERE


def restart(gateway: GatewayProcess, wanted: Path) -> None:
    """What systemd does, when somebody wants it."""
    end = time.monotonic() + 300
    while not wanted.exists():
        if time.monotonic() > end:
            return
        time.sleep(0.05)
    gateway.stop()
    gateway.start()
    wanted.unlink()


@pytest.mark.scene
def test_a_gateway_of_a_fleet_passes(broker: Mosquitto, tmp_path: Path) -> None:
    fleet = subprocess.Popen(
        [*KERBSTONE, "fleet", "--broker", broker.url, "--gateways", "2", "--speed", "20",
         "--receipt-s", "5", "--jitter", "1", "--lanes", "2"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        report = conform(
            broker, tmp_path, site="fleet", gateway="gw-00001", encoding="msgpack", period_s=3
        )
    finally:
        fleet.kill()
        fleet.wait()
    assert not faults(report), faults(report)
