"""A broker whose quota can be used up: an MQTT proxy before the real one, in a thread of its own.

    with QuotaProxy("127.0.0.1", broker_port) as proxy:
        box_connects_to(proxy.port)
        proxy.refuse(True)

While the quota is used up, no message of a client reaches the broker. In MQTT 5.0 each of QoS 1
or 2 is answered with the reason code 0x97, quota exceeded (chapters 3.4 and 3.5). MQTT 3.1.1 has no
word for that: there a broker can only end the connection. All else goes through as it comes. TLS
cannot be read here: the way from box to broker has to be without it.
"""

import asyncio
from typing import Final

from edge.rig.tcpforwarder import HERE, TcpForwarder, close_all, first_of

V5: Final = 5
CONNECT, PUBLISH = 1, 3
QUOTA_EXCEEDED: Final = 0x97
CHUNK: Final = 1 << 16
PACKET_LIMIT: Final = 64 << 20  # bytes; nothing that a gateway sends is so large


class PacketError(Exception):
    """It is no MQTT: the connection has to end."""


class QuotaProxy(TcpForwarder):
    """Forwards `port` of this machine to `host` and `to_port`."""

    def __init__(self, host: str, to_port: int) -> None:
        super().__init__("rig-quota")
        self._to = host, to_port
        self._used_up = False
        self.host = HERE
        self.refused = 0
        """Messages that were refused since it was there."""

    def refuse(self, used_up: bool) -> None:
        """The quota is used up from now on, or there is room again."""
        self._used_up = used_up

    # in the thread

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        broker: asyncio.StreamWriter | None = None
        try:
            answers, broker = await asyncio.open_connection(*self._to)
            await first_of(self._up(reader, broker, client), _down(answers, client))
        except (OSError, PacketError):
            pass  # nobody listens behind it, one end has gone, or says what is no MQTT
        finally:
            await close_all(client, broker)

    async def _up(
        self, source: asyncio.StreamReader, broker: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
    ) -> None:  # fmt: skip
        version = V5
        packets = Packets()
        while data := await source.read(CHUNK):
            for packet, body_at in packets.take(data):
                kind = packet[0] >> 4
                if kind == CONNECT:
                    version = protocol_version(packet[body_at:])
                if kind != PUBLISH or not self._used_up:
                    broker.write(packet)
                    continue
                self.refused += 1
                if version != V5:
                    return
                client.write(refusal(packet, body_at))
            await broker.drain()
            await client.drain()


async def _down(source: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
    """Packet by packet, so that a refusal never stands in the middle of another packet."""
    packets = Packets()
    while data := await source.read(CHUNK):
        for packet, _ in packets.take(data):
            client.write(packet)
        await client.drain()


class Packets:
    """Cuts a stream into MQTT packets."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def take(self, data: bytes) -> list[tuple[bytes, int]]:
        """Whole packets up to now, each with the place at which its body begins. Raises
        PacketError for what is no MQTT."""
        self._rest += data
        found = []
        while (head := _head(self._rest)) is not None:
            body_at, size = head
            if size > PACKET_LIMIT:
                raise PacketError(f"a packet of {size} bytes")
            if len(self._rest) < body_at + size:
                break
            found.append((bytes(self._rest[: body_at + size]), body_at))
            del self._rest[: body_at + size]
        return found


def protocol_version(body: bytes) -> int:
    """Of the body of a CONNECT: it stands behind the protocol's name. Raises PacketError."""
    at = 2 + int.from_bytes(body[:2], "big")
    if at >= len(body):
        raise PacketError("a CONNECT that ends too soon")
    return body[at]


def refusal(packet: bytes, body_at: int) -> bytes:
    """The answer to a PUBLISH while the quota is used up; of QoS 0 there is none. Raises
    PacketError."""
    quality = packet[0] >> 1 & 3
    if quality == 0:
        return b""
    at = body_at + 2 + int.from_bytes(packet[body_at : body_at + 2], "big")
    number = packet[at : at + 2]
    if len(number) < 2 or quality == 3:
        raise PacketError("a PUBLISH without a number")
    return bytes((0x40 if quality == 1 else 0x50, 3, *number, QUOTA_EXCEEDED))


def _head(data: bytearray) -> tuple[int, int] | None:
    """Where the body of the first packet begins, and its size; None: not whole yet. Raises
    PacketError."""
    size = 0
    for place, byte in enumerate(data[1:5]):
        size |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return place + 2, size
    if len(data) >= 5:
        raise PacketError("a length that never ends")
    return None
