"""`python -m edge.link.portal`: answers plain HTTP with the way to the page. Started by systemd.

Phones ask a known address by plain HTTP whether there is the Internet (Android `/generate_204`, iOS
`/hotspot-detect.html`, Windows `/connecttest.txt`, Firefox `/canonical.html`), and take a redirect
as "log in here". So all get the same answer, to the address at which they have asked. Nothing but
the standard library, and nothing of what is asked is used: who cannot be read gets no answer.
"""

import os
import selectors
import socket
import sys
import time
from collections.abc import Callable
from typing import Final

from edge.core.pageaddress import page_url

FIRST_FD: Final = 3  # sd_listen_fds(3)
IDLE_S: Final = 60.0  # nobody has asked for so long: systemd listens alone again
REQUEST_S: Final = 5.0  # from the connection to the end of its head
HEAD_BYTES: Final = 4096
CLIENTS: Final = 32  # at the same time; one more, and the oldest goes
METHODS: Final = (b"GET ", b"HEAD ", b"POST ", b"OPTIONS ")
END: Final = b"\r\n\r\n"

Now = Callable[[], float]


def answer(address: str, head: bytes) -> bytes:
    """The redirect; a body for who does not follow it. Nothing for what is no HTTP."""
    if not head.startswith(METHODS):
        return b""
    url = page_url(address)
    body = f'<!doctype html><title>Kerbstone</title><a href="{url}">{url}</a>\n'
    text = (
        "HTTP/1.1 302 Found\r\n"
        f"Location: {url}\r\n"
        "Content-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "Connection: close\r\n\r\n"
    )
    return (text + ("" if head.startswith(b"HEAD ") else body)).encode("ascii")


class Client:
    """One connection: what it has said so far, and since when."""

    def __init__(self, connection: socket.socket, since_s: float) -> None:
        self.connection, self.since_s = connection, since_s
        self.head = b""

    def is_done(self) -> bool:
        """Read what there is. True: it has said all, too much, or nothing more."""
        try:
            data = self.connection.recv(HEAD_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.head += data
        whole = END in self.head or b"\n\n" in self.head
        return not data or whole or len(self.head) >= HEAD_BYTES

    def answer(self) -> None:
        """A few hundred bytes: they fit into the socket's buffer, or nobody reads them."""
        try:
            address = self.connection.getsockname()[0]
            if END in self.head or b"\n\n" in self.head:
                self.connection.send(answer(address, self.head))
                self.connection.shutdown(socket.SHUT_WR)
        except OSError:
            return


class Portal:
    """Answers on a socket that listens already, in one thread."""

    def __init__(self, listening: socket.socket, now: Now = time.monotonic) -> None:
        self._listening, self._now = listening, now
        self._selector = selectors.DefaultSelector()
        self._clients: dict[int, Client] = {}  # the oldest first
        listening.setblocking(False)
        self._selector.register(listening, selectors.EVENT_READ)

    def run(self, idle_s: float = IDLE_S) -> None:
        """Until nobody has asked for `idle_s`."""
        last_s = self._now()
        while True:
            limit_s = REQUEST_S if self._clients else idle_s
            for key, _ in self._selector.select(max(0.0, limit_s / 4)):
                last_s = self._now()
                if key.fileobj is self._listening:
                    self._accept()
                else:
                    self._read(key.fd)
            now_s = self._now()
            for fd, client in list(self._clients.items()):
                if now_s - client.since_s >= REQUEST_S:
                    self._close(fd)
            if not self._clients and now_s - last_s >= idle_s:
                return

    def close(self) -> None:
        for fd in list(self._clients):
            self._close(fd)
        self._selector.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except OSError:  # it went away meanwhile
            return
        connection.setblocking(False)
        if len(self._clients) >= CLIENTS:
            self._close(next(iter(self._clients)))
        self._clients[connection.fileno()] = Client(connection, self._now())
        self._selector.register(connection, selectors.EVENT_READ)

    def _read(self, fd: int) -> None:
        client = self._clients.get(fd)
        if client is not None and client.is_done():
            client.answer()
            self._close(fd)

    def _close(self, fd: int) -> None:
        client = self._clients.pop(fd)
        self._selector.unregister(client.connection)
        client.connection.close()


def main() -> int:
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        from edge.terminal import echo  # not in the memory of one that serves

        echo("edge.link.portal: systemd starts it, with one socket", err=True)
        return 2
    with socket.socket(fileno=FIRST_FD) as listening:
        portal = Portal(listening)
        try:
            portal.run()
        finally:
            portal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
