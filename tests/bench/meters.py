"""Meters at a Modbus TCP endpoint that answer faster than anybody asks: the answers are ready.

    python -m tests.bench.meters TABLE.toml UNITS

It prints its port. SIGUSR1 makes the last unit silent; at SIGTERM it prints how often it was asked
and what CPU that took, so that a benchmark can tell whether it measured the meters.
"""

import json
import random
import signal
import socket
import struct
import sys
import threading
import time
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

SIZES: Final = {"f32": 2, "u64": 4}
STATES: Final = 1021  # of one meter, one after the other: further apart than zlib looks back
WANDER: Final = 0.004  # of a value, from one answer to the next


def images(table: Mapping[str, Any], rng: random.Random) -> list[bytes]:
    """What the registers hold, answer by answer: they wander, but for totals."""
    rows = table["points"].values()
    end = max(row["address"] + SIZES[row["type"]] for row in rows)
    place = {row["address"]: row["low"] + 0.6 * (row["high"] - row["low"]) for row in rows}
    made = []
    for _ in range(STATES):
        image = bytearray(2 * end)
        for row in rows:
            if row["type"] == "f32":
                wander = 0.0 if "kind" in row else WANDER * rng.uniform(-1, 1)
                value = place[row["address"]] * (1 + wander)
                struct.pack_into(">f", image, 2 * row["address"], value)
        made.append(bytes(image))
    return made


class ModbusMeters:
    """`units` alike meters; `silent` are those that do not answer. Counts what it was asked."""

    def __init__(self, table: Mapping[str, Any], units: int) -> None:
        self._clock_at = next(
            (row["address"] for row in table["points"].values() if row["type"] == "u64"), None
        )
        rng = random.Random(20)
        self._images = {unit: images(table, rng) for unit in range(1, units + 1)}
        self.silent: set[int] = set()
        self.requests = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """A thread for each master, until the process ends."""
        while True:
            sock, _ = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        state = 0
        ready: dict[tuple[int, bytes], bytes] = {}  # (state, question) -> the answer's rest
        with sock:
            while asked := sock.recv(260):
                self.requests += 1
                question = asked[6:12]
                if question[0] in self.silent or len(asked) != 12:
                    continue
                state = (state + 1) % STATES
                answer = ready.get((state, question))
                if answer is None:
                    answer = ready[state, question] = self._answer(state, question)
                if self._clock_at is not None:
                    answer = answer[:-8] + (time.monotonic_ns() // 1000).to_bytes(8, "big")
                sock.sendall(asked[:2] + answer)

    def _answer(self, state: int, question: bytes) -> bytes:
        unit, function, address, count = struct.unpack(">BBHH", question)
        words = self._images[unit][state][2 * address : 2 * (address + count)]
        return struct.pack(">HHBBB", 0, 3 + len(words), unit, function, len(words)) + words


def main() -> None:
    """Serve until SIGTERM."""
    table = tomllib.loads(Path(sys.argv[1]).read_text("utf-8"))
    meters = ModbusMeters(table, int(sys.argv[2]))
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    threading.Thread(target=meters.serve, daemon=True).start()
    print(json.dumps({"port": meters.port}), flush=True)
    while signal.sigwait(signals) == signal.SIGUSR1:
        meters.silent.add(int(sys.argv[2]))
    print(json.dumps({"requests": meters.requests, "cpu_s": time.process_time()}), flush=True)


if __name__ == "__main__":
    main()
