"""A line with a round trip: a TCP forwarder that holds each byte for so long, each way.

    python -m tests.bench.delay TO_PORT ONE_WAY_S

It prints its port, and forwards until it is terminated. The order of bytes stays as it is, and the
line carries any rate.
"""

import asyncio
import contextlib
import json
import socket
import sys
from functools import partial

CHUNK = 65_536


async def take(
    client: asyncio.StreamReader, back: asyncio.StreamWriter, *, to_port: int, way_s: float
) -> None:
    """One connection, both ways, until either end closes it."""
    broker, there = await asyncio.open_connection("127.0.0.1", to_port)
    for writer in (back, there):
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ways = [
        asyncio.ensure_future(carry(client, there, way_s)),
        asyncio.ensure_future(carry(broker, back, way_s)),
    ]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        for writer in (back, there):
            with contextlib.suppress(OSError):
                writer.close()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way_s: float) -> None:
    """Each piece leaves `way_s` after it came."""
    loop = asyncio.get_running_loop()

    def give(data: bytes) -> None:
        if not writer.is_closing():
            writer.write(data)

    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            if way_s > 0:
                loop.call_later(way_s, give, data)
            else:
                give(data)


async def main() -> None:
    """Until it is killed."""
    to_port, way_s = int(sys.argv[1]), float(sys.argv[2])
    server = await asyncio.start_server(partial(take, to_port=to_port, way_s=way_s), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
