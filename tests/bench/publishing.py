"""Publishes the records of a city with QoS 1, as fast as the broker takes them.

python -m tests.bench.publishing BROKER_PORT GATEWAYS MINUTES

Prints `{}` when all is encoded and the broker has let it in; goes on at a line of input; prints
how many messages and bytes of payload the broker has acknowledged. One connection stands for all
gateways, with an encoder of its own: a library would need more time than the receiver.
"""

import json
import socket
import struct
import sys
from typing import BinaryIO, Final

from tests.bench.cityrecords import bundles

WINDOW: Final = 1000  # messages in flight
PIECE: Final = 100


def packet(kind: int, body: bytes) -> bytes:
    left, length = len(body), bytearray()
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (128 if left else 0))
        if not left:
            return bytes([kind]) + bytes(length) + body


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def main() -> None:
    port, gateways, minutes = map(int, sys.argv[1:])
    packets: list[bytes] = []
    size = manifests = 0
    for bundle in bundles(gateways, minutes):
        for topic, payload, content_type in bundle:
            properties = b"\x03" + text(content_type)
            number = struct.pack(">H", len(packets) % 60_000 + 1)
            head = text(topic) + number + bytes([len(properties)]) + properties
            packets.append(packet(0x32, head + payload))
            size += len(payload)
            manifests += "/manifest" in topic
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        packet(0x10, text("MQTT") + b"\x05\x02\x00\x00\x00" + text("kerbstone-bench-publishing"))
    )
    answers = sock.makefile("rb")
    assert _answer(answers) == 0x20
    print("{}", flush=True)
    sys.stdin.readline()
    acknowledged = 0
    for start in range(0, len(packets), PIECE):
        sock.sendall(b"".join(packets[start : start + PIECE]))
        while start + PIECE - acknowledged > WINDOW:
            acknowledged += _answer(answers) == 0x40
    while acknowledged < len(packets):
        acknowledged += _answer(answers) == 0x40
    told = {"messages": len(packets), "bytes": size, "manifests": manifests}
    print(json.dumps(told), flush=True)


def _answer(stream: BinaryIO) -> int:
    """The kind of the next packet of the broker; its answers are short."""
    kind, length = stream.read(2)
    stream.read(length)
    return kind


if __name__ == "__main__":
    main()
