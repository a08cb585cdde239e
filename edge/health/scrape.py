"""`GET /metrics` on a Unix socket, for a collector on the box. HTTP/1.1, one answer a connection.

Source: RFC 9112. `curl --unix-socket /run/kerbstone/metrics.sock http://localhost/metrics`.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from edge.health.openmetrics import CONTENT_TYPE

LOG: Final = logging.getLogger("kerbstone.metrics")
NAME: Final = "metrics.sock"
REQUEST_LIMIT: Final = 8 * 1024  # bytes of a request
CLIENTS_LIMIT: Final = 4
TIMEOUT_S: Final = 5.0  # for the request, and for the answer to be taken
PLAIN: Final = "text/plain; charset=utf-8"


class ScrapeServer:
    """Listens in the daemon. `text` gives the exposition, at once; it may raise ValueError."""

    def __init__(self, folder: Path, text: Callable[[], str], timeout_s: float = TIMEOUT_S) -> None:
        self._path, self._text, self._timeout_s = folder / NAME, text, timeout_s
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def start(self) -> None:
        """Raises OSError when the folder cannot be written."""
        self._path.unlink(missing_ok=True)
        old = os.umask(0o117)  # the owner and the group kerbstone
        try:
            self._server = await asyncio.start_unix_server(
                self._client, str(self._path), limit=REQUEST_LIMIT
            )
        finally:
            os.umask(old)

    async def close(self) -> None:
        """Ends what is open, too."""
        if self._server is not None:
            self._server.close()
            self._server = None
            for writer in self._open.values():
                writer.transport.abort()
            if self._open:
                await asyncio.wait(tuple(self._open))
            self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._open) >= 2 * CLIENTS_LIMIT:
            writer.transport.abort()  # too many even to get that answer
            return
        self._open[task] = writer
        try:
            async with asyncio.timeout(self._timeout_s):
                if len(self._open) > CLIENTS_LIMIT:
                    writer.write(_answer("503 Service Unavailable", "too many clients\n"))
                else:
                    writer.write(await self._request(reader))
                await writer.drain()
            async with asyncio.timeout(self._timeout_s):
                await _leave(reader, writer)
        except (ConnectionError, TimeoutError):
            writer.transport.abort()  # it went away, or takes too long
        finally:
            del self._open[task]
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _answer("431 Request Header Fields Too Large", "at most 8 KiB\n")
        except asyncio.IncompleteReadError:
            return _answer("400 Bad Request", "this is no request of HTTP/1.1\n")
        words = head.split(b"\r\n", 1)[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _answer("400 Bad Request", "this is no request of HTTP/1.1\n")
        method, target, _ = words
        if method != b"GET":
            return _answer("405 Method Not Allowed", "only GET\n", "Allow: GET\r\n")
        if target.split(b"?", 1)[0] != b"/metrics":
            return _answer("404 Not Found", "there is only /metrics\n")
        try:
            text = self._text()
        except ValueError as error:  # a number that the format cannot say: the others wait for it
            LOG.error("the metrics cannot be given: %s", error)
            return _answer("500 Internal Server Error", f"the metrics cannot be given: {error}\n")
        return _answer("200 OK", text, kind=CONTENT_TYPE)


async def _leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that this was all; take what still comes, so that the answer is not lost to a reset."""
    if writer.can_write_eof():
        writer.write_eof()
    for _ in range(8):
        if not await reader.read(REQUEST_LIMIT):
            return


def _answer(status: str, body: str, more: str = "", kind: str = PLAIN) -> bytes:
    content = body.encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n"
        f"Connection: close\r\n{more}\r\n"
    )
    return head.encode("ascii") + content
