"""A bad line between a gateway and its broker, in plain asyncio."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK = 256


class Line:
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
async def line(port: int) -> AsyncIterator[Line]:
    made = Line(port)
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
