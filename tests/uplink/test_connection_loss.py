"""Links that die without a word, links that are only slow, and who is to blame for the end."""

import asyncio
import signal
import socket
from dataclasses import replace
from typing import Any

import pytest

from edge.uplink import inflight, mqtt
from edge.uplink.broker import make_broker
from edge.uplink.keepalive import KeepAlive
from edge.uplink.mqtt import (
    SESSION_TAKEN_OVER,
    BrokerRefusedError,
    ConnectionLostError,
    MqttConnection,
    Will,
)
from tests.kit.broker import Make
from tests.kit.caller import Caller
from tests.kit.link import impaired_link
from tests.kit.rawbroker import PINGREQ, raw_broker
from tests.kit.waiting import until

TYPE = "application/json"
TIMES = 4


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keep-alive is a second or more on the wire: here each of them counts for a quarter."""
    monkeypatch.setattr(mqtt, "KeepAlive", lambda wire_s, now_s: KeepAlive(wire_s / TIMES, now_s))


@pytest.mark.usefixtures("quick")
async def test_a_black_hole_is_noticed_without_sending_anything(mosquitto: Make) -> None:
    async with impaired_link(mosquitto().port) as way:
        caller = Caller()
        link = await caller.open(replace(make_broker(way.url, "gw"), keepalive_s=1))
        way.hole = True
        await until(lambda: bool(caller.lost))
        assert "no data from" in str(caller.lost[0])
        assert caller.lost[0].code is None
        await link.close()


@pytest.mark.usefixtures("quick")
async def test_a_black_hole_is_noticed_while_messages_are_on_the_way(mosquitto: Make) -> None:
    """Before the patience for an answer (20 s) is over."""
    async with impaired_link(mosquitto().port) as way:
        caller = Caller()
        link = await caller.open(replace(make_broker(way.url, "gw"), keepalive_s=1))
        way.hole = True
        link.publish("x", "t", b"x", TYPE)
        await until(lambda: bool(caller.lost))
        assert "no data from" in str(caller.lost[0])
        assert isinstance(caller.answers[0][1], ConnectionLostError)
        await link.close()


@pytest.mark.usefixtures("quick")
async def test_a_frozen_broker_is_noticed(mosquitto: Make) -> None:
    broker = mosquitto()
    caller = Caller()
    link = await caller.open(replace(make_broker(broker.url, "gw"), keepalive_s=1))
    broker.send(signal.SIGSTOP)
    await until(lambda: bool(caller.lost))
    broker.send(signal.SIGCONT)
    await link.close()


async def test_the_servers_keepalive_is_the_one_in_force(mosquitto: Make) -> None:
    broker = mosquitto("allow_anonymous true\nmax_keepalive 11\n")
    link = await Caller().open(make_broker(broker.url, "gw"))
    assert link.session.keepalive_s == 11
    await link.close()


@pytest.mark.usefixtures("quick")
async def test_the_servers_keepalive_sets_pings_and_the_end() -> None:
    async with raw_broker() as broker:
        broker.connack_properties = b"\x13\x00\x01"
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"))
        assert link.session.keepalive_s == 1
        await until(lambda: broker.kinds.count(PINGREQ) >= 3)
        assert caller.lost == [], "an answered ping is a sign of life"
        broker.mute = True
        await until(lambda: bool(caller.lost))
        await link.close()


@pytest.mark.usefixtures("quick")
async def test_any_byte_is_a_sign_of_life_even_when_no_ping_is_answered() -> None:
    async with raw_broker() as broker:
        broker.connack_properties = b"\x13\x00\x01"
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"))
        broker.mute = True
        for byte in (b"\x30", b"\x7f", *[b"\x00"] * 28):  # a long message, byte by byte
            await broker.send(byte)
            await asyncio.sleep(0.1 / TIMES)
        assert caller.lost == []
        await until(lambda: bool(caller.lost))
        await link.close()


async def test_the_kernel_knows_how_long_to_wait() -> None:
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None:
        pytest.skip("this system has no TCP_USER_TIMEOUT")
    async with raw_broker() as broker:
        link = await Caller().open(replace(make_broker(broker.url, "gw"), keepalive_s=20))
        sock: Any = link._client.socket()
        assert sock.getsockopt(socket.IPPROTO_TCP, option) == 30_000
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await link.close()
        broker.connack_properties = b"\x13\x00\x0a"
        link = await Caller().open(replace(make_broker(broker.url, "gw"), keepalive_s=20))
        sock = link._client.socket()
        assert sock.getsockopt(socket.IPPROTO_TCP, option) == 15_000
        await link.close()


async def test_another_client_of_our_name_is_told_from_a_broken_line(mosquitto: Make) -> None:
    broker = mosquitto()
    first, second = Caller(), Caller()
    link = await first.open(make_broker(broker.url, "gw"))
    thief = await second.open(make_broker(broker.url, "gw"))
    await until(lambda: bool(first.lost))
    assert first.lost[0].code == SESSION_TAKEN_OVER
    await link.close()
    await thief.close()


async def test_the_code_of_a_goodbye_is_kept() -> None:
    async with raw_broker() as broker:
        caller = Caller()
        link = await caller.open(make_broker(broker.url, "gw"))
        await broker.send(bytes((0xE0, 2, 0x8B, 0)))  # server shutting down
        await until(lambda: bool(caller.lost))
        assert caller.lost[0].code == 0x8B
        await link.close()


@pytest.mark.parametrize("code", [0x88, 0x89, 0x97, 0x9C, 0x9D, 0x9F])
async def test_the_code_of_a_refusal_is_kept(code: int) -> None:
    async with raw_broker() as broker:
        broker.connack = code
        with pytest.raises(BrokerRefusedError) as refused:
            await Caller().open(make_broker(broker.url, "gw"))
        assert refused.value.code == code


async def test_a_goodbye_right_after_the_welcome_is_not_missed() -> None:
    async with raw_broker() as broker:
        answer = broker._reply
        broker._reply = lambda kind, body: answer(kind, body) + b"\xe0\x00"  # type: ignore[method-assign]
        caller = Caller()
        try:
            link = await caller.open(make_broker(broker.url, "gw"))
        except ConnectionLostError:
            assert caller.lost == [], "told once: there was no connection"
        else:
            await until(lambda: len(caller.lost) == 1)
            await link.close()


async def test_an_alarm_does_not_wait_behind_a_backlog_on_a_slow_line(
    mosquitto: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """6 kB/s, and always more to send: what waits in front of the next message is bounded.

    All of it goes so many times as fast: the line, and how long an answer may take.
    """
    for name in ("TARGET_S", "QUEUE_S"):
        monkeypatch.setattr(inflight, name, getattr(inflight, name) / TIMES)
    async with impaired_link(mosquitto().port) as way:
        caller = Caller()
        link = await caller.open(make_broker(way.url, "gw"))
        way.rate = 6000.0 * TIMES
        sent = 0
        while len(caller.answers) < 50:
            while link.room:
                assert link.publish(sent, "t", bytes(300), TYPE) is None
                sent += 1
            await asyncio.sleep(0.01)
        assert way.most <= 3 * 6000
        assert link.limit < 60
        assert all(isinstance(answer, int) for _, answer in caller.answers)
        assert caller.lost == []
        await link.close()


async def test_a_fast_line_gets_its_whole_window(mosquitto: Make) -> None:
    broker = mosquitto("allow_anonymous true\nmax_inflight_messages 200\n")
    caller = Caller()
    link = await caller.open(make_broker(broker.url, "gw"))
    assert link.limit < 200, "it starts small"
    sent = 0
    while len(caller.answers) < 3000:
        while link.room:
            link.publish(sent, "t", bytes(300), TYPE)
            sent += 1
        await asyncio.sleep(0)
    assert link.limit == 200
    assert link.room_bytes >= 0
    await link.close()


async def test_a_goodbye_is_read_before_the_connection_ends(mosquitto: Make) -> None:
    """Not once in fifty clean ends does the broker publish the will."""
    broker = mosquitto()
    platform = Caller()
    listener = await platform.open(make_broker(broker.url, "platform"), ("status", "end"))
    for _ in range(50):
        answers: list[object] = []
        link = await MqttConnection.open(
            make_broker(broker.url, "gw"),
            will=Will("status", b"lost", TYPE),
            on_answer=lambda token, answer, kept=answers: kept.append(answer),  # type: ignore[misc]
            on_lost=lambda error: None,
        )
        link.publish("x", "status", b"stopped", TYPE)
        await link.close()
        assert answers == [0], "what was on its way is still answered"
        assert isinstance(link.publish("x", "status", b"late", TYPE), ConnectionLostError)
    listener.publish("x", "end", b"end", TYPE)
    await until(lambda: platform.messages[-1:] != [] and platform.messages[-1].topic == "end")
    assert [message.payload for message in platform.messages[:-1]] == [b"stopped"] * 50
    await listener.close()


@pytest.mark.parametrize("announced", [b"\x21\x00\x00", b"\x27\x00\x00\x00\x00"])
async def test_a_broker_that_announces_that_it_takes_nothing_is_left(announced: bytes) -> None:
    """Receive Maximum 0, and Maximum Packet Size 0: a protocol error (MQTT 5, 3.2.2.3)."""
    async with raw_broker() as broker:
        broker.connack_properties = announced
        caller = Caller()
        with pytest.raises(ConnectionLostError):
            await caller.open(make_broker(broker.url, "gw"))
        assert caller.lost == []
