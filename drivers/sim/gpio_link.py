"""Connections to a simulated GPIO chip: the chip's end of one, and one within a process."""

import select
import socket
from collections.abc import Callable
from typing import Final

from drivers.sim.gpio_lines import RequestedLine

HUNG_UP: Final = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class ChipConnection:
    """One connection: the chip itself, or a requested line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.held: RequestedLine | None = None
        self.notified = False  # a `!` is on its way that no answer has followed yet

    def gone(self) -> bool:
        poll = select.poll()
        poll.register(self.sock, HUNG_UP)
        return bool(poll.poll(0))

    def send(self, packet: bytes) -> None:
        try:
            self.sock.send(packet, socket.MSG_DONTWAIT)
        except OSError:
            # it is dead, or asks without ever listening: both are served no longer
            if self.held is not None:
                self.held.end()
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # dead already


class LocalLink:
    """A connection to a SimChip of the same process. The descriptor is a real one."""

    def __init__(
        self,
        sock: socket.socket,
        handle: Callable[[bytes], None],
        leave: Callable[[], None],
    ) -> None:
        self._sock, self._handle, self._leave = sock, handle, leave

    def fileno(self) -> int:
        return self._sock.fileno()

    def send(self, data: bytes) -> int:
        self._handle(data)
        return len(data)

    def recv(self, size: int) -> bytes:
        return self._sock.recv(size, socket.MSG_DONTWAIT)

    def close(self) -> None:
        self._leave()
        self._sock.close()
