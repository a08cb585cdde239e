"""`read` while `run` polls goes through the daemon: a second master on the line never exists."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.sim.meter import MeterLine, MeterServer, UnitFault
from drivers.sim.meter_line import WHOLE_S
from tests.kit.broker import Mosquitto
from tests.kit.gateway import KERBSTONE, METER, ROOT, GatewayProcess


@pytest.fixture
def line() -> Iterator[MeterLine]:
    one = MeterLine(
        {1: MeterServer("sdm630", {"voltage_l1": 231.5, "frequency": 50.0})},
        baud=38_400, step_s=WHOLE_S,
    ).start()  # fmt: skip
    yield one
    one.stop()


def test_read_goes_through_the_daemon(
    broker: Mosquitto, site: Callable[..., GatewayProcess], line: MeterLine
) -> None:
    # where the machine is late with an answer of this simulator, nobody speaks into it meanwhile
    one = site(METER.replace("link_delay_s", "timeout_s = 30\nlink_delay_s"), meter=line.path)
    one.start()
    wait_for(lambda: (one.folder / "run" / "control.sock").exists())
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(one.ask("read", "main_meter")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers:
        assert answer.returncode == 0, answer.stderr
        reported = json.loads(answer.stdout)
        assert reported["through"] == "read by the daemon"
        values = {r["point"]: r for r in reported["readings"]}
        assert values["voltage_l1"]["value"] == 231.5
        assert values["voltage_l1"]["unit"] == "V"
    waiting = one.ask("outbox")
    assert waiting.returncode == 0, waiting.stderr
    assert json.loads(waiting.stdout)["limit"] == 16 << 20
    # nobody spoke while another spoke: no request was cut, no two overlapped
    assert (line.damaged, line.early, line.collisions) == (0, 0, 0)
    assert one.stop() == 0


def test_read_works_alone_without_a_daemon_and_says_so(
    tmp_path: Path, broker: Mosquitto, site: Callable[..., GatewayProcess], line: MeterLine
) -> None:
    one = site(METER, meter=line.path)
    answer = one.ask("read", "main_meter")
    assert answer.returncode == 0, answer.stderr
    assert "the daemon does not run" in json.loads(answer.stdout)["through"]
    assert one.ask("read", "nobody").returncode == 2
    line.units[1].fault = UnitFault("silent")
    silent = one.ask("read", "main_meter")
    assert silent.returncode == 3
    assert "does not answer" in silent.stderr


def test_two_daemons_do_not_share_a_bus(
    broker: Mosquitto, site: Callable[..., GatewayProcess], line: MeterLine
) -> None:
    one = site(METER, meter=line.path)
    one.start()
    wait_for(lambda: (one.folder / "run" / "control.sock").exists())
    second = subprocess.run(
        [*KERBSTONE, "run", str(one.config)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 3
    assert f"in use by process {one._daemon.pid}" in second.stderr  # type: ignore[union-attr]
    assert one.stop() == 0


def wait_for(done: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)
