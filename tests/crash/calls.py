"""Our own files on a card: calls of `os` that change names, write in place or sync are operations
of it."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.crash.card import PowerCutCard

SYNCS: Final = ("fsync", "fdatasync")
CHANGES: Final = (
    "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "truncate", "ftruncate",
    "posix_fallocate",
)  # fmt: skip


@contextlib.contextmanager
def watching(card: PowerCutCard) -> Iterator[None]:
    """Whoever calls them knows nothing of this. Not for two cards at a time."""
    names = (*SYNCS, *CHANGES, "pwrite")
    real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in names}

    def watched(name: str) -> Callable[..., Any]:
        def call(target: Any, *values: Any, **words: Any) -> Any:
            path = _path(target, words.get("dir_fd"))
            if not card.mine(path):
                return real[name](target, *values, **words)
            card.look()  # files that were made since the last operation
            card.operation()
            if name in SYNCS:
                return card.sync(path)
            result = real[name](target, *values, **words)
            card.look()
            if name == "pwrite":
                card.file(path).written(values[1], len(values[0]))
            return result

        return call

    for name in real:
        setattr(os, name, watched(name))
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _path(target: Any, folder: int | None) -> str:
    if isinstance(target, int):
        return str(Path(f"/proc/self/fd/{target}").readlink())
    path = Path(os.fspath(target))
    if folder is not None:
        return str(Path(f"/proc/self/fd/{folder}").readlink() / path)
    return str(path.absolute())
