"""A browser, a real daemon on simulated wires, and its page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers.sim.sen55 import Sen55
from edge.gateway.lastgood import GOOD_NAME
from tests.kit.broker import BINARY, Mosquitto
from tests.kit.browser import missing, open_browser, open_tab
from tests.kit.gateway import AIR, LOOPS, GatewayProcess
from tests.kit.street import LoopStreet
from tests.kit.waiting import wait_until
from tests.kit.webpage import WebPage

HELD = {
    "pm1_0": 5.2, "pm2_5": 9.5, "pm4_0": 12.6, "pm10": 13.3, "humidity": 45.5,
    "temperature": 23.5, "voc_index": 100.0, "nox_index": 1.0,
}  # fmt: skip
MODELS_OFF = "[models]\ncongestion = false\nanomaly = false\nloopfault = false\n"
NAMES = '[approach.north]\nname = "北街 <b>nord</b>"\n'


class Box:
    """All of it: `street` moves the loops, `page` is the process, `gateway` the daemon."""

    def __init__(self, folder: Path, broker: Mosquitto, street: LoopStreet) -> None:
        self.street = street
        self.gateway = GatewayProcess(folder, broker, MODELS_OFF, NAMES, LOOPS, AIR, period_s=4)
        state = folder / "state"  # it has run well before
        state.mkdir()
        (state / GOOD_NAME).write_bytes(self.gateway.config.read_bytes())
        self.gateway.start()
        wait_until((folder / "run" / "control.sock").exists)
        self.page = WebPage(folder, folder / "run", site=self.gateway.config)


@pytest.fixture(scope="module")  # its loop is in the way of tests that have one of their own
def chromium() -> Iterator[Any]:
    if why := missing():
        pytest.skip(why)
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    folder = tmp_path_factory.mktemp("box")
    broker = Mosquitto(folder / "broker", "allow_anonymous true\n").start()
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            LoopStreet(folder, Sen55(HELD, powered_s=86_400)) as street,
        ):
            patch.setenv("STATE_DIRECTORY", str(folder / "state"))  # as systemd does
            patch.setenv("NOTIFY_SOCKET", str(folder / "nobody"))
            patch.setenv("KERBSTONE_RUN", str(folder / "run-root"))
            (folder / "run-root" / "kerbstone-config").mkdir(parents=True)
            one = Box(folder, broker, street)
            with one.page:
                yield one
            one.gateway.stop()
            one.gateway.close()
    finally:
        broker.kill()


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A phone, in English."""
    one = open_tab(chromium)
    yield one
    one.context.close()


def log_in(tab: Any, page: WebPage, name: str = "overview") -> None:
    """As a person does it."""
    tab.goto(f"{page.url}/#/{name}")
    tab.fill("#secret", page.secret)
    tab.press("#secret", "Enter")
    tab.wait_for_selector(f".page.{name}")
