"""Simulated meters behind a Modbus TCP endpoint: a device, or a converter with many units."""

import contextlib
import heapq
import selectors
import socket
import threading
import time
from collections.abc import Mapping
from typing import Final

from drivers.sim.meter_unit import Unit, UnitReply

POLL_S: Final = 0.1


class MeterTcp:
    """Units at one endpoint; `port` 0 takes a free one. A unit that is not there stays silent.

    `hang_up` closes all connections, as a converter does that drops idle ones.
    """

    def __init__(
        self,
        units: Mapping[int, Unit],
        host: str = "127.0.0.1",
        port: int = 0,
        turnaround_s: float = 0.0,
    ) -> None:
        self.units, self._turnaround_s = units, turnaround_s
        self._listener = socket.create_server((host, port), backlog=16)
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()[:2]
        self.requests = self.connections = 0
        self._due: list[tuple[int, int, socket.socket, bytes]] = []
        self._clients: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._end, self._hang_up = threading.Event(), threading.Event()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sim-meters-tcp", daemon=True)

    def start(self) -> "MeterTcp":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._end.set()
        self._thread.join()
        for client in list(self._clients):
            self._forget(client)
        self._selector.close()
        self._listener.close()

    def hang_up(self) -> None:
        """Close every connection; new ones are welcome. Returns when it is done."""
        self._hang_up.set()
        while self._hang_up.is_set() and self._thread.is_alive():
            time.sleep(0.005)

    def hurry(self) -> None:
        """Say at once what was to be said later; returns when it is said."""
        self._hurry.set()
        while self._hurry.is_set() and self._thread.is_alive():
            time.sleep(0.005)

    def _run(self) -> None:
        while not self._end.is_set():
            if self._hang_up.is_set():
                for client in list(self._clients):
                    self._forget(client)
                self._hang_up.clear()
            wait_s = POLL_S if not self._due else (self._due[0][0] - time.monotonic_ns()) / 1e9
            for key, _ in self._selector.select(max(0.0, min(POLL_S, wait_s))):
                if key.fileobj is self._listener:
                    self._welcome()
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)
            hurry = self._hurry.is_set()
            while self._due and (hurry or self._due[0][0] <= time.monotonic_ns()):
                _, _, client, data = heapq.heappop(self._due)
                self._send(client, data)
            if hurry:
                self._hurry.clear()

    def _welcome(self) -> None:
        client, _ = self._listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connections += 1
        self._clients[client] = b""
        self._selector.register(client, selectors.EVENT_READ)

    def _forget(self, client: socket.socket) -> None:
        self._clients.pop(client, None)
        self._selector.unregister(client)
        client.close()

    def _hear(self, client: socket.socket) -> None:
        try:
            heard = client.recv(4096)
        except OSError:
            heard = b""
        if not heard:
            self._forget(client)
            return
        heard = self._clients[client] + heard
        while len(heard) >= 12 and heard[2:6] == b"\x00\x00\x00\x06":
            self._serve(client, heard[:2], heard[6], heard[7:12])
            heard = heard[12:]
        if client in self._clients:
            self._clients[client] = heard[-260:]

    def _serve(self, client: socket.socket, number: bytes, unit: int, pdu: bytes) -> None:
        self.requests += 1
        asked = self.units.get(unit)
        reply = asked.answer(unit, pdu) if asked is not None else None
        if reply is None:
            return
        data = wrap(number, reply)
        wait_s = self._turnaround_s + reply.late_s
        if wait_s <= 0:
            self._send(client, data)
        else:
            at_ns = time.monotonic_ns() + int(wait_s * 1e9)
            heapq.heappush(self._due, (at_ns, self.requests, client, data))

    def _send(self, client: socket.socket, data: bytes) -> None:
        if client in self._clients:
            with contextlib.suppress(OSError):  # he has gone
                client.sendall(data)


def wrap(number: bytes, reply: UnitReply) -> bytes:
    """A reply as it goes over TCP. Noise is an answer to another question; spoilt is no Modbus."""
    body = bytes((reply.unit,)) + reply.pdu
    protocol = b"\x12\x34" if reply.spoilt else b"\x00\x00"
    whole = number + protocol + len(body).to_bytes(2, "big") + body
    if reply.cut:
        whole = whole[: len(whole) // 2]
    if reply.before:
        other = (int.from_bytes(number, "big") ^ 0x5555).to_bytes(2, "big")
        whole = other + whole[2:] + whole
    return whole
