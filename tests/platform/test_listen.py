"""Listening to a broker in the test's own process: over losses, sessions and overruns."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge.acquire.clock import SystemClock
from edge.core import ConfigError
from edge.platform import subscription as module
from edge.platform.subscription import (
    RETRY_NS,
    ArrivedMessage,
    UnreachableError,
    listen,
    make_client,
    parse_source,
    subscribe_all,
    to_arrived,
)
from edge.wire import JSON, Payload
from tests.kit.broker import Make, free_port
from tests.kit.platform import gateway
from tests.kit.records import TOPICS

UP = [f"{TOPICS.up}/#"]


async def test_what_comes_too_fast_is_counted_once(
    mosquitto: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUEUE_MESSAGES", 3)
    broker, reported, ready = mosquitto(), list[int](), asyncio.Event()
    source = parse_source(broker.url, "reader")
    messages = listen(source, UP, SystemClock(), on_ready=ready.set, on_overrun=reported.append)
    async with contextlib.aclosing(messages), gateway(broker) as sender:
        first = asyncio.ensure_future(anext(messages))
        await asyncio.wait_for(ready.wait(), 60)
        for n in range(1, 12):
            await sender.put(TOPICS.status, Payload(b"%d" % n, JSON))
            if n == 1:
                assert await first == ArrivedMessage(TOPICS.status, b"1", JSON, retained=False)
        await asyncio.to_thread(broker.wait_for_acknowledgements)
        assert [(await anext(messages)).payload for _ in range(3)] == [b"2", b"3", b"4"]
    assert reported == [7]


async def test_a_loss_is_told_and_after_a_while_it_listens_again(mosquitto: Make) -> None:
    broker, said, slept = mosquitto(), list[str](), list[int]()

    class Noted(SystemClock):
        async def sleep_until(self, mono_ns: int) -> None:
            slept.append(mono_ns - self.now().mono_ns)
            broker.start()

    def ready() -> None:
        said.append("ready")
        if len(said) == 1:
            broker.kill()

    def lost(why: str) -> None:
        said.append("lost" if why else "no reason")

    clock = Noted()
    messages = listen(parse_source(broker.url, "r"), UP, clock, on_ready=ready, on_loss=lost)
    async with contextlib.aclosing(messages):
        task = asyncio.ensure_future(anext(messages))
        async with asyncio.timeout(60):
            while len(said) < 3:
                await asyncio.sleep(0.01)
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                await client.publish(TOPICS.status, b"x", 1)
            assert (await task).payload == b"x"
    assert said == ["ready", "lost", "ready"]
    assert RETRY_NS // 2 < slept[0] <= RETRY_NS


async def test_a_session_keeps_what_comes_meanwhile(mosquitto: Make) -> None:
    broker = mosquitto()
    source = parse_source(broker.url, "reader")
    async with make_client(source, 600) as client:
        await subscribe_all(client, UP)
    async with aiomqtt.Client("127.0.0.1", broker.port) as sender:
        await sender.publish(TOPICS.status, b"kept", 1)
    async with make_client(source, 0) as client:
        assert (await anext(client.messages)).payload == b"kept"
    async with aiomqtt.Client("127.0.0.1", broker.port) as sender:
        await sender.publish(TOPICS.status, b"lost", 1)
    async with make_client(source, 0) as client:  # the session before ended with its connection
        await subscribe_all(client, UP)
        async with aiomqtt.Client("127.0.0.1", broker.port) as sender:
            await sender.publish(TOPICS.status, b"new", 1)
        assert (await anext(client.messages)).payload == b"new"


async def test_nobody_there_is_an_error_that_says_where() -> None:
    port = free_port()
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{port}: "):
        await anext(listen(parse_source(f"mqtt://127.0.0.1:{port}", "r"), UP, SystemClock()))


@pytest.mark.parametrize(
    ("granted", "refused"),
    [
        ([ReasonCode(PacketTypes.SUBACK, identifier=1)] * 2, False),
        ([ReasonCode(PacketTypes.SUBACK, identifier=1),
          ReasonCode(PacketTypes.SUBACK, identifier=0x87)], True),
        ([1, 0x80], True),  # MQTT 3.1.1
        (["?"], True),
    ],
)  # fmt: skip
async def test_a_refused_subscription_is_not_silence(granted: list[Any], refused: bool) -> None:
    asked: list[Any] = []

    class Granting:
        async def subscribe(self, filters: Any) -> list[Any]:
            asked.extend(filters)
            return granted

    client: Any = Granting()
    with pytest.raises(UnreachableError, match="refuses") if refused else contextlib.nullcontext():
        await subscribe_all(client, ["a", "b"])
    assert asked == [("a", 1), ("b", 1)]


def test_what_is_no_bytes_arrives_as_nothing() -> None:
    payloads: tuple[Any, ...] = (None, 7, "text")
    for payload in payloads:
        came = aiomqtt.Message("a", payload, 1, True, 1, None)
        assert to_arrived(came) == ArrivedMessage("a", b"", None, retained=True)


def test_a_source_is_what_the_command_line_says(tmp_path: Path) -> None:
    plain = parse_source("mqtt://h:1884", "me", username="u", password="p")
    assert (plain.host, plain.port, plain.client_id, plain.tls) == ("h", 1884, "me", None)
    assert (plain.username, plain.password) == ("u", "p")
    assert parse_source("mqtts://h", "me", username="u").tls is not None
    with pytest.raises(ConfigError, match="--broker mqtts://HOST:PORT"):
        parse_source("http://h", "me")
    with pytest.raises(ConfigError, match="--username"):
        parse_source("mqtt://h", "me", password="p")
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(ConfigError):
        parse_source("mqtts://h", "me", cert=tmp_path / "cert.pem")
    with pytest.raises(ConfigError):
        parse_source("mqtts://h", "me", ca=tmp_path / "none.pem")
