"""The codec of a fleet: what it writes is what paho writes; what is not MQTT 5 is refused."""

import contextlib
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.fleet import packets
from edge.fleet.packets import (
    MAX_PACKET,
    Connack,
    Disconnect,
    Message,
    MqttError,
    Packet,
    PacketReader,
    Pingresp,
    Puback,
    Suback,
)
from edge.uplink.broker import Broker
from edge.uplink.pahoclient import PahoClient, Will, publish_properties
from edge.wire import JSON

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0+#"), min_size=1, max_size=60)
IDS = st.integers(1, 65_535)


def read(data: bytes) -> list[Packet]:
    return list(PacketReader().feed(data))


class Paho:
    """What paho writes, on a socket of our own."""

    def __init__(self, broker: Broker, will: Will) -> None:
        ours, self._far = socket.socketpair()
        self._far.setblocking(False)
        self.client = PahoClient(broker, will)
        self.client.start(ours)

    def written(self) -> bytes:
        while self.client.want_write():
            self.client.loop_write()
        found = b""
        try:
            while part := self._far.recv(1 << 20):
                found += part
        except BlockingIOError:
            pass
        return found

    def close(self) -> None:
        self.client.abort()
        self._far.close()


@given(
    st.integers(1, 65_535),
    TEXTS,
    st.binary(max_size=400),
    st.one_of(st.none(), TEXTS),
    st.one_of(st.none(), TEXTS),
)
def test_connect_is_what_paho_writes(
    keepalive_s: int, topic: str, payload: bytes, username: str | None, password: str | None
) -> None:
    if username is None:
        password = None
    broker = Broker("h", 1, "gw-1", username=username, password=password, keepalive_s=keepalive_s)
    paho = Paho(broker, Will(topic, payload, JSON))
    ours = packets.connect_bytes(
        "gw-1",
        keepalive_s=keepalive_s,
        will=(topic, payload, packets.publish_properties(JSON)),
        username=username,
        password=password,
    )
    theirs = paho.written()
    paho.close()
    # two properties, in either order
    largest, receive = b"\x27" + struct.pack(">I", MAX_PACKET), b"\x21\x00\x14"
    assert ours in (theirs, theirs.replace(receive + largest, largest + receive))


@given(TEXTS, st.binary(max_size=3000), st.booleans(), IDS)
def test_publish_is_what_paho_writes(topic: str, payload: bytes, retain: bool, number: int) -> None:
    paho = Paho(Broker("h", 1, "gw-1"), Will("w", b"", JSON))
    paho.written()
    paho.client._last_mid = number - 1
    paho.client.publish(topic, payload, 1, retain, publish_properties(JSON))
    ours = packets.publish_bytes(
        topic.encode(), number, payload, packets.publish_properties(JSON), retain=retain
    )
    assert paho.written() == ours
    paho.close()


@given(st.lists(TEXTS, min_size=1, max_size=4), IDS)
def test_subscribe_is_what_paho_writes(filters: list[str], number: int) -> None:
    paho = Paho(Broker("h", 1, "gw-1"), Will("w", b"", JSON))
    paho.written()
    paho.client._last_mid = number - 1
    paho.client.request_subscriptions(tuple(filters))
    assert paho.written() == packets.subscribe_bytes(number, filters)
    paho.client.send_disconnect()
    paho.client.ping()
    assert paho.written() == packets.DISCONNECT_BYTES + packets.PINGREQ_BYTES
    paho.close()


def properties(kind: int, **values: Any) -> bytes:
    made = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    packed: bytes = made.pack()  # type: ignore[no-untyped-call]
    return packed


def packet(first: int, body: bytes) -> bytes:
    return packets._packet(first, body)


@given(st.integers(1, 65_535), st.integers(1, 1 << 31), st.integers(0, 65_535), TEXTS, TEXTS)
def test_a_connack_with_paho_s_properties_is_read(
    receive: int, largest: int, keepalive_s: int, reason: str, client_id: str
) -> None:
    packed = properties(
        PacketTypes.CONNACK,
        ReceiveMaximum=receive,
        MaximumPacketSize=largest,
        ServerKeepAlive=keepalive_s,
        ReasonString=reason,
        AssignedClientIdentifier=client_id,
        RetainAvailable=0,
        UserProperty=[("a", "b"), ("a", "c")],
    )
    (found,) = read(packet(0x20, b"\x01\x00" + packed))
    assert isinstance(found, Connack)
    assert (found.session_present, found.code) == (True, 0)
    assert found.properties[packets.RECEIVE_MAX] == receive
    assert found.properties[packets.MAXIMUM_PACKET_SIZE] == largest
    assert found.properties[packets.SERVER_KEEP_ALIVE] == keepalive_s
    assert found.properties[packets.REASON_STRING] == reason
    assert found.properties[packets.RETAIN_AVAILABLE] == 0


