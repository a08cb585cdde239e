import asyncio
import errno
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import serial

from drivers.buses import serial_wire
from drivers.buses.serial_port import SerialPort
from drivers.buses.serial_wire import LIMIT
from edge.core import BusError, DataError, Reason, SerialBus
from tests.kit.serialport import FarEnd, cut, waiting

TIOCGEXCL = 0x80045440  # asks the kernel whether a terminal is exclusive


@pytest.fixture
def port(far: FarEnd) -> Iterator[SerialPort]:
    opened = SerialPort(far.path)
    yield opened
    opened.close()


def test_it_is_a_serial_bus_and_building_it_opens_nothing() -> None:
    bus: SerialBus = SerialPort("/dev/not-there")
    assert bus


@pytest.mark.parametrize(
    ("text", "bits"),
    [("9600 8N1", 10), ("19200 8E1", 11), ("2400 8N2", 11), ("300 7E1", 10), ("9600 8O2", 12)],
)
def test_a_character_lasts_as_long_as_its_bits(text: str, bits: int) -> None:
    port = SerialPort.at("x", text)
    assert port.char_ns == bits * 1_000_000_000 // port.baud
    assert port.settings == text


@pytest.mark.parametrize("text", ["9600", "9600 9N1", "9600 8M1", "fast 8N1", "9600 8N", ""])
def test_settings_that_are_none_are_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"of the form 9600 8N1|invalid literal"):
        SerialPort.at("x", text)


