"""An MQTT client that acknowledges a message when it is told to, not when the message arrives.

What was not acknowledged, the broker sends again: after a new connection of the same session, also
if this process was killed. Receive Maximum says how many messages it may send before that.

paho itself, through its public interface, and not aiomqtt, which hides `manual_ack`
(docs/decisions/0065-acknowledged-after-the-commit.md). Nothing happens between two calls, and all
but `wake` are made by one thread at a time: whoever stores in that thread shares no interpreter
lock with it, and a socket that is not read meanwhile holds the broker back.
"""

import os
import select
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt import MQTTException
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.platform.subscription import FAILURE_CODE, ArrivedMessage, BrokerSource
from edge.wire import Payload

ANSWER_S: Final = 10.0  # how long the broker may take for CONNACK, SUBACK, and the last PUBACKs
GOODBYE_S: Final = 1.0
KEEPALIVE_S: Final = 60
PUBLISHED: Final = 20  # messages on their way, where the broker does not say that it takes fewer
PACKETS: Final = 100  # read in one turn
READ_BYTES: Final = 8 << 20  # of messages that wait: then it is time to take some
PARSE_ERRORS: Final = (
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,
    struct.error,
    MQTTException,
)


@dataclass(frozen=True, slots=True)
class HeldMessage:
    """A message that the broker keeps until `number` is acknowledged (0: with QoS 0, none)."""

    came: ArrivedMessage
    number: int


@dataclass(slots=True)
class _Answer:
    """What is acknowledged when the broker has so many messages more."""

    numbers: list[int]
    waiting: int


