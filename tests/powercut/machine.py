"""The guest whose power is cut: a minimal Debian in QEMU, without hardware acceleration.

Its first two disks are read only. The third one is the rig's, behind a socket. Booted once, the
machine is kept in a file as it is before it has touched that disk (`keep`); a cycle begins from
there in a second. `whole=True` boots all of it each time.
"""

import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.rig.initrd import initrd
from edge.rig.qmp import Qmp
from tests.kernel.build import ROOT, Built

HERE: Final = Path(__file__).parent
MEMORY_MB: Final = 256
CODE_MB: Final = 64
QUIET: Final = "quiet loglevel=4 mitigations=off no_timer_check random.trust_cpu=on panic=-1"
CONNECT_S: Final = 30.0
END_S: Final = 30.0
CODE: Final = ("edge", "drivers", "models")
OF_TESTS: Final = (
    "tests/kernel/guest/bank.py", "tests/powercut/guest/supervisor.py",
    "tests/powercut/guest/careless.py",
)  # fmt: skip


class CutMachineError(Exception):
    """The guest does not boot, or does not answer. The text has what it said."""


@dataclass(frozen=True, slots=True)
class CutGuest:
    """What each of these machines is made of."""

    kernel: Path
    initrd: Path
    root: Path
    code: Path


def make_guest(built: Built, folder: Path, warm_site: str) -> CutGuest:
    """The first file system, and a disk with the program under test as it is here now."""
    first = folder / "initrd.gz"
    text = (HERE / "guest/first").read_bytes()
    first.write_bytes(initrd(built.busybox, built.first_modules, text))
    tree = folder / "tree"
    for name in CODE:
        shutil.copytree(
            ROOT / name, tree / "code" / name, ignore=shutil.ignore_patterns("__pycache__", "train")
        )
    shutil.copytree(built.site, tree / "code", dirs_exist_ok=True)
    for name in OF_TESTS:
        (tree / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tree / "code" / name)
    shutil.copytree(built.modules, tree / "modules")
    shutil.copy(HERE / "guest/second", tree / "second")
    (tree / "warm.toml").write_text(warm_site)
    code = folder / "code.img"
    make_file_system(code, CODE_MB, tree)
    shutil.rmtree(tree)
    return CutGuest(built.kernel, first, built.image, code)


def make_file_system(image: Path, size_mb: int, tree: Path | None = None) -> None:
    """ext4, all of it written now."""
    from_tree = [] if tree is None else ["-d", str(tree)]
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0",
         *from_tree, str(image), f"{size_mb}M"],
        check=True, capture_output=True,
    )  # fmt: skip


