"""A bus in which a thread hangs is given up from another thread, at once, and is free again."""

import os
import socket
import termios
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from drivers.buses.forceclose import force_close
from drivers.buses.i2c import SmbusI2c
from drivers.buses.modbus.rtu import ModbusRtu
from drivers.buses.modbus.tcp import ModbusTcp
from drivers.buses.serial_port import SerialPort
from drivers.sim.i2c import I2cKernel
from drivers.sim.i2c_server import I2cServer
from drivers.sim.simpty import open_pty
from edge.core import BusError
from tests.kit.serialport import PtyPair


def hang_in(fd: int) -> threading.Thread:
    """A thread in a read of this descriptor that does not return by itself."""
    os.set_blocking(fd, True)
    if os.isatty(fd):
        settings = termios.tcgetattr(fd)
        settings[6][termios.VMIN] = 1  # pyserial lets a read return with nothing
        termios.tcsetattr(fd, termios.TCSANOW, settings)

    def read() -> None:
        with suppress(OSError):  # what a late thread is told is not looked at here
            os.read(fd, 1)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    where = Path(f"/proc/self/task/{thread.native_id}/syscall")
    for _ in range(6000):
        if where.read_text().split()[1:2] == [hex(fd)]:  # the first argument of its system call
            return thread
        threading.Event().wait(0.01)
    raise AssertionError(where.read_text())


def test_a_port_in_which_a_thread_hangs_can_be_opened_by_the_next_one() -> None:
    ptys = PtyPair()
    first = SerialPort(ptys.b)
    first.open()
    fd = first._fd
    hung = hang_in(fd)
    first.abandon()
    with pytest.raises(BusError, match="given up"):
        first.read(0)
    second = SerialPort(ptys.b)
    opened(second)
    assert second._fd != fd, "a late thread would read what is not its own"
    assert hung.is_alive()
    second.write(b"x")  # the other end of the pair hands it on
    first.abandon()  # once more does no harm
    first.close()
    second.close()
    ptys.close()


def opened(port: SerialPort) -> None:
    """Its lock is free as soon as the throw-away thread has run."""
    for _ in range(600):
        try:
            port.open()
            return
        except BusError:
            threading.Event().wait(0.1)
    port.open()


def test_a_port_that_takes_no_bytes_is_given_up_without_waiting() -> None:
    master, slave, name = open_pty()  # nobody reads the other end
    port = ModbusRtu(SerialPort(name))
    port.port.open()
    with suppress(BlockingIOError):
        while True:
            os.write(port.port._fd, bytes(4096))
    done = threading.Thread(target=port.abandon, daemon=True)
    done.start()
    done.join(60)
    assert not done.is_alive()
    with pytest.raises(BusError, match="given up"):
        port.port.write(b"x")
    os.close(master)
    os.close(slave)


async def test_a_connection_in_which_a_thread_waits_is_hung_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        bus = ModbusTcp("127.0.0.1", server.getsockname()[1])
        sock = bus._connect()
        peer, _ = server.accept()
        hung = hang_in(sock.fileno())
        bus.abandon()
        hung.join(60)
        assert not hung.is_alive()
        assert peer.recv(1) == b""
        peer.close()
        with pytest.raises(BusError, match="given up"):
            await bus.read_registers(1, 3, 0, 1)
        bus.close()


async def test_an_i2c_bus_is_given_up_and_the_next_one_works(tmp_path: Path) -> None:
    server = I2cServer(I2cKernel({}), tmp_path / "i2c.sock")
    server.start()
    first, second = (SmbusI2c(f"sim:{tmp_path / 'i2c.sock'}") for _ in range(2))
    assert not await first.probe(0x10)
    first.abandon()
    with pytest.raises(BusError, match="given up"):
        await first.transfer(0x10, b"x")
    assert not await second.probe(0x10)
    first.close()
    second.close()
    server.stop()


def test_the_number_of_what_was_let_go_stays_taken_by_nothing() -> None:
    reader, writer = os.pipe()
    force_close(reader).join(60)
    assert os.read(reader, 10) == b"", "/dev/null, and not an error or somebody else's"
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    os.close(writer)
    os.close(reader)


def test_what_cannot_be_undone_before_does_not_keep_it_open() -> None:
    reader, writer = os.pipe()

    def fails(fd: int) -> None:
        raise OSError

    force_close(reader, None, fails).join(60)
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"x")
    os.close(writer)
    os.close(reader)
