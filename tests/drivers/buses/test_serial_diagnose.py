"""A port with something wrong on it, each situation as far as a pseudo-terminal can have it."""

import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from drivers.buses import serial_diagnose, serial_wire
from drivers.buses.serial_port import SerialPort
from drivers.buses.serial_trouble import UartCounters
from edge.core import BusError, DataError
from tests.kit.serialport import FarEnd, HearingPort

LISTEN_S = 0.08


@pytest.fixture
def port(far: FarEnd) -> SerialPort:
    return SerialPort(far.path)


@pytest.fixture
def hearing(far: FarEnd) -> HearingPort:
    """Where the far end keeps talking."""
    return HearingPort(far.path)


def cut(data: bytes) -> tuple[bytes | None, int]:
    """Frames are `<...>`."""
    start, end = data.find(b"<"), data.find(b">")
    return (data[start : end + 1], end + 1) if 0 <= start < end else (None, 0)


async def said(port: SerialPort, *search: str, talks: bool = True) -> str:
    found = await serial_diagnose.diagnose(port, cut if talks else None, LISTEN_S, search)
    assert not port.is_open
    return "\n".join(f"{one.severity}: {one}" for one in found)


async def test_a_device_that_is_understood_is_a_note(far: FarEnd, hearing: HearingPort) -> None:
    far.keep_saying(lambda: b"<pm 3>", 0.01)
    assert (await said(hearing)).startswith("note: ")
    assert "whole frames came at 9600 8N1" in await said(hearing)
    assert far.heard() == b""  # it writes nothing


async def test_silence_of_a_talker_is_said_and_of_those_who_wait_is_not(port: SerialPort) -> None:
    assert "that its TX is on our RX" in await said(port)
    assert await said(port, talks=False) == ""


async def test_a_second_master_is_heard(far: FarEnd, hearing: HearingPort) -> None:
    far.keep_saying(lambda: bytes.fromhex("0104000000 02 71cb"), 0.02)
    text = await said(hearing, talks=False)
    assert "nobody asked for (01 04 00 00 00 02 71 cb" in text
    assert "another master" in text


async def test_a_line_held_low_is_swapped_wires(far: FarEnd, hearing: HearingPort) -> None:
    far.keep_saying(lambda: bytes(4))
    assert "are zeros: the line is held low; swap A and B" in await said(hearing)


async def test_the_right_settings_are_found_by_listening_at_others(
    far: FarEnd, hearing: HearingPort
) -> None:
    """The far end speaks 2400 baud: it is garbage to who listens at another speed."""

    def speak() -> bytes:
        right = termios.tcgetattr(far.slave)[4] == termios.B2400
        return b"<pm 3>" if right else bytes.fromhex("f0 7e 80 f8")

    far.keep_saying(speak, 0.005)
    text = await said(hearing, "4800 8N1", "2400 8E1", "1200 8N1")
    assert "the device speaks 2400 8E1, and the configuration says 9600 8N1" in text
    assert far.heard() == b""


async def test_what_the_uart_counted_goes_before_what_the_bytes_look_like(
    far: FarEnd, hearing: HearingPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pseudo-terminal has no stop bits: the counters are another UART's."""
    at_open, before, after = (
        UartCounters(),
        UartCounters(1000, framing=10),
        UartCounters(1100, framing=70),
    )
    counts = iter((at_open, before, after))
    monkeypatch.setattr(SerialPort, "counters", lambda self: next(counts))
    far.keep_saying(lambda: b"\xf8\x00")
    assert "60 of 100 bytes have no stop bit at 9600 8N1" in await said(hearing)


async def test_the_error_of_a_reading_tells_what_the_uart_counted(
    far: FarEnd, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SerialPort, "counters", lambda self: UartCounters(0, parity=len(seen)))
    seen: list[int] = []
    port.open()
    seen += [1] * 9
    far.say(b"\x81" * 9)
    with pytest.raises(DataError, match="9 of 0 bytes have the wrong parity"):
        await port.frame(cut, 0.5)
    port.close()


async def test_the_kernel_s_console_is_why_a_question_stays_unanswered(
    far: FarEnd, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = far.path.removeprefix("/dev/")
    monkeypatch.setattr(serial_wire, "kernel_consoles", lambda cmdline: [console])
    with pytest.raises(BusError, match=r"kernel writes its messages to .*serial-getty"):
        await port.frame(cut, 0.02, write=b"?")
    port.close()


async def test_a_login_on_the_port_is_found_by_this_kernel(far: FarEnd, port: SerialPort) -> None:
    """A real process takes it as its terminal, as agetty does."""
    code = (
        "import fcntl, os, sys, termios\n"
        "os.setsid()\nfd = os.open(sys.argv[1], os.O_RDWR)\n"
        "fcntl.ioctl(fd, termios.TIOCSCTTY, 0)\nprint('ready', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, far.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as login:
        assert login.stdout is not None
        assert login.stdout.readline() == b"ready\n"
        text = await said(port)
        login.communicate()
    assert f"(process {login.pid}) uses {far.path} as its terminal" in text
    assert "raspi-config" in text


async def test_a_program_that_has_it_open_is_named(far: FarEnd, port: SerialPort) -> None:
    code = "import sys\nf = open(sys.argv[1])\nprint('ready', flush=True)\nsys.stdin.read()\n"
    command = [sys.executable, "-c", code, far.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        text = await said(port)
        other.communicate()
    assert f"(process {other.pid}) has {far.path} open; end that program" in text


async def test_a_port_that_is_not_there_says_which_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serial_diagnose, "list_names", lambda folder: [f"{folder}/usb-FTDI-if00"])
    text = await said(SerialPort(str(tmp_path / "ttyUSB0")))
    assert "is not there; plug the adapter in" in text
    assert "/dev/serial/by-id/usb-FTDI-if00" in text


async def test_a_port_that_goes_while_it_is_listened_to_is_said(
    far: FarEnd, hearing: HearingPort
) -> None:
    far.say(b"<")

    def pull() -> None:
        while not hearing.is_open:
            time.sleep(0.001)
        time.sleep(LISTEN_S / 2)
        far.hang_up()

    puller = threading.Thread(target=pull)
    puller.start()
    assert "vanished" in await said(hearing)
    puller.join()
    hearing.close()
