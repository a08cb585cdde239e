"""The link between box and broker: each fault as it says, and what it counts."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from edge.rig.brokerlink import CHUNK, MODES, BrokerLink, LinkFault, LinkMode

WAIT_S = 0.4  # nothing comes within this time


class Echo:
    """A server that repeats what it hears."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._repeat, args=(client,), daemon=True).start()

    def _repeat(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while data := client.recv(4096):
                client.sendall(data)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with closing(Echo()) as one:
        yield one


@pytest.fixture
def link(echo: Echo) -> Iterator[BrokerLink]:
    with BrokerLink("127.0.0.1", echo.port) as one:
        yield one


@contextmanager
def connected(link: BrokerLink) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", link.port), 10) as sock:
        sock.settimeout(10)
        yield sock


def said(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := sock.recv(4096)):
        found += more
    return found


def is_silent(sock: socket.socket) -> bool:
    sock.settimeout(WAIT_S)
    try:
        return not sock.recv(10) and False
    except TimeoutError:
        return True
    finally:
        sock.settimeout(10)


def has_ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(10) == b""
    except ConnectionError:
        return True


def test_it_carries_everything_unchanged(link: BrokerLink) -> None:
    text = bytes(range(256)) * 2000
    with connected(link) as sock:
        threading.Thread(target=sock.sendall, args=(text,)).start()
        assert said(sock, len(text)) == text
    assert link.counts.connections == 1
    assert link.counts.bytes_up == len(text)
    assert link.counts.swallowed == 0


def test_while_it_is_down_connections_end_and_none_is_made(link: BrokerLink) -> None:
    with connected(link) as sock:
        sock.sendall(b"one")
        assert said(sock, 3) == b"one"
        link.set(LinkFault("down"))
        assert has_ended(sock)
    with connected(link) as sock:
        assert has_ended(sock)
    assert (link.counts.ended, link.counts.refused) == (1, 1)
    link.set(LinkFault("fine"))
    with connected(link) as sock:
        sock.sendall(b"two")
        assert said(sock, 3) == b"two"


def test_a_reset_ends_each_connection_once(link: BrokerLink) -> None:
    with connected(link) as one, connected(link) as other:
        for sock in (one, other):
            sock.sendall(b"x")
            assert said(sock, 1) == b"x"
        link.reset()
        assert has_ended(one)
        assert has_ended(other)
    with connected(link) as sock:
        sock.sendall(b"x")
        assert said(sock, 1) == b"x"
    assert link.counts.ended == 2


def test_a_black_hole_keeps_connections_open_and_carries_nothing(link: BrokerLink) -> None:
    with connected(link) as old:
        old.sendall(b"x")
        assert said(old, 1) == b"x"
        link.set(LinkFault("black_hole"))
        with connected(link) as new:
            old.sendall(b"y")
            new.sendall(b"z")
            assert is_silent(old)
            assert is_silent(new)
            assert link.counts.swallowed >= 2
            link.set(LinkFault("fine"))
            old.sendall(b"y")
            assert is_silent(old)  # it has lost bytes: it stays dead
    with connected(link) as sock:
        sock.sendall(b"x")
        assert said(sock, 1) == b"x"


def test_latency_delays_both_ways_and_keeps_the_order(link: BrokerLink) -> None:
    link.set(LinkFault("latency", 0.3))
    with connected(link) as sock:
        began = time.monotonic()
        for number in range(20):
            sock.sendall(bytes([number]) * CHUNK)
        assert said(sock, 20 * CHUNK) == b"".join(bytes([n]) * CHUNK for n in range(20))
        took_s = time.monotonic() - began
    assert took_s >= 2 * 0.3 * 0.8
    assert took_s < 4.0  # not one after the other
    assert link.counts.delayed >= 40


def test_a_narrow_way_takes_its_time(link: BrokerLink) -> None:
    link.set(LinkFault("bandwidth", 80.0))  # 10 kB/s
    with connected(link) as sock:
        began = time.monotonic()
        sock.sendall(bytes(8000))
        said(sock, 8000)
        assert time.monotonic() - began >= 0.8


def test_lost_chunks_leave_a_damaged_stream(link: BrokerLink) -> None:
    link.set(LinkFault("chunk_loss", 0.5))
    with connected(link) as sock:
        for number in range(64):
            sock.sendall(bytes([number]) * CHUNK)
        sock.settimeout(WAIT_S)
        found = b""
        with suppress(TimeoutError):
            while True:
                found += sock.recv(4096)
    assert 0 < len(found) < 64 * CHUNK
    assert link.counts.swallowed > 0


@pytest.mark.parametrize("mode", MODES)
def test_it_ends_whatever_it_does(echo: Echo, mode: LinkMode) -> None:
    link = BrokerLink("127.0.0.1", echo.port).start()
    link.set(LinkFault(mode, 0.5))
    with connected(link) as sock, suppress(ConnectionError):
        sock.sendall(bytes(20_000))
        began = time.monotonic()
        link.stop()
        assert time.monotonic() - began < 5
        link.stop()  # twice is no harm


def test_nobody_behind_it_is_a_connection_that_ends(echo: Echo) -> None:
    with BrokerLink("127.0.0.1", echo.port) as link:
        echo.close()
        with connected(link) as sock:
            assert has_ended(sock)
        assert link.counts.refused == 1
