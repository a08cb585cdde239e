"""The city's names, for a guest whose resolver is QEMU: it asks whom it finds in resolv.conf.

QEMU runs in a mount namespace of its own, where that file names the server that is here.
"""

import socket
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

HEADER, QUESTION = 12, 4  # bytes; RFC 1035
A: Final = b"\x00\x01\x00\x01"  # type and class
TTL_S: Final = 60


class Names:
    """Answers while it is open. `asked` is every name that somebody wanted an address of."""

    def __init__(self, known: Mapping[str, str], address: str = "127.0.0.17") -> None:
        self.address, self._known = address, {name: known[name] for name in known}
        self.asked: set[str] = set()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 53))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def inside(self, command: Sequence[str], folder: Path) -> list[str]:
        """The same command, for which this server is the only one."""
        own = folder / "resolv.conf"
        own.write_text(f"nameserver {self.address}\n")
        mount = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", mount, str(own), *command]

    def close(self) -> None:
        self._socket.sendto(b"", (self.address, 53))
        self._thread.join(10)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            query, peer = self._socket.recvfrom(1500)
            if not query:
                return
            self._socket.sendto(self._answer(query), peer)

    def _answer(self, query: bytes) -> bytes:
        labels, at = [], HEADER
        while length := query[at]:
            labels.append(query[at + 1 : at + 1 + length].decode("ascii").lower())
            at += 1 + length
        name, end = ".".join(labels), at + 1 + QUESTION
        self.asked.add(name)
        address = self._known.get(name)
        found = address is not None and query[at + 1 : end] == A
        # a name that is known has no other records; any other is none
        flags = b"\x81\x80" if address is not None else b"\x81\x83"
        counts = b"\x00\x01" + (b"\x00\x01" if found else b"\x00\x00") + b"\x00\x00\x00\x00"
        said = query[:2] + flags + counts + query[HEADER:end]
        if found and address is not None:
            said += b"\xc0\x0c" + A + TTL_S.to_bytes(4) + b"\x00\x04" + socket.inet_aton(address)
        return said
