"""A disk of the rig for QEMU: the network block device protocol on a socket of this machine.

    server = NbdServer(folder / "disk.sock", disk)
    server.start()  # -drive file=nbd+unix:///?socket=...
    server.freeze()  # the power goes: from now on it answers nothing
    server.thaw()  # for the next one who connects

Commands: read, write, flush, disconnect; anything else is refused (EINVAL). A flush is answered
when it is over; reads and writes go on meanwhile. One client at a time is meant, more are served.
"""

import contextlib
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Final

from edge.rig.volatiledisk import VolatileDisk

GREETING: Final = b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3)  # fixed newstyle, no zeroes
OPTION: Final = struct.Struct(">QII")
OPTION_REPLY: Final = struct.Struct(">QIII")
OPTION_MAGIC: Final = int.from_bytes(b"IHAVEOPT")
REPLY_MAGIC: Final = 0x3E889045565A9
EXPORT_NAME, ABORT, INFO, GO = 1, 2, 6, 7
ACK, INFO_REPLY, UNSUPPORTED = 1, 3, 0x80000001
FLAGS: Final = 1 | 4  # has flags, sends flush; no FUA: then QEMU flushes in its place
REQUEST: Final = struct.Struct(">IHHQQI")
REQUEST_MAGIC, SIMPLE_REPLY_MAGIC = 0x25609513, 0x67446698
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
EINVAL: Final = 22
MOST_BYTES: Final = 32 << 20  # of one request


class NbdServer:
    """Serves `disk` at the socket `path`, in threads of its own."""

    def __init__(self, path: Path, disk: VolatileDisk) -> None:
        self.path, self._disk = path, disk
        self._listener = socket.socket(socket.AF_UNIX)
        self._lock = threading.Lock()
        self._frozen = False
        self._clients: set[socket.socket] = set()
        self._writes_left = 0  # until it freezes by itself; 0: it does not
        self.frozen = threading.Event()
        """The power is gone."""

    def start(self) -> None:
        """Raises OSError."""
        self.path.unlink(missing_ok=True)
        self._listener.bind(str(self.path))
        self._listener.listen(4)
        threading.Thread(target=self._accept, name="rig-disk", daemon=True).start()

    def stop(self) -> None:
        """Always safe."""
        self.freeze()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def freeze(self) -> None:
        """The moment of the cut: nothing that comes later is done, and all clients are gone."""
        with self._lock:
            self._freeze()

    def freeze_after(self, writes: int) -> None:
        """The moment of the cut is that of the so manieth write from now on: it is in the cache."""
        with self._lock:
            self._writes_left = writes

    def insert(self, disk: VolatileDisk) -> None:
        """Another disk, while it is frozen."""
        with self._lock:
            self._disk = disk

    def thaw(self) -> None:
        """The power is there again."""
        with self._lock:
            self._frozen, self._writes_left = False, 0
            self.frozen.clear()

    # in the threads

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._frozen:
                    client.close()
                    continue
                self._clients.add(client)
            threading.Thread(
                target=self._serve, args=(client,), name="rig-disk-client", daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError), client:
            if _negotiate(client, self._disk.size):
                self._transmit(client)
        with self._lock:
            self._clients.discard(client)

    def _transmit(self, client: socket.socket) -> None:
        sending = threading.Lock()
        while True:
            magic, _, kind, handle, offset, length = REQUEST.unpack(_take(client, REQUEST.size))
            if magic != REQUEST_MAGIC or (kind in (READ, WRITE) and length > MOST_BYTES):
                return
            data = _take(client, length) if kind == WRITE else b""
            if kind == DISCONNECT:
                return
            if kind == FLUSH:
                takes_s = self._disk.flush_takes_s()
                if takes_s:
                    threading.Thread(
                        target=self._flush, args=(client, sending, handle, takes_s),
                        name="rig-disk-flush", daemon=True,
                    ).start()  # fmt: skip
                    continue
            with self._lock:
                if client not in self._clients:
                    return
                try:
                    code, answer = 0, self._do(kind, offset, length, data)
                except ValueError:
                    code, answer = EINVAL, b""
            _reply(client, sending, handle, code, answer)

    def _freeze(self) -> None:
        """With the lock."""
        self._frozen = True
        for client in self._clients:
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        self._clients.clear()
        self.frozen.set()

    def _do(self, kind: int, offset: int, length: int, data: bytes) -> bytes:
        """Raises ValueError for what cannot be."""
        if kind == READ:
            return self._disk.read(offset, length)
        if kind == WRITE:
            self._disk.write(offset, data)
            if self._writes_left:
                self._writes_left -= 1
                if not self._writes_left:
                    self._freeze()
        elif kind == FLUSH:
            self._disk.settle(self._disk.mark())
        else:
            raise ValueError(f"command {kind} is not served")
        return b""

    def _flush(
        self, client: socket.socket, sending: threading.Lock, handle: int, takes_s: float
    ) -> None:
        mark = self._disk.mark()
        time.sleep(takes_s)
        with self._lock:
            if client not in self._clients:
                return  # the power went meanwhile
            self._disk.settle(mark)
        with contextlib.suppress(OSError):
            _reply(client, sending, handle, 0, b"")


def _negotiate(client: socket.socket, size: int) -> bool:
    """Whether the client takes the disk. Raises OSError, EOFError."""
    client.sendall(GREETING)
    _take(client, 4)  # its flags
    while True:
        magic, option, length = OPTION.unpack(_take(client, OPTION.size))
        if magic != OPTION_MAGIC or length > MOST_BYTES:
            return False
        _take(client, length)
        if option == EXPORT_NAME:
            client.sendall(struct.pack(">QH", size, FLAGS))
            return True
        if option in (INFO, GO):
            _answer_option(client, option, INFO_REPLY, struct.pack(">HQH", 0, size, FLAGS))
            _answer_option(client, option, INFO_REPLY, struct.pack(">HIII", 3, 512, 4096, 1 << 20))
            _answer_option(client, option, ACK)
            if option == GO:
                return True
        elif option == ABORT:
            _answer_option(client, option, ACK)
            return False
        else:
            _answer_option(client, option, UNSUPPORTED)


def _answer_option(client: socket.socket, option: int, kind: int, data: bytes = b"") -> None:
    client.sendall(OPTION_REPLY.pack(REPLY_MAGIC, option, kind, len(data)) + data)


def _reply(
    client: socket.socket, sending: threading.Lock, handle: int, code: int, data: bytes
) -> None:
    with sending:
        client.sendall(struct.pack(">IIQ", SIMPLE_REPLY_MAGIC, code, handle) + data)


def _take(client: socket.socket, count: int) -> bytes:
    found = bytearray()
    while len(found) < count:
        piece = client.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return bytes(found)
