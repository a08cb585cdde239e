"""A simulated I2C bus for another process, behind a Unix socket (the path `sim:SOCKET`).

The protocol is described in `drivers/buses/i2c_remote.py`, which speaks its other side. Alone:
`python -m drivers.sim.i2c_server --socket PATH sen55 [point=value ...]`.
"""

import argparse
import errno
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from drivers.sim.i2c import (
    I2C_FUNCS,
    I2C_RDWR,
    I2C_SMBUS,
    MAX_BYTES,
    MAX_MESSAGES,
    UNION,
    I2cClient,
    I2cKernel,
    I2cMessage,
    make_chip,
)
from drivers.sim.simplace import clear_socket
from edge.terminal import echo

MAGIC: Final = b"Ki"
VERSION: Final = 1
QUESTION: Final = struct.Struct(">2sBxII")
ANSWER: Final = struct.Struct(">2sBxiI")
MESSAGE: Final = struct.Struct(">HHH")
SMBUS: Final = struct.Struct(">BBI")
LIMIT: Final = 2 + MAX_MESSAGES * (MESSAGE.size + MAX_BYTES)
CLIENTS: Final = 16


class I2cServer:
    """Serves one bus. A context manager; its threads end with it."""

    def __init__(self, kernel: I2cKernel, path: str | Path) -> None:
        self.kernel, self.path = kernel, Path(path)
        kernel.stall = time.sleep  # here a stuck bus takes its time
        self._listener: socket.socket | None = None
        self._links: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()

    def start(self) -> None:
        """Listen. A socket file that nobody serves any more is replaced. Raises OSError."""
        clear_socket(self.path, socket.SOCK_STREAM)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            listener.listen(CLIENTS)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._spawn(self._accept, listener)

    def stop(self) -> None:
        """Hang up on everybody and give the path back. Always safe."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        with self._lock:
            for link in self._links:
                link.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        listener.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _spawn(self, target: Callable[[socket.socket], None], link: socket.socket) -> None:
        thread = threading.Thread(target=target, args=(link,), daemon=True)
        self._threads = [t for t in self._threads if t.is_alive()]
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is not None:
            try:
                link, _ = listener.accept()
            except OSError:
                return  # stopped
            with self._lock:
                full = len(self._links) >= CLIENTS or self._listener is None
                if not full:
                    self._links.add(link)
            if full:
                link.close()
            else:
                self._spawn(self._serve, link)

    def _serve(self, link: socket.socket) -> None:
        client = I2cClient()
        try:
            while (question := _receive_exactly(link, QUESTION.size)) is not None:
                magic, version, request, length = QUESTION.unpack(question)
                if (magic, version) != (MAGIC, VERSION) or length > LIMIT:
                    link.sendall(ANSWER.pack(MAGIC, VERSION, -errno.EPROTO, 0))
                    return
                body = _receive_exactly(link, length)
                if body is None:
                    return
                code, answer = self._answer(request, body, client)
                link.sendall(ANSWER.pack(MAGIC, VERSION, code, len(answer)) + answer)
        except OSError:
            pass  # the other side has gone; so has its descriptor, as with the kernel
        finally:
            with self._lock:
                self._links.discard(link)
            link.close()

    def _answer(self, request: int, body: bytes, client: I2cClient) -> tuple[int, bytes]:
        try:
            if request == I2C_FUNCS:
                return 0, self.kernel.funcs.to_bytes(8)
            if request == I2C_RDWR:
                return self.kernel.transfer(_messages(body))
            if request == I2C_SMBUS:
                reading, command, size = SMBUS.unpack_from(body)
                union = body[SMBUS.size :]
                code, answer = self.kernel.smbus(client.slave, reading == 1, command, size, union)
                return code, answer[:UNION] if code >= 0 else b""
        except (struct.error, ValueError):
            return -errno.EPROTO, b""
        return self.kernel.set_value(request, int.from_bytes(body[:8]), client), b""


def _messages(body: bytes) -> list[I2cMessage]:
    """The messages of one transfer. Raises struct.error or ValueError when they are cut off."""
    count, at = int.from_bytes(body[:2]), 2
    found: list[I2cMessage] = []
    for _ in range(count):
        address, flags, length = MESSAGE.unpack_from(body, at)
        at += MESSAGE.size
        message = I2cMessage(address, flags, length)
        if not message.reads:
            message = I2cMessage(address, flags, length, body[at : at + length])
            at += length
            if at > len(body):
                raise ValueError("a message is cut off")
        found.append(message)
    return found


def _receive_exactly(link: socket.socket, count: int) -> bytes | None:
    """That many bytes, or None when the other side hung up before."""
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        if not part:
            return None
        data += part
    return data


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one bus on a socket until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m drivers.sim.i2c_server", description=__doc__)
    parser.add_argument("--socket", required=True, help="where a sim: path will find it")
    parser.add_argument("chip", help="sen55, sht4x, bme280 or another of drivers/sim")
    parser.add_argument("values", nargs="*", metavar="point=value")
    args = parser.parse_args(arguments)
    pairs = [text.partition("=") for text in args.values]
    address, made = make_chip(args.chip, {key: float(value) for key, _, value in pairs})
    with I2cServer(I2cKernel({address: made}), args.socket):
        echo(f"sim:{args.socket} has a {args.chip} at 0x{address:02x}")
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
