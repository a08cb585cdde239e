"""`kerbstone sim` where a place cannot be had: one sentence with what to do, and exit code 2."""

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.sim_place import place_trouble
from edge.durable.filelock import FileLock
from tests.kit.command import Command

HEAD = '[site]\nid = "s"\ngateway = "g"\n[uplink]\nurl = "mqtt://h"\n[bus.it]\n'


@pytest.fixture
def taken() -> Iterator[int]:
    """A TCP port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def refused(kerbstone: Command, *words: object) -> str:
    said = kerbstone("sim", *words)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
    return said.err.removeprefix("kerbstone sim: ").rstrip("\n")


def site(folder: Path, *keys: str, driver: str = "sdm120", unit: str = "unit = 1\n") -> Path:
    file = folder / "site.toml"
    device = f'[device.m]\ndriver = "{driver}"\nbus = "it"\n{unit}'
    file.write_text(HEAD + "".join(f"{key}\n" for key in keys) + device, encoding="utf-8")
    return file


def test_a_tcp_port_that_is_taken(kerbstone: Command, tmp_path: Path, taken: int) -> None:
    file = site(tmp_path, 'kind = "modbus-tcp"', 'host = "127.0.0.1"', f"port = {taken}")
    assert refused(kerbstone, file, "--desk", tmp_path / "desk") == (
        f"127.0.0.1:{taken} is in use by another program or simulation: end that, or name another "
        "one in the site file, or with --on for a real port"
    )


def test_a_port_that_another_simulation_plays(kerbstone: Command, tmp_path: Path) -> None:
    file = site(tmp_path, 'kind = "modbus-rtu"', f'port = "{tmp_path}/m.tty"')
    lock = FileLock(tmp_path / ".m.tty.lock")
    assert lock.take()
    assert refused(kerbstone, file, "--desk", tmp_path / "desk") == (
        f"{tmp_path}/m.tty is in use by process {os.getpid()}: end that simulation, or name "
        "another port for bus.it"
    )
    lock.release()


def test_a_file_of_somebody_where_a_port_shall_be(kerbstone: Command, tmp_path: Path) -> None:
    file = site(tmp_path, 'kind = "modbus-rtu"', f'port = "{tmp_path}/m.tty"')
    (tmp_path / "m.tty").write_text("notes")
    assert refused(kerbstone, file, "--desk", tmp_path / "desk") == (
        f"{tmp_path}/m.tty is somebody's file, and no port of a simulation: remove it, or name "
        "another port for bus.it"
    )


def test_a_socket_that_is_served(kerbstone: Command, tmp_path: Path) -> None:
    path = tmp_path / "it.sock"
    file = site(tmp_path, 'kind = "i2c"', f'path = "sim:{path}"', driver="sht4x", unit="")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        said = refused(kerbstone, file, "--desk", tmp_path / "desk")
    assert said.startswith(f"{path} is in use by another program or simulation: end that, or ")


def test_a_folder_that_is_a_file(kerbstone: Command, tmp_path: Path) -> None:
    file = site(tmp_path, 'kind = "modbus-rtu"', 'port = "/dev/ttyUSB0"')
    desk = tmp_path / "desk"
    desk.touch()
    assert refused(kerbstone, file, "--desk", desk) == (
        f"{desk} cannot be made, because there is a file of that name: give another folder with "
        "--desk"
    )


def test_a_real_port_that_is_not_there(kerbstone: Command, tmp_path: Path) -> None:
    file = site(tmp_path, 'kind = "modbus-rtu"', 'port = "/dev/ttyUSB0"')
    words = (file, "--desk", tmp_path / "desk", "--on", "it=/dev/ttyNOTHERE")
    assert refused(kerbstone, *words).startswith(
        "/dev/ttyNOTHERE is not there: plug the adapter in"
    )


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EROFS, "/srv/desk cannot be written, because the folder is read-only: "),
        (
            errno.EACCES,
            "/srv/desk cannot be written, because the folder is not yours to write in: ",
        ),
        (errno.ENOSPC, "/srv/desk cannot be used (No space left on device): "),
    ],
)
def test_a_folder_that_cannot_be_written(
    kerbstone: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, says: str
) -> None:
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), "/srv/desk")

    file = site(tmp_path, 'kind = "modbus-rtu"', 'port = "/dev/ttyUSB0"')
    monkeypatch.setattr(Path, "mkdir", mkdir)
    said = refused(kerbstone, file, "--desk", "/srv/desk")
    assert said == says + "give another folder with --desk"


def test_an_address_of_another_machine(kerbstone: Command) -> None:
    assert refused(kerbstone, "sdm120", "--on", "tcp:192.0.2.1:5020") == (
        "192.0.2.1 is no address of this machine: give another place with --on"
    )


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_tcp_port_of_root(
    kerbstone: Command, monkeypatch: pytest.MonkeyPatch, host: str, number: int
) -> None:
    def create_server(*_: object, **__: object) -> None:
        raise PermissionError(number, os.strerror(number))

    monkeypatch.setattr(socket, "create_server", create_server)
    assert refused(kerbstone, "sdm120", "--on", f"tcp:{host}:502") == (
        f"{host}:502 cannot be had: a port below 1024 is for root; take another, such as 5020"
    )
    said = refused(kerbstone, "sdm120", "--on", f"tcp:{host}:5020")
    assert said.startswith(f"{host}:5020 cannot be used (")
    assert "folder" not in said


def test_a_port_of_another_group() -> None:
    error = PermissionError(errno.EACCES, "Permission denied")
    assert place_trouble(error, "/dev/ttyUSB0", "do this") == (
        "/dev/ttyUSB0 may not be opened by this user: join the group dialout, or do this"
    )
