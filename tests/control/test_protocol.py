"""The control socket: one line asks, one line answers, nonsense harms nobody."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.control.locks import BusLock
from edge.control.protocol import NAME, ControlServer, VerbError, ask


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    async def echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"said": request["text"]}

    async def refuse(request: Mapping[str, Any]) -> Mapping[str, Any]:
        raise VerbError("not today")

    server = ControlServer(tmp_path, {"echo": echo, "refuse": refuse})
    await server.start()
    yield tmp_path
    await server.close()


async def test_a_question_gets_its_answer(folder: Path) -> None:
    assert await asyncio.to_thread(ask, folder, "echo", text="hut") == {"said": "hut"}
    with pytest.raises(VerbError, match="not today"):
        await asyncio.to_thread(ask, folder, "refuse")
    with pytest.raises(VerbError, match="unknown verb; known are echo, refuse"):
        await asyncio.to_thread(ask, folder, "dance")


async def test_without_a_daemon_there_is_no_answer(tmp_path: Path) -> None:
    assert ask(tmp_path, "echo") is None


async def test_the_socket_is_for_the_owner_and_the_group(folder: Path) -> None:
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o660


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"[]\n", b'{"v": 9}\n', b"[" * 5000 + b"\n"])
async def test_nonsense_is_answered_and_the_next_client_is_served(
    folder: Path, line: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(folder / NAME))
    writer.write(line)
    assert b'"ok":false' in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert await asyncio.to_thread(ask, folder, "echo", text="x") == {"said": "x"}


async def test_a_line_without_end_is_cut_off(folder: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(folder / NAME))
    writer.write(b"x" * 200_000)
    with contextlib.suppress(ConnectionError):  # cut off while it still writes, or after
        await writer.drain()
        assert await asyncio.wait_for(reader.read(100), 60) == b""
    writer.close()
    assert await asyncio.to_thread(ask, folder, "echo", text="x") == {"said": "x"}


def test_a_bus_has_one_owner(tmp_path: Path) -> None:
    mine, yours = BusLock(tmp_path, "meters"), BusLock(tmp_path, "meters")
    assert mine.take()
    assert not yours.take()
    mine.release()
    assert yours.take()
    yours.release()
