"""The broker's side of a session under test: what was written to it, and answers to that."""

import asyncio
import itertools
from typing import Any, NamedTuple, cast

from edge.fleet.boxrecords import plan_start
from edge.fleet.gateway import BoxOptions, SimulatedGateway
from edge.fleet.ledger import FormerEpoch
from edge.fleet.packets import connect_bytes
from edge.fleet.session import FleetSession, SessionOwner, SessionSetup
from edge.fleet.street import Street
from edge.fleet.tally import FleetTally
from edge.wire import DecodedMessage, Receipt, decode, encode_receipts
from tests.kit.clock import VirtualClock

STREET = Street(2, 1)
CONNACK = b"\x20\x03\x00\x00\x00"


class Written(NamedTuple):
    """A PUBLISH of ours."""

    topic: str
    number: int
    payload: bytes
    content_type: str
    retain: bool

    def decoded(self) -> DecodedMessage:
        return decode(self.topic, self.payload, self.content_type)[0]


class BrokerSide(asyncio.Transport):
    """Keeps what is written, until it is asked for."""

    def __init__(self, session: FleetSession) -> None:
        super().__init__()
        self.session = session
        self.data = b""
        self.aborted = False
        session.connection_made(self)

    def write(self, data: Any) -> None:
        self.data += bytes(data)

    def abort(self) -> None:
        self.aborted = True

    def packets(self) -> list[tuple[int, bytes]]:
        """First byte and body of each packet that was written since."""
        data, found = self.data, []
        self.data = b""
        while data:
            size = shift = 0
            for place in itertools.count(1):
                size |= (data[place] & 0x7F) << shift
                shift += 7
                if data[place] < 0x80:
                    break
            found.append((data[0], data[place + 1 : place + 1 + size]))
            data = data[place + 1 + size :]
        return found

    def published(self) -> list[Written]:
        """The PUBLISH packets since, without any answer."""
        return [_written(first, body) for first, body in self.packets() if first >> 4 == 3]

    def let_in(self, connack: bytes = CONNACK) -> None:
        """CONNACK, and SUBACK to what is subscribed then."""
        self.packets()
        self.session.data_received(connack)
        for first, body in self.packets():
            if first == 0x82:
                count = len(self.session._setup.filters)
                granted = body[:2] + b"\x00" + b"\x01" * count
                self.session.data_received(bytes((0x90, len(granted))) + granted)

    def acknowledge(self, *numbers: int, code: int = 0) -> None:
        for number in numbers:
            body = number.to_bytes(2, "big") + (bytes((code,)) if code else b"")
            self.session.data_received(bytes((0x40, len(body))) + body)

    def take_all(self, code: int = 0) -> list[Written]:
        """Acknowledge whatever comes, until nothing more does."""
        found: list[Written] = []
        while fresh := self.published():
            found += fresh
            self.acknowledge(*(each.number for each in fresh), code=code)
        return found

    def send(self, topic: str, payload: bytes) -> None:
        """A message to the gateway."""
        body = len(topic).to_bytes(2, "big") + topic.encode() + b"\x00\x07\x00" + payload
        size = len(body)
        length = bytes((size,)) if size < 128 else bytes((size & 0x7F | 0x80, size >> 7))
        self.session.data_received(b"\x32" + length + body)


def _written(first: int, body: bytes) -> Written:
    size = int.from_bytes(body[:2], "big")
    topic, at = body[2 : 2 + size].decode(), 2 + size
    number, properties = int.from_bytes(body[at : at + 2], "big"), body[at + 2]
    kind = body[at + 6 : at + 3 + properties].decode()  # the content type alone
    return Written(topic, number, body[at + 3 + properties :], kind, bool(first & 1))


class Box:
    """One gateway in virtual time, and the broker's side of its connection."""

    def __init__(self, former: FormerEpoch | None = None, **options: Any) -> None:
        import random

        self.clock = VirtualClock()
        self.tally = FleetTally()
        start = plan_start("gw-1", 29_800_000, former, random.Random(1))
        chosen = BoxOptions("test", "kerbstone/v1", **options)
        self.gateway = SimulatedGateway(
            start, STREET, chosen, self.tally, lambda: self.clock.mono_ns
        )

    def connect(
        self, connack: bytes = CONNACK, window: int = 200, answer_s: float = 20.0
    ) -> BrokerSide:
        one = self.gateway
        connect = connect_bytes("gw-1", keepalive_s=30, will=one.will)
        setup = SessionSetup(connect, one.filters, 30, window, answer_s)
        owner = cast("SessionOwner", one)
        side = BrokerSide(FleetSession(setup, owner, self.tally))
        side.let_in(connack)
        return side

    def receipt(self, side: BrokerSide, *messages: DecodedMessage) -> None:
        """The platform has stored these."""
        found = [
            Receipt(epoch, stream, ((seq, seq),))
            for _, epoch, stream, seq in (each.key for each in messages)
        ]
        for payload in encode_receipts("gw-1", found):
            side.send(self.gateway.topics.receipt, payload.data)

    def wait(self, seconds: float) -> None:
        self.clock.mono_ns += int(seconds * 1e9)
        self.gateway.tick()


def records(written: list[Written]) -> list[DecodedMessage]:
    """Of these, the records."""
    decoded = (each.decoded() for each in written)
    return [each for each in decoded if each.kind == "record"]
