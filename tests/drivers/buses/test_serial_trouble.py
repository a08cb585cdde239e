"""What is concluded from what was observed on a port: each situation has its sentence."""

import errno
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.buses.host import (
    DeviceNode,
    NodeUser,
    board_config,
    find_holder,
    kernel_consoles,
    list_names,
    login_on,
    look_up_node,
)
from drivers.buses.serial_trouble import (
    COUNTERS,
    UartCounters,
    bytes_finding,
    console_finding,
    counter_findings,
    damaged,
    host_findings,
    not_opened,
    parity_of_seven_bits,
    silent,
)

AT = ("/dev/ttyUSB0", "9600 8N1")
PORT = DeviceNode("/dev/ttyUSB0", "/dev/ttyUSB0", True, usable=True, group="dialout")
SERIAL0 = DeviceNode("/dev/serial0", "/dev/ttyAMA0", True, usable=True, group="dialout")


@pytest.mark.parametrize(
    ("counted", "says"),
    [
        (
            UartCounters(100, framing=40),
            "have no stop bit at 9600 8N1; set the device's baud",
        ),
        (UartCounters(0, framing=3), "have no stop bit"),
        (UartCounters(100, parity=50), "set another parity (N, E or O)"),
        (UartCounters(10, framing=5, breaks=30), "the line is held low (30 breaks); swap A and B"),
        (UartCounters(100, overrun=4), "lost before this program could read them"),
    ],
)
def test_what_the_uart_counts_says_which_setting_is_wrong(counted: UartCounters, says: str) -> None:
    [found] = counter_findings(*AT, counted)
    assert says in str(found)
    assert found.remedy


def test_a_good_line_has_nothing_to_say() -> None:
    assert counter_findings(*AT, UartCounters(1000, framing=3)) == []
    assert (
        counter_findings(*AT, UartCounters(1000, parity=3)) == []
    )  # a damaged byte is no wrong setting
    assert counter_findings(*AT, UartCounters()) == []


def test_the_kernel_s_counters_are_read_in_its_order() -> None:
    """struct serial_icounter_struct: cts dsr rng dcd rx tx frame overrun parity brk buf_overrun."""
    data = struct.pack("=20i", *range(1, 12), *[0] * 9)
    assert len(data) == COUNTERS.size == 80
    assert UartCounters.parse(data) == UartCounters(5, 7, 8 + 11, 9, 10)
    assert UartCounters(9, 8, 7, 6, 5).since(UartCounters(1, 1, 1, 1, 1)) == UartCounters(
        8, 7, 6, 5, 4
    )


def even(text: bytes) -> bytes:
    return bytes(byte | (byte.bit_count() & 1) << 7 for byte in text)


@pytest.mark.parametrize(
    ("heard", "says"),
    [
        (bytes(40), "100% of the bytes are zeros: the line is held low; swap A and B"),
        (even(b"/ELS5\\@V10.04\r\n"), "seven bits with parity E; set bits = 7"),
        (bytes(byte ^ 0x80 for byte in even(b"1-0:1.8.0(0001)")), "with parity O"),
        (bytes.fromhex("f07e00f8e07f01c03f80"), "no frame is in them (f0 7e 00"),
    ],
)
def test_what_bytes_without_a_frame_look_like(heard: bytes, says: str) -> None:
    [found] = bytes_finding(*AT, heard)
    assert says in str(found)
    assert damaged(*AT, heard, len(heard), UartCounters()) == str(found)
    assert "wrong parity" in damaged(*AT, heard, len(heard), UartCounters(10, parity=9))


def test_few_bytes_prove_nothing() -> None:
    assert bytes_finding(*AT, bytes(7)) == []
    text = damaged(*AT, b"abc", 3, UartCounters())
    assert "whole frame among them; check whether 9600 8N1 is right" in text


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_whatever_comes_gets_at_most_one_sentence(heard: bytes) -> None:
    assert len(bytes_finding(*AT, heard)) == (len(heard) >= 8)
    assert parity_of_seven_bits(heard) in ("", "E", "O")


