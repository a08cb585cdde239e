"""What our client says of its connection, over a pair of real sockets."""

import contextlib
import socket
import ssl

import pytest

from edge.uplink.broker import Broker
from edge.uplink.pahoclient import ClientSocket, PahoClient
from tests.kit.waiting import until


async def test_what_went_out_and_what_came_in_is_a_sign_of_life() -> None:
    client = PahoClient(Broker("broker", 1883, "gw"), None)
    ClientSocket(client, lambda error: None)
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs), contextlib.closing(ours):
        client._sock = ours
        client.ping()
        assert (client.spoken, client.heard) == (False, False)
        await until(lambda: client.spoken)
        assert not client.heard
        assert theirs.recv(9) == b"\xc0\x00"
        theirs.send(b"3")
        assert client._sock_recv(9) == b"3"
        assert client.heard
        client._sock = None


async def test_part_of_a_packet_is_no_sign_of_life_yet() -> None:
    """A link so slow that one message takes minutes: the broker counts whole packets."""
    client = PahoClient(Broker("broker", 1883, "gw"), None)
    ClientSocket(client, lambda error: None)
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs), contextlib.closing(ours):
        ours.setblocking(False)
        theirs.setblocking(False)
        client._sock = ours
        client._packet_queue(0x30, bytes(4 << 20), 0, 0)
        came = 0

        def read() -> bool:
            nonlocal came
            with contextlib.suppress(BlockingIOError):
                came += len(theirs.recv(1 << 16))
            return came > 1 << 18

        await until(read)
        assert not client.spoken
        await until(lambda: read() and came == 4 << 20)
        await until(lambda: client.spoken)
        client._sock = None


class AlertedSocket(socket.socket):
    """The other side has ended TLS, and says why."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        error = ssl.SSLError(1, "tlsv1 alert")
        error.reason = "TLSV1_ALERT_UNKNOWN_CA"
        raise error


def test_why_tls_was_ended_from_the_other_side_is_kept_and_goes_on_as_an_error() -> None:
    client = PahoClient(Broker("broker", 1883, "gw"), None)
    with AlertedSocket() as alerted:
        client._sock = alerted
        with pytest.raises(ssl.SSLError):
            client._sock_recv(9)
        client._sock = None
    assert (client.alert, client.heard) == ("TLSV1_ALERT_UNKNOWN_CA", False)
