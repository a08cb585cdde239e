"""The codec at a real mosquitto: what one session writes another one reads, byte for byte."""

import asyncio
import random
from collections.abc import Hashable

from edge.fleet.packets import MAX_PACKET, Message, connect_bytes, publish_properties
from edge.fleet.session import FleetSession, SessionSetup
from edge.fleet.tally import FleetTally
from edge.uplink.inflight import BrokerRefusedError, ConnectionLostError, PublishAnswer
from tests.kit.broker import Make
from tests.kit.waiting import until

PROPERTIES = publish_properties("application/octet-stream")
LETTERS = "abzÄß€漢🚦 .:-_$/"
OPEN = "allow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"


class Peer:
    """One session, and all that comes."""

    def __init__(self, name: str, port: int, filters: tuple[str, ...]) -> None:
        self.name, self.port, self.filters = name, port, filters
        self.came: list[Message] = []
        self.answers: dict[Hashable, PublishAnswer] = {}
        self.lost: list[Exception] = []

    async def open(self) -> FleetSession:
        connect = connect_bytes(
            self.name, keepalive_s=30, will=(f"wills/{self.name}", b"gone", PROPERTIES)
        )
        setup = SessionSetup(connect, self.filters, 30, 65_534, 20.0)
        self.session = FleetSession(setup, self, FleetTally())
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self.session, "127.0.0.1", self.port)
        await self.session.begun.wait()
        return self.session

    def session_open(self, session: FleetSession) -> None: ...
    def session_read(self) -> None: ...

    def session_answered(self, token: Hashable, answer: PublishAnswer) -> None:
        self.answers[token] = answer

    def session_message(self, message: Message) -> None:
        self.came.append(message)

    def session_lost(self, error: ConnectionLostError | BrokerRefusedError) -> None:
        self.lost.append(error)


async def test_what_one_session_writes_another_reads(mosquitto: Make) -> None:
    broker, rng = mosquitto(OPEN), random.Random(1)
    hearer, sender = (Peer(name, broker.port, (f"{name}/#",)) for name in ("hear", "send"))
    await hearer.open()
    session = await sender.open()
    sizes = [0, 1, 90, 127, 128, 16_200, 16_383, 16_384, MAX_PACKET - 400]
    sizes += [int(10 ** rng.uniform(0, 4.5)) for _ in range(200)]
    sent = []
    for number, size in enumerate(sizes):
        topic = "hear/" + "".join(rng.choices(LETTERS, k=rng.randrange(1, 40)))
        sent.append((topic, rng.randbytes(size)))
        session.publish(number, topic.encode(), sent[-1][1], PROPERTIES, retain=False)
        session.flush()
    await until(lambda: len(hearer.came) == len(sent))
    assert [(each.topic, each.payload) for each in hearer.came] == sent
    await until(lambda: len(sender.answers) == len(sent))  # the broker answers when it has time
    assert sender.answers == dict.fromkeys(range(len(sent)), 0)
    assert hearer.lost == sender.lost == []
    session.end()
    await until(lambda: sender.lost)
    assert str(sender.lost[0]) == "closed"
    hearer.session.cut("closed")
    await until(lambda: hearer.lost)


async def test_a_will_comes_when_a_session_breaks_and_not_after_a_goodbye(mosquitto: Make) -> None:
    broker = mosquitto()
    hearer = Peer("hear", broker.port, ("wills/+",))
    await hearer.open()
    for name, end in (("leaves", "goodbye"), ("breaks", "cut")):
        peer = Peer(name, broker.port, ("x",))
        session = await peer.open()
        if end == "goodbye":
            session.end()
        else:
            session.cut("cable pulled")
        await until(lambda peer=peer: peer.lost)  # type: ignore[misc]
    await until(lambda: hearer.came)
    (will,) = hearer.came
    assert (will.topic, will.payload, will.retain) == ("wills/breaks", b"gone", True)
    hearer.session.cut("closed")
    await until(lambda: hearer.lost)
