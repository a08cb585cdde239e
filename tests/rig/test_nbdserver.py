"""The disk's protocol, by a client that has the bytes of its specification and nothing of ours."""

import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.rig.nbdserver import NbdServer
from edge.rig.volatiledisk import DISKS, DiskKind, VolatileDisk

SIZE = 1 << 16


class Client:
    """`NBD_OPT_GO`, then one command at a time."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        assert self.take(18) == b"NBDMAGICIHAVEOPT\0\3"
        self.socket.sendall(struct.pack(">I", 3))
        self.socket.sendall(b"IHAVEOPT" + struct.pack(">IIIH", 7, 6, 0, 0))
        self.size = 0
        while True:
            magic, option, kind, length = struct.unpack(">QIII", self.take(20))
            assert (magic, option) == (0x0003E889045565A9, 7)
            data = self.take(length)
            if kind == 1:
                return
            if data[:2] == b"\0\0":
                self.size, self.flags = struct.unpack(">QH", data[2:])

    def take(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.socket.recv(count - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found

    def send(self, kind: int, offset: int, length: int, data: bytes = b"", handle: int = 7) -> None:
        self.socket.sendall(
            struct.pack(">IHHQQI", 0x25609513, 0, kind, handle, offset, length) + data
        )

    def done(self, length: int = 0, handle: int = 7) -> tuple[int, bytes]:
        magic, error, found = struct.unpack(">IIQ", self.take(16))
        assert (magic, found) == (0x67446698, handle)
        return error, self.take(length) if not error else b""


def put_out(path: Path, said: bytes = b"") -> bool:
    """Whether the connection of who says this is ended by the other side."""
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.settimeout(10)
        stranger.connect(str(path))
        try:
            stranger.sendall(said)
            while stranger.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
    return True


def ended(client: Client) -> bool:
    """Whether a flush gets no answer but the end."""
    try:
        client.send(3, 0, 0)
        client.done()
    except TimeoutError:
        return False
    except (EOFError, OSError):
        return True
    return False


def served(folder: Path, kind: DiskKind) -> tuple[NbdServer, VolatileDisk]:
    disk = VolatileDisk(bytearray(SIZE), DISKS[kind], random.Random(1))
    return NbdServer(folder / "disk.sock", disk), disk


@pytest.fixture
def honest(tmp_path: Path) -> Iterator[tuple[NbdServer, VolatileDisk]]:
    server, disk = served(tmp_path, "honest")
    server.start()
    yield server, disk
    server.stop()


def test_a_write_is_durable_once_a_flush_was_answered(
    honest: tuple[NbdServer, VolatileDisk],
) -> None:
    server, disk = honest
    client = Client(server.path)
    assert (client.size, client.flags & 5, client.flags & 8) == (SIZE, 5, 0)
    client.send(1, 4096, 512, b"x" * 512)
    assert client.done() == (0, b"")
    client.send(0, 4096, 512)
    assert client.done(512) == (0, b"x" * 512)
    assert disk.durable == bytes(SIZE)
    client.send(3, 0, 0)
    assert client.done() == (0, b"")
    assert disk.durable[4096:4608] == b"x" * 512
    client.socket.close()


def test_what_cannot_be_is_refused_and_the_next_command_is_served(
    honest: tuple[NbdServer, VolatileDisk],
) -> None:
    client = Client(honest[0].path)
    client.send(0, SIZE, 512)
    assert client.done()[0] == 22
    client.send(4, 0, 512)  # trim
    assert client.done()[0] == 22
    client.send(0, 0, 4)
    assert client.done(4) == (0, bytes(4))
    client.socket.close()


def test_after_the_cut_nothing_is_answered_until_the_power_is_there_again(
    honest: tuple[NbdServer, VolatileDisk],
) -> None:
    server, disk = honest
    client = Client(server.path)
    client.send(1, 0, 512, b"y" * 512)
    assert client.done() == (0, b"")
    server.freeze()
    assert ended(client)
    assert put_out(server.path)
    assert disk.durable == bytes(SIZE)
    server.thaw()
    Client(server.path).socket.close()
    client.socket.close()


def test_the_moment_of_a_cut_can_be_that_of_a_write(
    honest: tuple[NbdServer, VolatileDisk],
) -> None:
    server, disk = honest
    server.freeze_after(2)
    client = Client(server.path)
    client.send(1, 0, 512, b"1" * 512)
    assert client.done() == (0, b"")
    client.send(3, 0, 0)
    assert client.done() == (0, b"")
    assert not server.frozen.is_set()
    client.send(1, 512, 512, b"2" * 512)
    assert server.frozen.wait(10)
    assert ended(client)
    assert disk.durable[:1024] == b"1" * 512 + bytes(512)
    assert disk.cut().writes == 1
    server.thaw()
    assert not server.frozen.is_set()
    Client(server.path).socket.close()
    client.socket.close()


def test_a_flush_that_is_under_way_at_the_cut_promises_nothing(tmp_path: Path) -> None:
    server, disk = served(tmp_path, "slow")
    disk.manner = disk.manner._replace(flush_s=(5.0, 5.0))
    server.start()
    client = Client(server.path)
    client.send(1, 0, 512, b"z" * 512)
    assert client.done() == (0, b"")
    client.send(3, 0, 0, handle=8)
    client.send(0, 0, 512)  # others are served meanwhile
    assert client.done(512) == (0, b"z" * 512)
    server.freeze()
    assert disk.durable == bytes(SIZE)
    assert disk.cut().writes == 1
    server.stop()
    client.socket.close()


def test_a_client_that_speaks_something_else_is_put_out(
    honest: tuple[NbdServer, VolatileDisk],
) -> None:
    assert put_out(honest[0].path, b"GET / HTTP/1.1\r\n\r\n" + bytes(64))
    Client(honest[0].path).socket.close()
