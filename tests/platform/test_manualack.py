"""What is not acknowledged comes again; against mosquitto, and a broker that talks nonsense."""

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from edge.platform import manualack
from edge.platform.manualack import HeldMessage, ManualAckClient
from edge.platform.subscription import parse_source
from edge.wire import JSON, Payload
from tests.kit.broker import Make, Mosquitto
from tests.kit.waiting import until

UP = ["k/+/up"]
PINGREQ = b"\xc0\x00"
QUEUES = "allow_anonymous true\nmax_queued_messages 0\n"


@contextmanager
def client(
    url: str, *, receive_maximum: int = 100, largest: int = 100_000
) -> Iterator[ManualAckClient]:
    source = parse_source(url, "city")
    made = ManualAckClient(source, session_s=600, receive_maximum=receive_maximum, largest=largest)
    try:
        yield made
    finally:
        made.abandon()


async def published(broker: Mosquitto, *payloads: bytes, topic: str = "k/gw/up") -> None:
    async with aiomqtt.Client("127.0.0.1", broker.port) as sender:
        for payload in payloads:
            await sender.publish(topic, payload, 1)


def taken(mine: ManualAckClient, count: int) -> list[HeldMessage]:
    end = time.monotonic() + 30
    while len(mine.arrived) < count:
        assert time.monotonic() < end, f"{len(mine.arrived)} of {count} came"
        mine.receive(0.1)
    return mine.take(count, 1 << 30)


def payloads(messages: list[HeldMessage]) -> list[bytes]:
    return [message.came.payload for message in messages]


async def test_what_was_not_acknowledged_comes_again(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url) as first:
        first.connect(UP)
        await published(broker, b"1", b"2", b"3")
        came = taken(first, 3)
        assert payloads(came) == [b"1", b"2", b"3"]
        first.answer([], [came[0].number])
        first.receive(0)
        await until(lambda: "Received PUBACK from city" in broker.log)
    with client(broker.url) as second:
        second.connect(UP)
        again = taken(second, 2)
        assert payloads(again) == [b"2", b"3"]
        second.answer([], [each.number for each in again])
        second.close()
    assert broker.log.count("Received PUBACK from city") == 3
    assert "Received DISCONNECT from city" in broker.log


async def test_the_same_client_gets_them_again_in_its_next_connection(
    mosquitto: Make, tmp_path: Path
) -> None:
    """Numbers of the connection before are worth nothing there."""
    kept = f"persistence true\npersistence_location {tmp_path}/\nautosave_on_changes true\n"
    broker = mosquitto(f"{QUEUES}{kept}autosave_interval 1\n")
    with client(broker.url) as mine:
        mine.connect(UP)
        await published(broker, b"1", b"2")
        taken(mine, 2)
        broker.stop()
        with pytest.raises(OSError, match=r"it was closed|the broker ends it: "):
            taken(mine, 5)
        broker.start()
        mine.connect(UP)
        assert payloads(taken(mine, 2)) == [b"1", b"2"]


async def test_what_has_come_is_read_before_a_dead_broker_is_written_to(mosquitto: Make) -> None:
    """A write that fails closes the socket, and with it what lay in the kernel, unread."""
    broker = mosquitto(QUEUES)
    with client(broker.url) as mine:
        mine.connect(UP)
        await published(broker, b"1")
        (first,) = taken(mine, 1)
        await published(broker, b"2", b"3")
        await until(lambda: broker.log.count("Sending PUBLISH to city") == 3)
        broker.send(signal.SIGSTOP)
        sock: Any = mine._client.socket()
        sock.send(PINGREQ)  # what it has not read makes a reset of its end
        broker.kill()
        mine.answer([("k/gw/down", Payload(b"{}", JSON))], [first.number])
        with pytest.raises(OSError, match="it was closed"):
            taken(mine, 3)
        assert payloads([*mine.arrived]) == [b"2", b"3"]


async def test_an_answer_goes_before_the_acknowledgement(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url) as mine:
        mine.connect(UP)
        await published(broker, b"1", b"2")
        came = taken(mine, 2)
        answers = [(f"k/gw/down{n}", Payload(b"{}", JSON)) for n in range(50)]
        mine.answer(answers, [each.number for each in came])
        mine.close()
    log = broker.log
    assert log.count("Received PUBLISH from city (d0, q1") == 50, "more than go at one time"
    assert log.count("Received PUBACK from city") == 2
    assert log.rindex("Sending PUBACK to city") < log.index("Received PUBACK from city")


async def test_the_broker_holds_back_what_is_more_than_the_maximum(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url, receive_maximum=2) as mine:
        mine.connect(UP)
        await published(broker, *(b"%d" % n for n in range(5)))
        came = taken(mine, 2)
        assert not mine.receive(0.2)
        mine.answer([], [came[0].number])
        came += taken(mine, 1)
        assert payloads(came) == [b"0", b"1", b"2"]


