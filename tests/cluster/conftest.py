"""A RabbitMQ cluster for these tests. They run when they are asked for: `make cluster-test`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.broker.rabbitmq import cluster
from tests.cluster.rabbit import Rabbit
from tests.kit.onlynamed import left_out

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Three nodes and their kills take minutes."""
    return left_out(HERE, collection_path, config)


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """One cluster for all tests: each leaves three nodes that run, and its gateways admitted."""
    if not cluster.installed():
        pytest.skip("RabbitMQ is not installed: apt install rabbitmq-server")
    made = Rabbit(tmp_path_factory.mktemp("city"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
