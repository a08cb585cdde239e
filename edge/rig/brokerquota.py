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
import contextlib
import threading
from typing import Final, Self

from edge.acquire.clock import SystemClock

V5: Final = 5
CONNECT, PUBLISH = 1, 3
QUOTA_EXCEEDED: Final = 0x97
CHUNK: Final = 1 << 16
PACKET_LIMIT: Final = 64 << 20  # bytes; nothing that a gateway sends is so large
HERE: Final = "127.0.0.1"
START_S: Final = 30.0
CLOSE_NS: Final = 20_000_000


class PacketError(Exception):
    """It is no MQTT: the connection has to end."""


class QuotaProxy:
    """Forwards `port` of this machine to `host` and `to_port`. All methods may be called from any
    thread, between `start` and `stop`."""

    def __init__(self, host: str, to_port: int) -> None:
        self._to = host, to_port
        self._clock = SystemClock()
        self._used_up = False
        self._serving: set[asyncio.Future[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rig-quota", daemon=True)
        self.host, self.port = HERE, 0
        self.refused = 0
        """Messages that were refused since it was there."""

    def start(self) -> Self:
        """Raises OSError if it cannot listen."""
        self._thread.start()
        if not self._ready.wait(START_S) or not self.port:
            raise OSError("the proxy before the broker does not start")
        return self

    def stop(self) -> None:
        """All connections end. Always safe."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(START_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def refuse(self, used_up: bool) -> None:
        """The quota is used up from now on, or there is room again."""
        self._used_up = used_up

    # in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(asyncio.start_server(self._accept, HERE, 0))
        except OSError:
            self._loop.close()
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close(server))
        self._loop.close()

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._clock.sleep_until(self._clock.now().mono_ns + CLOSE_NS)

    def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._take(reader, client))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        """One client, until one end has gone or says what is no MQTT."""
        broker: asyncio.StreamWriter | None = None
        try:
            answers, broker = await asyncio.open_connection(*self._to)
            ways = [
                asyncio.ensure_future(self._up(reader, broker, client)),
                asyncio.ensure_future(_down(answers, client)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # nobody listens behind it
        finally:
            for end in filter(None, (client, broker)):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

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
