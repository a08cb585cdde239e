"""Whether the broker of the former configuration answers: asked while the present one is deaf.

A connection of TCP, and nothing is said on it: whoever listens there does not take it for a second
client of this box. It shows that the network carries, and that going back is of use.
"""

import socket
from collections.abc import Sequence
from typing import Final

from edge.config import Uplink
from edge.core import endpoint
from edge.uplink.broker import parse_proxy

CONNECT_S: Final = 5.0
PLACES: Final = 4  # brokers that are asked


def former_places(uplink: Uplink) -> list[tuple[str, int]]:
    """Host and port of each broker; of its proxy, where one stands before them."""
    if uplink.proxy is not None:
        return [parse_proxy(uplink.proxy)]
    found = [endpoint(url) for url in uplink.urls]
    return [(one.host, one.port) for one in found][:PLACES]


def former_answers(places: Sequence[tuple[str, int]]) -> bool:
    """Whether somebody listens at one of them. Blocks: CONNECT_S for each address of a place."""
    for place in places:
        try:
            socket.create_connection(place, CONNECT_S).close()
        except OSError:
            continue
        return True
    return False
