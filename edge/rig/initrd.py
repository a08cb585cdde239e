"""The first file system of a guest: a shell, and the modules without which there is no second."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Final

DIRECTORY, EXECUTABLE = 0o040755, 0o100755
FOLDERS: Final = ("bin", "dev", "proc", "sys", "modules", "root")


def needed(wanted: Iterable[str], modules_dep: str) -> list[str]:
    """The paths of these modules and all they need, in the order of loading."""
    needs: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in modules_dep.splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
        by_name[Path(path).name.partition(".")[0].replace("-", "_")] = path
    order: dict[str, None] = {}
    for name in wanted:
        if found := by_name.get(name):  # otherwise it is built in
            order |= dict.fromkeys([*reversed(needs[found]), found])
    return list(order)


def initrd(busybox: Path, modules: Iterable[Path], first: bytes) -> bytes:
    """A compressed archive; `first` is its first program, a script of busybox."""
    order = list(modules)
    files = {
        "init": first,
        "bin/busybox": busybox.read_bytes(),
        "modules/order": "".join(f"{path.name}\n" for path in order).encode(),
        **{f"modules/{path.name}": path.read_bytes() for path in order},
    }
    entries = [_entry(folder, DIRECTORY, b"") for folder in FOLDERS]
    entries += [_entry(name, EXECUTABLE, data) for name, data in files.items()]
    return gzip.compress(b"".join(entries) + _entry("TRAILER!!!", 0, b""), 1)


def _entry(name: str, mode: int, data: bytes) -> bytes:
    """One file as `cpio -H newc` writes it."""
    named = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(named), 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers)
    return _padded(head + named) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
