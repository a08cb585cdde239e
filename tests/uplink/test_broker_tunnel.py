"""Through an HTTP proxy to a real broker; and proxies that refuse, babble, drip or say nothing."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.core import ConfigError
from edge.uplink.broker import MAX_RESPONSE_BYTES, make_broker, open_tunnel, parse_proxy
from tests.kit.broker import Make
from tests.kit.uplink import GW, box, drafts
from tests.kit.waiting import until


@contextlib.asynccontextmanager
async def proxy(asked: list[str]) -> AsyncIterator[int]:
    """One that lets everybody through, whatever name he says, to the port that he names."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.split("\r\n")[0])
        port = int(asked[0].split()[1].rpartition(":")[2])
        up, down = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pipe(reader, down), pipe(up, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_records_go_through_a_proxy_that_knows_the_brokers_name(
    mosquitto: Make, tmp_path: Path
) -> None:
    broker, asked = mosquitto(), list[str]()
    async with proxy(asked) as port:
        # only the proxy knows this name
        url = f"mqtt://broker.city.invalid:{broker.port}"
        through = make_broker(url, GW, proxy=f"http://127.0.0.1:{port}")
        async with box(tmp_path, through) as gateway:
            gateway.connect()
            await gateway.commit(drafts(0, 3))
            await until(lambda: gateway.sender.counts.confirmed == 3)
    assert asked == [f"CONNECT broker.city.invalid:{broker.port} HTTP/1.1"]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication"),
        (b"HTTP/1.0 503\r\n\r\n", "503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * MAX_RESPONSE_BYTES, "cannot be read"),
        (b"HTTP/1.1 200", "cannot be read"),
        (b"", "cannot be read"),
        (b"\xff\x00\n\n", "does not speak HTTP"),
    ],
)
def test_a_proxy_that_does_not_let_through_is_an_error_with_its_words(
    answer: bytes, word: str
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionError, match=word):
            open_tunnel(ours, "::1", 8883, time.monotonic() + 30)
        assert theirs.recv(999).startswith(
            b"CONNECT [::1]:8883 HTTP/1.1\r\nHost: [::1]:8883\r\n\r\n"
        )


def test_an_answer_without_an_end_is_read_so_far_and_no_further() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (MAX_RESPONSE_BYTES // 6 + 1))
        with pytest.raises(ConnectionError, match="cannot be read"):  # and not: too slow
            open_tunnel(ours, "broker", 8883, time.monotonic() + 5)


def test_a_proxy_that_drips_is_cut_off() -> None:
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                theirs.send(b"H")

    dripping = threading.Thread(target=drip)
    dripping.start()
    began_s = time.monotonic()
    with ours, theirs:
        with pytest.raises(TimeoutError):
            open_tunnel(ours, "broker", 8883, began_s + 0.4)
        ended.set()
        dripping.join()


@pytest.mark.parametrize(
    "text",
    ["proxy:3128", "https://p:1", "http://p", "http://p:0", "http://p:65536", "http://u@p:1"],
)
def test_what_is_no_proxy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="http://host:port"):
        parse_proxy(text)
    with pytest.raises(ConfigError, match=r"uplink\.proxy"):
        make_broker("mqtts://b", GW, proxy=text)
