"""Datagrams as systemd would receive them."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.health import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A listener in the place of systemd, and what NOTIFY_SOCKET says about it."""
    abstract = request.param == "abstract"
    name = f"kerbstone-{os.getpid()}-{id(request)}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + name if abstract else name)
        server.settimeout(2)
        yield server, "@" + name if abstract else name


def test_each_message_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    server, name = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    assert notify.ready("3 devices")
    assert notify.status("all well")
    assert notify.alive()
    assert notify.stopping("asked to")
    assert [server.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=3 devices",
        b"STATUS=all well",
        b"WATCHDOG=1",
        b"STOPPING=1\nSTATUS=asked to",
    ]
    notify.close()
    assert not notify.alive()


def test_a_status_cannot_smuggle_another_message(manager: tuple[socket.socket, str]) -> None:
    server, name = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    assert notify.status("odd\nMAINPID=1\0" + "x" * 10_000 + "\udce9")
    datagram = server.recv(65536)
    assert datagram.startswith(rb"STATUS=odd\nMAINPID=1\x00xxx")
    assert b"\n" not in datagram
    assert len(datagram) < 600
    notify.close()


def test_children_inherit_nothing(manager: tuple[socket.socket, str]) -> None:
    environment = {
        "NOTIFY_SOCKET": manager[1],
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": str(os.getpid()),
        "HOME": "/",
    }
    notify = Notify(environment)
    assert environment == {"HOME": "/"}
    assert notify.watchdog_s == 15.0
    notify.close()


def test_without_systemd_nothing_happens() -> None:
    notify = Notify({})
    assert not notify.ready("here")
    assert not notify.alive()
    assert notify.watchdog_s is None
    notify.close()


@pytest.mark.parametrize(
    ("usec", "pid", "due_s"),
    [("30000000", "", 15.0), ("30000000", "1", None), ("", "", None), ("soon", "", None)],
)
def test_the_watchdog_counts_only_if_it_is_ours(usec: str, pid: str, due_s: float | None) -> None:
    environment = {"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}
    assert Notify(environment).watchdog_s == due_s


def test_a_listener_that_is_gone_or_never_reads_does_not_stop_us(tmp_path: Path) -> None:
    name = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(name)
        notify = Notify({"NOTIFY_SOCKET": name})
        results = [notify.alive() for _ in range(5000)]
        assert results[0]
        assert not results[-1], "the queue of a socket is shorter than this"
    assert not notify.alive()
    notify.close()
