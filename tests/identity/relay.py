"""Everything that went over the wire: as it was there, and as the server has decrypted it."""

import socket
import ssl
import threading
from contextlib import suppress
from typing import Any, ClassVar, Final

PIECE: Final = 65536


class TappedSocket(ssl.SSLSocket):
    """The server's side of TLS; keeps what comes out of it."""

    plain: ClassVar[list[bytes]] = []

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        data = super().recv(buflen, flags)
        self.plain.append(data)
        return data

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        count = super().recv_into(buffer, nbytes, flags)
        self.plain.append(bytes(memoryview(buffer)[:count]))
        return count


class TlsRelay:
    """Between box and server; keeps what passes, both ways. One connection after another."""

    def __init__(self, port: int) -> None:
        self.wire = b""
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)

    def _serve(self) -> None:
        while True:
            try:
                box, _ = self._listener.accept()
            except OSError:
                return
            with box, socket.create_connection(("127.0.0.1", self._to)) as server:
                back = threading.Thread(target=self._pass, args=(server, box))
                back.start()
                self._pass(box, server)
                back.join(30)

    def _pass(self, sender: socket.socket, receiver: socket.socket) -> None:
        with suppress(OSError):
            while data := sender.recv(PIECE):
                self.wire += data
                receiver.sendall(data)
        with suppress(OSError):
            receiver.shutdown(socket.SHUT_WR)
