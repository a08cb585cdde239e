"""The link between a gateway and its broker: TCP forwarders that are slow, swallow, reset or count.

`impaired_link` runs in the test's own event loop, `FaultProxy` and `CountingProxy` in a thread, for
gateways that are processes:

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
from typing import Final, Literal

CHUNK: Final = 256
Mode = Literal["fine", "hole", "slow"]
SLOW_BYTES_S: Final = 2000
FAULT_CHUNK: Final = 512  # so small that 2 kB/s are no stutter
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


class FaultProxy:
    """Forwards `port` to another port of this machine, in a thread of its own.

    A connection that has lived in a hole has lost bytes: it stays dead until its client gives up.
    """

    def __init__(self, to_port: int) -> None:
        self._to_port, self._mode = to_port, "fine"
        self._loop = asyncio.new_event_loop()
        self._ends: set[asyncio.StreamWriter] = set()
        self._dead: set[asyncio.StreamWriter] = set()  # clients' ends
        self._ready, self.port, self.connections = threading.Event(), 0, 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> "FaultProxy":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    def set(self, mode: Mode) -> None:
        self._mode = mode

    def reset(self) -> None:
        """Every connection ends at once, with a RST."""
        self._loop.call_soon_threadsafe(self._abort)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._take, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        self._abort()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    def _abort(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._ends.add(client)
        broker: asyncio.StreamWriter | None = None
        try:
            if self._mode == "hole":  # it is accepted here, and nobody hears of it
                self._dead.add(client)
                while await reader.read(4096):
                    pass
                return
            answers, broker = await asyncio.open_connection("127.0.0.1", self._to_port)
            self._ends.add(broker)
            ways = (self._pump(reader, broker, client), self._pump(answers, client, client))
            tasks = [asyncio.ensure_future(way) for way in ways]
            _, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in others:
                task.cancel()
        except OSError:
            pass
        finally:
            for end in (client, broker):
                if end is not None:
                    self._ends.discard(end)
                    end.transport.abort()
            self._dead.discard(client)

    async def _pump(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, client: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await source.read(FAULT_CHUNK):
                if self._mode == "slow":
                    await asyncio.sleep(len(data) / SLOW_BYTES_S)
                if self._mode == "hole":
                    self._dead.add(client)
                if client not in self._dead:
                    to.write(data)
                    await to.drain()
            if client in self._dead and to is client:  # the broker gave up: he does not hear it
                await asyncio.Event().wait()
        except OSError:
            return


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
