"""JSON lines on a Unix socket: a request, an answer. Both sides of it.

Request: `{"v": 1, "verb": "read", "device": "hut_air"}`. Answer: `{"ok": true, ...}` or
`{"ok": false, "error": "..."}`. One connection may carry many; a line is at most 128 KiB: a site
file of 60 KiB, each of whose line ends takes two bytes.

Nobody can keep others out by saying or reading nothing: when all places are taken, the client goes
who has kept the daemon waiting for longest. One whose question is being answered stays.
"""

import asyncio
import json
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from edge.core.printable import printable

VERSION: Final = 1
REQUEST_LIMIT: Final = 128 * 1024
CLIENTS_LIMIT: Final = 16
IDLE_S: Final = 60.0  # a client that says nothing for so long is put out
READ_S: Final = 5.0  # so is one that does not read its answer
LISTENS_S: Final = 1.0
ANSWER_LIMIT: Final = 4 << 20  # bytes of an answer that are read
SHOWN_VERB: Final = 64  # characters of an unknown verb that an answer repeats
FULL_TEXT: Final = "too many clients; try again later"
UNKNOWN_TEXT: Final = "Unknown command"  # as every version since 0.2.0 begins its answer
OLDER_TEXT: Final = (
    "the daemon that runs is of an older version and does not know this; restart it: "
    "`sudo systemctl restart kerbstone`"
)
FAULT_TEXT: Final = "the daemon failed at this ({}): a fault of the program; its log has more"
SOCKET_NAME: Final = "control.sock"
GROUP_MASK: Final = 0o117  # mode 0660: the owner and the group kerbstone
OWNER_MASK: Final = 0o177  # mode 0600
NO_DAEMON_TEXT: Final = "the program that answers is no daemon of this version"
DAEMON: Final = "the daemon"

LOG: Final = logging.getLogger("kerbstone")
T = TypeVar("T")
ControlVerb = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]


class VerbError(Exception):
    """The request cannot be met; the text goes to the person who asked."""


class UnknownVerbError(VerbError):
    """The daemon that runs does not know this verb: it is of an older version."""


class NoAnswerError(VerbError):
    """The daemon has not answered in time."""


class ControlServer:
    """Listens in the daemon. `verbs` maps a word to what answers it, `mask` closes its socket."""

    def __init__(
        self, folder: Path, verbs: Mapping[str, ControlVerb], mask: int = GROUP_MASK
    ) -> None:
        self._path, self._mask = folder / SOCKET_NAME, mask
        self._verbs = verbs
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.StreamWriter, bool] = {}  # oldest wait first; True: at work

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        old = os.umask(self._mask)
        try:
            self._server = await asyncio.start_unix_server(
                self._client, str(self._path), limit=REQUEST_LIMIT
            )
        finally:
            os.umask(old)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for each in self._clients:
            each.transport.abort()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= CLIENTS_LIMIT and not self._put_out():
            writer.write(_line({"ok": False, "error": FULL_TEXT}))
            writer.close()
            return
        try:
            while line := await self._waiting(writer, reader.readline(), IDLE_S):
                self._clients[writer] = True
                writer.write(_line(await self._answer(line)))
                await self._waiting(writer, writer.drain(), READ_S)
        except (ConnectionError, ValueError, TimeoutError):
            pass  # it went away, its line had no end, or it has nothing to say
        finally:
            self._clients.pop(writer, None)
            _end(writer)

    async def _waiting(
        self, writer: asyncio.StreamWriter, for_it: Awaitable[T], most_s: float
    ) -> T:
        """It is the client's turn: from now on it may lose its place."""
        self._clients.pop(writer, None)
        self._clients[writer] = False
        return await asyncio.wait_for(for_it, most_s)

    def _put_out(self) -> bool:
        """Whether there is a place now: that of the client who has kept us waiting for longest."""
        idle = next((each for each, at_work in self._clients.items() if not at_work), None)
        if idle is None:
            return False
        self._clients.pop(idle)
        idle.transport.abort()  # its task ends with a ConnectionError, or at the end of the stream
        return True

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            return {"ok": False, "error": f"not JSON: {error}"}
        if not isinstance(request, dict) or request.get("v") != VERSION:
            return {"ok": False, "error": f"this daemon speaks version {VERSION} of the protocol"}
        asked = str(request.get("verb"))
        verb = self._verbs.get(asked)
        if verb is None:
            word, known = printable(asked, SHOWN_VERB), ", ".join(self._verbs)
            text = f'{UNKNOWN_TEXT} "{word}". Known commands: {known}.'
            return {"ok": False, "error": text}
        try:
            return {"ok": True, **await verb(request)}
        except VerbError as error:
            return {"ok": False, "error": str(error)}
        except Exception:
            LOG.exception("the control verb %s failed: a fault of this program", asked)
            return {"ok": False, "error": FAULT_TEXT.format(asked)}


def ask_daemon(
    folder: Path, verb: str, timeout_s: float = 10.0, who: str = DAEMON, **arguments: Any
) -> dict[str, Any] | None:
    """Ask a running daemon. None when there is none. Raises VerbError with the daemon's words.

    `who` is what people call the one who answers, if it is another.

    All of it takes `timeout_s` at most, however slowly the answer drips.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        try:
            link.connect(str(folder / SOCKET_NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except PermissionError as error:
            raise VerbError(
                f"{who} runs, but {error.filename or folder / SOCKET_NAME} is not open to "
                "you: join the group kerbstone or use sudo"
            ) from error
        try:
            link.sendall(_line({"v": VERSION, "verb": verb, **arguments}))
            line = _one_line(link, time.monotonic() + timeout_s)
        except TimeoutError as error:
            raise NoAnswerError(f"{who} gave no answer within {timeout_s:g} s") from error
        except ConnectionError:  # put out, or the daemon ends
            line = b""
    if len(line) >= ANSWER_LIMIT:
        raise VerbError(NO_DAEMON_TEXT)
    if not line.endswith(b"\n"):
        if not _listens(folder):  # it was killed while it was asked
            return None
        raise VerbError(f"{who} has hung up: {FULL_TEXT}")
    try:
        answer = json.loads(line)
        if answer.pop("ok"):
            return dict(answer)
        if str(answer["error"]).startswith(UNKNOWN_TEXT):
            raise UnknownVerbError(str(answer["error"]))
        raise VerbError(str(answer["error"]))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise VerbError(NO_DAEMON_TEXT) from error


def _listens(folder: Path) -> bool:
    """Whether a daemon is there now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(LISTENS_S)
        try:
            link.connect(str(folder / SOCKET_NAME))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
    return True


def _one_line(link: socket.socket, end_s: float) -> bytes:
    """Up to its newline; less when the other side hangs up. Raises TimeoutError."""
    data = bytearray()
    while not data.endswith(b"\n") and len(data) < ANSWER_LIMIT:
        left_s = end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        link.settimeout(left_s)
        piece = link.recv(65536)
        if not piece:
            break
        data += piece
    return bytes(data)


def _end(writer: asyncio.StreamWriter) -> None:
    """Close it. One who does not read would keep an ordinary end waiting for ever."""
    if writer.transport.get_write_buffer_size():
        writer.transport.abort()
    else:
        writer.close()


def _line(message: Mapping[str, Any]) -> bytes:
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass") + b"\n"
