"""A roadside unit: counts vehicles on the loops of its site file, and publishes JSON by MQTT.

python device.py SITE mqtt://HOST:PORT

`unit/LANE/counts` every two seconds, also of a lane over which nobody drives; `unit/LANE/alarm`
when a loop stays closed for five seconds, and when it is over.
"""

import itertools
import json
import selectors
import socket
import struct
import sys
import time
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt

WINDOW_S = 2.0
STUCK_S = 5.0
EDGE = struct.Struct("<QIIB")  # stamp in ns of CLOCK_MONOTONIC, two numbers, 1 for a rising edge
LINE = {"direction": "input", "bias": "up", "edges": "both", "debounce_ns": 0, "level": False}


class Loop:
    """One loop on one line of the chip: a socket with packets of JSON, as the rig offers it.

    On a roadside cabinet this class would request a GPIO line; nothing else would be different.
    """

    def __init__(self, lane: str, chip: str, line: str) -> None:
        self.lane, self.count, self.is_stuck = lane, 0, False
        self.closed_s: float | None = None  # since when somebody is over it, by CLOCK_MONOTONIC
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(chip.removeprefix("sim:"))
        self.ask(
            do="request",
            line=int(line.removeprefix("GPIO")),
            consumer="unit",
            buffer=256,
            settings=LINE,
        )
        if answer := json.loads(self.socket.recv(4096)):
            sys.exit(f"line {line} of lane {lane} is not mine: {answer}")

    def ask(self, **question: Any) -> None:
        self.socket.send(json.dumps(question).encode())

    def hear(self) -> None:
        """Edges wait, or come. A loop card pulls its line low while somebody is over the loop."""
        packet = self.socket.recv(65536)
        if packet == b"":
            sys.exit(f"the wire of lane {self.lane} is gone")
        if packet == b"!":
            self.ask(do="read", max=256)
        elif packet.startswith(b"E"):
            for stamp_ns, _, _, rising in EDGE.iter_unpack(packet[1:]):
                if not rising and self.closed_s is None:
                    self.count += 1
                self.closed_s = None if rising else stamp_ns / 1e9


class Unit:
    """The whole of it: loops on one side, a broker on the other."""

    def __init__(self, site: str, broker: str) -> None:
        with Path(site).open("rb") as file:
            data = tomllib.load(file)
        self.loops = [
            Loop(name, data["bus"][lane["bus"]]["chip"], lane["lead"])
            for name, lane in data["lane"].items()
        ]
        self.number = itertools.count(1)
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, "roadside-unit", clean_session=False
        )
        self.client.reconnect_delay_set(1, 1)
        place = urlsplit(broker)
        self.client.connect(place.hostname or "", place.port or 1883)
        self.client.loop_start()

    def publish(self, topic: str, **body: Any) -> None:
        """Kept until the broker has it: paho sends again after a connection that broke."""
        self.client.publish(topic, json.dumps(body), qos=1)

    def close_windows(self, begin_s: float, end_s: float) -> None:
        for loop in self.loops:
            count, loop.count = loop.count, 0
            span = {"begin": round(begin_s, 3), "end": round(end_s, 3)}
            self.publish(
                f"unit/{loop.lane}/counts",
                n=next(self.number),
                span=span,
                count=count,
                ts=time.time(),
            )

    def watch(self) -> None:
        """Tell of loops that have been closed for too long, and of those that are open again."""
        for loop in self.loops:
            long = loop.closed_s is not None and time.monotonic() - loop.closed_s > STUCK_S
            if long != loop.is_stuck:
                loop.is_stuck = long
                self.publish(
                    f"unit/{loop.lane}/alarm", alarm="LOOP_CLOSED", active=long, ts=time.time()
                )

    def run(self) -> None:
        selector = selectors.DefaultSelector()
        for loop in self.loops:
            selector.register(loop.socket, selectors.EVENT_READ, loop)
        begin_s = time.time()
        while True:
            end_s = begin_s + WINDOW_S
            while (rest_s := end_s - time.time()) > 0:
                for key, _ in selector.select(min(rest_s, 0.2)):
                    key.data.hear()
                self.watch()
            self.close_windows(begin_s, end_s)
            begin_s = end_s


if __name__ == "__main__":
    Unit(*sys.argv[1:3]).run()
