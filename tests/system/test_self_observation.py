"""The box tells about itself: in a record, in its status, on a socket, and why it was started."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.sim.sen55 import Sen55
from tests.kit.broker import Mosquitto
from tests.kit.gateway import AIR, GatewayProcess, Records, Tail
from tests.kit.street import LoopStreet

HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
OFTEN = """
[streams]
health_s = 10
"""


def scrape(path: Path) -> str:
    """GET /metrics, as a collector does it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(60)
        link.connect(str(path))
        link.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, _, body = link.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    return body.decode()


def starts(records: Records) -> list[str]:
    return [r["reason"] for r in records.of("event") if r["event"] == "start"]


def test_the_box_tells_how_it_fares_and_why_it_was_started(
    tmp_path: Path, broker: Mosquitto, site: Callable[..., GatewayProcess]
) -> None:
    with LoopStreet(tmp_path, Sen55(HELD, powered_s=86_400)):
        records = Records(broker, tmp_path, "--check", "--filter", "kerbstone/v1/test/gw-1/up/#")
        one = site(AIR, OFTEN)
        one.start()
        # who was not asked twice before the first record has no share of errors in it
        records.wait(lambda r: any("device_error_ratio" in each for each in r.of("health")))
        record: dict[str, Any] = records.of("health")[-1]
        assert record["source"] == "gateway"
        assert record["reboot_cause"] == "first"
        assert record["memory_total_bytes"] > record["rss_bytes"] > 0
        assert record["device_error_ratio"] == {"hut_air": 0.0}
        assert record["connected"] is True
        assert record["read_only"] is False
        text = scrape(tmp_path / "run" / "metrics.sock")
        assert text.endswith("# EOF\n")
        assert "kerbstone_connected 1\n" in text
        assert "kerbstone_queue_rows " in text
        assert 'kerbstone_reboot_cause_info{word="first"} 1\n' in text
        reported = Tail(broker, "kerbstone/v1/test/gw-1/up/#", tmp_path).wait({"status"})["status"]
        assert reported["box"]["start"]["cause"] == "first"

        one.kill()
        one.start()
        records.wait(lambda r: len(starts(r)) == 2)
        assert one.stop() == 0
        assert not (tmp_path / "run" / "metrics.sock").exists()
        one.start()
        records.wait(lambda r: len(starts(r)) == 3)
        assert one.stop() == 0
        assert starts(records) == ["first", "crash", "restart"]
        assert records.stop()[0] == 0, "a number is missing, or there twice"
