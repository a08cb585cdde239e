from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.uplink.broker import BINARY, Mosquitto


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Makes brokers: `mosquitto()` or `mosquitto(conf)`; all are gone after the test."""
    if not Path(BINARY).exists():
        pytest.skip("mosquitto is not installed")
    made: list[Mosquitto] = []

    def make(conf: str = "allow_anonymous true\n") -> Mosquitto:
        made.append(Mosquitto(tmp_path / f"broker{len(made)}", conf).start())
        return made[-1]

    yield make
    for one in made:
        one.kill()
