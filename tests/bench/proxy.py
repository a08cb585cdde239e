"""A TCP forwarder that counts: what goes up to a broker, and what comes down."""

import selectors
import socket
import threading
from typing import Final

POLL_S: Final = 0.1


class Proxy:
    """Listens on `port`, forwards to another port of this machine. `up` and `down` are bytes."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.up = self.down = 0
        self._ends: dict[socket.socket, tuple[socket.socket, bool]] = {}  # other end, upwards
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(POLL_S):
                    if key.fileobj is self._listener:
                        self._welcome(selector)
                    elif isinstance(key.fileobj, socket.socket):
                        self._forward(selector, key.fileobj)
            for sock in self._ends:
                sock.close()

    def _welcome(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        broker = socket.create_connection(("127.0.0.1", self._to_port))
        self._ends[client], self._ends[broker] = (broker, True), (client, False)
        selector.register(client, selectors.EVENT_READ)
        selector.register(broker, selectors.EVENT_READ)

    def _forward(self, selector: selectors.BaseSelector, sock: socket.socket) -> None:
        if sock not in self._ends:
            return
        other, upwards = self._ends[sock]
        data = sock.recv(65_536)
        if not data:
            for end in (sock, other):
                selector.unregister(end)
                del self._ends[end]
                end.close()
            return
        if upwards:
            self.up += len(data)
        else:
            self.down += len(data)
        other.sendall(data)
