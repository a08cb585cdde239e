"""The broker of the layer sim, spoken to by hand."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from edge.rig.simbroker import SimBroker
from edge.rig.virtualcalls import CALLS, replaced
from edge.rig.virtualtime import VirtualTime
from tests.kit.rawbroker import length, publish

PLACE = ("127.0.0.1", 1883)
S = 1_000_000_000


def text(words: bytes) -> bytes:
    return len(words).to_bytes(2, "big") + words


def connect(version: int, will: bytes = b"") -> bytes:
    properties = b"\x00" if version == 5 else b""
    flags = b"\x06" if will else b"\x02"
    body = text(b"MQTT") + bytes([version]) + flags + b"\x00\x3c" + properties + text(b"box")
    if will:
        body += (b"\x05\x03\x00\x02ab" if version == 5 else b"") + text(b"gone") + text(will)
    return b"\x10" + length(len(body)) + body


@contextmanager
def spoken() -> Iterator[tuple[VirtualTime, SimBroker]]:
    world = VirtualTime(mono_ns=7 * S, wall_ns=0, seed=1)
    with replaced(CALLS), world.conducted():
        broker = SimBroker(world, PLACE)
        broker.start()
        try:
            yield world, broker
        finally:
            broker.stop()


def ask(world: VirtualTime, sock: socket.socket, question: bytes) -> bytes:
    sock.sendall(question)
    world.run_until(world.now_ns)
    sock.setblocking(False)
    try:
        return sock.recv(1000)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize(("version", "connack", "suback"), [
    (5, b"\x20\x03\0\0\0", b"\x90\x05\0\x09\0\x01\x01"),
    (4, b"\x20\x02\0\0", b"\x90\x04\0\x09\x01\x01"),
])  # fmt: skip
def test_it_answers_at_once_and_keeps_what_came(
    version: int, connack: bytes, suback: bytes
) -> None:
    with spoken() as (world, broker), socket.create_connection(PLACE) as sock:
        assert ask(world, sock, connect(version)) == connack
        properties = b"\x00" if version == 5 else b""
        body = b"\x00\x09" + properties + text(b"down/#") + b"\x01" + text(b"all") + b"\x01"
        assert ask(world, sock, b"\x82" + length(len(body)) + body) == suback
        assert ask(world, sock, b"\xc0\x00") == b"\xd0\x00"
        packet = publish(b"up/air", b"x" * 300, 513)
        if version == 4:  # without properties
            body = text(b"up/air") + b"\x02\x01" + b"x" * 300
            packet = b"\x32" + length(len(body)) + body
        assert ask(world, sock, packet[:100]) == b""  # not whole yet
        assert ask(world, sock, packet[100:]) == b"\x40\x02\x02\x01"
        ((at_ns, one),) = broker.published
        assert (at_ns, one.topic, one.payload) == (7 * S, "up/air", b"x" * 300)


@pytest.mark.parametrize("version", [5, 4])
def test_a_will_is_published_when_nobody_says_goodbye(version: int) -> None:
    with spoken() as (world, broker):
        for goodbye in (b"\xe0\x00", b""):
            with socket.create_connection(PLACE) as sock:
                ask(world, sock, connect(version, will=b"lost"))
                ask(world, sock, goodbye)
            world.run_until(world.now_ns)
        ((_, will),) = broker.published
        content_type = "ab" if version == 5 else None
        assert (will.topic, will.payload, will.content_type) == ("gone", b"lost", content_type)


def test_what_is_no_mqtt_ends_its_connection_only() -> None:
    with spoken() as (world, _), socket.create_connection(PLACE) as good:
        ask(world, good, connect(5))
        with socket.create_connection(PLACE) as bad:
            assert ask(world, bad, b"\x10\x02\x00\x04") == b""
            assert bad.recv(10) == b""  # it hung up
        assert ask(world, good, b"\xc0\x00") == b"\xd0\x00"


def test_one_that_is_down_refuses_and_comes_back() -> None:
    with spoken() as (world, broker), socket.create_connection(PLACE) as sock:
        ask(world, sock, connect(5))
        broker.down(True)
        assert sock.recv(10) == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(PLACE)
        broker.down(False)
        with socket.create_connection(PLACE) as again:
            assert ask(world, again, connect(5)).startswith(b"\x20")
