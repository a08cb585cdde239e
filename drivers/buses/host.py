"""What this machine says about a device node: who may open it, who has it, who logs in on it.

Nothing is opened but files below /proc, /dev and /boot. Source: proc(5), kernel parameter
`console=` (Documentation/admin-guide/serial-console.rst), Raspberry Pi config.txt.
"""

import grp
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CONFIGS: Final = ("boot/firmware/config.txt", "boot/config.txt")  # of a Raspberry Pi, newest first
PROCESSES: Final = 20_000  # looked at; a machine with more is no roadside box


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device node as this process finds it. `path` is where its links lead to."""

    name: str
    path: str
    present: bool
    usable: bool = False  # this process may read and write it
    group: str = ""
    number: int = 0  # the device's, as /proc has it


@dataclass(frozen=True, slots=True)
class NodeUser:
    """Somebody else on this machine."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


def look_up_node(name: str) -> DeviceNode:
    """Look at a node, through links."""
    path = os.path.realpath(name)
    try:
        found = Path(path).stat()
    except OSError:
        return DeviceNode(name, path, present=False)
    number = 0
    if stat.S_ISCHR(found.st_mode):
        major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
        number = minor & 0xFF | major << 8 | (minor & ~0xFF) << 12
    try:
        group = grp.getgrgid(found.st_gid).gr_name
    except KeyError:
        group = str(found.st_gid)
    return DeviceNode(name, path, True, os.access(path, os.R_OK | os.W_OK), group, number)


def kernel_consoles(cmdline: str) -> list[str]:
    """The terminals that the kernel was told to write its messages to: ["ttyAMA0", "tty1"]."""
    words = (word.partition("=") for word in cmdline.split())
    return [value.partition(",")[0] for key, _, value in words if key == "console" and value]


def login_on(number: int, proc: Path = Path("/proc")) -> NodeUser | None:
    """Who has this terminal as his controlling one: a login console, mostly."""
    if not number:
        return None
    for folder in _processes(proc):
        with suppress(OSError, ValueError, IndexError):
            # the name may hold blanks and brackets of its own
            head, _, rest = (folder / "stat").read_text("utf-8", "replace").rpartition(")")
            if int(rest.split()[4]) == number:
                return NodeUser(int(folder.name), head.partition("(")[2])
    return None


def find_holder(path: str, proc: Path = Path("/proc")) -> NodeUser | None:
    """Who else has this node open, as far as this process may see."""
    for folder in _processes(proc):
        if folder.name == str(os.getpid()):
            continue
        with suppress(OSError):
            for file in (folder / "fd").iterdir():
                if str(file.readlink()) == path:
                    name = (folder / "comm").read_text("utf-8", "replace").strip()
                    return NodeUser(int(folder.name), name)
    return None


def _processes(proc: Path) -> list[Path]:
    with suppress(OSError):
        return [f for f in proc.iterdir() if f.name.isdecimal()][:PROCESSES]
    return []


def list_names(folder: str) -> list[str]:
    """What is in a folder of /dev, sorted; nothing if it is not there."""
    with suppress(OSError):
        return sorted(str(path) for path in Path(folder).iterdir())
    return []


def read_text(path: Path) -> str:
    """A file's content; "" when it cannot be read."""
    with suppress(OSError):
        return path.read_text("utf-8", "replace")
    return ""


def board_config(root: Path = Path("/")) -> tuple[str, str] | None:
    """Name and content of a Raspberry Pi's config.txt, on a Raspberry Pi."""
    for name in CONFIGS:
        if found := read_text(root / name):
            return f"/{name}", found
    return None
