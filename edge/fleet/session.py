"""One connection of one gateway: MQTT 5 on asyncio, with a window of messages in flight.

What a gateway's own connection does (`edge/uplink/mqtt.py`), for thousands in one process: decision
64 says why it is not paho. Window, keep-alive and their limits are those of the gateway.
"""

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from edge.fleet import packets
from edge.fleet.packets import Connack, Disconnect, Message, MqttError, Puback, Suback
from edge.fleet.tally import FleetTally
from edge.uplink.inflight import (
    BrokerRefusedError,
    ConnectionLostError,
    InFlight,
    PublishAnswer,
)
from edge.uplink.keepalive import KeepAlive
from edge.uplink.mqtt import HEADER

SUBSCRIBE_ID: Final = 65_535  # no message has it
REFUSED: Final = 128  # reason codes from here on say no


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """What a connection begins with."""

    connect: bytes
    filters: Sequence[str]
    keepalive_s: int
    window: int
    answer_s: float  # the oldest unacknowledged message; then the link counts as dead


class SessionOwner(Protocol):
    """Who has the connection. Nothing that is called here may raise."""

    def session_open(self, session: "FleetSession") -> None: ...
    def session_answered(self, token: Hashable, answer: PublishAnswer) -> None: ...
    def session_message(self, message: Message) -> None: ...
    def session_read(self) -> None:
        """All that came at one time was handed on."""

    def session_lost(self, error: ConnectionLostError | BrokerRefusedError) -> None:
        """Once, at its end; also if it was never open."""


