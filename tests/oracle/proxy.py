"""A TCP forwarder that breaks: it resets, swallows what goes either way, or is slow."""

import asyncio
import threading
from typing import Final, Literal

Mode = Literal["fine", "hole", "slow"]
SLOW_BYTES_S: Final = 2000
CHUNK: Final = 512  # so small that 2 kB/s are no stutter


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
            while data := await source.read(CHUNK):
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
