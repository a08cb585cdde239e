"""A serial line of simulated meters: a pseudo-terminal with the true time of a wire.

A pseudo-terminal passes bytes at once. Here a request ends when its last bit would have left
the master, is understood after 3.5 characters of silence and only if as many came before it,
and the answer leaves byte by byte as the baud rate lets it, or all of it when its last one is due.
"""

import heapq
import os
import select
import threading
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from drivers.sim.linespeed import line_speed
from drivers.sim.meter_unit import Unit, UnitReply
from drivers.sim.simpty import link_target, open_pty

STEP_S: Final = 0.001  # bytes that are due within a millisecond leave together
WHOLE_S: Final = 60.0
POLL_S: Final = 5.0


def checksum(body: bytes) -> bytes:
    """The CRC of a serial line, bit by bit: register 0xFFFF, polynomial 0xA001, low byte first."""
    register = 0xFFFF
    for byte in body:
        register ^= byte
        for _ in range(8):
            lowest = register & 1
            register >>= 1
            if lowest:
                register ^= 0xA001
    return bytes((register & 0xFF, register >> 8))


class MeterLine:
    """Units on one line. `path` is the port to open; `link` becomes another name for it.

    With `own_speed` they understand nothing that is sent at another one.

    Bytes that are due within `step_s` leave together: WHOLE_S keeps every answer in one piece, also
    where a busy machine stops this thread for a while (adapters on USB hold bytes back as well).

    What it saw: `requests` understood, `damaged` ones, `early` ones (less than 3.5 characters of
    silence before them), `collisions` with an answer, and `gaps_ns`, the silences before them.
    """

    def __init__(
        self,
        units: Mapping[int, Unit],
        baud: int = 9600,
        parity: str = "N",
        stop: int = 1,
        turnaround_s: float = 0.005,
        link: Path | None = None,
        step_s: float = STEP_S,
        *,
        own_speed: bool = False,
    ) -> None:
        self.units = units
        self.char_ns = (9 + (parity != "N") + stop) * 1_000_000_000 // baud
        self.silence_ns = 1_750_000 if baud > 19_200 else 7 * self.char_ns // 2
        self._turnaround_ns = max(int(turnaround_s * 1e9), self.silence_ns)
        self._step_ns = int(step_s * 1e9)
        self.requests = self.damaged = self.early = self.collisions = 0
        self.heard = 0  # bytes, with their answer noted
        self._owed: set[int] = set()  # the answers that are not late
        self.gaps_ns: deque[int] = deque(maxlen=10_000)
        self._free_ns = 0  # since when nothing is on the wire
        self._due: list[tuple[int, int, bytes]] = []
        self._baud = baud if own_speed else 0
        self._master, self._slave, self.path = open_pty(self._baud)
        os.set_blocking(self._master, False)
        self._link = link
        if link is not None:
            new = link.with_name(link.name + ".new")
            new.unlink(missing_ok=True)
            new.symlink_to(link_target(self.path, link))
            new.replace(link)
        self._end = threading.Event()
        self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="sim-meters", daemon=True)

    def start(self) -> "MeterLine":
        self._thread.start()
        return self

    def stop(self) -> None:
        """The port vanishes, as when an adapter is unplugged."""
        self._end.set()
        os.write(self._wake[1], b"!")
        self._thread.join()
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        for descriptor in (self._slave, self._master, *self._wake):
            os.close(descriptor)

    def settled(self, count: int) -> bool:
        """Whether so many bytes were heard, and all was said to them that is not late by fault."""
        return self.heard >= count and not self._owed

    def send(self, data: bytes) -> None:
        """Put bytes on the line out of the blue, from no unit that was asked."""
        heapq.heappush(self._due, (time.monotonic_ns(), -1, data))
        os.write(self._wake[1], b"!")

    def _run(self) -> None:
        while not self._end.is_set():
            wait_s = POLL_S
            if self._due:
                wait_s = min(POLL_S, (self._due[0][0] - time.monotonic_ns()) / 1e9)
            heard = select.select([self._master, self._wake[0]], [], [], max(0.0, wait_s))[0]
            if self._wake[0] in heard:
                os.read(self._wake[0], 64)
            if self._master in heard:
                self._hear()
            elif self._due and self._due[0][0] <= time.monotonic_ns():
                _, number, data = heapq.heappop(self._due)
                self._send(data)
                self._owed.discard(number)

    def _hear(self) -> None:
        """One request, to the silence that ends it."""
        heard, count = b"", 0
        began_ns = time.monotonic_ns()
        end_ns = began_ns
        rest_s = 0.0
        while select.select([self._master], [], [], rest_s)[0]:
            more = os.read(self._master, 1024)
            end_ns = max(end_ns, time.monotonic_ns()) + len(more) * self.char_ns
            heard, count = (heard + more)[:1024], count + len(more)
            rest_s = max(0.0, (end_ns + self.silence_ns - time.monotonic_ns()) / 1e9)
        self._judge(heard, began_ns, end_ns)
        self.heard += count

    def _judge(self, heard: bytes, began_ns: int, end_ns: int) -> None:
        gap_ns = began_ns - self._free_ns
        known, self._free_ns = self._free_ns > 0, end_ns
        if known:
            self.gaps_ns.append(gap_ns)
            if gap_ns < self.silence_ns:
                self.early += 1  # to the meters it is one frame with what came before it
                return
        if self._baud and line_speed(self._slave) != self._baud:
            self.damaged += 1  # said at another speed
            return
        if len(heard) < 4 or checksum(heard[:-2]) != heard[-2:]:
            self.damaged += 1
            return
        self.requests += 1
        unit = self.units.get(heard[0])
        reply = unit.answer(heard[0], heard[1:-2]) if unit is not None else None
        if reply is not None:
            if not reply.late_s:
                self._owed.add(self.requests)
            at_ns = end_ns + self._turnaround_ns + int(reply.late_s * 1e9)
            heapq.heappush(self._due, (at_ns, self.requests, encode_frame(reply)))

    def _send(self, data: bytes) -> None:
        start_ns = time.monotonic_ns()
        at = 0
        while at < len(data):
            count = max(1, min(len(data) - at, self._step_ns // self.char_ns))
            wait_ns = start_ns + (at + count) * self.char_ns - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            if at + count == len(data) and select.select([self._master], [], [], 0)[0]:
                # somebody spoke into it, and nobody could hear him. (After the last byte he may.)
                self.heard += len(os.read(self._master, 1024))
                self.collisions += 1
            self._free_ns = time.monotonic_ns()
            with suppress(BlockingIOError):  # nobody reads: a wire does not wait for it
                os.write(self._master, data[at : at + count])
            at += count


def encode_frame(reply: UnitReply) -> bytes:
    """A reply as it goes over a serial line, with what is wrong with it."""
    body = bytes((reply.unit,)) + reply.pdu
    whole = body + checksum(body)
    if reply.spoilt:
        whole = whole[:-3] + bytes((whole[-3] ^ 0x10,)) + whole[-2:]
    if reply.cut:
        whole = whole[: len(whole) // 2]
    return reply.before + whole