@pytest.mark.parametrize("text", ["9600 8N1", "19200 8E1", "2400 8N2", "300 7E1", "1200 7O2"])
def test_a_real_port_is_set_as_its_settings_say(
    far: FarEnd, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """What pyserial is told; that a pseudo-terminal cannot be told it is why it is not there."""
    reported: dict[str, object] = {}
    real = serial.Serial

    def opened(path: str, baud: int, **settings: object) -> serial.Serial:
        reported.update(settings, baud=baud)
        return real(path, baud, timeout=0)

    monkeypatch.setattr(serial_wire, "is_pty", lambda path: False)
    monkeypatch.setattr(serial, "Serial", opened)
    port = SerialPort.at(far.path, text)
    port.open()
    port.close()
    assert reported["exclusive"] is True
    found = f"{reported['baud']} {reported['bytesize']}{reported['parity']}{reported['stopbits']}"
    assert found == text


def test_an_adapter_that_can_is_told_to_hold_no_byte_back(
    port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[bool] = []
    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", lambda _, on: reported.append(on))
    port.open()
    assert reported == [True]


async def test_a_frame_is_cut_out_of_what_comes(far: FarEnd, port: SerialPort) -> None:
    port.open()
    far.say(b"rubbish<one><two>")
    assert await port.frame(cut, 20.0) == b"<one>"
    assert await port.frame(cut, 20.0) == b"<two>"  # it was already there


async def test_a_frame_in_pieces_is_waited_for(far: FarEnd, port: SerialPort) -> None:
    port.open()
    far.say(b"<on")
    far.say_later(b"e>", 0.15)
    assert await port.frame(cut, 20.0) == b"<one>"


async def test_the_newest_of_what_has_piled_up_counts(far: FarEnd, port: SerialPort) -> None:
    port.open()
    far.say(b"<old><new><unfinished")
    assert await port.frame(cut, 20.0, newest=True) == b"<new>"
    far.say(b">")
    assert await port.frame(cut, 20.0, newest=True) == b"<unfinished>"


async def test_a_question_forgets_what_was_said_before_it(far: FarEnd, port: SerialPort) -> None:
    port.open()
    far.say(b"<stale>")
    assert select.select([port._fd], [], [], 20.0)[0]
    far.answer(lambda asked: b"<answer to " + asked + b">")
    assert await port.frame(cut, 20.0, write=b"?") == b"<answer to ?>"


async def test_silence_is_a_bus_error(port: SerialPort) -> None:
    start = time.monotonic()
    with pytest.raises(BusError, match=r"nothing came within 0\.05 s"):
        await port.frame(cut, 0.05)
    assert time.monotonic() - start >= 0.05


async def test_bytes_without_a_frame_are_a_data_error_that_names_the_settings(
    far: FarEnd, port: SerialPort
) -> None:
    port.open()
    far.say(b"rubbish")
    with pytest.raises(DataError, match=r"7 bytes came, and no whole frame.*9600 8N1"):
        await port.frame(cut, 0.5)


async def test_rubbish_never_grows_the_buffer(far: FarEnd, port: SerialPort) -> None:
    port.open()
    for _ in range(3):
        with suppress(DataError):
            far.say(b"<" + b"x" * 3000)  # a frame that never ends
            await port.frame(lambda data: (None, 0), 0.05)
    assert len(port._buffer) <= LIMIT
    with suppress(DataError):
        await port.frame(cut, 0.05)
    far.say(b"<good>")
    assert b"<good>" in await port.frame(cut, 20.0)


async def test_a_flood_does_not_hold_the_caller(far: FarEnd, port: SerialPort) -> None:
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
    assert took < 20  # it does come back


async def test_waiting_lets_the_loop_of_the_bus_run(far: FarEnd, port: SerialPort) -> None:
    waiting = asyncio.ensure_future(port.frame(cut, 30.0))
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_nothing_answers_is_sent_once_the_line_is_free(far: FarEnd) -> None:
    port = SerialPort(far.path, 300)  # 33 ms for a character
    start = time.monotonic()
    await port.send(b"ab")
    await port.send(b"c")
    assert time.monotonic() - start >= (2 + 3.5) / 30
    heard = b""
    while len(heard) < 3:  # the kernel passes it on in its own time
        assert select.select([far.master], [], [], 20.0)[0]
        heard += far.heard()
    assert heard == b"abc"
    port.close()


async def test_the_speed_changes_when_all_has_left_and_back(far: FarEnd) -> None:
    port = SerialPort(far.path, 300)
    await port.speed(300)  # as it is
    start = time.monotonic()
    await port.send(b"/?!\r\n")
    await port.speed(9600)
    assert time.monotonic() - start >= 5 / 30
    assert termios.tcgetattr(far.slave)[4] == termios.B9600
    assert port.char_ns == 10_000_000_000 // 9600
    await port.speed()
    assert termios.tcgetattr(far.slave)[4] == termios.B300
    await port.speed(4800)
    port.close()
    port.open()
    assert termios.tcgetattr(far.slave)[4] == termios.B300
    with pytest.raises(BusError, match="does not change to -1 baud"):
        await port.speed(-1)
    port.close()


def addressed(unit: int) -> Callable[[bytes], tuple[bytes | None, int]]:
    def of_unit(data: bytes) -> tuple[bytes | None, int]:
        frame, done = cut(data)
        return (frame if frame is not None and frame[1] == 0x30 + unit else None), done

    return of_unit


async def test_several_devices_are_asked_by_address_on_one_line(far: FarEnd) -> None:
    """One of them is dead, one answers so late that its neighbour is being asked already."""
    port = waiting(far)(far.path)
    last = bytearray(b"?")

    def reply(asked: bytes) -> bytes:
        late, last[:] = bytes(last), asked[:1]
        before = b"<2 late>" if late == b"2" and asked[:1] != b"2" else b""
        return before + (b"<" + asked + b" here>" if asked[:1] in b"13" else b"")

    far.answer(reply)
    for unit, want in [(1, b"<1 here>"), (2, b""), (3, b"<3 here>"), (1, b"<1 here>"), (2, b"")]:
        asked = port.frame(addressed(unit), 0.08, write=b"%d" % unit)
        if want:
            assert await asked == want
        else:
            with pytest.raises(BusError, match="check that the device has supply and this address"):
                await asked
    port.close()


async def test_a_late_answer_that_has_begun_is_heard_to_its_end(
    far: FarEnd, port: SerialPort
) -> None:
    with pytest.raises(BusError):
        await port.frame(cut, 0.03, write=b"1")
    far.say(b"<la")
    far.say_later(b"te>", 0.012)
    threading.Timer(0.05, far.answer, (lambda asked: b"<good>",)).start()
    assert await port.frame(cut, 20.0, write=b"2") == b"<good>"


async def test_a_line_that_is_never_quiet_is_not_asked(far: FarEnd) -> None:
    port = SerialPort(far.path, 50)  # 700 ms of silence are never to be had
    port.open()
    far.say(b"\x55")
    far.keep_saying(lambda: b"\x55\xaa")
    with pytest.raises(BusError, match=r"never quiet.*disconnect it") as caught:
        await port.frame(cut, 20.0, write=b"?")
    assert caught.value.reason is Reason.BUSY
    port.close()


def test_not_there_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="is not there; plug the adapter in; /dev/serial/by-id"):
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


def test_a_port_belongs_to_one(far: FarEnd, port: SerialPort) -> None:
    port.open()
    with pytest.raises(BusError, match="in use by another program"):
        SerialPort(far.path).open()
    port.close()
    again = SerialPort(far.path)
    again.open()
    again.close()


def test_a_real_port_is_marked_exclusive_for_everybody(
    far: FarEnd, port: SerialPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exclusive() -> bool:
        return bool(struct.unpack("i", fcntl.ioctl(far.slave, TIOCGEXCL, bytes(4)))[0])

    monkeypatch.setattr(serial_wire, "is_pty", lambda path: False)
    port.open()
    assert exclusive()
    port.close()
    assert not exclusive()


def test_it_never_becomes_the_controlling_terminal(far: FarEnd) -> None:
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
def test_a_pseudo_terminal_opens_again_and_again_with_any_parity(far: FarEnd, parity: str) -> None:
    for _ in range(3):
        port = SerialPort(far.path, 19_200, parity)
        port.open()
        assert termios.tcgetattr(far.slave)[4] == termios.B19200
        port.close()


def test_a_name_that_is_a_link_is_followed(far: FarEnd, tmp_path: Path) -> None:
    link = tmp_path / "usb-Adapter-if00"
    link.symlink_to(far.path)
    port = SerialPort(str(link), 9600, "E")
    port.open()
    port.close()


async def test_a_port_that_vanished_is_said_so_and_opened_again(tmp_path: Path) -> None:
    first, link = FarEnd(), tmp_path / "port"
    link.symlink_to(first.path)
    port = SerialPort(str(link))
    port.open()
    first.close()
    with pytest.raises(BusError, match=r"vanished .* it is opened again once it is back"):
        await port.frame(cut, 0.5)
    link.unlink()
    with pytest.raises(BusError, match="is not there"):
        await port.frame(cut, 0.5)
    second = FarEnd()
    link.symlink_to(second.path)
    second.keep_saying(lambda: b"<back>", 0.02)
    assert await port.frame(cut, 20.0) == b"<back>"
    port.close()
    second.close()


def test_closing_is_always_safe(port: SerialPort) -> None:
    port.close()
    port.open()
    port.close()
    port.close()
