"""A broker that answers as it is told: for the answers that mosquitto never gives.

It reads and writes MQTT 5 packets by hand (MQTT 5.0, chapters 2.1.4, 3.1 to 3.4, 3.8, 3.9, 3.14).

    async with raw_broker() as broker:
        broker.answer = lambda topic, payload: 0x97  # quota exceeded
        link = await Caller().open(make_broker(broker.url, "gw"))
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

REFUSE_ALL = 0x80  # unspecified error
DISCONNECT, PINGREQ, PUBACK = 0xE0, 0xC0, 0x40


class RawBroker:
    """`answer(topic, payload)` gives the reason code of each PUBACK, `suback(filter)` its own."""

    def __init__(self) -> None:
        self.answer: Callable[[str, bytes], int] = lambda topic, payload: 0
        self.suback: Callable[[str], int | None] = lambda name: 1  # None: no SUBACK at all
        self.connack = 0  # its reason code
        self.connack_properties = b""
        self.mute = False  # reads on, and says nothing more
        self.connects = 0
        self.connect = b""  # the body of the last CONNECT
        self.kinds: list[int] = []  # the first byte of each packet that came
        self.published: list[tuple[str, bytes]] = []
        self.acknowledged: list[int] = []  # the number of each PUBACK that came
        self.url = ""
        self._writers: list[asyncio.StreamWriter] = []
        self.serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)  # here: a task that is cancelled at once never begins
        self.serving.add(asyncio.create_task(self.serve(reader, writer)))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer not in self._writers:  # a server of the test's own
            self._writers.append(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    kind, body = await _packet(reader)
                    self.kinds.append(kind)
                    if kind == DISCONNECT:
                        break
                    reply = self._reply(kind, body)
                    if not self.mute:
                        writer.write(reply)
                        await writer.drain()
        finally:
            self._writers.remove(writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def send(self, data: bytes) -> None:
        """Bytes to all that are connected."""
        for writer in list(self._writers):
            writer.write(data)
            await writer.drain()

    def hang_up(self) -> None:
        for writer in self._writers:
            writer.close()

    def _reply(self, kind: int, body: bytes) -> bytes:
        match kind >> 4:
            case 1:
                self.connects += 1
                self.connect = body
                more = self.connack_properties
                return bytes((0x20, 3 + len(more), 0, self.connack, len(more))) + more
            case 3:
                size = int.from_bytes(body[:2], "big")
                topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
                properties = rest[2]  # a content type: shorter than 128 bytes
                payload = rest[3 + properties :]
                self.published.append((topic, payload))
                return bytes((0x40, 3)) + rest[:2] + bytes((self.answer(topic, payload),))
            case 4:
                self.acknowledged.append(int.from_bytes(body[:2], "big"))
            case 8:
                codes = [self.suback(name) for name in _filters(body[3:])]
                if None in codes:
                    return b""
                known = bytes(code for code in codes if code is not None)
                return bytes((0x90, 3 + len(known))) + body[:2] + b"\x00" + known
            case 12:
                return b"\xd0\x00"
        return b""

    def records(self, stream: str = "air") -> list[bytes]:
        """Payloads, in the order in which they came."""
        return [payload for topic, payload in self.published if f"/up/{stream}/" in topic]


def publish(topic: bytes, payload: bytes, number: int, qos: int = 1) -> bytes:
    """A PUBLISH packet of a broker."""
    head = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + b"\x00"
    return bytes((0x30 | qos << 1,)) + length(len(head) + len(payload)) + head + payload


def length(number: int) -> bytes:
    """A remaining length: seven bits a byte, the lowest first."""
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | (0x80 if number else 0))
        if not number:
            return bytes(found)


def _filters(body: bytes) -> Iterator[str]:
    while body:
        size = int.from_bytes(body[:2], "big")
        yield body[2 : 2 + size].decode()
        body = body[3 + size :]


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
    server = await asyncio.start_server(broker.accept, "127.0.0.1", 0)
    broker.url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield broker
    finally:
        server.close()
        for task in broker.serving:
            task.cancel()
        await asyncio.gather(*broker.serving, return_exceptions=True)
        broker.hang_up()
        await asyncio.sleep(0)
