"""What RabbitMQ refuses a sink is one clear sentence, and no lost connection."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from edge.platform.recordqueue import QUEUE
from tests.kit.fixtures import rabbit
from tests.kit.platform import COMMAND, ROOT, gateway
from tests.kit.rabbit import RabbitNode
from tests.kit.records import E1, record
from tests.kit.waiting import until
from tests.platform.sinkprocess import Sinks, sinks

__all__ = ["rabbit", "sinks"]

USER = "sink-under-test"
READS, WRITES = r"^kerbstone\.records$", r"^amq\.topic$"


@pytest.fixture(autouse=True)
def user(rabbit: RabbitNode) -> Iterator[None]:
    """With the password of `guest`, and the rights of definitions.json."""
    rabbit.ctl("add_user", USER, "guest")
    allow(rabbit, write=WRITES, read=READS)
    yield
    rabbit.ctl("delete_user", USER)


def allow(rabbit: RabbitNode, *, write: str = "^$", read: str = "^$") -> None:
    rabbit.ctl("set_permissions", USER, "^$", write, read)


def refused(sinks: Sinks, name: str = USER) -> str:
    """What one says that does not come to consume."""
    words = ["--broker", sinks.rabbit.amqp_url, "--database", sinks.database, "--username", name,
             "--password-file", str(sinks.rabbit.password_file)]  # fmt: skip
    done = subprocess.run([*COMMAND, "sink", *words], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), done.stderr
    return done.stderr.removeprefix("kerbstone sink: no broker can be used: ")


def test_a_login_that_is_refused(sinks: Sinks) -> None:
    assert re.match(
        r"127.0.0.1:\d+: RabbitMQ refuses the login: ACCESS_REFUSED - ", refused(sinks, "nobody")
    )


def test_a_virtual_host_that_is_not_allowed(sinks: Sinks) -> None:
    sinks.rabbit.ctl("clear_permissions", USER)
    assert "this user may not use the virtual host /, or there are too many" in refused(sinks)


def test_a_queue_that_is_missing_and_may_not_be_made(sinks: Sinks) -> None:
    sinks.start().stop()
    sinks.rabbit.ctl("delete_queue", QUEUE)
    assert refused(sinks).startswith(f"there is no queue {QUEUE}, and this user may not make it: ")


def test_a_queue_that_may_not_be_read(sinks: Sinks) -> None:
    sinks.start().stop()
    allow(sinks.rabbit, write=WRITES)
    assert refused(sinks).startswith(f"this user may not read the queue {QUEUE}: ACCESS_REFUSED - ")


async def test_receipts_that_may_not_be_published(sinks: Sinks) -> None:
    """What is stored leaves the queue all the same: a sink that is started again and again would
    raise its count of deliveries until it lies in `kerbstone.dead`."""
    sinks.start().stop()
    allow(sinks.rabbit, read=READS)
    sink = sinks.start("--username", USER)
    async with gateway(sinks.rabbit) as one:
        await one.publish(record(1))
        await until(lambda: sink.ended, 30)
        code, said = sink.left()
        assert code == 3
        assert "connection lost" not in said
        assert said.count("this user may not publish receipts: ACCESS_REFUSED - ") == 1
        sinks.start()
        await one.publish(record(2))
        await until(lambda: (E1, "air", 2) in one.receipted)
        assert one.receipted == {(E1, "air", 2)}, "the first one came again"
        await until(sinks.empty)


async def test_a_queue_that_is_deleted_is_made_again_by_who_may(sinks: Sinks) -> None:
    sink = sinks.start()
    sinks.rabbit.ctl("delete_queue", QUEUE)
    assert "the queue kerbstone.records was deleted; trying again" in sink.line()
    assert "consuming at" in sink.line()
    async with gateway(sinks.rabbit) as one:
        await one.publish(record(1))
        await until(lambda: (E1, "air", 1) in one.receipted)
    code, counts, said = sink.stop()
    assert (code, counts["stored"], counts["reconnections"]) == (0, 1, 1)
    assert "connection lost" not in said


async def test_a_queue_that_is_deleted_ends_who_may_not_make_it(sinks: Sinks) -> None:
    sinks.start().stop()
    sink = sinks.start("--username", USER)
    sinks.rabbit.ctl("delete_queue", QUEUE)
    await until(lambda: sink.ended, 30)
    code, said = sink.left()
    assert (code, said.count("\n")) == (3, 2)
    assert "the queue kerbstone.records was deleted" in said
    assert f"there is no queue {QUEUE}, and this user may not make it: " in said


async def test_a_login_that_is_refused_later_is_said_once(sinks: Sinks) -> None:
    """Another one of the nodes may let it in; and the password may come back."""
    sinks.start().stop()
    sink = sinks.start("--username", USER)
    sinks.rabbit.ctl("change_password", USER, "another")
    sinks.rabbit.ctl("close_all_connections", "a test")
    assert "connection lost (" in (first := sink.line())
    assert "a test" in first
    assert ": RabbitMQ refuses the login: ACCESS_REFUSED - " in sink.line()
    sinks.rabbit.ctl("change_password", USER, "guest")
    assert "consuming at" in sink.line()
    assert sink.stop()[::2] == (0, "")
