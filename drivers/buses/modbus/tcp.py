"""The master of one Modbus TCP endpoint: a device, or a converter with a line behind it.

A plain blocking socket in its bus's thread: one send and one receive in the usual case. Source:
Modbus messaging on TCP/IP V1.0b.
"""

import select
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from drivers.buses.forceclose import force_close
from drivers.buses.modbus.frame import EXCEPTION, exception_error, read_request
from drivers.buses.modbus.modbustrouble import no_answer_behind
from drivers.buses.modbus.responsetimeout import ResponseTimeout
from edge.core import BusError, DataError
from edge.core.frametap import Direction, FrameTap

HEADER: Final = 7  # transaction, protocol, length, unit
LONGEST: Final = 260  # an ADU
BUFFER: Final = 4096
STRAYS: Final = 16  # answers to older questions that are passed over in one transaction
DEAF: Final = 3  # time-outs in a row with nothing at all: the other end may have restarted
CONNECT_S: Final = 2.0
BACK_FIRST_S: Final = 0.25
BACK_CAP_S: Final = 5.0
SHAPES: Final = 4096


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A question, prepared: its bytes and those its answer begins with, both but for the number."""

    request: bytes
    head: bytes
    length: int
    unit: int
    function: int


class ModbusTcp:
    """A `ModbusBus` over TCP. Connects when first needed, and again with a short back-off.

    `timeout_s` is the time for one answer. While an endpoint rests after a failed attempt, reads
    raise BusError at once: devices that share it do not each wait for it.
    """

    def __init__(self, host: str, port: int = 502, timeout_s: float = 0.5) -> None:
        self.host, self.port = host, port
        self.response_timeout = ResponseTimeout(timeout_s)
        self._socket: socket.socket | None = None
        self._rest = b""  # the beginning of an answer that is not whole yet
        self._number = 0
        self._served = False  # this connection has given an answer
        self._deaf = 0
        self._wait_s = 0.0  # what the socket was last set to
        self._failures = 0
        self._retry_ns = 0
        self._why = ""
        self._abandoned = False
        self.tap: FrameTap | None = None  # somebody looks at the bytes
        self._prepared: dict[tuple[int, int, int, int], PreparedRequest] = {}

    async def read_registers(self, unit: int, function: int, address: int, count: int) -> bytes:
        """2 * count bytes, as on the wire. Raises BusError on silence, DataError for the rest."""
        prepared = self._prepared.get((unit, function, address, count))
        if prepared is None:
            prepared = self._shape(unit, function, address, count)
        try:
            return self._ask(prepared)
        except ConnectionError:  # converters drop idle connections: a read may be asked twice
            again = self._served
            self._drop()
            if not again:
                raise self._failed(f"{self.host}:{self.port} closed the connection") from None
        try:
            return self._ask(prepared)
        except ConnectionError:
            self._drop()
            raise self._failed(f"{self.host}:{self.port} closes each connection") from None

    def close(self) -> None:
        """Hang up. Always safe; the next read connects again."""
        self._drop()

    def abandon(self) -> None:
        """Hang up for ever, though a thread may hang in it. From any thread; no waiting."""
        self._abandoned = True
        sock, self._socket = self._socket, None
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            force_close(sock.fileno(), sock)

    def _ask(self, prepared: PreparedRequest) -> bytes:
        sock = self._socket or self._connect()
        unit = prepared.unit
        wait_s = self.response_timeout.wait_s(unit)
        if wait_s != self._wait_s:
            self._send(sock, wait_s)
        self._number = (self._number + 1) & 0xFFFF
        number = self._number.to_bytes(2, "big")
        sent_ns = time.monotonic_ns()
        try:
            sock.send(number + prepared.request)
            if self.tap is not None:
                self._write_down("out", number + prepared.request)
            got = sock.recv(BUFFER)
            if self.tap is not None:
                self._write_down("in", got)
            if (
                len(got) != prepared.length
                or self._rest
                or not got.startswith(number + prepared.head)
            ):
                got = self._sift(sock, got, number, prepared, sent_ns + int(wait_s * 1e9))
        except BlockingIOError:
            raise self._silent(unit) from None
        except ConnectionError:
            raise
        except OSError as error:
            self._drop()
            raise self._failed(f"{self.host}:{self.port}: {error}") from error
        self.response_timeout.answered(unit, (time.monotonic_ns() - sent_ns) / 1e9)
        self._served = True
        self._deaf = self._failures = 0
        if len(got) != prepared.length:
            raise exception_error(unit, got[8])
        return got[9:]

    def _sift(
        self,
        sock: socket.socket,
        got: bytes,
        number: bytes,
        prepared: PreparedRequest,
        until_ns: int,
    ) -> bytes:
        """Our answer where it is not simply the next thing: refusals, pieces, late answers."""
        if not got:
            raise ConnectionResetError
        strays = 0
        stream = self._rest + got
        while True:
            self._rest = stream
            if len(stream) >= HEADER:
                protocol, length = struct.unpack_from(">HH", stream, 2)
                if protocol or not 3 <= length <= LONGEST - 6:
                    self._drop()
                    raise DataError(f"{self.host}:{self.port} does not speak Modbus TCP")
                if len(stream) >= 6 + length:
                    frame, stream = stream[: 6 + length], stream[6 + length :]
                    self._rest = stream
                    if frame.startswith(number):
                        return _response_or_refusal(frame, prepared)
                    strays += 1
                    if strays > STRAYS:
                        self._drop()
                        raise DataError(
                            f"{self.host}:{self.port} sends answers to other questions than ours"
                        )
                    continue
            rest_s = (until_ns - time.monotonic_ns()) / 1e9
            if rest_s <= 0 or not select.select([sock], [], [], rest_s)[0]:
                self._deaf = -1  # something came: the other end lives
                raise BlockingIOError
            more = sock.recv(BUFFER)
            if self.tap is not None:
                self._write_down("in", more)
            if not more:
                raise ConnectionResetError
            stream += more

    def _write_down(self, way: Direction, data: bytes) -> None:
        if self.tap is not None and not self.tap.add(way, data, time.monotonic_ns()):
            self.tap = None

    def _shape(self, unit: int, function: int, address: int, count: int) -> PreparedRequest:
        asked = struct.pack(">HH", 0, 6) + read_request(unit, function, address, count)
        head = struct.pack(">HHBBB", 0, 3 + 2 * count, unit, function, 2 * count)
        if len(self._prepared) >= SHAPES:
            self._prepared.clear()
        prepared = PreparedRequest(asked, head, 9 + 2 * count, unit, function)
        self._prepared[unit, function, address, count] = prepared
        return prepared

    def _silent(self, unit: int) -> BusError:
        self.response_timeout.silent(unit)
        self._deaf += 1
        if self._deaf >= DEAF:
            self._drop()
        timeout_s = self.response_timeout.timeout_s  # as it was waited for at first, in full
        why = no_answer_behind(unit, self.response_timeout.heard())
        text = f"unit {unit} at {self.host}:{self.port}: no answer within {timeout_s:g} s"
        return BusError(f"{text}: {why}")

    # --- the connection -----------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        if self._abandoned:
            raise BusError(f"{self.host}:{self.port} was given up: a call did not return")
        now_ns = time.monotonic_ns()
        if now_ns < self._retry_ns:
            raise BusError(f"{self._why}; next attempt in {(self._retry_ns - now_ns) / 1e9:.1f} s")
        name = f"{self.host}:{self.port}"
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise self._failed(f"{self.host} has no address: {error}") from error
        why = "it has no address"
        until_ns = now_ns + int(CONNECT_S * 1e9)
        for family, kind, protocol, _, address in found:
            rest_s = (until_ns - time.monotonic_ns()) / 1e9
            if rest_s <= 0:
                break
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:
                why = str(error)
                continue
            try:
                sock.settimeout(rest_s)
                sock.connect(address)
                sock.settimeout(None)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                self._send(sock, self.response_timeout.timeout_s)
            except TimeoutError:
                sock.close()
                why = "it does not answer"
            except OSError as error:
                sock.close()
                why = error.strerror or str(error)
            else:
                self._socket = sock
                self._rest, self._served, self._deaf = b"", False, 0
                return sock
        raise self._failed(
            f"no connection to {name}: {why}; is the address right, the converter on?"
        )

    def _send(self, sock: socket.socket, wait_s: float) -> None:
        """The kernel watches the time: then a read needs no second system call."""
        seconds, rest = divmod(int(wait_s * 1e6), 1_000_000)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", seconds, rest))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", seconds, rest))
        self._wait_s = wait_s

    def _failed(self, text: str) -> BusError:
        self._failures += 1
        pause_s = min(BACK_CAP_S, BACK_FIRST_S * 2 ** min(self._failures - 1, 10))
        self._retry_ns = time.monotonic_ns() + int(pause_s * 1e9)
        self._why = text
        return BusError(text)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest, self._served = None, b"", False


def _response_or_refusal(frame: bytes, prepared: PreparedRequest) -> bytes:
    """A frame that bears our number, if it is the answer or a refusal. Raises DataError."""
    if len(frame) == 9 and frame[6] == prepared.unit and frame[7] == prepared.function | EXCEPTION:
        return frame
    if frame[2:9] != prepared.head or len(frame) != prepared.length:
        raise DataError(f"unit {prepared.unit}: the answer does not fit: {frame[:16].hex(' ')}")
    return frame
