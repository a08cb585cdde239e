from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.platform.openstore import StorePlace, open_store
from edge.platform.recordstore import RecordStore
from tests.kit.command import kerbstone
from tests.kit.fixtures import mosquitto, postgres
from tests.kit.postgres import PostgresServer
from tests.kit.records import KINDS, POSTGRES

__all__ = ["kerbstone", "mosquitto", "postgres"]


@pytest.fixture(params=KINDS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Of a store that is a file."""
    return tmp_path / str(request.param)


@pytest.fixture
def store(path: Path) -> Iterator[RecordStore]:
    made = open_store(path, write=True)
    yield made
    made.close()


@pytest.fixture(params=[*KINDS, POSTGRES])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """Of a store of any kind."""
    if request.param == POSTGRES:
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.database()
    return tmp_path / str(request.param)
