"""`kerbstone audit --ask`: a gateway is asked for what is missing, and what it says is told."""

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import to_builtins

from edge.core.numbers import Range
from edge.platform import resendrequest as module
from edge.platform.openstore import open_store
from edge.platform.resendrequest import (
    EXPIRY_S,
    RANGES_PER_COMMAND,
    ResendResult,
    request_resend,
    split_commands,
)
from edge.platform.subscription import UnreachableError, parse_source
from edge.wire import JSON, decode_command, encode_command, encode_json, parse_ranges
from edge.wire.down import MAX_DOWN
from tests.kit.broker import Make, Mosquitto
from tests.kit.platform import COMMAND, ROOT
from tests.kit.records import E1, E2, GW, TOPICS, entry, record, sealed


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
                    other = {**data, "id": "another", "resent": 77}
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
    async with answering(broker, {"ok": True, "resent": 2, "gone": 1}) as asked:
        code, lines, _ = await audit(store, "--ask", "--broker", broker.url)
    assert code == 1, "what is not here yet is a finding until it has come"
    assert asked[0][0] == E2, "a command names the epoch that runs"
    (wanted,) = asked[0][1]
    assert (wanted.epoch, wanted.stream) == (E1, "air")
    assert sorted(wanted.ranges) == [(3, 4), (6, 6)], "in whatever order: it begins anywhere"
    (answer,) = [line for line in lines if "asked" in line]
    assert (answer["numbers"], answer["resent"], answer["gone"]) == (3, 2, 1)
    assert answer["error"] == ""


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        ({"ok": False, "error": "not today"}, None, "not today"),
        ({"ok": True, "resent": "many"}, None, "breaks the contract"),
        ({"ok": True}, None, "breaks the contract"),
        ({"ok": True, "resent": 3}, None, "breaks the contract"),
        ({"ok": True, "gone": 10}, None, "breaks the contract"),
        ({"ok": True, "resent": True, "gone": 0}, None, "breaks the contract"),
        ({"ok": True, "resent": 1, "gone": -5}, None, "breaks the contract"),
        ({"ok": True, "resent": 1, "gone": 0, "left": 2.5}, None, "breaks the contract"),
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
    (reported,) = [line for line in lines if "asked" in line]
    assert code == 1
    assert says in reported["error"]


async def test_nobody_is_asked_when_nothing_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "store.jsonl"
    store = open_store(path, write=True)
    store.commit([entry(each) for each in sealed(record(1), record(2))], [])
    store.close()
    code, lines, _ = await audit(path, "--ask", "--broker", "mqtt://127.0.0.1:1")
    assert (code, lines[-1]["audit"], lines[-1]["records"]) == (0, "clean", 3)


