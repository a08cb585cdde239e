"""The way through an HTTP proxy: CONNECT, after RFC 9110 section 9.3.6."""

import re
import socket
import time
from typing import Final

MAX_RESPONSE_BYTES: Final = 8192  # bytes of an answer's head
PROXY: Final = re.compile(r"http://(\[[0-9a-f:.]+\]|[a-z0-9.-]+):([0-9]{1,5})/?")
STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: ([ -~]{0,80})[ -~]*)?\r?\n")
MIN_WAIT_S: Final = 0.1


def parse_proxy(text: str) -> tuple[str, int]:
    """Host and port of `http://host:port`. Raises ValueError."""
    found = PROXY.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65_536:
        raise ValueError(f"{text!r:.80} is not a proxy: write http://host:port in lower case")
    return found[1].strip("[]"), int(found[2])


def open_tunnel(sock: socket.socket, host: str, port: int, until_s: float) -> None:
    """Through the proxy at the other end of `sock` to host and port, until a monotonic time.

    What comes behind the answer is lost: neither TLS nor MQTT lets a server speak first.
    Raises OSError.
    """
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    _wait(sock, until_s)
    sock.sendall(f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n\r\n".encode("ascii"))
    head = b""
    while b"\n\r\n" not in head and b"\n\n" not in head:
        _wait(sock, until_s)
        data = sock.recv(1024)
        head += data
        if not data or len(head) > MAX_RESPONSE_BYTES:
            raise ConnectionError("the proxy's answer to CONNECT cannot be read")
    status = STATUS.match(head)
    if status is None:
        raise ConnectionError("the server at the proxy's address does not speak HTTP")
    if not status[1].startswith(b"2"):
        status_text = b" ".join(status.groups(b"")).decode("ascii").strip()
        raise ConnectionError(f"the proxy refuses a connection to {place}: {status_text}")


def _wait(sock: socket.socket, until_s: float) -> None:
    left_s = until_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the proxy is too slow")
    sock.settimeout(max(MIN_WAIT_S, left_s))
