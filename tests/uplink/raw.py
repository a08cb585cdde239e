"""A broker that answers as it is told: for the answers that mosquitto never gives.

It reads and writes MQTT 5 packets by hand (MQTT 5.0, chapters 2.1.4, 3.1 to 3.4, 3.14).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

REFUSE_ALL = 0x80  # unspecified error


class RawBroker:
    """`answer(topic, payload)` gives the reason code of each PUBACK."""

    def __init__(self) -> None:
        self.answer: Callable[[str, bytes], int] = lambda topic, payload: 0
        self.connack = 0  # its reason code
        self.connects = 0
        self.published: list[tuple[str, bytes]] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    kind, body = await _packet(reader)
                    writer.write(self._reply(kind, body))
                    await writer.drain()
        finally:
            writer.close()

    def _reply(self, kind: int, body: bytes) -> bytes:
        match kind >> 4:
            case 1:
                self.connects += 1
                return bytes((0x20, 3, 0, self.connack, 0))
            case 3:
                size = int.from_bytes(body[:2], "big")
                topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                properties = rest[2]  # a content type: shorter than 128 bytes
                payload = rest[3 + properties :]
                self.published.append((topic, payload))
                return bytes((0x40, 3)) + rest[:2] + bytes((self.answer(topic, payload),))
            case 12:
                return b"\xd0\x00"
        return b""

    def records(self, stream: str = "air") -> list[bytes]:
        """Payloads, in the order in which they came."""
        return [payload for topic, payload in self.published if f"/up/{stream}/" in topic]


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return kind, await reader.readexactly(length)
        shift += 7


@contextlib.asynccontextmanager
async def raw_broker() -> AsyncIterator[RawBroker]:
    broker = RawBroker()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield broker
    finally:
        server.close()
