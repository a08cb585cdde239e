"""The guest while it runs: QEMU, a shell in it that takes commands, and its wires.

One virtual processor, 512 MB, without hardware acceleration. The shell is at the other end of a
virtio port, so that the kernel's messages are not among the answers; they are in `log`.
"""

import itertools
import json
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from edge.rig.initrd import initrd
from edge.rig.qmp import Qmp, QmpError
from tests.kernel.build import ROOT, Built, cache

HERE: Final = Path(__file__).parent
ADAPTER: Final = {
    "driver": "usb-serial", "serial": "KERB0001", "chardev": "usb", "bus": "xhci.0",
}  # fmt: skip
PLUG_S: Final = 20.0
BOOT_S: Final = 300.0  # it takes ten seconds on an idle machine
QUIET: Final = "quiet loglevel=4 mitigations=off no_timer_check random.trust_cpu=on panic=-1"


class GuestError(Exception):
    """A command in the guest failed, or took too long. The text has what the guest said."""


class GuestMachine:
    """A running guest. `serial` is a pseudo-terminal for its ttyS1, `usb` one for an adapter;
    without them it has neither. `second` is its first program on the disk, in tests/kernel/guest.

    The adapter is not plugged in; `plug` and `unplug` do that.
    """

    def __init__(
        self, built: Built, serial: str = "", usb: str = "", second: str = "second"
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kerbstone-kernel-")
        self.folder = Path(self._folder.name)
        self.log = self.folder / "console"
        self._rest = b""
        self._numbers = itertools.count()
        first = self.folder / "initrd.gz"
        first.write_bytes(
            initrd(built.busybox, built.first_modules, (HERE / "guest/first").read_bytes())
        )
        began = time.monotonic()
        with (self.folder / "qemu").open("w") as said:
            self._qemu = subprocess.Popen(
                _command(built, self.folder, first, serial, usb, second),
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self.qmp = Qmp(self.folder / "qmp")
            self._socket.connect(str(self.folder / "shell"))
            self.expect("^guest is up$", BOOT_S)
        except BaseException:
            self.close()
            raise
        self.boot_s = time.monotonic() - began

    def run(self, command: str, timeout_s: float = 120.0) -> str:
        """What a shell command printed, errors too. Raises GuestError unless it ended with 0."""
        self.start(command)
        return self.finish(timeout_s)

    def start(self, command: str) -> None:
        """Begin a command; `expect` reads what it prints, `finish` waits for its end."""
        self._mark = f"-- {next(self._numbers)} ended with "
        line = f"{command} </dev/null; code=$?; echo; echo '{self._mark}'$code\n"
        self._socket.sendall(line.encode())

    def expect(self, pattern: str, timeout_s: float = 60.0) -> re.Match[str]:
        """The next line in which this is found. Raises GuestError when the command ends first."""
        passed = []
        for line in self._lines(timeout_s):
            passed.append(line)
            if found := re.search(pattern, line):
                return found
            if line.startswith("-- "):
                break
        raise GuestError(self._reported(f"{pattern!r} did not come", passed))

    def finish(self, timeout_s: float = 120.0) -> str:
        """The rest of what the command printed. Raises GuestError unless it ended with 0."""
        said: list[str] = []
        for line in self._lines(timeout_s):
            if line.startswith(self._mark):
                if line.removeprefix(self._mark) != "0":
                    raise GuestError(self._reported(line, said))
                return "\n".join(said).rstrip("\n")
            said.append(line)
        raise GuestError(self._reported(f"not done within {timeout_s:.0f} s", said))

    def python(self, module: str, *arguments: object, timeout_s: float = 180.0) -> Any:
        """Run a module of tests/kernel/guest; what its last line of JSON says."""
        words = " ".join(f"'{argument}'" for argument in arguments)
        self.start(f"python3 -m tests.kernel.guest.{module} {words}")
        return self.answer(timeout_s)

    def answer(self, timeout_s: float = 180.0) -> Any:
        """Wait for the end of such a module; what its last line of JSON says."""
        return json.loads(self.finish(timeout_s).splitlines()[-1])

    def plug(self, port: int = 1) -> None:
        """Put the USB adapter into this port of its hub."""
        end = time.monotonic() + PLUG_S
        while True:
            try:
                self.qmp("device_add", id="adapter", port=str(port), **ADAPTER)
                return
            except QmpError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)  # QEMU lets go of what was unplugged some time later

    def unplug(self) -> None:
        """Pull it out."""
        self.qmp("device_del", id="adapter")

    def close(self) -> None:
        """Switch it off; nothing of it stays."""
        self._socket.close()
        if hasattr(self, "qmp"):
            self.qmp.close()
        self._qemu.kill()
        self._qemu.wait(30)
        self._folder.cleanup()

    def _lines(self, timeout_s: float) -> Iterator[str]:
        """Lines as they come, until `timeout_s` from now. Raises GuestError when QEMU ends."""
        end = time.monotonic() + timeout_s
        while True:
            while b"\n" in self._rest:
                line, _, self._rest = self._rest.partition(b"\n")
                yield line.decode(errors="replace").rstrip("\r")
            left = end - time.monotonic()
            if left <= 0:
                return
            self._socket.settimeout(left)
            try:
                heard = self._socket.recv(65536)
            except TimeoutError:
                return
            if not heard:
                raise GuestError(self._reported("the guest has ended", []))
            self._rest += heard

    def _reported(self, what: str, said: list[str]) -> str:
        console = self.log.read_text(errors="replace") if self.log.exists() else ""
        reported = {
            "guest": "\n".join(said[-60:]),
            "not read": self._rest[-500:].decode(errors="replace"),
            "console": console.partition("Kernel panic")[0][-2000:],  # what follows are addresses
            "QEMU": (self.folder / "qemu").read_text(errors="replace")[-2000:],
        }
        return "\n".join([what, *(f"{who}: {text}" for who, text in reported.items() if text)])


def _command(
    built: Built, folder: Path, first: Path, serial: str, usb: str, second: str
) -> list[str]:
    top = cache().resolve()
    names = f"guest_modules={built.modules.relative_to(cache())} guest_site={built.site.name}"
    names += f" guest_second={second}"
    wires = [
        *(["-chardev", f"serial,id=line,path={serial}", "-serial", "chardev:line"] * bool(serial)),
        *(["-device", "qemu-xhci,id=xhci", "-chardev", f"serial,id=usb,path={usb}"] * bool(usb)),
    ]
    share = "local,security_model=none,readonly=on"
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-cpu", "max", "-smp", "1",
        "-m", "512", "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", str(built.kernel), "-initrd", str(first),
        "-append", f"console=ttyS0 {QUIET} {names}",
        # what a test writes goes with the guest
        "-drive", f"if=none,id=disk,file={built.image},format=raw,snapshot=on",
        "-device", "virtio-blk-pci,drive=disk",
        "-virtfs", f"{share},path={ROOT},mount_tag=project",
        "-virtfs", f"{share},path={top},mount_tag=cache",
        "-serial", f"file:{folder}/console",
        "-device", "virtio-serial-pci",
        "-chardev", f"socket,id=shell,path={folder}/shell,server=on,wait=off",
        "-device", "virtserialport,chardev=shell,name=host",
        *wires,
        "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
    ]  # fmt: skip