class FleetSession(asyncio.Protocol):
    """Made for one connection, as asyncio's `create_connection` wants it."""

    def __init__(self, setup: SessionSetup, owner: SessionOwner, tally: FleetTally) -> None:
        self._setup, self._owner, self._tally = setup, owner, tally
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = packets.PacketReader()
        self._inflight = InFlight(setup.window, owner.session_answered)
        self._keepalive = KeepAlive(setup.keepalive_s, self._loop.time())
        self._heard = self._spoken = False
        self._last_id = 0
        self._sent_s: dict[int, float] = {}  # by packet number
        self._out: list[bytes] = []
        self._error: ConnectionLostError | BrokerRefusedError | None = None
        self._connack: Connack | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.is_open = False
        self.begun = asyncio.Event()
        """It is open, or has ended."""
        self.max_packet: int | None = None
        self.retain = True
        self.unsubscribed: tuple[str, ...] = ()
        """Filters that the broker refused."""

    # -- what its owner calls ----------------------------------------------------------------------

    @property
    def inflight(self) -> InFlight:
        """What is on its way, and the room for more."""
        return self._inflight

    @property
    def room(self) -> int:
        return self._inflight.room if self.is_open else 0

    def look(self) -> None:
        """Time has passed: before the next messages are chosen."""
        self._inflight.look(self._loop.time())

    def publish(
        self, token: Hashable, topic: bytes, payload: bytes, properties: bytes, *, retain: bool
    ) -> None:
        """With QoS 1. It leaves with `flush`, or as soon as there is room for its bytes."""
        size = len(topic) + len(payload) + len(properties) + HEADER

        def send() -> ConnectionLostError | None:
            number = self._next_id()
            now_s = self._loop.time()
            self._out.append(
                packets.publish_bytes(
                    topic, number, payload, properties, retain=retain and self.retain
                )
            )
            self._sent_s[number] = now_s
            self._inflight.sent(number, token, size, now_s)
            return None

        if self._inflight.has_room(size):
            send()
        else:
            self._inflight.wait(token, size, send)

    def flush(self) -> None:
        """Give to the network what was published."""
        if self._out and self._transport is not None:
            data = b"".join(self._out)
            self._out.clear()
            self._tally.bytes_out += len(data)
            self._transport.write(data)
            self._spoken = True

    def tick(self) -> None:
        """About every second: keep-alive, and whether an answer is overdue."""
        if not self.is_open:
            return
        now_s = self._loop.time()
        verdict = self._keepalive.look(now_s, heard=self._heard, sent=self._spoken)
        self._heard = self._spoken = False
        if verdict == "lost":
            self.cut(f"no data from the broker for {self._keepalive.silent_s:.0f} s")
        elif verdict == "ping":
            self._write(packets.PINGREQ_BYTES)
        elif verdict == "well" and (
            waited_s := self._inflight.overdue_s(now_s, self._setup.answer_s)
        ):
            self.cut(f"no acknowledgement of a message for {waited_s:.0f} s")

    def read_in(self, wait_s: float) -> None:
        """Call `session_read` then, though nothing comes: once, however often it is asked."""
        if self._timer is None:
            self._timer = self._loop.call_later(wait_s, self._read_again)

    def _read_again(self) -> None:
        self._timer = None
        if self.is_open:
            self._owner.session_read()

    def end(self) -> None:
        """Say goodbye. The broker closes the connection, and then `session_lost` is called."""
        self.flush()
        self._write(packets.DISCONNECT_BYTES)
        self._error = self._error or ConnectionLostError("closed")

    def cut(self, why: str) -> bool:
        """End without a goodbye. False: there was no connection, so nobody hears of its end."""
        self._error = self._error or ConnectionLostError(why)
        if self._transport is None:
            return False
        self._transport.abort()
        return True

    # -- what asyncio calls ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._write(self._setup.connect)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        self._tally.bytes_in += len(data)
        try:
            for packet in self._reader.feed(data):
                self._received(packet)
        except MqttError as error:
            self.cut(f"the broker sent data that is not MQTT 5: {error}")
            return
        self._owner.session_read()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._transport = None
        error = self._error or ConnectionLostError(f"connection: {exc or 'closed by the broker'}")
        lost = error if isinstance(error, ConnectionLostError) else ConnectionLostError(str(error))
        self._inflight.fail_all(lost)
        self._owner.session_lost(error)
        self.begun.set()

    # -- inside ------------------------------------------------------------------------------------

    def _received(self, packet: packets.Packet) -> None:
        match packet:
            case Puback(number, code):
                now_s = self._loop.time()
                if (sent_s := self._sent_s.pop(number, None)) is not None:
                    self._tally.puback_waits.add(now_s - sent_s)
                answer = code if code < REFUSED else BrokerRefusedError(code, "refused")
                self._inflight.answered(number, answer, now_s)
            case Message():
                if not self.is_open and self._connack is None:
                    raise MqttError("PUBLISH before CONNACK")
                self._owner.session_message(packet)
                if packet.packet_id:
                    self._out.append(packets.puback_bytes(packet.packet_id))
            case Connack():
                self._let_in(packet)
            case Suback(number, codes):
                self._subscribed(number, codes)
            case Disconnect(code, reason):
                self._told_to_go(code, reason)
            case _:
                pass  # PINGRESP: that bytes came is what counts

    def _let_in(self, connack: Connack) -> None:
        if self._connack is not None:
            raise MqttError("a second CONNACK")
        self._connack = connack
        told = connack.properties
        if connack.code >= REFUSED:
            text = str(told.get(packets.REASON_STRING, ""))
            self._error = BrokerRefusedError(connack.code, "CONNACK", text)
            self.cut("refused")
            return
        if told.get(packets.MAXIMUM_QOS, 2) == 0:
            self._error = BrokerRefusedError(155, "QoS not supported", "it accepts only QoS 0")
            self.cut("refused")
            return
        window = min(self._setup.window, int(cast("int", told.get(packets.RECEIVE_MAX, 65_535))))
        self._inflight = InFlight(window, self._owner.session_answered)
        alive_s = int(cast("int", told.get(packets.SERVER_KEEP_ALIVE, self._setup.keepalive_s)))
        self._keepalive = KeepAlive(alive_s, self._loop.time())
        largest = told.get(packets.MAXIMUM_PACKET_SIZE)
        self.max_packet = largest if isinstance(largest, int) else None
        self.retain = bool(told.get(packets.RETAIN_AVAILABLE, 1))
        self._write(packets.subscribe_bytes(SUBSCRIBE_ID, self._setup.filters))

    def _subscribed(self, number: int, codes: bytes) -> None:
        filters = self._setup.filters
        if self._connack is None or self.is_open or number != SUBSCRIBE_ID:
            raise MqttError("a SUBACK that nobody waits for")
        if len(codes) != len(filters):
            raise MqttError(f"SUBACK with {len(codes)} codes for {len(filters)} filters")
        self.unsubscribed = tuple(
            name for name, code in zip(filters, codes, strict=True) if code >= REFUSED
        )
        self.is_open = True
        self._owner.session_open(self)
        self.begun.set()

    def _told_to_go(self, code: int, reason: str) -> None:
        """It has said goodbye, and why."""
        text = f"broker: DISCONNECT {code}{': ' + reason if reason else ''}"
        self._error = self._error or ConnectionLostError(text, code)
        self.cut(text)

    def _next_id(self) -> int:
        number = self._last_id
        while True:
            number = number % (SUBSCRIBE_ID - 1) + 1
            if number not in self._sent_s:
                self._last_id = number
                return number

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._tally.bytes_out += len(data)
            self._transport.write(data)
            self._spoken = True