async def test_each_command_has_its_answer_and_what_was_not_looked_for_is_counted(
    mosquitto: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: what goes out, and what may come before the answer."""
    monkeypatch.setattr(
        module, "RANGES_PER_COMMAND", 3
    )  # two ranges, or one of each of two streams
    monkeypatch.setattr(module, "COMMANDS_PER_RUN", 2)
    monkeypatch.setattr("secrets.randbelow", lambda below: 0)
    missing = {(E1, "air"): [(n, n) for n in range(1, 10, 2)], (E1, "energy"): [(1, 10)]}
    broker = mosquitto()
    source = parse_source(broker.url, "city")
    branch = TOPICS.up.removesuffix("/up")
    said = {"v": 1, "gw": GW, "state": "online", "epoch": E2}
    answers: list[dict[str, Any]] = [
        {"ok": True, "resent": 2, "gone": 1},
        {"ok": True, "resent": 1, "gone": 4, "what a later gateway says": 1},
    ]
    refusing = [answers[0], {"ok": False, "error": "not today"}]
    for reported, wanted in (
        (answers, ResendResult(resent=3, gone=5, left=11)),
        ([answers[0], answers[1] | {"left": 4}], ResendResult(resent=3, gone=5, left=15)),
        (
            refusing,
            ResendResult(2, 1, left=13, error="the gateway refused the command: not today"),
        ),
    ):
        async with aiomqtt.Client(
            "127.0.0.1", broker.port, protocol=aiomqtt.ProtocolVersion.V5
        ) as client:
            await client.subscribe(TOPICS.commands, qos=1)
            await client.publish(TOPICS.status, encode_json(said), 1, retain=True)
            asking = asyncio.create_task(request_resend(source, branch, missing, 60.0))
            ranges = []
            for answer in reported:
                came = await anext(client.messages)
                assert isinstance(came.payload, bytes)
                command = decode_command("resend", came.payload, GW)
                ranges.append([each.ranges for each in parse_ranges(
                    command.arguments["ranges"], "ranges")])  # fmt: skip
                assert len(command.id) == 16
                properties: Any = came.properties
                assert properties.ContentType == JSON
                assert 0 < properties.MessageExpiryInterval <= EXPIRY_S
                data = {"v": 1, "gw": GW, "id": command.id, "verb": "resend", **answer}
                for other in (b"no answer", encode_json({**data, "id": "x", "resent": 77})):
                    await client.publish(TOPICS.answer("resend"), other, 1)
                await client.publish(TOPICS.status, encode_json(said), 1)
                await client.publish(TOPICS.answer("resend"), encode_json(data), 1)
            assert await asking == wanted
            assert ranges == [[((1, 1), (3, 3))], [((5, 5), (7, 7))]]
    assert "Received PUBLISH from city (d0, q1" in broker.log, "QoS 1, and once"
    assert "Received PUBLISH from city (d0, q2" not in broker.log


async def test_who_is_not_there_is_asked_nothing(mosquitto: Make) -> None:
    broker = mosquitto()
    source, branch = parse_source(broker.url, "city"), TOPICS.up.removesuffix("/up")
    missing = {(E1, "air"): [(1, 1)]}
    assert (await request_resend(source, branch, missing, 0.2)).error == "no answer within 0.2 s"
    for said in ({"state": "offline", "epoch": E2}, {"state": "online"}):
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            status = encode_json({"v": 1, "gw": GW, **said})
            await client.publish(TOPICS.status, status, 1, retain=True)
        assert "offline" in (await request_resend(source, branch, missing, 60.0)).error
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1: "):
        await request_resend(parse_source("mqtt://127.0.0.1:1", "city"), branch, missing, 1.0)


async def test_an_answer_that_is_kept_at_the_broker_says_nothing_of_who_is_there(
    mosquitto: Make,
) -> None:
    broker = mosquitto()
    source, branch = parse_source(broker.url, "city"), TOPICS.up.removesuffix("/up")
    said = {"v": 1, "gw": GW, "id": "x", "verb": "resend", "ok": True, "resent": 7, "gone": 0}
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.publish(TOPICS.answer("resend"), encode_json(said), 1, retain=True)
    done = await request_resend(source, branch, {(E1, "air"): [(1, 1)]}, 0.2)
    assert done.error == "no answer within 0.2 s"


def test_a_command_is_filled_before_the_next_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream takes the room of a range, and so does each of its ranges."""
    monkeypatch.setattr(module, "RANGES_PER_COMMAND", 5)
    missing = {(E1, "air"): [(1, 1), (3, 3)], (E1, "energy"): [(7, 7), (9, 9)]}
    found = [[(each.stream, each.ranges) for each in command]
             for command in split_commands(missing)]  # fmt: skip
    assert found == [[("air", [(1, 1), (3, 3)]), ("energy", [(7, 7)])], [("energy", [(9, 9)])]]
    assert list(split_commands({})) == []


def test_commands_begin_anywhere_so_that_numbers_that_are_gone_hide_no_others() -> None:
    """A gateway looks at the beginning of each command only."""
    missing = {(E1, "air"): [(1, 1), (3, 3)], (E1, "energy"): [(7, 7), (9, 9)]}
    firsts = []
    for begin in range(4):
        (command,) = split_commands(missing, begin)
        firsts.append((command[0].stream, command[0].ranges[0]))
        assert sorted(pair for each in command for pair in each.ranges) == [
            (1, 1), (3, 3), (7, 7), (9, 9)
        ]  # fmt: skip
    assert firsts == [("air", (1, 1)), ("air", (3, 3)), ("energy", (7, 7)), ("energy", (9, 9))]


RANGE = st.tuples(st.integers(1, 2**52), st.integers(0, 5)).map(lambda p: (p[0], p[0] + p[1]))


@given(st.dictionaries(
    st.tuples(st.integers(2**52, 2**53 - 1), st.sampled_from(["traffic", "air"])),
    st.lists(RANGE, min_size=1, max_size=30), max_size=5,
), st.integers(1, 100), st.integers(0, 3000))  # fmt: skip
def test_commands_hold_everything_and_are_small(
    missing: dict[tuple[int, str], list[Range]], times: int, begin: int
) -> None:
    missing = {key: ranges * times for key, ranges in missing.items()}
    begin %= sum(map(len, missing.values())) or 1
    commands = list(split_commands(missing, begin))
    found: dict[tuple[int, str], list[Range]] = {}
    for command in commands:
        payload = encode_command(GW, E1, "x" * 16, {"ranges": to_builtins(command)})
        assert len(payload.data) <= MAX_DOWN
        for each in parse_ranges(to_builtins(command), "ranges"):
            found.setdefault((each.epoch, each.stream), []).extend(each.ranges)
    turned = {key: [*ranges] for key, ranges in missing.items()}
    before = 0
    for key in sorted(missing):  # the one in which they begin comes with its end first
        inside = begin - before
        if 0 < inside < len(turned[key]):
            turned[key] = turned[key][inside:] + turned[key][:inside]
        before += len(turned[key])
    assert found == turned
    total = sum(map(len, missing.values()))
    assert len(commands) <= 1 + 2 * total // RANGES_PER_COMMAND
