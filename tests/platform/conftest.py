from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.platform.recordstore import RecordStore, open_store
from tests.platform.made_records import KINDS
from tests.uplink.conftest import mosquitto

__all__ = ["mosquitto"]


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / str(request.param)


@pytest.fixture
def store(path: Path) -> Iterator[RecordStore]:
    made = open_store(path, write=True)
    yield made
    made.close()
