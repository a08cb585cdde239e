"""A program that is run for the page: bounded in time and output, and never two of one kind."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

OUTPUT_LIMIT: Final = 2 << 20
CHUNK: Final = 64 << 10
END_S: Final = 5.0  # for a killed one


class ChildError(Exception):
    """It could not be started, took too long, or said too much; the text says which."""


@dataclass(frozen=True, slots=True)
class ChildOutput:
    """What it said on stdout, and the end of its stderr."""

    code: int
    out: bytes
    err: str


async def run_child(command: Sequence[str], most_s: float) -> ChildOutput:
    """Its whole output. It is killed when this is cancelled. Raises ChildError."""
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"},
        )
    except OSError as error:
        raise ChildError(f"{command[0]} cannot be started: {error.strerror}") from error
    assert child.stdout is not None
    assert child.stderr is not None
    reads = [asyncio.create_task(_read(each)) for each in (child.stdout, child.stderr)]
    try:
        async with asyncio.timeout(most_s):
            out, err = await asyncio.gather(*reads)
            code = await child.wait()
    except TimeoutError:
        raise ChildError(f"{command[0]} took longer than {most_s:g} s and was ended") from None
    finally:
        for each in reads:
            each.cancel()
        await asyncio.wait(reads)
        if child.returncode is None:
            await _end(child)
    return ChildOutput(code, out, err.decode(errors="replace")[-2000:])


async def _end(child: asyncio.subprocess.Process) -> None:
    """It and what it has started. What it has said is read to its end: asyncio knows of the end of
    a process only when its pipes are empty, and it stops reading them when nobody takes."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_S):
            await asyncio.gather(_drop(child.stdout), _drop(child.stderr))
            await child.wait()


async def _drop(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(CHUNK):
        pass


async def _read(stream: asyncio.StreamReader) -> bytes:
    """Up to OUTPUT_LIMIT. Raises ChildError beyond it."""
    data = bytearray()
    while chunk := await stream.read(CHUNK):
        data += chunk
        if len(data) > OUTPUT_LIMIT:
            raise ChildError(f"it said more than {OUTPUT_LIMIT >> 20} MiB")
    return bytes(data)
