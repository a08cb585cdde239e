"""Fixtures that several packages use; a conftest takes those that it wants by their names.

An example:

    from tests.kit.fixtures import broker, site

    __all__ = ["broker", "site"]
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.platform.openstore import open_store
from edge.platform.recordstore import RecordStore
from tests.kit.broker import BINARY, Mosquitto
from tests.kit.gateway import GatewayProcess
from tests.kit.memory import in_memory
from tests.kit.memorygroup import MemoryGroup, NoGroupError
from tests.kit.postgres import PostgresServer, missing, socket_folder
from tests.kit.rabbit import RabbitNode
from tests.kit.rabbit import missing as no_rabbit

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
def group() -> Iterator[MemoryGroup]:
    """A group of processes with a limit of memory of its own, if we may make one."""
    try:
        made = MemoryGroup()
    except NoGroupError as error:
        pytest.skip(str(error))
    yield made
    made.close()


@pytest.fixture
def mortal_postgres() -> Iterator[PostgresServer]:
    """A server of this test alone: to be killed, or to have roles."""
    if why := missing():
        pytest.skip(why)
    server = PostgresServer.made(socket_folder(), options=())
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a process; each takes a database of its own."""
    if why := missing():
        pytest.skip(why)
    server = PostgresServer.made(socket_folder())
    yield server
    server.stop()


@pytest.fixture
def url(postgres: PostgresServer) -> str:
    """Of a database of this test alone."""
    return postgres.database()


@pytest.fixture(name="store")
def postgres_store(url: str) -> Iterator[RecordStore]:
    """In the database of `url`."""
    made = open_store(url, write=True)
    yield made
    made.close()


@pytest.fixture(scope="session")
def rabbit() -> Iterator[RabbitNode]:
    """One RabbitMQ for all tests of a process; a test leaves its queues empty."""
    if why := no_rabbit():
        pytest.skip(why)
    node = RabbitNode(Path(tempfile.mkdtemp(prefix="rabbit-")) / "node").start()
    yield node
    node.stop()


@pytest.fixture
def site(tmp_path: Path, broker: Mosquitto) -> Iterator[Callable[..., GatewayProcess]]:
    """Makes a site: `site(LOOPS, AIR, period_s=2)`; its daemon is gone after the test."""
    made: list[GatewayProcess] = []

    def make(*parts: str, **words: Any) -> GatewayProcess:
        made.append(GatewayProcess(tmp_path, broker, *parts, **words))
        return made[-1]

    yield make
    for one in made:
        one.close()


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


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    """In memory: these tests are about order, not about speed."""
    with in_memory(tmp_path) as folder:
        yield folder
