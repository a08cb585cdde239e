"""The socket for a collector: HTTP as others speak it, and what strangers may send."""

import asyncio
import shutil
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.health.openmetrics import CONTENT_TYPE
from edge.health.scrape import CLIENTS_LIMIT, NAME, ScrapeServer

TEXT = "# TYPE kerbstone_rows gauge\nkerbstone_rows 1\n# EOF\n"


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    server = ScrapeServer(tmp_path, lambda: TEXT)
    await server.start()
    yield tmp_path
    await server.close()
    assert not (tmp_path / NAME).exists()


async def ask(folder: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(folder / NAME))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


async def test_metrics_are_served(folder: Path) -> None:
    answer = await ask(folder, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Type: {CONTENT_TYPE}\r\n".encode() in head
    assert f"Content-Length: {len(TEXT)}".encode() in head
    assert body.decode() == TEXT


async def test_only_the_owner_and_the_group_may_ask(folder: Path) -> None:
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o660


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics?name=a HTTP/1.1\r\n\r\n", b"200"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_other_requests_get_an_answer_that_says_why(
    folder: Path, request_: bytes, status: bytes
) -> None:
    answer = await ask(folder, request_)
    assert answer.startswith(b"HTTP/1.1 " + status)


async def test_who_says_nothing_is_cut_off(tmp_path: Path) -> None:
    server = ScrapeServer(tmp_path, lambda: TEXT, timeout_s=0.05)
    await server.start()
    try:
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / NAME))
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        assert await asyncio.wait_for(reader.read(), 30) == b""
        writer.close()
    finally:
        await server.close()


async def test_four_may_ask_and_the_fifth_comes_later(folder: Path) -> None:
    slow = [await asyncio.open_unix_connection(str(folder / NAME)) for _ in range(CLIENTS_LIMIT)]
    request = b"GET /metrics HTTP/1.1\r\n\r\n"
    answer = await ask(folder, request)
    assert answer.startswith(b"HTTP/1.1 503")
    for _, writer in slow:
        writer.close()
    async with asyncio.timeout(60):
        while not (await ask(folder, request)).startswith(b"HTTP/1.1 200"):
            await asyncio.sleep(0.01)


async def test_closing_ends_those_who_are_connected(tmp_path: Path) -> None:
    server = ScrapeServer(tmp_path, lambda: TEXT)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / NAME))
    await ask(tmp_path, b"GET /metrics HTTP/1.1\r\n\r\n")  # the first is known by now
    await server.close()
    assert len(asyncio.all_tasks()) == 1
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def test_numbers_that_the_format_cannot_say_are_an_answer_and_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def text() -> str:
        raise ValueError("kerbstone_rows is there twice")

    server = ScrapeServer(tmp_path, text)
    await server.start()
    try:
        answer = await ask(tmp_path, b"GET /metrics HTTP/1.1\r\n\r\n")
    finally:
        await server.close()
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"kerbstone_rows is there twice" in answer
    assert "cannot be given" in caplog.text
    assert "Unhandled" not in caplog.text


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
async def test_curl_reads_it(folder: Path) -> None:
    curl = await asyncio.create_subprocess_exec(
        *("curl", "-s", "-S", "-f", "--max-time", "30"),
        *("--unix-socket", str(folder / NAME), "http://localhost/metrics"),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await curl.communicate()
    assert curl.returncode == 0
    assert out.decode() == TEXT
