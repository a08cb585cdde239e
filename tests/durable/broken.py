"""A disk that refuses one operation on its files, such as one that is full or read-only."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

OPERATIONS: Final = (
    "open", "fchown", "fchmod", "write", "fsync", "replace", "symlink", "unlink", "mkdir",
)  # fmt: skip


@contextmanager
def refusing(folder: Path, at: int, errno: int) -> Iterator[list[str]]:
    """The `at`-th operation below `folder` fails with this error, the others are done. What was
    asked for, by its name and the file's; 0: none fails."""
    asked: list[str] = []
    real = {name: getattr(os, name) for name in OPERATIONS}

    def wrap(name: str) -> Callable[..., Any]:
        def call(target: Any, *values: Any, **words: Any) -> Any:
            path = _path(values[0] if name == "symlink" else target)
            if path != folder and folder not in path.parents:
                return real[name](target, *values, **words)
            asked.append(f"{name} {path.relative_to(folder)}")
            if len(asked) == at:
                raise OSError(errno, os.strerror(errno), str(path))
            return real[name](target, *values, **words)

        return call

    for name in real:
        setattr(os, name, wrap(name))
    try:
        yield asked
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def _path(target: Any) -> Path:
    if isinstance(target, int):
        return Path(f"/proc/self/fd/{target}").readlink()
    return Path(os.fspath(target)).absolute()
