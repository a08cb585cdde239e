"""A control socket that answers as a daemon would, from a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.control.protocol import ControlServer


@contextlib.contextmanager
def answering(folder: Path, answers: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """While it lasts, the daemon of this folder answers each verb with its map."""
    folder.mkdir(exist_ok=True)
    started, loops = threading.Event(), []

    async def serve() -> None:
        stop = asyncio.Event()
        loops.append((asyncio.get_running_loop(), stop))

        def verb(answer: Mapping[str, Any]) -> Any:
            async def reported(_: Mapping[str, Any]) -> Mapping[str, Any]:
                return answer

            return reported

        server = ControlServer(folder, {name: verb(answer) for name, answer in answers.items()})
        await server.start()
        started.set()
        await stop.wait()
        await server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    try:
        yield
    finally:
        loop, stop = loops[0]
        loop.call_soon_threadsafe(stop.set)
        thread.join()
