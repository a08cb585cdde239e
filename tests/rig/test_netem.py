"""What the kernel says of its queues, as netlink tells it: who lost how many packets."""

import struct

import pytest

from edge.rig.guest.netem import dropped, messages, netem_drops

TCMSG = struct.pack("=BxxxiIII", 0, 2, 0x8001_0000, 0xFFFFFFFF, 2)


def attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def queue(kind: bytes, drops: int) -> bytes:
    """A queue as Linux tells it: TCA_KIND, TCA_OPTIONS, TCA_STATS2 of two parts, TCA_STATS."""
    basic = attribute(1, struct.pack("=QI4x", 7_000, 70))
    counts = attribute(3, struct.pack("=IIIII", 1, 60, drops, 0, 0))
    return (
        TCMSG + attribute(1, kind + b"\0") + attribute(2, bytes(24)) + attribute(7, basic + counts)
        + attribute(3, bytes(36))
    )  # fmt: skip


def test_the_drops_of_netem_are_read_and_of_no_other_queue() -> None:
    assert netem_drops(queue(b"netem", 13)) == 13
    assert netem_drops(queue(b"pfifo_fast", 13)) == 0


@pytest.mark.parametrize("cut", [20, 24, 30, 60, 64])
def test_a_message_that_is_cut_short_tells_of_none(cut: int) -> None:
    assert netem_drops(queue(b"netem", 13)[:cut]) == 0


def test_a_datagram_is_several_messages() -> None:
    bodies = [queue(b"netem", 1), queue(b"noqueue", 0), b"\0\0\0\0"]
    kinds = [36, 36, 3]
    data = b"".join(
        struct.pack("=IHHII", 16 + len(body), kind, 2, 1, 0) + body
        for kind, body in zip(kinds, bodies, strict=True)
    )
    assert [*messages(data)] == [*zip(kinds, bodies, strict=True)]


def test_a_message_without_a_size_is_refused_and_not_read_for_ever() -> None:
    with pytest.raises(OSError, match="without a size"):
        list(messages(bytes(16)))


def test_a_card_without_netem_has_lost_nothing() -> None:
    assert dropped("lo") == 0
