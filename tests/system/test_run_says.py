"""Whoever runs the daemon by hand hears that it is connected, and that a record has arrived."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.kit.gateway import KERBSTONE, LOOPS, ROOT, GatewayProcess
from tests.kit.street import LoopStreet
from tests.kit.waiting import wait_until


def test_run_says_once_that_it_is_connected_and_that_the_first_record_is_confirmed(
    site: Callable[..., GatewayProcess], tmp_path: Path
) -> None:
    gateway = site(LOOPS, period_s=1)
    with LoopStreet(tmp_path), gateway.log.open("w") as log:
        daemon = subprocess.Popen(
            [*KERBSTONE, "run", str(gateway.config)], cwd=ROOT, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: "first record confirmed" in gateway.log.read_text())
            gateway.broker.kill()
            wait_until(lambda: "WARNING" in gateway.log.read_text())
            before = gateway.broker.log.count("New client connected")
            gateway.broker.start()
            wait_until(lambda: gateway.broker.log.count("New client connected") > before)
        finally:
            daemon.terminate()
            assert daemon.wait(60) == 0
    said = gateway.log.read_text().splitlines()
    first = [line for line in said if line.startswith("INFO")]
    assert [line.partition(",")[0] for line in first] == [
        f"INFO kerbstone.first: connected to {gateway.broker.url}",
        "INFO kerbstone.first: first record confirmed by the broker",
    ]
