from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.platform.store import Store, open_store
from tests.platform.records import KINDS
from tests.uplink.conftest import mosquitto

__all__ = ["mosquitto"]


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = open_store(path, write=True)
    yield made
    made.close()
