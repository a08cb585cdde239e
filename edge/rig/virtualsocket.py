"""A socket in virtual time: who waits for it lets others go on, and TCP has a network of its own.

What TCP carries goes through a Unix socket whose name only this process knows: it is there at once,
without the kernel's network and its threads, and no port of this machine is used. To who is aside
(`VirtualTime.aside`) nobody answers.
"""

import os
import select
import socket
import struct
from typing import Any, Final

from edge.rig.virtualtime import VirtualTime, virtual_time

INET: Final = (socket.AF_INET, socket.AF_INET6)
TIMEVAL: Final = struct.Struct("@ll")
LOOK: Final = select.poll  # the real one
Address = tuple[str, int]
CLIENT: Final[Address] = ("127.0.0.1", 0)


class VirtualSocket(socket.socket):
    """As `socket.socket`; in a thread of real time it is one."""

    def __init__(
        self,
        family: int = -1,
        type: int = -1,
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        self._network: VirtualTime | None = None
        self._place: Address = CLIENT
        self._receive_s: float | None = None  # as the kernel would watch it
        world = virtual_time()
        stream = type in (-1, socket.SOCK_STREAM)
        if world is not None and fileno is None and stream and family in (-1, *INET):
            self._network = world
            super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            super().__init__(family, type, proto, fileno)

    # -- a network of its own ---------------------------------------------------------------------

    def bind(self, address: Any, /) -> None:
        if self._network is None:
            super().bind(address)
            return
        host, port = address[:2]
        self._place = (host, port or next(self._network.ports))
        super().bind(self._name(self._place))

    def getsockname(self) -> Any:
        return super().getsockname() if self._network is None else self._place

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if level == socket.SOL_SOCKET and option == socket.SO_RCVTIMEO and virtual_time():
            seconds, micros = TIMEVAL.unpack(value[0])
            self._receive_s = seconds + micros / 1e6 or None
        elif self._network is None or level == socket.SOL_SOCKET:
            super().setsockopt(level, option, *value)

    def connect(self, address: Any, /) -> None:
        world = self._network
        if world is None:
            super().connect(address)
            return
        place: Address = address[:2]
        if world.is_aside:
            world.wait(None, world.after(self.gettimeout()))
            raise TimeoutError("timed out")
        super().connect(self._name(place))

    def _name(self, place: Address) -> str:
        return f"\0kerbstone-{os.getpid()}-{id(self._network)}-{place[0]}-{place[1]}"

    # -- waits ------------------------------------------------------------------------------------

    def accept(self) -> tuple[socket.socket, Any]:
        self._wait(select.POLLIN, None)
        made, address = super().accept()
        if self._network is not None and isinstance(made, VirtualSocket):
            made._network = self._network
            address = CLIENT
        return made, address

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        if not flags & socket.MSG_DONTWAIT:
            self._wait(select.POLLIN, self._receive_s)
        return super().recv(size, flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0, /) -> int:
        self._wait(select.POLLIN, self._receive_s)
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: Any, flags: int = 0, /) -> int:
        if not flags & socket.MSG_DONTWAIT:
            self._wait(select.POLLOUT, None)
        return super().send(data, flags)

    def _wait(self, wanted: int, kernel_s: float | None) -> None:
        """Until it is ready. Raises TimeoutError, or BlockingIOError for the kernel's own limit."""
        world, limit_s = virtual_time(), self.gettimeout()
        if world is None or limit_s == 0:
            return
        poll = LOOK()
        poll.register(self.fileno(), wanted)
        world.wait(lambda: bool(poll.poll(0)), world.after(kernel_s if kernel_s else limit_s))
        if poll.poll(0):
            return
        if kernel_s:
            raise BlockingIOError("nothing came in time")
        raise TimeoutError("timed out")