async def test_a_packet_that_is_too_large_is_not_sent(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url, largest=1000) as mine:
        mine.connect(UP)
        await published(broker, b"x" * 2000, b"small")
        assert payloads(taken(mine, 1)) == [b"small"]


async def test_bytes_that_wait_are_counted_and_taken_in_parts(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url) as mine:
        mine.connect(UP)
        await published(broker, *[b"x" * 972] * 5)  # each topic takes 28
        while len(mine.arrived) < 5:
            mine.receive(1)
        assert mine.arrived_bytes == 5000
        assert [len(mine.take(3, 1500)), len(mine.take(3, 1)), len(mine.take(9, 9000))] == [2, 1, 2]
        assert (mine.arrived_bytes, mine.take(1, 1)) == (0, [])


async def test_a_session_that_another_one_takes_over_says_so(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url) as mine, client(broker.url) as other:
        mine.connect(UP)
        other.connect(UP)
        with pytest.raises(ConnectionError, match="the broker ends it: Session taken over"):
            taken(mine, 1)


async def test_a_wait_ends_when_it_is_woken(mosquitto: Make) -> None:
    with client(mosquitto().url) as mine:
        mine.connect(UP)
        begin = time.monotonic()
        threading.Timer(0.05, mine.wake).start()
        assert not mine.receive(30)
        assert time.monotonic() - begin < 10
    mine.wake()  # too late, and no harm


async def test_subscriptions_of_before_are_left(mosquitto: Make) -> None:
    broker = mosquitto(QUEUES)
    with client(broker.url) as former:
        former.connect(["k/+/up", "old/#"])
        former.close()
    with client(broker.url) as mine:
        mine.connect(UP, ["old/#", "never/subscribed"])
        await published(broker, b"old", topic="old/x")
        await published(broker, b"new")
        assert payloads(taken(mine, 1)) == [b"new"]


def test_a_broker_that_refuses_says_why(mosquitto: Make) -> None:
    broker = mosquitto("allow_anonymous false\n")
    with client(broker.url) as mine, pytest.raises(ConnectionError, match="Not authorized"):
        mine.connect(UP)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x00\x00\x90\xff", b"",
        b"\x20\x03\x00\x00\x00" + b"\x32\x05\x00\x09k/gw/up", b"\x20\x09\x00\x00\x06\x21",
    ],
)  # fmt: skip
def test_what_is_no_broker_is_an_error(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.recv(1000)
                line.sendall(said)
                line.shutdown(socket.SHUT_WR)
                line.recv(1000)

        thread = threading.Thread(target=talk)
        thread.start()
        with (
            client(f"mqtt://127.0.0.1:{server.getsockname()[1]}") as mine,
            pytest.raises(OSError),
        ):
            mine.connect(UP)
        thread.join()


@pytest.mark.parametrize("callback", ["_connected", "_answered", "_message", "_published"])
@pytest.mark.parametrize("fault", [RecursionError, KeyError, TypeError])
async def test_a_fault_of_a_callback_is_no_fault_of_the_broker(
    mosquitto: Make, monkeypatch: pytest.MonkeyPatch, callback: str, fault: type[Exception]
) -> None:
    def fails(*_: object) -> None:
        raise fault("ours")

    broker = mosquitto(QUEUES)
    monkeypatch.setattr(ManualAckClient, callback, fails)

    async def talks(mine: ManualAckClient) -> None:
        mine.connect(UP)
        await published(broker, b"1")
        mine.answer([("k/gw/down", Payload(b"{}", JSON))], [])
        taken(mine, 2)

    with client(broker.url) as mine, pytest.raises(fault, match="ours"):
        await talks(mine)


async def test_a_goodbye_arrives_although_much_has_come_meanwhile(mosquitto: Make) -> None:
    """Whoever closes a socket with unread bytes resets it, and the last answers are lost."""
    broker = mosquitto(QUEUES)
    with client(broker.url, receive_maximum=2000) as mine:
        mine.connect(UP)
        await published(broker, b"first")
        (first,) = taken(mine, 1)
        await published(broker, *[b"x" * 5000] * 200)
        mine.answer([], [first.number])
        mine.close()
    await until(lambda: "Received DISCONNECT from city" in broker.log)
    assert broker.log.count("Received PUBACK from city") == 1
    mine.close()  # once more does no harm


async def test_a_broker_that_takes_nothing_is_left(
    mosquitto: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manualack, "ANSWER_S", 0.2)
    broker = mosquitto(QUEUES)
    with client(broker.url) as mine:
        mine.connect(UP)
        broker.send(signal.SIGSTOP)
        try:
            mine.answer([("k/gw/down", Payload(b"{}", JSON))], [])
            begin = time.monotonic()
            mine.close()
            assert time.monotonic() - begin < 10
            with pytest.raises(OSError):
                mine.connect(UP)
        finally:
            broker.send(signal.SIGCONT)
