"""The control socket: one line asks, one line answers, nonsense harms nobody."""

import asyncio
import contextlib
import socket
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from edge.control import protocol
from edge.control.buslock import BusLock
from edge.control.protocol import CLIENTS_LIMIT, SOCKET_NAME, ControlServer, VerbError, ask_daemon
from tests.kit.waiting import until


def clients() -> int:
    """How many the server has."""
    return sum("ControlServer._client" in repr(task) for task in asyncio.all_tasks())


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    async def echo(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"said": request["text"]}

    async def refuse(request: Mapping[str, Any]) -> Mapping[str, Any]:
        raise VerbError("not today")

    async def tell(request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"said": "x" * (1 << 20)}

    async def fail(request: Mapping[str, Any]) -> Mapping[str, Any]:
        raise KeyError("meters")

    server = ControlServer(tmp_path, {"echo": echo, "refuse": refuse, "tell": tell, "fail": fail})
    await server.start()
    yield tmp_path
    await server.close()
    await until(lambda: clients() == 0)


async def test_a_question_gets_its_answer(folder: Path) -> None:
    assert await asyncio.to_thread(ask_daemon, folder, "echo", text="hut") == {"said": "hut"}
    with pytest.raises(VerbError, match="not today"):
        await asyncio.to_thread(ask_daemon, folder, "refuse")
    with pytest.raises(
        VerbError, match=r'^Unknown command "dance"\. Known commands: echo, refuse, tell, fail\.$'
    ):
        await asyncio.to_thread(ask_daemon, folder, "dance")


async def test_without_a_daemon_there_is_no_answer(tmp_path: Path) -> None:
    assert ask_daemon(tmp_path, "echo") is None


async def test_the_socket_is_for_the_owner_and_the_group(folder: Path) -> None:
    assert stat.S_IMODE((folder / SOCKET_NAME).stat().st_mode) == 0o660


@pytest.mark.parametrize("line", [b"\xff\xfe\n", b"[]\n", b'{"v": 9}\n', b"[" * 5000 + b"\n"])
async def test_nonsense_is_answered_and_the_next_client_is_served(
    folder: Path, line: bytes
) -> None:
    reader, writer = await asyncio.open_unix_connection(str(folder / SOCKET_NAME))
    writer.write(line)
    assert b'"ok":false' in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert await asyncio.to_thread(ask_daemon, folder, "echo", text="x") == {"said": "x"}


async def test_a_line_without_end_is_cut_off(folder: Path) -> None:
    reader, writer = await asyncio.open_unix_connection(str(folder / SOCKET_NAME))
    writer.write(b"x" * 200_000)
    with contextlib.suppress(ConnectionError):  # cut off while it still writes, or after
        await writer.drain()
        assert await asyncio.wait_for(reader.read(100), 60) == b""
    writer.close()
    assert await asyncio.to_thread(ask_daemon, folder, "echo", text="x") == {"said": "x"}


def silent(folder: Path) -> socket.socket:
    """Says nothing."""
    link = socket.socket(socket.AF_UNIX)
    link.connect(str(folder / SOCKET_NAME))
    return link


def deaf(folder: Path) -> socket.socket:
    """Asks for more than the socket holds, and reads none of it."""
    link = silent(folder)
    link.sendall(b'{"v":1,"verb":"tell"}\n')
    return link


def dripping(folder: Path) -> socket.socket:
    """Has begun a line."""
    link = silent(folder)
    link.send(b'{"v":')
    return link


