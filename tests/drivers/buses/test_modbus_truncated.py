"""Answers of Modbus that break off, at each of their bytes: one clear word each, and no number."""

import contextlib
import socket
import struct
import threading

import pytest

from drivers.buses.modbus import ModbusRtu, ModbusTcp
from drivers.buses.modbus.frame import append_crc
from edge.core import BusError, DataError, Reason
from tests.drivers.buses.virtual_wire import TURNAROUND_NS, VirtualWire

BODIES = {
    "values": bytes((5, 4, 4)) + struct.pack(">f", 230.0),
    "a refusal": bytes((5, 0x84, 2)),
}


def _is_clear(error: Exception, size: int) -> None:
    assert isinstance(error, BusError | DataError)
    assert error.reason in (Reason.SILENT, Reason.CRC), size
    assert len(str(error)) > 9


class CutWire(VirtualWire):
    """Unit 5 says the first `size` bytes of its answer."""

    def __init__(self, answer: bytes, baud: int) -> None:
        super().__init__({}, baud)
        self.answer, self.size = answer, 0

    def write(self, data: bytes) -> int:
        end_ns = super().write(data)
        self.say(end_ns + max(TURNAROUND_NS, self.silence_ns), self.answer[: self.size])
        return end_ns


@pytest.mark.parametrize("baud", [9600, 115_200])
@pytest.mark.parametrize("kind", BODIES)
async def test_rtu(kind: str, baud: int) -> None:
    answer = append_crc(BODIES[kind])
    wire = CutWire(answer, baud)
    bus = ModbusRtu(wire, timeout_s=0.2, link_delay_s=0.2, clock=wire)
    for size in range(len(answer)):
        wire.size = size
        with pytest.raises((BusError, DataError)) as caught:
            await bus.read_registers(5, 4, 0, 2)
        _is_clear(caught.value, size)
        assert "unit 5" in str(caught.value)
        wire.sleep(0.5)  # what it owes cannot come any more
    wire.size = len(answer)
    if kind == "values":
        assert await bus.read_registers(5, 4, 0, 2) == struct.pack(">f", 230.0)
    else:
        with pytest.raises(DataError, match="no such register"):
            await bus.read_registers(5, 4, 0, 2)


class CutServer:
    """Says the first `size` bytes of its answer; then hangs up, or says no more."""

    def __init__(self, body: bytes, hangs_up: bool) -> None:
        self.body, self.hangs_up, self.size = body, hangs_up, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self.listener.accept()
                with link:
                    while asked := link.recv(12):
                        reported = asked[:4] + struct.pack(">H", len(self.body)) + self.body
                        link.sendall(reported[: self.size])
                        if self.hangs_up:
                            break

    def stop(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


@pytest.mark.parametrize("hangs_up", [True, False])
@pytest.mark.parametrize("kind", BODIES)
async def test_tcp(kind: str, hangs_up: bool) -> None:
    server = CutServer(BODIES[kind], hangs_up)
    try:
        for size in range(6 + len(BODIES[kind])):
            server.size = size
            bus = ModbusTcp("127.0.0.1", server.listener.getsockname()[1], 0.02)
            with pytest.raises((BusError, DataError)) as caught:
                await bus.read_registers(5, 4, 0, 2)
            bus.close()
            _is_clear(caught.value, size)
    finally:
        server.stop()
