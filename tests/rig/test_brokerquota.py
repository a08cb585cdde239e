"""A broker that refuses each message, on the wire: what goes through, and what is answered."""

import socket
import threading
from collections.abc import Iterator

import pytest

from edge.rig.brokerquota import PacketError, Packets, QuotaProxy, protocol_version, refusal

CONNECT_5 = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"
CONNECT_3 = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
PING = b"\xc0\x00"


def publish(number: int, quality: int = 1, size: int = 3) -> bytes:
    body = b"\x00\x01t" + (number.to_bytes(2, "big") if quality else b"") + b"\x00" + bytes(size)
    length = len(body)
    head = bytes((0x30 | quality << 1,))
    while length >= 0x80:
        head, length = head + bytes((length & 0x7F | 0x80,)), length >> 7
    return head + bytes((length,)) + body


class Behind:
    """Who listens behind the proxy: what came, and what it answers."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = bytearray()
        self.socks: list[socket.socket] = []
        self.more = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.socks.append(sock)
            threading.Thread(target=self._read, args=(sock,), daemon=True).start()

    def _read(self, sock: socket.socket) -> None:
        while data := sock.recv(4096):
            with self.more:
                self.heard += data
                self.more.notify()

    def has(self, data: bytes) -> bool:
        with self.more:
            self.more.wait_for(lambda: len(self.heard) >= len(data), 10)
            return bytes(self.heard) == data


@pytest.fixture
def behind() -> Iterator[Behind]:
    made = Behind()
    yield made
    made.listener.close()
    for sock in made.socks:
        sock.close()


@pytest.fixture
def proxy(behind: Behind) -> Iterator[QuotaProxy]:
    with QuotaProxy("127.0.0.1", behind.port) as made:
        yield made


def connected(proxy: QuotaProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10)


def said(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count and (more := sock.recv(4096)):
        found += more
    return found


def test_while_there_is_room_all_goes_through(proxy: QuotaProxy, behind: Behind) -> None:
    sent = CONNECT_5 + publish(1) + publish(2, size=20_000) + PING
    with connected(proxy) as sock:
        for byte in range(0, len(sent), 7):
            sock.sendall(sent[byte : byte + 7])
        assert behind.has(sent)
        behind.socks[0].sendall(b"\x20\x03\x00\x00\x00" + b"\x40\x02\x00\x01")
        assert said(sock, 9) == b"\x20\x03\x00\x00\x00\x40\x02\x00\x01"
    assert proxy.refused == 0


def test_while_it_is_used_up_each_message_is_refused_and_all_else_goes_on(
    proxy: QuotaProxy, behind: Behind
) -> None:
    with connected(proxy) as sock:
        sock.sendall(CONNECT_5)
        assert behind.has(CONNECT_5)
        proxy.refuse(True)
        sock.sendall(publish(7) + publish(8, 2) + publish(0, 0) + PING)
        assert said(sock, 10) == b"\x40\x03\x00\x07\x97" + b"\x50\x03\x00\x08\x97"
        assert behind.has(CONNECT_5 + PING)
        assert proxy.refused == 3
        proxy.refuse(False)
        sock.sendall(publish(9))
        assert behind.has(CONNECT_5 + PING + publish(9))
    assert proxy.refused == 3


def test_a_client_of_3_1_1_is_hung_up_on(proxy: QuotaProxy, behind: Behind) -> None:
    proxy.refuse(True)
    with connected(proxy) as sock:
        sock.sendall(CONNECT_3)
        assert behind.has(CONNECT_3)
        sock.sendall(publish(7))
        assert sock.recv(10) == b""
    assert behind.has(CONNECT_3)


def test_what_is_no_mqtt_ends_the_connection(proxy: QuotaProxy) -> None:
    with connected(proxy) as sock:
        sock.sendall(b"\x30\xff\xff\xff\xff\xff")
        assert sock.recv(10) == b""


def test_packets_are_cut_wherever_their_pieces_end() -> None:
    whole = CONNECT_5 + publish(1, size=200) + PING
    for size in (1, 2, 3, 50):
        packets = Packets()
        found = []
        for at in range(0, len(whole), size):
            found += [packet for packet, _ in packets.take(whole[at : at + size])]
        assert found == [CONNECT_5, publish(1, size=200), PING]


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x04MQ", b"\xff\xff"])
def test_a_connect_that_ends_too_soon_is_none(body: bytes) -> None:
    with pytest.raises(PacketError):
        protocol_version(body)


@pytest.mark.parametrize("packet", [b"\x32\x02\x00\x09", b"\x36\x05\x00\x01t\x00\x01"])
def test_a_message_without_its_number_is_none(packet: bytes) -> None:
    with pytest.raises(PacketError):
        refusal(packet, 2)


def test_a_length_without_an_end_is_none() -> None:
    with pytest.raises(PacketError, match="never ends"):
        Packets().take(b"\x30\xff\xff\xff\xff")
