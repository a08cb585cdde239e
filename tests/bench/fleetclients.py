"""Many MQTT connections in this process, with paho or with a fleet's codec: what a message costs.

`python -m tests.bench.fleetclients paho|own PORT CONNECTIONS MESSAGES` prints one line of JSON.
"""

import asyncio
import json
import resource
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from edge.fleet.packets import connect_bytes, publish_properties
from edge.fleet.session import FleetSession, SessionSetup
from edge.fleet.tally import FleetTally
from edge.uplink.broker import Broker
from edge.uplink.mqtt import MqttConnection
from edge.wire import MSGPACK

PAYLOAD = b"x" * 1000
TOPIC = "kerbstone/v1/fleet/gw-1/up/traffic/north_1"
FILTER = "kerbstone/v1/fleet/gw-1/down/receipt"
PROPERTIES = publish_properties(MSGPACK)
TALLY = FleetTally()  # of all, as in a fleet


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


class Sender:
    """One connection, whatever it is made of."""

    def __init__(self, messages: int) -> None:
        self.left = self.waiting = messages
        self.done = asyncio.Event()
        self.begun = False  # not before all are connected

    def answered(self, _token: Hashable, _answer: Any) -> None:
        self.waiting -= 1
        if not self.waiting:
            self.done.set()


class PahoSender(Sender):
    async def open(self, port: int, number: int) -> None:
        self._link = await MqttConnection.open(
            Broker("127.0.0.1", port, f"paho-{number}"), will=None, on_answer=self._go_on,
            on_lost=print, subscribe=(FILTER,),
        )  # fmt: skip

    def _go_on(self, token: Hashable, answer: Any) -> None:
        self.answered(token, answer)
        asyncio.get_running_loop().call_soon(self.fill)

    def fill(self) -> None:
        while self.left and self._link.room:
            self.left -= 1
            self._link.publish(self, TOPIC, PAYLOAD, MSGPACK)


class OwnSender(Sender):
    async def open(self, port: int, number: int) -> None:
        will = ("kerbstone/v1/fleet/gw-1/up/status", b"{}", PROPERTIES)
        connect = connect_bytes(f"own-{number}", keepalive_s=30, will=will)
        setup = SessionSetup(connect, (FILTER,), 30, 200, 20.0)
        self._session = FleetSession(setup, self, TALLY)
        await asyncio.get_running_loop().create_connection(lambda: self._session, "127.0.0.1", port)
        await self._session.begun.wait()

    def session_open(self, session: FleetSession) -> None: ...
    def session_message(self, message: Any) -> None: ...
    def session_lost(self, error: Any) -> None: ...

    def session_answered(self, token: Hashable, answer: Any) -> None:
        self.answered(token, answer)

    def session_read(self) -> None:
        if self.begun:
            self.fill()

    def fill(self) -> None:
        while self.left and self._session.room:
            self.left -= 1
            self._session.publish(self, TOPIC.encode(), PAYLOAD, PROPERTIES, retain=False)
        self._session.flush()


async def main(kind: str, port: int, connections: int, messages: int) -> None:
    senders = [(PahoSender if kind == "paho" else OwnSender)(messages) for _ in range(connections)]
    before = rss_bytes()
    for number, each in enumerate(senders):
        await each.open(port, number)
    memory, began_s = rss_bytes() - before, cpu_s()
    for each in senders:
        each.begun = True
        each.fill()
    await asyncio.gather(*(each.done.wait() for each in senders))
    sent = connections * messages
    cost = {"us": (cpu_s() - began_s) / sent * 1e6, "kib": memory / connections / 1024}
    print(json.dumps(cost), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