@pytest.mark.parametrize("kind", [silent, deaf, dripping])
@pytest.mark.parametrize("count", [8, 16, 64])
async def test_clients_that_wait_for_nothing_keep_nobody_out(
    folder: Path,
    kind: Callable[[Path], socket.socket],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eight were enough to be the last ones that the daemon ever heard of.

    None of them goes because its time is over: only for those who ask.
    """
    for name in ("READ_S", "IDLE_S"):
        monkeypatch.setattr(protocol, name, 600.0)
    with contextlib.ExitStack() as links:
        for _ in range(count):
            links.enter_context(await asyncio.to_thread(kind, folder))
        for _ in range(3):
            assert await asyncio.to_thread(ask_daemon, folder, "echo", 60.0, text="hut") == {
                "said": "hut"
            }
        await until(lambda: clients() <= CLIENTS_LIMIT)


async def test_who_reads_nothing_is_put_out_by_himself(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "READ_S", 0.1)
    with await asyncio.to_thread(deaf, folder) as link:
        await until(lambda: clients() == 1)
        await until(lambda: clients() == 0)
        with contextlib.suppress(ConnectionError):  # what it was sent may be read, and its end
            while await asyncio.to_thread(link.recv, 1 << 20):
                pass


async def test_who_is_being_answered_keeps_his_place(tmp_path: Path) -> None:
    go, entered = asyncio.Event(), list[Mapping[str, Any]]()

    async def slow(request: Mapping[str, Any]) -> Mapping[str, Any]:
        entered.append(request)
        await go.wait()
        return {"said": "slow"}

    server = ControlServer(tmp_path, {"slow": slow})
    await server.start()
    asked = [asyncio.create_task(asyncio.to_thread(ask_daemon, tmp_path, "slow")) for _ in range(3)]
    await until(lambda: len(entered) == 3)
    with contextlib.ExitStack() as links:
        for _ in range(3 * CLIENTS_LIMIT):
            links.enter_context(await asyncio.to_thread(silent, tmp_path))
        go.set()
        assert await asyncio.gather(*asked) == [{"said": "slow"}] * 3
        await server.close()
        await until(lambda: clients() == 0)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", "hung up"),
        (b'{"ok":', "hung up"),
        (b"[]\n", "no daemon of this version"),
        (b"\xff\n", "no daemon of this version"),
        (b"{}\n", "no daemon of this version"),
        (b'{"ok":false}\n', "no daemon of this version"),
        (b'{"ok":false,"error":"\\u001b[2J"}\n', "\x1b"),
        (b"[" * 100_000 + b"\n", "no daemon of this version"),
    ],
)
async def test_an_answer_that_is_none_is_told(tmp_path: Path, said: bytes, message: str) -> None:
    ended = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        with contextlib.suppress(ConnectionError):
            writer.write(said)
            writer.close()
            await writer.wait_closed()
        ended.append(writer)

    async with await asyncio.start_unix_server(answer, str(tmp_path / SOCKET_NAME)):
        with pytest.raises(VerbError) as error:
            await asyncio.to_thread(ask_daemon, tmp_path, "echo")
        # who is hung up on looks whether a daemon is still there
        await until(lambda: len(ended) == (2 if message == "hung up" else 1))
    assert message in str(error.value)


async def test_a_daemon_that_is_killed_while_it_is_asked_is_none(tmp_path: Path) -> None:
    """It was told of "too many clients" before, as if it were there."""
    path = tmp_path / SOCKET_NAME
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()
        asked = asyncio.create_task(asyncio.to_thread(ask_daemon, tmp_path, "echo"))
        link, _ = await asyncio.to_thread(listening.accept)
        listening.close()
        link.close()
        assert await asked is None


async def test_an_answer_that_drips_is_not_waited_for(tmp_path: Path) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()

    async with await asyncio.start_unix_server(drip, str(tmp_path / SOCKET_NAME)):
        with pytest.raises(VerbError, match=r"no answer within 0\.5 s"):
            await asyncio.wait_for(asyncio.to_thread(ask_daemon, tmp_path, "echo", 0.5), 10)
        await asyncio.sleep(0.2)  # the other side notices


def test_a_bus_has_one_owner(tmp_path: Path) -> None:
    mine, yours = BusLock(tmp_path, "meters"), BusLock(tmp_path, "meters")
    assert mine.take()
    assert not yours.take()
    mine.release()
    assert yours.take()
    yours.release()


async def test_a_fault_of_ours_is_called_one_and_stands_in_the_log(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(VerbError, match=r"the daemon failed at this \(fail\)"):
        await asyncio.to_thread(ask_daemon, folder, "fail")
    assert "KeyError: 'meters'" in caplog.text
    assert await asyncio.to_thread(ask_daemon, folder, "echo", text="on") == {"said": "on"}
