"""A bench that is cleared away after its case, and stages that do not wait for long."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.sen55 import Sen55
from edge.control.protocol import ask_daemon
from edge.diagnose import brokerlogin, brokerway
from tests.crash.swaps import SITE, numbered, places
from tests.diagnose.bench import Bench, Told
from tests.kit.broker import Mosquitto, Subscriber
from tests.kit.command import Command, kerbstone
from tests.kit.gateway import AIR, LOOPS, GatewayProcess
from tests.kit.street import LoopStreet
from tests.kit.waiting import wait_until

__all__ = ["kerbstone"]
HELD = {"pm2_5": 9.5, "humidity": 45.5, "temperature": 23.5}


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What a gateway says of itself whose vehicles are counted and whose records are confirmed."""
    folder = tmp_path_factory.mktemp("told")
    broker = Mosquitto(folder / "broker").start()
    one = GatewayProcess(folder, broker, LOOPS, AIR, period_s=2)

    def well() -> dict[str, Any]:
        status = ask_daemon(folder / "run", "status")
        if status is None or status["link"]["confirmed_s"] is None or status["issues"]:
            return {}
        edges = [lane["edges"]["lead"]["last_s"] for lane in status["lanes"].values()]
        reads = status["devices"]["hut_air"]["reads"]
        return status if reads and None not in edges else {}

    city = Subscriber(broker, "kerbstone/v1/#")
    try:
        with LoopStreet(folder, Sen55(HELD, powered_s=86_400)) as street:
            one.start()
            street.drive(every_s=0.8)
            return Told(one.config, wait_until(well, "it is not well"))
    finally:
        one.close()
        city.stop(0)
        broker.kill()


@pytest.fixture
def bench(
    kerbstone: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Bench]:
    monkeypatch.setattr(brokerway, "ALERT_S", 0.3)
    monkeypatch.setattr(brokerlogin, "ANSWER_S", 2.0)
    with ExitStack() as stack:
        yield Bench(
            kerbstone, tmp_path, monkeypatch, stack, lambda: request.getfixturevalue("told")
        )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Three starts with four records each, a site file, and a table of a meter."""
    box = tmp_path / "old"
    numbered(box, "boot-old", 3, 100)
    places(box).site_file.parent.mkdir(parents=True)
    places(box).site_file.write_bytes(SITE)
    (places(box).etc / "meters").mkdir()
    (places(box).etc / "meters" / "odd.toml").write_bytes(b"# a table\n")
    (box / "store" / "commissioning.json").write_bytes(b'{"lane": "north_1"}')
    return box


@pytest.fixture
def new(tmp_path: Path) -> Path:
    box = tmp_path / "new"
    (box / "run").mkdir(parents=True)
    (box / "etc/kerbstone").mkdir(parents=True)
    return box
