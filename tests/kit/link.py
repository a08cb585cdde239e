"""The link between a gateway and its broker: TCP forwarders that are slow, swallow or count.

`impaired_link` runs in the test's own event loop, `CountingProxy` in a thread, for gateways that
are processes. One that has faults in a thread is `edge.rig.brokerlink`:

    async with impaired_link(broker.port) as way:
        link = await caller.open(make_broker(way.url, "gw"))
        way.hole = True  # both ends stay open, and nothing comes through
"""

import asyncio
import contextlib
import selectors
import socket
import threading
from collections.abc import AsyncIterator
from typing import Final

CHUNK: Final = 256
POLL_S: Final = 0.1


class ImpairedLink:
    """`rate`: bytes/s towards the broker, None for any. `hole`: all that comes disappears."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.url = ""
        self.rate: float | None = None
        self.hole = False
        self.waiting = 0  # bytes that came and have not gone on yet, towards the broker
        self.most = 0  # the highest of it
        self.over = asyncio.Event()
        self.serving: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self.serve(reader, writer))
        self.serving.add(task)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        tasks = [
            asyncio.create_task(self._take(reader, queue)),
            asyncio.create_task(self._give(queue, back)),
            asyncio.create_task(self._return(there, writer)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if self.hole:  # neither side hears that the other has gone
                await self.over.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in (writer, back):
                one.close()
                with contextlib.suppress(OSError):
                    await one.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, queue: asyncio.Queue[bytes]) -> None:
        while data := await reader.read(65_536):
            if self.hole:
                continue
            self.waiting += len(data)
            self.most = max(self.most, self.waiting)
            for start in range(0, len(data), CHUNK):
                queue.put_nowait(data[start : start + CHUNK])

    async def _give(self, queue: asyncio.Queue[bytes], writer: asyncio.StreamWriter) -> None:
        while True:
            data = await queue.get()
            if self.rate is not None:
                await asyncio.sleep(len(data) / self.rate)
            self.waiting -= len(data)
            if not self.hole:
                writer.write(data)
                await writer.drain()

    async def _return(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self.hole:
                writer.write(data)
                await writer.drain()


@contextlib.asynccontextmanager
async def impaired_link(port: int) -> AsyncIterator[ImpairedLink]:
    made = ImpairedLink(port)
    server = await asyncio.start_server(made.accept, "127.0.0.1", 0)
    made.url = f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        made.over.set()
        for task in made.serving:
            task.cancel()
        await asyncio.gather(*made.serving, return_exceptions=True)


class CountingProxy:
    """Listens on `port`, forwards to another port of this machine. `up` and `down` are bytes."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.up = self.down = 0
        self._ends: dict[socket.socket, tuple[socket.socket, bool]] = {}  # other end, upwards
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "CountingProxy":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stop.is_set():
                for key, _ in selector.select(POLL_S):
                    if key.fileobj is self._listener:
                        self._welcome(selector)
                    elif isinstance(key.fileobj, socket.socket):
                        self._forward(selector, key.fileobj)
            for sock in self._ends:
                sock.close()

    def _welcome(self, selector: selectors.BaseSelector) -> None:
        client, _ = self._listener.accept()
        broker = socket.create_connection(("127.0.0.1", self._to_port))
        self._ends[client], self._ends[broker] = (broker, True), (client, False)
        selector.register(client, selectors.EVENT_READ)
        selector.register(broker, selectors.EVENT_READ)

    def _forward(self, selector: selectors.BaseSelector, sock: socket.socket) -> None:
        if sock not in self._ends:
            return
        other, upwards = self._ends[sock]
        data = sock.recv(65_536)
        if not data:
            for end in (sock, other):
                selector.unregister(end)
                del self._ends[end]
                end.close()
            return
        if upwards:
            self.up += len(data)
        else:
            self.down += len(data)
        other.sendall(data)
