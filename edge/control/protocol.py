"""JSON lines on a Unix socket: a request, an answer. Both sides of it.

Request: `{"v": 1, "verb": "read", "device": "hut_air"}`. Answer: `{"ok": true, ...}` or
`{"ok": false, "error": "..."}`. One connection may carry many; a line is at most 64 KiB.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

VERSION: Final = 1
LINE: Final = 64 * 1024
CLIENTS: Final = 8
IDLE_S: Final = 60.0  # a client that says nothing gives its place to another
NAME: Final = "control.sock"

Verb = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class VerbError(Exception):
    """The request cannot be met; the text goes to the person who asked."""


class ControlServer:
    """Listens in the daemon. `verbs` maps a word to what answers it."""

    def __init__(self, folder: Path, verbs: Mapping[str, Verb]) -> None:
        self._path = folder / NAME
        self._verbs = verbs
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        old = os.umask(0o117)  # the owner and the group kerbstone
        try:
            self._server = await asyncio.start_unix_server(
                self._client, str(self._path), limit=LINE
            )
        finally:
            os.umask(old)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients > CLIENTS:
                writer.write(_line({"ok": False, "error": "too many clients; try again later"}))
                return
            while line := await asyncio.wait_for(reader.readline(), IDLE_S):
                writer.write(_line(await self._answer(line)))
                await writer.drain()
        except (ConnectionError, ValueError, TimeoutError):
            pass  # it went away, its line had no end, or it has nothing to say
        finally:
            self._clients -= 1
            writer.close()

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            return {"ok": False, "error": f"not JSON: {error}"}
        if not isinstance(request, dict) or request.get("v") != VERSION:
            return {"ok": False, "error": f"this daemon speaks version {VERSION} of the protocol"}
        verb = self._verbs.get(str(request.get("verb")))
        if verb is None:
            return {"ok": False, "error": f"unknown verb; known are {', '.join(self._verbs)}"}
        try:
            return {"ok": True, **await verb(request)}
        except VerbError as error:
            return {"ok": False, "error": str(error)}


def ask(
    folder: Path, verb: str, timeout_s: float = 10.0, **arguments: Any
) -> dict[str, Any] | None:
    """Ask a running daemon. None when there is none. Raises VerbError with the daemon's words."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        try:
            link.connect(str(folder / NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except PermissionError as error:
            raise VerbError(
                f"the daemon runs, but {error.filename or folder / NAME} is not open to you: "
                "join the group kerbstone or use sudo"
            ) from error
        link.sendall(_line({"v": VERSION, "verb": verb, **arguments}))
        try:
            answer = json.loads(link.makefile("rb").readline())
        except (TimeoutError, ValueError) as error:
            raise VerbError(f"the daemon gave no answer within {timeout_s:g} s") from error
    if not answer.pop("ok"):
        raise VerbError(answer["error"])
    return dict(answer)


def _line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
