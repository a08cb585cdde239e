"""`kerbstone audit --ask`: a gateway is asked for what is missing, and what it says is told."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.numbers import Range
from edge.platform.ask import RANGES, commands_of
from edge.platform.store import open_store
from edge.uplink.wire import decode_command, encode_command, encode_json, parse_ranges
from edge.uplink.wire.down import MAX_DOWN
from tests.platform.records import COMMAND, E1, E2, GW, ROOT, TOPICS, entry, record, sealed
from tests.uplink.broker import Mosquitto

Make = Callable[..., Mosquitto]


@contextlib.asynccontextmanager
async def answering(
    broker: Mosquitto, answer: dict[str, Any] | None, status: dict[str, Any] | None = None
) -> AsyncIterator[list[tuple[int, list[Any]]]]:
    """A gateway that answers each command so; what it was asked."""
    asked: list[tuple[int, list[Any]]] = []
    async with aiomqtt.Client("127.0.0.1", broker.port, timeout=60) as client:
        await client.subscribe(TOPICS.commands, qos=1)
        said = {"v": 1, "gw": GW, "state": "online", "epoch": E2, **(status or {})}
        await client.publish(TOPICS.status, encode_json(said), 1, retain=True)

        async def serve() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                command = decode_command("resend", message.payload, GW)
                asked.append((command.epoch, parse_ranges(command.arguments["ranges"], "ranges")))
                if answer is not None:
                    data = {"v": 1, "gw": GW, "id": command.id, "verb": "resend", **answer}
                    # somebody else's answer comes first
                    other = {**data, "id": "another", "again": 77}
                    for each in (other, data):
                        await client.publish(TOPICS.answer("resend"), encode_json(each), 1)

        task = asyncio.create_task(serve())
        try:
            yield asked
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def store_with_a_hole(folder: Path) -> Path:
    path = folder / "store.db"
    store = open_store(path, write=True)
    store.commit([entry(record(n)) for n in (1, 2, 5, 7)], [])
    store.close()
    return path


async def audit(store: Path, *options: str) -> tuple[int, list[Any], str]:
    done = await asyncio.to_thread(
        subprocess.run, [*COMMAND, "audit", "--store", str(store), "--json", *options],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


async def test_what_is_missing_is_asked_for(mosquitto: Make, tmp_path: Path) -> None:
    broker, store = mosquitto(), store_with_a_hole(tmp_path)
    async with answering(broker, {"ok": True, "again": 2, "gone": 1}) as asked:
        code, lines, _ = await audit(store, "--ask", "--broker", broker.url)
    assert code == 1, "what is not here yet is a finding until it has come"
    assert asked[0][0] == E2, "a command names the epoch that runs"
    (wanted,) = asked[0][1]
    assert (wanted.epoch, wanted.stream, wanted.ranges) == (E1, "air", ((3, 4), (6, 6)))
    (answer,) = [line for line in lines if "asked" in line]
    assert (answer["numbers"], answer["again"], answer["gone"]) == (3, 2, 1)
    assert answer["error"] == ""


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        ({"ok": False, "error": "not today"}, None, "not today"),
        ({"ok": True, "again": "many"}, None, "refuses"),
        (None, None, "no answer"),
        ({"ok": True}, {"state": "offline"}, "offline"),
    ],
)
async def test_a_gateway_that_cannot_is_told(
    mosquitto: Make, tmp_path: Path, answer: Any, status: Any, says: str
) -> None:
    broker, store = mosquitto(), store_with_a_hole(tmp_path)
    wait = "0.5" if answer is None else "30"
    async with answering(broker, answer, status):
        code, lines, _ = await audit(store, "--ask", "--broker", broker.url, "--wait", wait)
    (told,) = [line for line in lines if "asked" in line]
    assert code == 1
    assert says in told["error"]


async def test_nobody_is_asked_when_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(each) for each in sealed(record(1), record(2))], [])
    store.close()
    code, lines, _ = await audit(path, "--ask", "--broker", "mqtt://127.0.0.1:1")
    assert (code, lines[-1]["audit"], lines[-1]["records"]) == (0, "clean", 3)


RANGE = st.tuples(st.integers(1, 2**52), st.integers(0, 5)).map(lambda p: (p[0], p[0] + p[1]))


@given(st.dictionaries(
    st.tuples(st.integers(2**52, 2**53 - 1), st.sampled_from(["traffic", "air"])),
    st.lists(RANGE, min_size=1, max_size=30), max_size=5,
), st.integers(1, 100))  # fmt: skip
def test_commands_hold_everything_and_are_small(
    missing: dict[tuple[int, str], list[Range]], times: int
) -> None:
    missing = {key: ranges * times for key, ranges in missing.items()}
    commands = list(commands_of(missing))
    found: dict[tuple[int, str], list[Range]] = {}
    for command in commands:
        payload = encode_command(GW, E1, "x" * 16, {"ranges": command})
        assert len(payload.data) <= MAX_DOWN
        for each in parse_ranges(command, "ranges"):
            found.setdefault((each.epoch, each.stream), []).extend(each.ranges)
    assert found == missing
    total = sum(map(len, missing.values()))
    assert len(commands) <= 1 + 2 * total // RANGES
