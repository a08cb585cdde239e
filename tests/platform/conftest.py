from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.platform.openstore import open_store
from edge.platform.recordstore import RecordStore
from tests.kit.command import kerbstone
from tests.kit.fixtures import mosquitto
from tests.kit.records import KINDS

__all__ = ["kerbstone", "mosquitto"]


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.fixture
def store(path: Path) -> Iterator[RecordStore]:
    made = open_store(path, write=True)
    yield made
    made.close()
