"""A box without hardware: QEMU's aarch64 machine with a card in it.

What the box says is in `log`, as on a screen at its console. The shell is no part of the image: the
kernel's command line asks systemd for one, at a port that only this machine has.
"""

import re
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from tests.image.card import ImageCard
from tests.image.names import Names

BINARY: Final = "qemu-system-aarch64"
BOOT_S: Final = 900.0  # some two minutes on an idle machine
T = TypeVar("T")
QUIET: Final = (
    b"stty -echo; PS1=; PS2=; export TERM=dumb PAGER=cat SYSTEMD_COLORS=0; echo shell''-is-up\n"
)
SHELL: Final = "systemd.debug_shell=hvc0"


class ImageGuestError(Exception):
    """It did not do what was waited for. The text has the end of its console."""


class Guest:
    """Runs when built. `kill` is a power cut; `reboot` ends it in order."""

    def __init__(
        self,
        card: ImageCard,
        folder: Path,
        *,
        memory_mb: int = 512,
        names: Names,
        other: int | None = None,
        ssh: int | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "console"
        self._said = folder / "qemu"
        self._shell = folder / "shell"
        self._shell.unlink(missing_ok=True)
        self._numbers = 0
        self._rest = b""
        line = card.cmdline.replace("console=tty1", "console=ttyAMA0")
        forward = f",guestfwd=tcp:10.0.2.100:7777-tcp:127.0.0.1:{other}" if other else ""
        forward += f",hostfwd=tcp:127.0.0.1:{ssh}-:22" if ssh else ""
        command = [
            BINARY, "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", str(memory_mb),
            "-accel", "tcg,thread=multi", "-nodefaults", "-display", "none", "-no-reboot",
            "-kernel", str(card.kernel), "-initrd", str(card.initrd),
            "-append", f"{line} mitigations=off {SHELL}",
            "-drive", f"if=none,id=card,file={card.path},format=raw,cache=writeback",
            "-device", "virtio-blk-pci,drive=card", "-device", "virtio-rng-pci",
            "-netdev", f"user,id=net{forward}",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-object", f"filter-dump,id=dump,netdev=net,file={folder}/traffic.pcap",
            "-serial", f"file:{self.log}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=shell,path={self._shell},server=on,wait=off",
            "-device", "virtconsole,chardev=shell",
        ]  # fmt: skip
        self.began = time.monotonic()
        with self._said.open("w") as said:
            self._qemu = subprocess.Popen(
                names.inside(command, folder), stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        self._socket: socket.socket | None = None

    @property
    def age_s(self) -> float:
        """Since it got power."""
        return time.monotonic() - self.began

    def console(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def says(self, pattern: str, timeout_s: float = BOOT_S) -> re.Match[str]:
        """Wait until this is on its console."""
        return self.until(
            lambda: re.search(pattern, self.console()), f"{pattern!r} on the console", timeout_s
        )

    def until(self, look: Callable[[], T | None], what: str, timeout_s: float = BOOT_S) -> T:
        """Wait for something that happens because of it."""
        end = time.monotonic() + timeout_s
        while True:
            found = look()
            if found:
                return found
            if self._qemu.poll() is not None:
                raise ImageGuestError(f"{what}: it went off\n{self._tail()}")
            if time.monotonic() > end:
                raise ImageGuestError(f"{what}: not within {timeout_s:.0f} s\n{self._tail()}")
            time.sleep(0.5)

    def run(self, command: str, timeout_s: float = 120.0, check: bool = True) -> str:
        """What a command in its shell printed, errors too."""
        if self._socket is None:
            self._open()
        assert self._socket is not None
        self._numbers += 1
        mark = f"-- {self._numbers} ended with "
        line = f"( {command} ) </dev/null 2>&1; code=$?; echo; echo '{mark[:3]}''{mark[3:]}'$code\n"
        self._socket.sendall(line.encode())
        said = self._read(rf"{re.escape(mark)}(\d+)\r?\n", timeout_s)
        text, code = said
        text = text.replace("\r", "").strip("\n")
        if check and code != "0":
            raise ImageGuestError(f"{command}: ended with {code}\n{text[-3000:]}")
        return text

    def reboot(self) -> None:
        """In order, and off: the test switches it on again."""
        if self._socket is None:
            self._open()
        assert self._socket is not None
        self._socket.sendall(b"systemctl reboot\n")
        try:
            self._qemu.wait(300)
        except subprocess.TimeoutExpired:
            raise ImageGuestError(f"it does not go down\n{self._tail()}") from None
        self.kill()

    def kill(self) -> None:
        """The power goes."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._qemu.kill()
        self._qemu.wait(30)

    def _open(self) -> None:
        """The shell, once systemd has started it."""
        one = self.until(self._connected, "QEMU's socket", 60)
        self._socket = one
        end = time.monotonic() + BOOT_S
        while True:
            one.sendall(QUIET)
            try:
                self._read(r"shell-is-(up)\r?\n", 10)
                return
            except ImageGuestError:
                if time.monotonic() > end:
                    raise

    def _connected(self) -> socket.socket | None:
        one = socket.socket(socket.AF_UNIX)
        try:
            one.connect(str(self._shell))
        except OSError:
            one.close()
            return None
        return one

    def _read(self, pattern: str, timeout_s: float) -> tuple[str, str]:
        """Text up to the pattern, and its group."""
        assert self._socket is not None
        end = time.monotonic() + timeout_s
        wanted = re.compile(pattern.encode())
        while True:
            found = wanted.search(self._rest)
            if found:
                text = self._rest[: found.start()].decode("utf-8", "replace")
                self._rest = self._rest[found.end() :]
                return text, found.group(1).decode()
            left = end - time.monotonic()
            if left <= 0:
                raise ImageGuestError(
                    f"no answer within {timeout_s:.0f} s: {self._rest[-2000:]!r}\n{self._tail()}"
                )
            self._socket.settimeout(left)
            try:
                heard = self._socket.recv(65536)
            except TimeoutError:
                continue
            if not heard:
                raise ImageGuestError(f"its shell has ended\n{self._tail()}")
            self._rest += heard

    def _tail(self) -> str:
        said = self._said.read_text("utf-8", "replace")
        return f"console: {self.console()[-3000:]}\nQEMU: {said[-1000:]}"
