"""A server that is slow, endless or mad, and a proxy that is: bounded time and memory, asked again.

The limits are made small here; how long a box waits between two tries is virtual.
"""

import gc
import http.client
import itertools
import select
import socket
import ssl
import struct
import threading
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest

from edge.identity import httpsclient
from edge.identity.floorclock import FloorClock
from edge.identity.httpsclient import AbortableConnection, HttpsReply, HttpsRequest
from edge.identity.network import Network
from tests.identity.city import Answer, EnrolmentCity
from tests.identity.enrolling_box import EnrollingGateway, NappingClock, date
from tests.identity.server import server
from tests.long import one_in

QUIET_S, WHOLE_S = 0.2, 0.4
SLACK_S = 5.0  # for a machine that has other things to do
LEAST = 4 << 20  # bytes: more than everything that is right here
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/pkcs7-mime\r\n"
LIMITS = httpsclient.IDLE_TIMEOUT_S, httpsclient.TOTAL_TIMEOUT_S


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(httpsclient, "IDLE_TIMEOUT_S", QUIET_S)
    monkeypatch.setattr(httpsclient, "TOTAL_TIMEOUT_S", WHOLE_S)


def drip(peer: socket.socket, data: Iterator[bytes]) -> None:
    for each in data:
        peer.sendall(each)
        time.sleep(0.02)


def flood(peer: socket.socket, data: bytes) -> None:
    peer.settimeout(QUIET_S)  # a box that has hung up leaves it with a full window
    while True:
        peer.sendall(data)


def once(data: bytes) -> Callable[[ssl.SSLSocket], None]:
    return lambda peer: peer.sendall(data)


def first(head: bytes, more: Callable[[ssl.SSLSocket], None]) -> Callable[[ssl.SSLSocket], None]:
    def act(peer: ssl.SSLSocket) -> None:
        peer.sendall(head)
        more(peer)

    return act


