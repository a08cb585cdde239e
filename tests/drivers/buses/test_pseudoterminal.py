"""A simulation's port that is somebody else's terminal by now is not opened."""

import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.buses.serial_diagnose import check_port
from drivers.buses.serial_port import SerialPort
from drivers.sim.simpty import link_target, open_pty
from edge.core import BusError
from edge.core.simulatedport import LINK_TARGET, PTS
from tests.kit.waiting import wait_until

NOT_ITS = (
    r"meters.tty \(/dev/pts/\d+\) is not the terminal that a simulation gave out by this name: the "
    r"simulation has ended or its folder was moved, or another program has set the terminal anew"
)
TRIES = 200  # numbers of terminals that others may have taken meanwhile


@pytest.fixture
def shell() -> Iterator[tuple[int, str]]:
    """Somebody's terminal."""
    ours, theirs = os.openpty()
    yield theirs, os.ttyname(theirs)
    os.close(ours)
    os.close(theirs)


def test_a_link_that_a_killed_simulation_left_leads_to_nobodys_shell(
    tmp_path: Path, shell: tuple[int, str]
) -> None:
    terminal, name = shell
    before = termios.tcgetattr(terminal)
    link = tmp_path / "meters.tty"
    link.symlink_to(LINK_TARGET + name.removeprefix(PTS))
    with pytest.raises(BusError, match=NOT_ITS):
        SerialPort(str(link)).open()
    assert termios.tcgetattr(terminal) == before


def test_a_number_of_a_simulation_that_has_ended_is_nobodys_shell(shell: tuple[int, str]) -> None:
    terminal, name = shell
    before = termios.tcgetattr(terminal)
    with pytest.raises(BusError, match=f"{name} is the terminal of another program"):
        SerialPort(name).open()
    assert termios.tcgetattr(terminal) == before


def test_the_port_of_another_simulation_is_not_taken_for_it(tmp_path: Path) -> None:
    master, slave, name = open_pty()
    link = tmp_path / "meters.tty"
    link.symlink_to(LINK_TARGET + name.removeprefix(PTS))
    with pytest.raises(BusError, match=NOT_ITS):
        SerialPort(str(link)).open()
    link_target(name, tmp_path / "heat.tty")
    with pytest.raises(BusError, match=NOT_ITS):
        SerialPort(str(link)).open()
    with pytest.raises(BusError, match=f"{name} is the terminal of another program, or of another"):
        SerialPort(name).open()
    os.close(master)
    os.close(slave)


def test_a_played_port_opens_by_each_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, slave, name = open_pty()
    desk = tmp_path / "desk"
    desk.mkdir()
    link = desk / "meters.tty"
    link.symlink_to(link_target(name, link))
    (tmp_path / "other").symlink_to(desk)
    (tmp_path / "alias").symlink_to("other/meters.tty")
    monkeypatch.chdir(desk)
    for port in (link, tmp_path / "other" / "meters.tty", tmp_path / "alias", "meters.tty"):
        opened = SerialPort(str(port), 2400)
        assert opened.open()
        opened.close()
    os.close(master)
    os.close(slave)


def test_a_link_of_another_program_to_its_own_terminal_is_taken(
    tmp_path: Path, shell: tuple[int, str]
) -> None:
    """As socat makes them."""
    link = tmp_path / "tunnel"
    link.symlink_to(shell[1])
    opened = SerialPort(str(link))
    assert opened.open()
    opened.close()


def test_what_a_living_simulation_can_suffer_is_in_the_sentence(tmp_path: Path) -> None:
    """Somebody calls `stty sane`, or renames the desk: nobody has taken its terminal."""
    master, slave, name = open_pty()
    (tmp_path / "desk").mkdir()
    link = tmp_path / "desk" / "meters.tty"
    link.symlink_to(link_target(name, link))
    moved = tmp_path / "moved"
    link.parent.rename(moved)
    with pytest.raises(BusError, match=NOT_ITS):
        SerialPort(str(moved / "meters.tty")).open()
    moved.rename(link.parent)
    subprocess.run(["stty", "-F", name, "sane"], check=True)
    with pytest.raises(BusError, match=NOT_ITS):
        SerialPort(str(link)).open()
    with pytest.raises(BusError, match=f"{name} is the terminal of .*, or was set anew by"):
        SerialPort(name).open()
    os.close(master)
    os.close(slave)


def test_the_doctor_says_that_the_simulation_has_ended(
    tmp_path: Path, shell: tuple[int, str]
) -> None:
    link = tmp_path / "meters.tty"
    link.symlink_to(LINK_TARGET + shell[1].removeprefix(PTS))
    (found,) = check_port(str(link))
    assert re.search(NOT_ITS, str(found))
    assert "start `kerbstone sim` again" in str(found)


def test_a_simulation_that_is_killed_leaves_a_port_that_is_never_opened(tmp_path: Path) -> None:
    """Really killed, and its number really given to somebody else."""
    file = tmp_path / "site.toml"
    file.write_text(
        '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\n'
        '[bus.meters]\nkind = "modbus-rtu"\nport = "/dev/ttyUSB0"\n'
        '[device.it]\ndriver = "sdm120"\nbus = "meters"\nunit = 1\n'
    )
    desk = tmp_path / "desk"
    command = [sys.executable, "-m", "edge.cli.main", "sim", str(file), "--desk", str(desk)]
    link = desk / "meters.tty"
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        wait_until(link.is_symlink)
        node = os.path.realpath(link)
        process.send_signal(signal.SIGKILL)
    assert link.is_symlink()
    others: list[int] = []
    while not Path(node).exists() and len(others) < TRIES:
        others += os.openpty()
    assert Path(node).exists()
    with pytest.raises(BusError, match=NOT_ITS):
        SerialPort(str(link)).open()
    for fd in others:
        os.close(fd)
