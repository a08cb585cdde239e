"""A whole city on one machine. It is tried when it is asked for: `make city-test`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.broker.rabbitmq import cluster
from edge.fleet.boxrecords import gateway_names
from edge.rig.smalldisk import SmallDisk
from tests.cluster.rabbit import Rabbit
from tests.kit.onlynamed import left_out
from tests.kit.postgres import PostgresServer, missing, socket_folder

HERE = Path(__file__).parent
GATEWAYS = int(os.environ.get("GATEWAYS", "60"))
DURABLE = ("-c", "synchronous_commit=on", "-c", "max_wal_size=256MB")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """It takes many minutes."""
    return left_out(HERE, collection_path, config)


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """Three nodes; GATEWAYS gateways have certificates and are admitted."""
    if not cluster.installed():
        pytest.skip("RabbitMQ is not installed: apt install rabbitmq-server")
    if why := missing():
        pytest.skip(why)
    names = list(gateway_names("gw-00001", GATEWAYS))
    made = Rabbit(tmp_path_factory.mktemp("city"), names=names)
    try:
        made.start()
        made.settle(300)
        yield made
    finally:
        made.stop()


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    made = SmallDisk(socket_folder(), (512 << 20) + GATEWAYS * (4 << 20))
    yield made
    made.close()


@pytest.fixture
def postgres(disk: SmallDisk) -> Iterator[PostgresServer]:
    server = PostgresServer.made(disk.folder, options=DURABLE)
    yield server
    server.stop()
