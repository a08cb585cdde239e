"""A GPIO chip without a kernel: a test or the demo drives its wires, other processes request them.

Served on a Unix socket (`sim:/path` in a configuration), or within one process through `connect`.
A connection stands for a file descriptor: one for the chip, one for each requested line. Packets
(SOCK_SEQPACKET) are JSON objects both ways; `read` is answered by `E` and rows of (stamp, number
in the request, number of the line, rising), and a lone `!` says that edges wait. A client takes
edges when it asks, so a slow one overflows its buffer here, as it would in the kernel.
Source: Linux drivers/gpio/gpiolib-cdev.c and include/uapi/linux/gpio.h, version 2 line requests.
"""

import errno
import json
import os
import selectors
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from drivers.sim.gpio_lines import RequestedLine, RequestSettings, SimLine
from drivers.sim.gpio_link import ChipConnection, LocalLink
from drivers.sim.simplace import clear_socket

PACKET: Final = 65_536
WAITING: Final = b"!"
ROW: Final = struct.Struct("<QIIB")
READ_MAX: Final = 1024
CONSUMER_MAX: Final = 31  # characters; the kernel keeps 32 bytes with a zero at the end


class SimChip:
    """Lines named `names` ("" for a line without a name). `drive` is the wire.

    With `socket_path` it serves other processes from a thread between `start` and `close`.
    Time comes with each call of `drive` and `settle`; with `clock_ns` a period of debouncing ends
    by itself too, when that clock says so.
    """

    def __init__(
        self,
        names: Sequence[str],
        socket_path: str | Path | None = None,
        label: str = "sim",
        clock_ns: Callable[[], int] | None = None,
    ) -> None:
        self.label = label
        self.path = None if socket_path is None else Path(socket_path)
        self.lines = [SimLine(number, name) for number, name in enumerate(names)]
        self._by_name = _names(names)
        self._clock_ns = clock_ns
        self._changed = threading.Condition(threading.RLock())  # a request, a read, an end
        self._connections: list[ChipConnection] = []
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread: threading.Thread | None = None
        self._stop = False

    def __enter__(self) -> "SimChip":
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # the wire's side

    def drive(self, line: int | str, level: bool | None, mono_ns: int) -> None:
        """From `mono_ns` on the wire is high or low, or nothing drives it (None)."""
        with self._changed:
            wire = self._line(line)
            wire.drive(level, mono_ns)
            if wire.holder is not None and wire.holder.due_ns is not None:
                self._wake()

    def settle(self, mono_ns: int) -> None:
        """Time has come to `mono_ns`: levels that are debounced and held long enough count."""
        with self._changed:
            for wire in self.lines:
                if wire.holder is not None:
                    wire.holder.settle(mono_ns)

    def level(self, line: int | str) -> bool:
        """What a meter on the wire would show: an output's level, what drives it, or the bias."""
        with self._changed:
            return self._line(line).level()

    def consumer(self, line: int | str) -> str:
        """Who has requested the line; "" when nobody has."""
        with self._changed:
            held = self._line(line).holder
            return "" if held is None else held.consumer

    def waiting(self) -> int:
        """The longest queue of edges that a client has not read yet."""
        with self._changed:
            return max((wire.holder.waiting for wire in self.lines if wire.holder), default=0)

    def wait_read(self, most: int = 0, timeout_s: float = 10.0) -> bool:
        """Wait until no client has more than `most` edges to read. False when time runs out."""
        with self._changed:
            return self._changed.wait_for(lambda: self.waiting() <= most, timeout_s)

    def wait_requested(self, lines: Iterable[int | str], timeout_s: float = 10.0) -> bool:
        """Wait until all of `lines` are requested. False when time runs out."""
        wanted = [self._line(line) for line in lines]
        with self._changed:
            return self._changed.wait_for(
                lambda: all(wire.holder is not None for wire in wanted), timeout_s
            )

    # the clients' side

    def connect(self) -> LocalLink:
        """A link within this process: questions are answered in the caller's thread."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection = ChipConnection(theirs)
        with self._changed:
            self._connections.append(connection)
        return LocalLink(mine, partial(self.handle, connection), partial(self.leave, connection))

    def start(self) -> None:
        """Serve the socket, if there is one. Raises OSError when the path cannot be bound.

        A socket that nobody serves any more is replaced.
        """
        if self.path is None or self._thread is not None:
            return
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            clear_socket(self.path, socket.SOCK_SEQPACKET)
            listener.bind(str(self.path))
            listener.listen(64)
        except OSError:
            listener.close()
            raise
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="sim-gpio", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """The chip is unplugged: every request ends, the socket is gone."""
        self._stop = True
        if self._thread is not None:
            self._wake()
            self._thread.join()
            self._thread = None
        with self._changed:
            for connection in list(self._connections):
                self.leave(connection)
        if self._wake_write >= 0:
            self._selector.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            self._wake_read = self._wake_write = -1

    def handle(self, connection: ChipConnection, packet: bytes) -> None:
        """Answer one packet of a client."""
        with self._changed:
            try:
                question = json.loads(packet)
                if not isinstance(question, dict):
                    raise OSError(errno.EINVAL, "not an object")
                answer = self._answer(connection, question)
            except OSError as error:
                answer = _packed({"errno": error.errno})
            except (ValueError, RecursionError):
                answer = _packed({"errno": errno.EINVAL})
            connection.notified = False
            connection.send(answer)
            self._notify(connection)
            self._changed.notify_all()

    def leave(self, connection: ChipConnection) -> None:
        """A connection has ended, and with it its request."""
        with self._changed:
            if connection.held is not None:
                connection.held.end()
                connection.held = None
            if connection in self._connections:
                self._connections.remove(connection)
                connection.sock.close()
            self._changed.notify_all()

    def _answer(self, connection: ChipConnection, question: dict[str, Any]) -> bytes:
        match question:
            case {"do": "read", "max": int(most)} if connection.held is not None:
                events = connection.held.take(max(0, min(most, READ_MAX)))
                return b"E" + b"".join(ROW.pack(e.mono_ns, e.seqno, *e[1:]) for e in events)
            case {"do": "get"} if connection.held is not None:
                # `!` follows this answer, perhaps too late for one who looks at once
                return _packed(
                    {"level": int(connection.held.level), "waiting": connection.held.waiting}
                )
            case {"do": "set", "level": level} if connection.held is not None:
                settings = connection.held.settings
                if settings.direction != "output":
                    raise OSError(errno.EPERM, "an input cannot be set")
                connection.held.settings = RequestSettings(
                    "output", settings.bias, level=bool(level)
                )
                return _packed({})
            case {"do": "reconfigure", "settings": settings} if connection.held is not None:
                connection.held.reconfigure(RequestSettings.parse(settings))
                return _packed({})
            case {"do": "chip"}:
                return _packed({"label": self.label, "lines": len(self.lines)})
            case {"do": "line", "line": int(number)}:
                line = self._numbered(number)
                consumer = line.holder.consumer if line.holder else ""
                return _packed({"name": line.name, "consumer": consumer})
            case {
                "do": "request",
                "line": int(number),
                "consumer": str(consumer),
                "buffer": int(buffer),
                "settings": settings,
            } if connection.held is None:
                return self._request(connection, self._numbered(number), consumer, buffer, settings)
        raise OSError(errno.EINVAL, "no such question")

    def _request(
        self, connection: ChipConnection, line: SimLine, consumer: str, buffer: int, settings: Any
    ) -> bytes:
        for other in list(self._connections):
            # a process that was killed has let go, even if we have not noticed yet
            if other.held is not None and other.held.line is line and other.gone():
                other.held.end()
        if line.holder is not None:
            raise OSError(errno.EBUSY, "held by another")
        connection.held = RequestedLine(
            line,
            consumer[:CONSUMER_MAX] or "?",
            RequestSettings.parse(settings),
            buffer,
            lambda: self._notify(connection),
        )
        return _packed({})

    def _notify(self, connection: ChipConnection) -> None:
        if connection.held is not None and connection.held.waiting and not connection.notified:
            connection.notified = True
            connection.send(WAITING)

    def _line(self, line: int | str) -> SimLine:
        if isinstance(line, str):
            return self.lines[self._by_name[line]]
        return self.lines[line]

    def _numbered(self, number: int) -> SimLine:
        if not 0 <= number < len(self.lines):
            raise OSError(errno.EINVAL, "no such line")
        return self.lines[number]

    # the thread

    def _serve(self, listener: socket.socket) -> None:
        while not self._stop:
            for key, _ in self._selector.select(self._until_due_s()):
                if key.data is not None:
                    self._hear(key.data)
                elif key.fileobj is listener:
                    sock, _ = listener.accept()
                    connection = ChipConnection(sock)
                    with self._changed:
                        self._connections.append(connection)
                    self._selector.register(sock, selectors.EVENT_READ, connection)
                else:
                    os.read(self._wake_read, 4096)
            if self._clock_ns is not None:
                self.settle(self._clock_ns())
        self._selector.unregister(listener)
        listener.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _hear(self, connection: ChipConnection) -> None:
        try:
            packet = connection.sock.recv(PACKET)
        except ConnectionResetError:
            packet = b""
        if packet:
            self.handle(connection, packet)
        else:
            self._selector.unregister(connection.sock)
            self.leave(connection)

    def _wake(self) -> None:
        if self._thread is not None:
            try:
                os.write(self._wake_write, b"w")
            except BlockingIOError:
                return  # it has reason enough to wake up

    def _until_due_s(self) -> float | None:
        if self._clock_ns is None:
            return None
        with self._changed:
            due = [w.holder.due_ns for w in self.lines if w.holder and w.holder.due_ns is not None]
        return max(0.0, (min(due) - self._clock_ns()) / 1e9) if due else None


def _packed(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer).encode()


def _names(names: Sequence[str]) -> dict[str, int]:
    """What a line answers to: its offset as text, its name, and GPIO<offset> if that is free."""
    found = {f"GPIO{number}": number for number in range(len(names))}
    found |= {name: number for number, name in enumerate(names) if name and names.count(name) == 1}
    return found | {str(number): number for number in range(len(names))}
