"""`kerbstone sink` as processes, between a RabbitMQ and a database."""

import contextlib
import json
import subprocess
from collections.abc import Iterator

import pytest

from edge.platform.openstore import open_store
from edge.platform.receivedrecord import ReceivedRecord
from edge.platform.recordqueue import QUEUE
from tests.kit.platform import COMMAND, ROOT
from tests.kit.postgres import PostgresServer
from tests.kit.rabbit import RabbitNode
from tests.kit.records import GW


class SinkProcess:
    """One of them, which consumes when it is made."""

    def __init__(self, rabbit: RabbitNode, database: str, *options: str) -> None:
        words = ["--broker", rabbit.amqp_url, "--database", database, "--username", "guest",
                 "--password-file", str(rabbit.password_file), "--json", *options]  # fmt: skip
        self._process = subprocess.Popen(
            [*COMMAND, "sink", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, cwd=ROOT,
        )  # fmt: skip
        if "consuming at " not in (said := self.line()):
            raise AssertionError(said + self._process.communicate(timeout=60)[1])

    def line(self) -> str:
        """The next one that it says."""
        assert self._process.stderr is not None
        return self._process.stderr.readline()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate(timeout=60)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def left(self) -> tuple[int, str]:
        """Exit code of one that has ended by itself, and what it said."""
        err = self._process.communicate(timeout=60)[1]
        return self._process.returncode, err

    def stop(self) -> tuple[int, dict[str, int], str]:
        """Exit code, counts, and what it said."""
        self._process.terminate()
        out, err = self._process.communicate(timeout=60)
        return self._process.returncode, json.loads(out), err


class Sinks:
    """Any number of them on one database."""

    def __init__(self, rabbit: RabbitNode, database: str) -> None:
        self.rabbit, self.database = rabbit, database
        self._made: list[SinkProcess] = []

    def start(self, *options: str) -> SinkProcess:
        self._made.append(SinkProcess(self.rabbit, self.database, *options))
        return self._made[-1]

    def close(self) -> None:
        for one in self._made:
            one.kill()

    def stored(self, gw: str = GW) -> list[ReceivedRecord]:
        store = open_store(self.database, write=False)
        with contextlib.closing(store):
            return list(store.records(gw))

    @property
    def numbers(self) -> list[int]:
        return [each.key[3] for each in self.stored() if each.key[2] == "air"]

    def empty(self) -> bool:
        return self.rabbit.waiting(QUEUE) == 0


@pytest.fixture
def sinks(rabbit: RabbitNode, postgres: PostgresServer) -> Iterator[Sinks]:
    made = Sinks(rabbit, postgres.database())
    yield made
    made.close()