DRIPS = {
    "the header drips": first(OK + b"X-Slow: ", lambda peer: drip(peer, itertools.repeat(b"a"))),
    "the body drips": first(
        OK + b"Content-Length: 100000\r\n\r\n", lambda peer: drip(peer, itertools.repeat(b"A"))
    ),
    "chunks drip": first(
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        lambda peer: drip(peer, itertools.repeat(b"1\r\nA\r\n")),
    ),
    "always `go on`": lambda peer: drip(peer, itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "it says nothing": lambda peer: time.sleep(QUIET_S * 1.5),
}
FLOODS = {
    "a header without an end": first(OK + b"X: ", lambda peer: flood(peer, b"a" * 65536)),
    "headers without an end": first(OK, lambda peer: flood(peer, b"X-One: 1\r\n" * 4096)),
    "a body without an end": first(OK + b"\r\n", lambda peer: flood(peer, b"A" * 65536)),
    "chunks without an end": first(
        OK + b"Transfer-Encoding: chunked\r\n\r\n",
        lambda peer: flood(peer, b"10000\r\n" + b"A" * 65536 + b"\r\n"),
    ),
    "a chunk without an end": first(
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        lambda peer: flood(peer, b"A" * 65536),
    ),
    "`go on` without an end": lambda peer: flood(peer, b"HTTP/1.1 100 Continue\r\n\r\n" * 999),
}
RUBBISH = {
    "nothing at all": once(b""),
    "no HTTP": once(b"SSH-2.0-dropbear\r\n" + bytes(range(256)) * 9),
    "a length below zero": once(OK + b"Content-Length: -5\r\n\r\nAAAAAAAA"),
    "a body that is cut": once(OK + b"Content-Length: 9000\r\n\r\n" + b"MIIB" * 99),
    "a chunk that is cut": once(OK + b"Transfer-Encoding: chunked\r\n\r\nfff\r\nMIIB"),
    "a chunk of no number": once(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "a status of no number": once(b"HTTP/1.1 abc\r\n\r\n"),
}
KINDS = {**DRIPS, **FLOODS, **RUBBISH}


def boxed(
    root: Path, city: EnrolmentCity, port: int, network: Network | None = None
) -> EnrollingGateway:
    box = EnrollingGateway(root, city, NappingClock(date(1970)))
    box.ask = httpsclient.https_request
    box.insert(city.claim(enrol=f"https://localhost:{port}", network=network))
    return box


class SlowEnd(NamedTuple):
    """What has become of a box that met such a server: peak of bytes, seconds, its pauses."""

    outcome: str
    most: int
    took_s: float
    naps: int
    wrong: list[str]


def meet(root: Path, kind: str, asked: str) -> SlowEnd:
    """One question of a box is answered so, and the next as it should be."""
    city = EnrolmentCity()
    bad: list[str] = []
    unheard = 0  # times that its time was over before the server had read anything

    def ask(request: HttpsRequest, clock: FloorClock) -> HttpsReply:
        """Only the question that is answered so has little time: any other takes what it takes."""
        nonlocal unheard
        first = request.name == asked and not bad
        hurried = first and kind not in RUBBISH
        limits = (QUIET_S, WHOLE_S) if hurried else LIMITS
        httpsclient.IDLE_TIMEOUT_S, httpsclient.TOTAL_TIMEOUT_S = limits  # type: ignore[misc]
        try:
            return httpsclient.https_request(request, clock)
        finally:
            unheard += first and not bad

    with server(city, root) as one:

        def instead(peer: ssl.SSLSocket) -> bool:
            name = one.heard.rsplit(b" HTTP/1.1\r\n", 1)[0].rpartition(b"/")[2].decode()
            if name != asked or bad:
                return False
            bad.append(name)
            KINDS[kind](peer)
            return True

        one.instead = instead
        box = boxed(root / "box", city, one.port)
        box.ask = ask
        tracemalloc.start()
        start_s = time.monotonic()
        try:
            outcome = box.power().run()
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    naps = len(box.clock.naps) - unheard
    return SlowEnd(outcome, most, time.monotonic() - start_s, naps, box.wrong())


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    """A process that has done nothing else, but this once: the first time is slow.

    In one that has read the whole suite a box seemed to take 8.7 MB now and then: with its
    174,763rd string Python makes its table of interned strings anew, 7.7 MB at one time.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pool.submit(meet, tmp_path_factory.mktemp("first"), "no HTTP", "simpleenroll").result(120)
        yield pool


@one_in(3)
@pytest.mark.parametrize(
    ("kind", "asked"),
    [*((kind, "simpleenroll") for kind in KINDS), *((kind, "config") for kind in RUBBISH)],
)
def test_whatever_a_server_sends_it_is_left_and_asked_again(
    tmp_path: Path, apart: ProcessPoolExecutor, kind: str, asked: str
) -> None:
    ended = apart.submit(meet, tmp_path, kind, asked).result(120)
    assert ended.outcome == "enrolled"
    assert ended.took_s < WHOLE_S + SLACK_S
    assert ended.most < LEAST, f"{ended.most} bytes"
    assert ended.naps == 1, "a pause, and one more try"
    assert ended.wrong == []


@pytest.mark.parametrize(
    "after",
    ["9" * 20, "9999999", "-1", "0", "1e9", "²", "", "Fri, 01 Jan 2100", "x" * 999],
)  # fmt: skip
def test_a_server_cannot_make_a_box_wait_for_ever_or_never(tmp_path: Path, after: str) -> None:
    city = EnrolmentCity()
    with server(city, tmp_path) as one:
        box = boxed(tmp_path / "box", city, one.port)

        def change(name: str, answer: Answer) -> Answer:
            later = name == "simpleenroll" and len(box.clock.naps) < 2
            return (202, {"Retry-After": after}, b"") if later else answer

        one.change = change
        assert box.power().run() == "enrolled"
    assert all(5 <= nap <= 1.2 * 3600 for nap in box.clock.naps)


@contextmanager
def proxy(act: Callable[[socket.socket], None]) -> Iterator[int]:
    """Takes connections one after another, and behaves as it is told."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with peer, suppress(OSError):
                act(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(20)


PROXIES: dict[str, Callable[[socket.socket], None]] = {
    "drips": lambda peer: drip(peer, itertools.chain([b"HTTP/1.1 200 "], itertools.repeat(b"a"))),
    "floods": lambda peer: flood(peer, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 999),
    "refuses": lambda peer: peer.sendall(b"HTTP/1.1 407 Who are you\r\n\r\n"),
    "is no proxy": lambda peer: peer.sendall(b"220 mail ESMTP\r\n"),
    "opens, and drips no TLS": lambda peer: drip(
        peer, itertools.chain([b"HTTP/1.1 200 OK\r\n\r\n\x16"], itertools.repeat(b"\x03"))
    ),
}


@one_in(2)
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_of_any_kind_is_left_in_time(tmp_path: Path, kind: str) -> None:
    class Enough(BaseException):
        pass

    def enough() -> None:
        raise Enough

    city = EnrolmentCity()
    with proxy(PROXIES[kind]) as port:
        network = Network(kind="ethernet", proxy=f"http://127.0.0.1:{port}")
        box = boxed(tmp_path / "box", city, 8443, network=network)
        box.clock.then = enough
        start_s = time.monotonic()
        with pytest.raises(Enough):
            box.power().run()
    assert time.monotonic() - start_s < WHOLE_S + SLACK_S
    assert "the enrolment server" in box.status


def test_a_connection_that_was_reset_before_tls_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ssl` forgets to close it, when it has ended between TCP and TLS."""
    plain = http.client.HTTPConnection.connect

    def reset(self: http.client.HTTPConnection) -> None:
        plain(self)
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        select.select([self.sock], [], [], 10)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", reset)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        connection = AbortableConnection(listener.getsockname(), "localhost", made)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            with pytest.raises(OSError, match="not connected"):
                connection.connect()
            connection.close()
            gc.collect()
    assert [str(each.message) for each in warned] == []