class CutMachine:
    """Runs when built; `saved` is a file of `keep` to go on from. `disk` is the rig's socket.

    Raises CutMachineError.
    """

    def __init__(self, guest: CutGuest, disk: Path, saved: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="kerbstone-cut-")
        folder = self.folder = Path(self._folder.name)
        self._rest = b""
        with (folder / "qemu").open("w") as said:
            self._qemu = subprocess.Popen(
                _command(guest, folder, disk, saved),
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
            )  # fmt: skip
        self._line = socket.socket(socket.AF_UNIX)
        try:
            self._connect(folder / "line")
            self._qmp = Qmp(folder / "qmp", CONNECT_S)
            if saved is not None:
                self._wait_for("query-status", "status", "inmigrate")
                self._qmp("cont")
        except BaseException:
            self.close()
            raise

    def say(self, **what: Any) -> None:
        self._line.sendall(json.dumps(what).encode() + b"\n")

    def heard(self, until_s: float) -> Iterator[dict[str, Any]]:
        """What it says until this moment of the monotonic clock."""
        while (left_s := until_s - time.monotonic()) > 0:
            self._line.settimeout(left_s)
            try:
                piece = self._line.recv(65536)
            except TimeoutError:
                return
            if not piece:
                raise CutMachineError(self._told("the guest has ended"))
            yield from self._lines(piece)

    def answer(self, word: str, timeout_s: float) -> Any:
        """What it says of this; all else is passed over. Raises CutMachineError."""
        for one in self.heard(time.monotonic() + timeout_s):
            if word in one:
                return one[word]
        raise CutMachineError(self._told(f"no {word!r} within {timeout_s:.0f} s"))

    def keep(self, file: Path) -> None:
        """Write all of it to a file; it does not go on here."""
        self._qmp("stop")
        self._qmp("migrate", uri=f"file:{file}")
        self._wait_for("query-migrate", "status", "setup", "active", "device", "pre-switchover")
        if (status := self._qmp("query-migrate")["status"]) != "completed":
            raise CutMachineError(self._told(f"the guest cannot be kept: {status}"))

    def kill(self) -> list[dict[str, Any]]:
        """The power goes: no instruction more. What it had said before."""
        self._qemu.kill()
        self._qemu.wait(END_S)
        found: list[dict[str, Any]] = []
        self._line.settimeout(1.0)
        try:
            while piece := self._line.recv(65536):
                found += self._lines(piece)
        except OSError:
            pass
        return found

    def close(self) -> None:
        """Nothing of it stays. Always safe."""
        self._line.close()
        if hasattr(self, "_qmp"):
            self._qmp.close()
        self._qemu.kill()
        self._qemu.wait(END_S)
        self._folder.cleanup()

    def _lines(self, piece: bytes) -> list[dict[str, Any]]:
        *whole, self._rest = (self._rest + piece).split(b"\n")
        return [json.loads(line) for line in whole if line.startswith(b"{")]

    def _connect(self, path: Path) -> None:
        end = time.monotonic() + CONNECT_S
        while True:
            try:
                self._line.connect(str(path))
                return
            except OSError:
                if self._qemu.poll() is not None or time.monotonic() > end:
                    raise CutMachineError(self._told("QEMU does not start")) from None
                time.sleep(0.02)

    def _wait_for(self, command: str, key: str, *passing: str) -> None:
        end = time.monotonic() + CONNECT_S
        while self._qmp(command).get(key, passing[0]) in passing:
            if time.monotonic() > end:
                raise CutMachineError(self._told(f"{command} does not get on"))
            time.sleep(0.02)

    def _told(self, what: str) -> str:
        parts = [what]
        for name in ("qemu", "console"):
            file = self.folder / name
            if file.exists() and (text := file.read_text(errors="replace")):
                parts.append(f"{name}: {text.partition('Kernel panic')[0][-1500:]}")
        return "\n".join(parts)


def _command(guest: CutGuest, folder: Path, disk: Path, saved: Path | None) -> list[str]:
    read_only = "format=raw,readonly=on,file.locking=off"
    return [
        "qemu-system-x86_64", "-accel", "tcg", "-M", "q35", "-cpu", "max", "-smp", "1",
        "-m", str(MEMORY_MB), "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", str(guest.kernel), "-initrd", str(guest.initrd),
        "-append", f"console=ttyS0 {QUIET}",
        "-drive", f"if=none,id=root,file={guest.root},{read_only}",
        "-device", "virtio-blk-pci,drive=root",
        "-drive", f"if=none,id=code,file={guest.code},{read_only}",
        "-device", "virtio-blk-pci,drive=code",
        "-drive", f"if=none,id=data,file=nbd+unix:///?socket={disk},format=raw,cache=writeback",
        "-device", "virtio-blk-pci,drive=data,write-cache=on",
        "-serial", f"file:{folder}/console",
        "-chardev", f"socket,id=line,path={folder}/line,server=on,wait=on",
        "-serial", "chardev:line",
        "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net",
        "-qmp", f"unix:{folder}/qmp,server=on,wait=off",
        *(["-incoming", f"file:{saved}"] if saved is not None else []),
    ]  # fmt: skip
