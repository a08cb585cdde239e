from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.site import Site
from tests.uplink.broker import BINARY, Mosquitto

# subscriptions and what waits for them survive the broker's stop, as on a city's broker
PERSISTENT = "allow_anonymous true\npersistence true\npersistence_location {}/\n"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed: apt-get install mosquitto mosquitto-clients")
    folder = tmp_path / "broker"
    one = Mosquitto(folder, PERSISTENT.format(folder)).start()
    yield one
    one.kill()


@pytest.fixture
def site(tmp_path: Path, broker: Mosquitto) -> Iterator[Callable[..., Site]]:
    """Makes a site: `site(LOOPS, AIR, period_s=2)`; its daemon is gone after the test."""
    made: list[Site] = []

    def make(*parts: str, **words: Any) -> Site:
        made.append(Site(tmp_path, broker, *parts, **words))
        return made[-1]

    yield make
    for one in made:
        one.close()
