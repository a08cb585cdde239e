"""What our client says of its connection, over a pair of real sockets."""

import contextlib
import socket

from edge.uplink.broker import Broker
from edge.uplink.pahoclient import PahoClient


def test_what_went_out_and_what_came_in_is_a_sign_of_life() -> None:
    client = PahoClient(Broker("broker", 1883, "gw"), None)
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs), contextlib.closing(ours):
        client._sock = ours
        assert (client.spoken, client.heard) == (False, False)
        assert client._sock_send(b"12") == 2
        assert (client.spoken, client.heard) == (True, False)
        assert theirs.recv(9) == b"12"
        theirs.send(b"3")
        assert client._sock_recv(9) == b"3"
        assert client.heard
        client._sock = None