@given(TEXTS, st.binary(max_size=200), IDS, st.booleans(), TEXTS)
def test_a_message_with_paho_s_properties_is_read(
    topic: str, payload: bytes, number: int, retain: bool, kind: str
) -> None:
    packed = properties(
        PacketTypes.PUBLISH,
        ContentType=kind,
        MessageExpiryInterval=7,
        UserProperty=("a", "b"),
        SubscriptionIdentifier=[3, 4],
    )
    head = len(topic.encode()).to_bytes(2, "big") + topic.encode()
    flags = 0x32 | retain
    (found,) = read(packet(flags, head + number.to_bytes(2, "big") + packed + payload))
    assert found == Message(topic, payload, number, retain)
    (found,) = read(packet(0x30 | retain, head + packed + payload))
    assert found == Message(topic, payload, 0, retain)


GOOD = [
    (b"\x40\x02\x00\x05", Puback(5, 0)),
    (b"\x40\x03\x00\x05\x10", Puback(5, 16)),
    (b"\x40\x04\x00\x05\x97\x00", Puback(5, 151)),
    (b"\x90\x06\x00\x05\x00\x01\x87\x01", Suback(5, b"\x01\x87\x01")),
    (b"\xd0\x00", Pingresp()),
    (b"\xe0\x00", Disconnect(0, "")),
    (b"\xe0\x01\x8e", Disconnect(142, "")),
    (b"\xe0\x06\x8b\x04\x1f\x00\x01x", Disconnect(139, "x")),
    (b"\x20\x03\x00\x87\x00", Connack(False, 135, {})),
]


@pytest.mark.parametrize(("data", "found"), GOOD, ids=[data.hex() for data, _ in GOOD])
def test_what_the_standard_allows_is_read(data: bytes, found: Packet) -> None:
    assert read(data) == [found]


BAD = {
    "a reserved type": b"\x00\x00",
    "a type that only a client sends": b"\xc0\x00",
    "an answer to QoS 2": b"\x50\x02\x00\x01",
    "AUTH, which nobody asked for": b"\xf0\x00",
    "flags where none are": b"\x41\x02\x00\x05",
    "QoS 2": b"\x34\x07\x00\x01a\x00\x01\x00x",
    "QoS 3": b"\x36\x07\x00\x01a\x00\x01\x00x",
    "QoS 0 sent twice": b"\x38\x04\x00\x01a\x00",
    "packet id 0": b"\x40\x02\x00\x00",
    "a PUBACK that ends too soon": b"\x40\x01\x00",
    "a PUBACK that goes on": b"\x40\x05\x00\x05\x00\x00\x00",
    "a message without a topic": b"\x30\x03\x00\x00\x00",
    "a message to a filter": b"\x30\x04\x00\x01#\x00",
    "a topic that is no UTF-8": b"\x30\x04\x00\x01\xff\x00",
    "a topic with a null": b"\x30\x04\x00\x01\x00\x00",
    "a topic alias": b"\x30\x07\x00\x01a\x03\x23\x00\x01",
    "a property that belongs elsewhere": b"\x40\x09\x00\x05\x00\x05\x27\x00\x00\x00\x01",
    "a property twice": b"\x20\x09\x00\x00\x06\x21\x00\x01\x21\x00\x01",
    "Receive Maximum 0": b"\x20\x06\x00\x00\x03\x21\x00\x00",
    "Retain Available 2": b"\x20\x05\x00\x00\x02\x25\x02",
    "a session and a refusal": b"\x20\x03\x01\x87\x00",
    "reserved flags in CONNACK": b"\x20\x03\x02\x00\x00",
    "properties longer than the packet": b"\x20\x04\x00\x00\x05\x21",
    "a SUBACK without codes": b"\x90\x03\x00\x01\x00",
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "a length with a byte too many": b"\xd0\x80\x00",
    "more than was announced": b"\x30" + packets._length(MAX_PACKET + 1),
}


@pytest.mark.parametrize("what", BAD)
def test_what_the_standard_forbids_is_refused(what: str) -> None:
    with pytest.raises(MqttError):
        read(BAD[what])


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_refused(data: bytes) -> None:
    reader = PacketReader()
    try:
        list(reader.feed(data))
    except MqttError:
        return
    assert len(reader._rest) <= len(data)


@given(st.sampled_from([data for data, _ in GOOD]), st.data())
def test_a_damaged_packet_is_read_or_refused_and_nothing_else(good: bytes, data: Any) -> None:
    place = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:place] + bytes((data.draw(st.integers(0, 255)),)) + good[place + 1 :]
    with contextlib.suppress(MqttError):
        read(damaged)


@given(st.lists(st.sampled_from(GOOD), max_size=12), st.integers(1, 9))
def test_packets_come_in_any_pieces(sent: list[tuple[bytes, Packet]], size: int) -> None:
    data = b"".join(each for each, _ in sent)
    reader, found = PacketReader(), list[Packet]()
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    assert found == [packet for _, packet in sent]


def test_a_session_that_is_kept_is_taken_up_again() -> None:
    will = ("w", b"", packets.publish_properties(JSON))
    kept = packets.connect_bytes("gw", keepalive_s=30, will=will, session_expiry_s=3600)
    clean = packets.connect_bytes("gw", keepalive_s=30, will=will)
    assert kept[9] == clean[9] & ~0x02
    assert b"\x11\x00\x00\x0e\x10" in kept
