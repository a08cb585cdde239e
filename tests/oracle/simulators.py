"""Meters and loops as a process that writes down what it produced: the truth of the oracle.

    python -m tests.oracle.simulators FOLDER UNITS SEED

It prints the port of its meters. Each answer is logged (unit, its number, Wh, monotonic ns) before
it is sent. At SIGTERM the vehicles of each lane are written, and the log is complete.
"""

import json
import random
import signal
import socket
import struct
import sys
import threading
import time
from pathlib import Path
from typing import Final

from drivers.sim.gpio import SimChip
from drivers.sim.loops import LoopPair, SimVehicle

ANSWER: Final = struct.Struct("<BIIq")
LANES: Final = ("north", "south")
FIRST_WH: Final = 1_000_000
SPACING_M: Final = 4.0
LOOP_M: Final = 2.0


class LoggedMeters:
    """At one Modbus TCP endpoint. Unit u grows by 1 + u/4 Wh a second."""

    def __init__(self, log: Path, units: int) -> None:
        self._log = log.open("wb")
        self._lock = threading.Lock()
        self._asked = dict.fromkeys(range(1, units + 1), 0)
        self._began_ns = time.monotonic_ns()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """A thread for each master, until the process ends."""
        while True:
            sock, _ = self._listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def close(self) -> None:
        with self._lock:
            self._log.close()

    def _talk(self, sock: socket.socket) -> None:
        heard = b""
        with sock:
            while True:
                try:
                    more = sock.recv(260)
                    if not more:
                        return
                    heard += more
                    while len(heard) >= 12:
                        asked, heard = heard[:12], heard[12:]
                        sock.sendall(asked[:2] + self._answer(asked[6:12]))
                except OSError:  # he was killed
                    return

    def _answer(self, question: bytes) -> bytes:
        unit, function, address, count = struct.unpack(">BBHH", question)
        with self._lock:
            now_ns = time.monotonic_ns()
            number = self._asked[unit] = self._asked[unit] + 1
            wh = FIRST_WH * unit + (now_ns - self._began_ns) * (4 + unit) // 4_000_000_000
            self._log.write(ANSWER.pack(unit, number, wh, now_ns))
        words = struct.pack(">II", number, wh)[2 * address : 2 * (address + count)]
        return struct.pack(">HHBBB", 0, 3 + len(words), unit, function, len(words)) + words


class DrivenLane(threading.Thread):
    """Vehicles pass over a pair of loops, one after the other, until the event is set."""

    def __init__(self, name: str, chip: SimChip, rng: random.Random, end: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._chip, self._rng, self._end = chip, rng, end
        self.passed: list[tuple[int, int]] = []  # first and last edge, monotonic ns

    def run(self) -> None:
        lines = (f"{self.name}_lead", f"{self.name}_trail")
        pair = LoopPair(
            self._chip, *lines, SPACING_M, LOOP_M, "high", at_ns=time.monotonic_ns()
        )  # fmt: skip
        while not self._end.is_set():
            now_ns = time.monotonic_ns()
            passage = SimVehicle(0.02, self._rng.uniform(30, 70), self._rng.uniform(3.5, 6.0))
            for one in pair.play([passage], now_ns, "real"):
                self.passed.append((now_ns + one.lead_on_ns, now_ns + one.trail_off_ns))
            self._end.wait(self._rng.uniform(0.8, 2.5))


def main() -> None:
    """Serve until SIGTERM."""
    folder, units, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    meters = LoggedMeters(folder / "answers", units)
    threading.Thread(target=meters.serve, daemon=True).start()
    chip = SimChip([f"{lane}_{loop}" for lane in LANES for loop in ("lead", "trail")],
                   folder / "gpio.sock")  # fmt: skip
    chip.start()
    end = threading.Event()
    lanes = [DrivenLane(name, chip, random.Random(f"{seed}{name}"), end) for name in LANES]
    for lane in lanes:
        lane.start()
    print(json.dumps({"port": meters.port}), flush=True)
    signal.sigwait(signals)
    end.set()
    for lane in lanes:
        lane.join()
    (folder / "vehicles.json").write_text(json.dumps({lane.name: lane.passed for lane in lanes}))
    meters.close()
    chip.close()


if __name__ == "__main__":
    main()
