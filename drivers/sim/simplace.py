"""Where a simulated device may be: what people write with --on, and what is free."""

import itertools
import socket
import tempfile
from pathlib import Path
from typing import Final

FITS: Final = {  # wiring -> where its counterpart may be
    "i2c": ("i2c",),
    "serial": ("pty", "port"),
    "modbus": ("pty", "port", "tcp"),
    "gpio": ("gpio",),
}
WORDS: Final = {
    "i2c": "i2c (a simulated bus), or i2c:/PATH for a socket of that name",
    "pty": "pty (a pseudo-terminal)",
    "port": "a serial port such as /dev/ttyUSB0",
    "tcp": "tcp (a free port of this machine), or tcp:HOST:PORT",
    "gpio": "gpio (a simulated chip), or gpio:/PATH for a socket of that name",
}


def parse_place(on: str, wiring: str) -> tuple[str, str]:
    """`tcp:127.0.0.1:5020` as ("tcp", "127.0.0.1:5020"). Raises ValueError for what cannot be."""
    kind, _, rest = ("port", "", on) if on.startswith("/") else on.partition(":")
    if kind == "port" and rest.startswith(("/dev/i2c-", "/dev/gpiochip")):
        raise ValueError(f"{rest}: on a real bus of this kind a computer cannot play the device")
    if kind not in FITS[wiring] or (kind == "pty" and rest):
        fitting = "; ".join(WORDS[kind] for kind in FITS[wiring])
        raise ValueError(f"--on {on} does not fit a device wired by {wiring}: use {fitting}")
    return kind, rest


def socket_path(given: str, driver: str) -> Path:
    """The path that is wished for, or one that nobody has."""
    if given:
        return Path(given)
    names = (f"kerbstone-sim-{driver}{'' if n == 1 else f'-{n}'}.sock" for n in itertools.count(1))
    return next(path for name in names if _free(path := Path(tempfile.gettempdir(), name)))


def _free(path: Path) -> bool:
    if not path.exists():
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return path.is_socket()  # one that was killed has left it
        except OSError:
            return False  # somebody else's
    return False


def clear_socket(path: Path, kind: socket.SocketKind) -> None:
    """Remove a socket that a killed simulator left; one that is served stays (and bind fails)."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()


def parse_whole(text: str | int) -> int:
    """A number as people write it. Raises ValueError."""
    try:
        return int(str(text), 0)
    except ValueError as error:
        raise ValueError(f"--address {text}: write a number such as 1 or 0x76") from error