class ManualAckClient:
    """Messages come into `arrived` in the order of the broker. All raise OSError when the
    connection cannot be made or has ended; then `connect` may be called again."""

    def __init__(
        self, source: BrokerSource, *, session_s: int, receive_maximum: int, largest: int
    ) -> None:
        self.arrived: deque[HeldMessage] = deque()
        self.arrived_bytes = 0
        self.published = 0  # messages that the broker has
        self._source = source
        self._properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        self._properties.SessionExpiryInterval = session_s
        self._properties.ReceiveMaximum = receive_maximum
        self._properties.MaximumPacketSize = largest
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            source.client_id,
            protocol=paho.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._client.connect_timeout = ANSWER_S
        self._client.max_inflight_messages_set(0)  # paho's own queue costs O(n) for each PUBACK
        if source.tls is not None:
            self._client.tls_set_context(source.tls)
        if source.username is not None:
            self._client.username_pw_set(source.username, source.password)
        self._fault: Exception | None = None  # of a callback
        self._client.on_message = self._noted(self._message)
        self._client.on_connect = self._noted(self._connected)
        self._client.on_disconnect = self._noted(self._disconnected)
        self._client.on_subscribe = self._noted(self._answered)
        self._client.on_unsubscribe = self._noted(self._answered)
        self._client.on_publish = self._noted(self._published)
        # once set, paho collects what it has to write instead of writing each packet at once
        self._client.on_socket_register_write = lambda *_: None
        self._answers: dict[int, Sequence[Any]] = {}  # of SUBSCRIBE and UNSUBSCRIBE, by number
        self._welcome = False  # the broker has let it in
        self._why = ""  # the connection has ended
        self._window = PUBLISHED
        self._unsent: deque[tuple[str, Payload, _Answer]] = deque()
        self._sent: dict[int, _Answer] = {}  # by the number of the packet
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._woken.setblocking(False)

    # -- the connection ----------------------------------------------------------------------------

    def connect(self, filters: Sequence[str], leave: Sequence[str] = ()) -> None:
        """Open it, subscribe with QoS 1, and end the subscriptions `leave`.

        What had arrived before and was not acknowledged comes again.
        """
        for each in [*self._sent.values(), *(unsent[2] for unsent in self._unsent)]:
            each.numbers.clear()  # a number is worth nothing in another connection
        self._welcome, self._why = False, ""
        host, port = self._source.host, self._source.port
        self._client.connect(
            host, port, KEEPALIVE_S,
            # mosquitto 2.0 does not keep a session on disk that began with a clean start
            clean_start=False, properties=self._properties,
        )  # fmt: skip
        self._until(lambda: self._welcome, "CONNACK")
        codes = self._asked(self._client.subscribe([(name, 1) for name in filters]), "SUBACK")
        for code in codes:
            if code.value >= FAILURE_CODE:
                raise ConnectionError(f"the broker refuses the subscription: {code}")
        if leave:
            self._asked(self._client.unsubscribe(list(leave)), "UNSUBACK")
        self._send()

    def close(self) -> None:
        """Say goodbye, once the broker has all answers, or does not take them."""
        try:
            self._until(lambda: not self._sent and not self._unsent, "PUBACK")
            self._say_goodbye()
        except OSError:
            pass  # what it has not got, it asks for again: it sends the messages again
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Without a goodbye; nothing more is acknowledged. The client cannot be used again."""
        if (sock := self._client.socket()) is not None:
            sock.close()
        self._waker.close()
        self._woken.close()

    def wake(self) -> None:
        """End a `receive` that waits. From any thread, at any time."""
        with suppress(OSError):  # closed, or told often enough
            self._waker.send(b"x")

    # -- messages ----------------------------------------------------------------------------------

    def receive(self, wait_s: float) -> bool:
        """Read what has come, waiting at most so long for the first. Whether there was any."""
        before = len(self.arrived)
        self._turn(wait_s)
        return len(self.arrived) > before

    def take(self, most: int, most_bytes: int) -> list[HeldMessage]:
        """The next messages: one at least, if there is one, and no more than fit."""
        taken: list[HeldMessage] = []
        while self.arrived and len(taken) < most and most_bytes > 0:
            taken.append(self.arrived.popleft())
            most_bytes -= taken[-1].came.size
            self.arrived_bytes -= taken[-1].came.size
        return taken

    def answer(self, messages: Iterable[tuple[str, Payload]], numbers: Iterable[int]) -> None:
        """Publish messages with QoS 1; when the broker has them all, acknowledge these numbers.

        Where the connection is lost, the next one publishes what the broker has not.
        """
        made = list(messages)
        owed = _Answer([number for number in numbers if number], len(made))
        if not made:
            self._acknowledge(owed)
        self._unsent.extend((topic, payload, owed) for topic, payload in made)
        self._send()

    # -- inside ------------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        """paho closes the socket behind DISCONNECT. Where something has come meanwhile, the kernel
        then sends a reset, and a reset takes with it what the broker has not read yet."""
        sock: Any = self._client.socket()
        if sock is None:
            return
        end = time.monotonic() + GOODBYE_S
        with socket.socket(fileno=os.dup(sock.fileno())) as line:
            self._client.disconnect()
            while self._client.want_write() and (left := end - time.monotonic()) > 0:
                select.select([], [line], [], left)
                self._client.loop_write()
            line.shutdown(socket.SHUT_WR)
            line.settimeout(GOODBYE_S)
            while line.recv(1 << 16) and time.monotonic() < end:
                pass

    def _send(self) -> None:
        while self._welcome and self._unsent and len(self._sent) < self._window:
            topic, payload, owed = self._unsent.popleft()
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.ContentType = payload.content_type
            sent = self._client.publish(topic, payload.data, 1, properties=properties)
            self._sent[sent.mid] = owed

    def _acknowledge(self, owed: _Answer) -> None:
        for number in owed.numbers:
            self._client.ack(number, 1)
        owed.numbers.clear()

    def _turn(self, wait_s: float) -> None:
        """Write what waits, and read, waiting at most so long until there is something to read."""
        client = self._client
        sock: Any = client.socket()
        if sock is None:
            raise ConnectionError(self._why or "the connection has ended")
        try:
            if client.want_write():
                # first: a write to a broker that is gone closes the socket, with what is unread
                while self._has_room and self._readable(sock, 0):
                    self._read()
                client.loop_write()
            if client.socket() is not None and self._readable(sock, wait_s):
                self._read()
            client.loop_misc()
        except PARSE_ERRORS as error:
            if error is self._fault:
                raise
            raise ConnectionError(f"the broker sent data that is not MQTT: {error}") from error
        if client.socket() is None:
            raise ConnectionError(self._why or "the connection has ended")

    def _readable(self, sock: Any, wait_s: float) -> bool:
        if isinstance(sock, ssl.SSLSocket) and sock.pending():
            return True  # TLS decrypts whole records: the rest waits inside, and select is blind
        writes = [sock] if self._client.want_write() else []
        reads, _, _ = select.select([sock, self._woken], writes, [], wait_s)
        if self._woken in reads:
            self._woken.recv(4096)
        return sock in reads

    def _read(self) -> None:
        for _ in range(PACKETS):
            before = len(self.arrived)
            self._client.loop_read()
            if len(self.arrived) == before or not self._has_room:
                return

    @property
    def _has_room(self) -> bool:
        return self._client.socket() is not None and self.arrived_bytes <= READ_BYTES

    def _until(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + ANSWER_S
        while not done():
            if (left := end - time.monotonic()) <= 0:
                raise TimeoutError(f"no {what} for {ANSWER_S:.0f} s")
            self._turn(left)

    def _asked(self, sent: tuple[Any, int | None], what: str) -> Sequence[Any]:
        number = sent[1]
        if number is None:
            raise ConnectionError("the connection has ended")
        self._until(lambda: number in self._answers, what)
        return self._answers.pop(number)

    def _noted(self, callback: Callable[..., None]) -> Callable[..., None]:
        """paho calls it while it reads: what it raises is a fault of ours, and not the broker's."""

        def call(*words: Any) -> None:
            try:
                callback(*words)
            except Exception as fault:
                self._fault = fault
                raise

        return call

    def _connected(self, _client: Any, _data: Any, _flags: Any, code: Any, found: Any) -> None:
        if code.is_failure:
            self._why = f"the broker refuses the connection: {code}"
            return
        self._welcome = True
        self._window = min(PUBLISHED, getattr(found, "ReceiveMaximum", PUBLISHED))

    def _disconnected(self, _client: Any, _data: Any, flags: Any, code: Any, _found: Any) -> None:
        said = flags.is_disconnect_packet_from_server
        self._welcome = False
        self._why = self._why or (f"the broker ends it: {code}" if said else "it was closed")

    def _answered(self, _client: Any, _data: Any, number: int, codes: Any, _found: Any) -> None:
        self._answers[number] = codes

    def _published(self, _client: Any, _data: Any, number: int, _code: Any, _found: Any) -> None:
        if (owed := self._sent.pop(number, None)) is None:
            return
        self.published += 1
        owed.waiting -= 1
        if not owed.waiting:
            self._acknowledge(owed)
        self._send()

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # no gateway's: refused, and acknowledged with the others
        content_type = getattr(message.properties, "ContentType", None)
        came = ArrivedMessage(topic, bytes(message.payload), content_type, message.retain)
        self.arrived.append(HeldMessage(came, message.mid))
        self.arrived_bytes += came.size
