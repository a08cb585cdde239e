import asyncio
import errno
import fcntl
import os
import struct
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import serial

from drivers.buses import serial_port
from drivers.buses.serial_port import LIMIT, SerialPort
from edge.core import BusError, DataError, SerialBus

TIOCGEXCL = 0x80045440  # asks the kernel whether a terminal is exclusive


class Far:
    """The other end of a pseudo-terminal."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        self.path = os.ttyname(self.slave)

    def say(self, data: bytes) -> None:
        os.write(self.master, data)

    def say_later(self, data: bytes, after_s: float) -> None:
        threading.Timer(after_s, self.say, (data,)).start()

    def heard(self) -> bytes:
        with suppress(BlockingIOError):
            return os.read(self.master, 1024)
        return b""

    def close(self) -> None:
        for fd in (self.master, self.slave):
            with suppress(OSError):
                os.close(fd)


@pytest.fixture
def far() -> Iterator[Far]:
    end = Far()
    yield end
    end.close()


@pytest.fixture
def port(far: Far) -> Iterator[SerialPort]:
    opened = SerialPort(far.path)
    yield opened
    opened.close()


def cut(data: bytes) -> tuple[bytes | None, int]:
    """Frames are `<...>`; what is before one is rubbish."""
    start = data.find(b"<")
    if start < 0:
        return None, len(data)
    end = data.find(b">", start)
    return (data[start : end + 1], end + 1) if end > 0 else (None, start)


def test_it_is_a_serial_bus_and_building_it_opens_nothing() -> None:
    bus: SerialBus = SerialPort("/dev/not-there")
    assert bus


@pytest.mark.parametrize(
    ("baud", "parity", "stop", "bits"),
    [(9600, "N", 1, 10), (19_200, "E", 1, 11), (2400, "N", 2, 11)],
)
def test_a_character_lasts_as_long_as_its_bits(
    baud: int, parity: str, stop: int, bits: int
) -> None:
    assert SerialPort("x", baud, parity, stop).char_ns == bits * 1_000_000_000 // baud


async def test_a_frame_is_cut_out_of_what_comes(far: Far, port: SerialPort) -> None:
    port.open()
    far.say(b"rubbish<one><two>")
    assert await port.frame(cut, 1.0) == b"<one>"
    assert await port.frame(cut, 1.0) == b"<two>"  # it was already there


async def test_a_frame_in_pieces_is_waited_for(far: Far, port: SerialPort) -> None:
    port.open()
    far.say(b"<on")
    far.say_later(b"e>", 0.15)
    assert await port.frame(cut, 2.0) == b"<one>"


async def test_the_newest_of_what_has_piled_up_counts(far: Far, port: SerialPort) -> None:
    port.open()
    far.say(b"<old><new><unfinished")
    assert await port.frame(cut, 1.0, newest=True) == b"<new>"
    far.say(b">")
    assert await port.frame(cut, 1.0, newest=True) == b"<unfinished>"


async def test_a_question_forgets_what_was_said_before_it(far: Far, port: SerialPort) -> None:
    port.open()
    far.say(b"<stale>")
    far.say_later(b"<answer>", 0.1)
    assert await port.frame(cut, 2.0, write=b"?") == b"<answer>"
    assert far.heard() == b"?"


async def test_silence_is_a_bus_error(port: SerialPort) -> None:
    start = time.monotonic()
    with pytest.raises(BusError, match=r"nothing came within 0\.05 s"):
        await port.frame(cut, 0.05)
    assert time.monotonic() - start >= 0.05


async def test_bytes_without_a_frame_are_a_data_error_that_names_the_settings(
    far: Far, port: SerialPort
) -> None:
    port.open()
    far.say(b"rubbish")
    with pytest.raises(DataError, match=r"7 bytes came, and no whole frame.*9600 8N1"):
        await port.frame(cut, 0.05)


async def test_rubbish_never_grows_the_buffer(far: Far, port: SerialPort) -> None:
    port.open()
    for _ in range(3):
        with suppress(DataError):
            far.say(b"<" + b"x" * 3000)  # a frame that never ends
            await port.frame(lambda data: (None, 0), 0.05)
    assert len(port._buffer) <= LIMIT
    with suppress(DataError):
        await port.frame(cut, 0.05)
    far.say(b"<good>")
    assert b"<good>" in await port.frame(cut, 1.0)


async def test_a_flood_does_not_hold_the_caller(far: Far, port: SerialPort) -> None:
    port.open()
    end = threading.Event()

    def flood() -> None:
        while not end.is_set():
            with suppress(BlockingIOError):
                os.write(far.master, b"\x55" * 512)

    talker = threading.Thread(target=flood, daemon=True)
    talker.start()
    start = time.monotonic()
    with pytest.raises(DataError):
        await port.frame(cut, 0.1)
    took = time.monotonic() - start
    end.set()
    talker.join()
    assert took < 2


async def test_waiting_lets_the_loop_of_the_bus_run(far: Far, port: SerialPort) -> None:
    waiting = asyncio.ensure_future(port.frame(cut, 30.0))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


def test_not_there_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="is not there: plug the adapter in; /dev/serial/by-id"):
        SerialPort(str(tmp_path / "ttyUSB0")).open()


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EACCES, "group dialout"),
        (errno.EBUSY, "in use by another program"),
        (errno.EAGAIN, "in use by another program"),
        (errno.ENXIO, "is not there"),
        (errno.EINVAL, "cannot be opened at 9600 8N1"),
    ],
)
def test_why_a_port_does_not_open_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, code: int, says: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise serial.SerialException(code, os.strerror(code))

    monkeypatch.setattr(serial, "Serial", refuse)
    with pytest.raises(BusError, match=says):
        SerialPort("/dev/ttyX").open()


def test_a_port_belongs_to_one(far: Far, port: SerialPort) -> None:
    port.open()
    with pytest.raises(BusError, match="in use by another program"):
        SerialPort(far.path).open()
    port.close()
    again = SerialPort(far.path)
    again.open()
    again.close()


def test_a_real_port_is_marked_exclusive_for_everybody(
    far: Far, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exclusive() -> bool:
        return bool(struct.unpack("i", fcntl.ioctl(far.slave, TIOCGEXCL, bytes(4)))[0])

    monkeypatch.setattr(serial_port, "is_pty", lambda path: False)
    port.open()
    assert exclusive()
    port.close()
    assert not exclusive()


def test_it_never_becomes_the_controlling_terminal(far: Far) -> None:
    code = (
        "import os, sys\n"
        "from drivers.buses.serial_port import SerialPort\n"
        "os.setsid()\n"
        "SerialPort(sys.argv[1]).open()\n"
        "try:\n    os.open('/dev/tty', os.O_RDWR)\n"
        "except OSError as error:\n    sys.exit(0 if error.errno == 6 else 3)\n"
        "sys.exit(1)\n"
    )
    root = Path(__file__).parents[3]
    assert (
        subprocess.run([sys.executable, "-c", code, far.path], cwd=root, check=False).returncode
        == 0
    )


@pytest.mark.parametrize("parity", ["N", "E", "O"])
def test_a_pseudo_terminal_opens_again_and_again_with_any_parity(far: Far, parity: str) -> None:
    for _ in range(3):
        port = SerialPort(far.path, 19_200, parity)
        port.open()
        assert termios.tcgetattr(far.slave)[4] == termios.B19200
        port.close()


def test_a_name_that_is_a_link_is_followed(far: Far, tmp_path: Path) -> None:
    link = tmp_path / "usb-Adapter-if00"
    link.symlink_to(far.path)
    port = SerialPort(str(link), 9600, "E")
    port.open()
    port.close()


async def test_a_port_that_vanished_is_said_so_and_opened_again(tmp_path: Path) -> None:
    first, link = Far(), tmp_path / "port"
    link.symlink_to(first.path)
    port = SerialPort(str(link))
    port.open()
    first.close()
    with pytest.raises(BusError, match=r"vanished .* it is opened again once it is back"):
        await port.frame(cut, 0.5)
    link.unlink()
    with pytest.raises(BusError, match="is not there"):
        await port.frame(cut, 0.5)
    second = Far()
    link.symlink_to(second.path)
    second.say_later(b"<back>", 0.1)
    assert await port.frame(cut, 2.0) == b"<back>"
    port.close()
    second.close()


def test_closing_is_always_safe(port: SerialPort) -> None:
    port.close()
    port.open()
    port.close()
    port.close()