def test_silence_says_something_else_to_who_asks_than_to_who_listens() -> None:
    assert "that A and B (or TX and RX) are not swapped" in str(silent(*AT, 1.0, asked=True))
    assert "that its TX is on our RX" in str(silent(*AT, 1.0))


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOENT, "plug the adapter in; /dev/serial/by-id has its name"),
        (errno.EACCES, "usermod -aG uucp USER"),
        (errno.EBUSY, "a line can have only one master"),
    ],
)
def test_a_port_that_does_not_open_has_a_remedy(code: int, remedy: str) -> None:
    assert remedy in not_opened(*AT, OSError(code, "no"), "uucp").remedy


# --- what the machine says ------------------------------------------------------------------------


def test_a_console_on_the_port_is_said_by_its_real_name() -> None:
    asked = kernel_consoles("console=ttyAMA0,115200 console=tty1 consoleblank=0")
    assert asked == ["ttyAMA0", "tty1"]
    [found] = host_findings(SERIAL0, asked)
    assert "kernel writes its messages to /dev/serial0 (console=ttyAMA0)" in found.sentence
    assert "serial-getty@ttyAMA0" in found.remedy
    assert console_finding(SERIAL0, asked) == str(found)
    assert console_finding(PORT, asked) == ""


def test_a_login_a_foreign_program_and_a_missing_group_are_said() -> None:
    [found] = host_findings(SERIAL0, (), NodeUser(412, "agetty"), NodeUser(412, "agetty"))
    assert "agetty (process 412) uses /dev/serial0 as its terminal" in found.sentence
    assert "raspi-config" in found.remedy
    [found] = host_findings(PORT, (), None, NodeUser(9, "minicom"))
    assert str(found) == (
        "minicom (process 9) has /dev/ttyUSB0 open; "
        "end that program, because a line can have only one master"
    )
    locked = DeviceNode("/dev/ttyUSB0", "/dev/ttyUSB0", True, usable=False, group="dialout")
    [found] = host_findings(locked)
    assert "usermod -aG dialout USER" in found.remedy
    [found] = host_findings(
        DeviceNode("/dev/ttyUSB7", "/dev/ttyUSB7", False), present=["/dev/serial/by-id/a"]
    )
    assert "or use one of these: /dev/serial/by-id/a" in found.remedy
    assert host_findings(PORT) == []


def proc(folder: Path, pid: int, name: str, terminal: int = 0, opened: str = "") -> None:
    one = folder / str(pid)
    (one / "fd").mkdir(parents=True)
    (one / "comm").write_text(name + "\n")
    (one / "stat").write_text(f"{pid} ({name}) S 1 {pid} {pid} {terminal} -1 4194560 0 0\n")
    if opened:
        (one / "fd" / "3").symlink_to(opened)


def test_processes_are_found_where_proc_has_them(tmp_path: Path) -> None:
    proc(tmp_path, 1, "init")
    proc(tmp_path, 40, "a ) (b", terminal=0x0440)
    proc(tmp_path, 41, "minicom", opened="/dev/ttyUSB0")
    (tmp_path / "self").mkdir()
    (tmp_path / "42").mkdir()  # ended meanwhile: nothing in it
    assert login_on(0x0440, tmp_path) == NodeUser(40, "a ) (b")
    assert login_on(0x0441, tmp_path) is None
    assert login_on(0, tmp_path) is None
    assert find_holder("/dev/ttyUSB0", tmp_path) == NodeUser(41, "minicom")
    assert find_holder("/dev/ttyUSB1", tmp_path) is None
    assert find_holder("/dev/ttyUSB1", tmp_path / "none") is None


def test_a_node_is_looked_at_through_its_links(tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to("/dev/null")
    found = look_up_node(str(tmp_path / "by-id"))
    assert (found.path, found.present, found.number) == ("/dev/null", True, 0x0103)
    assert not look_up_node(str(tmp_path / "none")).present
    assert list_names(str(tmp_path)) == [str(tmp_path / "by-id")]
    assert list_names(str(tmp_path / "none")) == []


def test_the_newer_place_of_the_board_s_settings_goes_first(tmp_path: Path) -> None:
    assert board_config(tmp_path) is None
    (tmp_path / "boot/firmware").mkdir(parents=True)
    (tmp_path / "boot/config.txt").write_text("old")
    assert board_config(tmp_path) == ("/boot/config.txt", "old")
    (tmp_path / "boot/firmware/config.txt").write_text("new")
    assert board_config(tmp_path) == ("/boot/firmware/config.txt", "new")
