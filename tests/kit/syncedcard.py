"""Kill a process, or cut its power, at each operation on its files; everything in this process.

A kill leaves what is there. A power cut leaves of each folder tree what it was at the last sync
of a folder in it, and of a file that nobody synced nothing.

    card = SyncedCard((folder,))
    with contextlib.suppress(ProcessKilled), failing(card, 3, "cut"):
        replace_file(folder / "name", b"new")
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from tests.kit.power import ProcessKilled

OPERATIONS = (
    "open",
    "write",
    "fsync",
    "rename",
    "replace",
    "symlink",
    "unlink",
    "mkdir",
    "rmdir",
    "ftruncate",
    "fchmod",
    "fchown",
    "chmod",
)
Mode = Literal["kill", "torn", "cut", "cut all"]
MODES: tuple[Mode, ...] = ("kill", "torn", "cut", "cut all")
Tree = dict[str, bytes | str | None]


class SyncedCard:
    """`roots`: the file systems. The first one holds the state, the second one is FAT."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        self.roots = roots
        self.durable = {root: _look(root, frozenset()) for root in roots}
        self.dirty: set[tuple[int, int]] = set()
        self.count = 0
        self.at = 0

    def mine(self, path: str) -> Path | None:
        return next((r for r in self.roots if path == str(r) or path.startswith(f"{r}/")), None)

    def synced(self, fd: int, root: Path) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_dir():
            self.durable[root] = _look(root, frozenset(self.dirty))
            return
        self.dirty.discard(_inode(os.fstat(fd)))
        name = str(path.relative_to(root))
        if name in self.durable[root]:
            self.durable[root][name] = path.read_bytes()

    def cut(self, root: Path) -> None:
        for each in root.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        for name, data in sorted(self.durable[root].items()):
            path = root / name
            if data is None:
                path.mkdir(mode=0o700)
            elif isinstance(data, str):
                path.symlink_to(data)
            else:
                path.touch(mode=0o600)
                path.write_bytes(data)


@contextmanager
def failing(card: SyncedCard, at: int, mode: Mode) -> Iterator[None]:
    """The `at`-th operation is not done, and none after it; 0: only count."""
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in OPERATIONS}
    card.count, card.at = 0, at

    def wrap(name: str) -> Callable[..., Any]:
        def call(target: Any, *values: Any, **words: Any) -> Any:
            where = values[0] if name == "symlink" else target
            path = _path(where)
            root = card.mine(path)
            reads = name == "open" and not values[0] & os.O_CREAT and not values[0] & os.O_WRONLY
            if root is None or reads:
                return real[name](target, *values, **words)
            card.count += 1
            if card.count == card.at and name == "write" and mode == "torn":
                real[name](target, values[0][: len(values[0]) // 2])
            if card.count >= card.at > 0:
                raise ProcessKilled
            done = real[name](target, *values, **words)
            if name == "write":
                card.dirty.add(_inode(os.fstat(target)))
            elif name == "fsync":
                card.synced(target, root)
            return done

        return call

    for name in real:
        setattr(os, name, wrap(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
        if mode in ("cut", "cut all") and at:
            for root in card.roots[: 1 if mode == "cut" else None]:
                card.cut(root)


def _path(where: Any) -> str:
    if isinstance(where, int):
        return str(Path(f"/proc/self/fd/{where}").readlink())
    return str(Path(os.fspath(where)).absolute())


def _inode(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _look(root: Path, dirty: frozenset[tuple[int, int]]) -> Tree:
    found: Tree = {}
    for each in sorted(root.rglob("*")):
        name = str(each.relative_to(root))
        if each.is_symlink():
            found[name] = str(each.readlink())
        elif each.is_dir():
            found[name] = None
        else:
            found[name] = b"" if _inode(each.stat()) in dirty else each.read_bytes()
    return found
